"""DescribeProducers: the idempotent and transactional producers that partitions remember (KIP-664).

This is where a transaction that hangs shows: an open one here whose coordinator knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau._core import CoreError
from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.topic_names import check_name
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import Access
from moldau.server.handlers import Api, RequestContext

API = Api(61, "DescribeProducers", (0, 0))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    return {
        "topics": [
            {
                "name": topic.name,
                "partitions": [
                    _partition(shell, topic.name, index, context.access) for index in topic.partition_indexes
                ],
            }
            for topic in request.topics
        ]
    }


def _partition(shell: Any, topic: str, partition: int, access: Access) -> dict[str, Any]:
    try:
        check_name(topic)
        access.require(Operation.READ, ResourceType.TOPIC, topic)
    except ApiError as error:
        return {"partition_index": partition, "error_code": error.code, "error_message": error.message}
    known = shell.metadata.machine.image.topics.get(topic)
    if known is None or partition not in known.partitions:
        return {"partition_index": partition, "error_code": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    if known.partitions[partition].leader != shell.node_id:
        return {"partition_index": partition, "error_code": ErrorCode.NOT_LEADER_OR_FOLLOWER}
    try:
        producers = shell.core.producers(topic, partition)
    except CoreError as error:
        return {"partition_index": partition, "error_code": error.code, "error_message": error.message}
    return {
        "partition_index": partition,
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "active_producers": [
            {
                "producer_id": producer.producer_id,
                "producer_epoch": producer.producer_epoch,
                "last_sequence": producer.last_sequence,
                "last_timestamp": producer.last_timestamp_ms,
                "coordinator_epoch": producer.coordinator_epoch,
                "current_txn_start_offset": producer.current_transaction_start_offset,
            }
            for producer in producers
        ],
    }
