"""DescribeQuorum (KIP-595): a quorum of one, which is always in agreement with itself.

Version 1 tells when each voter was last heard of, version 2 the voters' directories and where controllers listen.
"""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.topic_names import CLUSTER_METADATA
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(55, "DescribeQuorum", (0, 2))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.DESCRIBE)
    # There is one quorum: whoever asks about more, or about another, is told so everywhere.
    asked = [(topic.topic_name, each.partition_index) for topic in request.topics for each in topic.partitions]
    known = asked == [(CLUSTER_METADATA, 0)]
    controller = shell.metadata.machine.image.controllers.get(shell.node_id)
    return {
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "topics": [
            {
                "topic_name": topic.topic_name,
                "partitions": [
                    _partition(shell, partition.partition_index, known=known) for partition in topic.partitions
                ],
            }
            for topic in request.topics
        ],
        "nodes": [
            {
                "node_id": shell.node_id,
                "listeners": [
                    {"name": endpoint.name, "host": endpoint.host, "port": endpoint.port}
                    for endpoint in (controller.end_points if controller is not None else ())
                ],
            }
        ],
    }


def _partition(shell: Any, index: int, *, known: bool) -> dict[str, Any]:
    if not known:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return {"partition_index": index, "error_code": code, "error_message": code.sentence}
    now_ms = shell.clock.now_ms()
    return {
        "partition_index": 0,
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "leader_id": shell.node_id,
        "leader_epoch": shell.core.latest_leader_epoch(CLUSTER_METADATA, 0) or 0,
        "high_watermark": shell.core.high_watermark(CLUSTER_METADATA, 0),
        "current_voters": [
            {
                "replica_id": shell.node_id,
                "log_end_offset": shell.core.log_end_offset(CLUSTER_METADATA, 0),
                "last_fetch_timestamp": now_ms,
                "last_caught_up_timestamp": now_ms,
            }
        ],
        "observers": [],
    }
