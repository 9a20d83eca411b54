"""WriteTxnMarkers: end a producer's transaction in some partitions, whatever its coordinator says.

Brokers send it to each other, and administrators to end a transaction that hangs. Version 2 says which transaction
version the producer speaks, so that a marker which is late can be told from one that is due (KIP-1228).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.machine import TransactionMarker
from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(27, "WriteTxnMarkers", (1, 2))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    access = context.access
    allowed = access.sees_cluster(Operation.ALTER) or access.allows_cluster(Operation.CLUSTER_ACTION)
    return {"markers": [await _write(shell, each, allowed=allowed) for each in request.markers]}


async def _write(shell: Any, asked: Any, *, allowed: bool) -> dict[str, Any]:
    marker = TransactionMarker(
        asked.producer_id,
        asked.producer_epoch,
        asked.coordinator_epoch,
        asked.transaction_result,
        getattr(asked, "transaction_version", 0),
    )
    topics = []
    for topic in asked.topics:
        partitions = [
            {
                "partition_index": index,
                "error_code": await shell.transactions.markers.write(shell, marker, TopicPartition(topic.name, index))
                if allowed
                else ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
            }
            for index in topic.partition_indexes
        ]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"producer_id": asked.producer_id, "topics": topics}
