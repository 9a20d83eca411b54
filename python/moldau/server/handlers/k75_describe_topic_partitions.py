"""DescribeTopicPartitions (KIP-966): partitions with their eligible leader replicas, page by page."""

from __future__ import annotations

from typing import Any, Final

from moldau.control.metadata.describe import Cursor, DescribedTopic, describe_topic_partitions, offline_replicas
from moldau.control.metadata.image import NO_LEADER
from moldau.control.metadata.situation import Situation
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(75, "DescribeTopicPartitions", (0, 0))

READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS = 3, 4, 5, 6, 7, 8, 10, 11
TOPIC_OPERATIONS: Final = sum(
    1 << operation for operation in (READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS)
)
"""Without an authorizer everyone may do everything that there is to do with a topic."""


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    situation: Situation = shell.metadata.machine.situation()
    cursor = None
    if request.cursor is not None:
        cursor = Cursor(request.cursor.topic_name, request.cursor.partition_index)
    limit = min(request.response_partition_limit, shell.configs.broker_int("max.request.partition.size.limit"))
    topics, following = describe_topic_partitions(
        situation, {topic.name for topic in request.topics}, cursor, max(1, limit)
    )
    return {
        "topics": [_topic(situation, topic) for topic in topics],
        "next_cursor": None
        if following is None
        else {"topic_name": following.topic, "partition_index": following.partition},
    }


def _topic(situation: Situation, topic: DescribedTopic) -> dict[str, Any]:
    return {
        "error_code": topic.code,
        "name": topic.name,
        "topic_id": topic.id,
        "is_internal": topic.internal,
        "partitions": [
            {
                "error_code": ErrorCode.NONE if partition.leader != NO_LEADER else ErrorCode.LEADER_NOT_AVAILABLE,
                "partition_index": index,
                "leader_id": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "replica_nodes": partition.replicas,
                "isr_nodes": partition.isr,
                "eligible_leader_replicas": partition.eligible_leader_replicas,
                "last_known_elr": partition.last_known_elr,
                "offline_replicas": offline_replicas(situation, partition),
            }
            for index, partition in topic.partitions
        ],
        "topic_authorized_operations": TOPIC_OPERATIONS,
    }
