"""DescribeTopicPartitions (KIP-966): partitions with their eligible leader replicas, page by page."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.describe import Cursor, DescribedTopic, describe_topic_partitions, offline_replicas
from moldau.control.metadata.image import NO_LEADER
from moldau.control.metadata.situation import Situation
from moldau.errors import ErrorCode
from moldau.server.access import OPERATIONS_NOT_ASKED, Access
from moldau.server.handlers import Api, RequestContext

API = Api(75, "DescribeTopicPartitions", (0, 0))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    situation: Situation = shell.metadata.machine.situation()
    cursor = None
    if request.cursor is not None:
        cursor = Cursor(request.cursor.topic_name, request.cursor.partition_index)
    limit = min(request.response_partition_limit, shell.configs.broker_int("max.request.partition.size.limit"))
    names = {topic.name for topic in request.topics}
    access, page_size = context.access, max(1, limit)

    def visible(name: str) -> bool:
        return access.sees(Operation.DESCRIBE, ResourceType.TOPIC, name)

    topics, following = describe_topic_partitions(situation, names, cursor, page_size, visible)
    first = "" if cursor is None else cursor.topic
    refused = sorted(name for name in names if name >= first and not visible(name))
    return {
        "topics": [*(_topic(situation, topic, access) for topic in topics), *map(_refused, refused)],
        "next_cursor": None
        if following is None
        else {"topic_name": following.topic, "partition_index": following.partition},
    }


def _refused(name: str) -> dict[str, Any]:
    """Whether there is such a topic is not told, nor its id."""
    return {
        "error_code": ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        "name": name,
        "topic_authorized_operations": OPERATIONS_NOT_ASKED,
    }


def _topic(situation: Situation, topic: DescribedTopic, access: Access) -> dict[str, Any]:
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
        "topic_authorized_operations": access.operations(ResourceType.TOPIC, topic.name),
    }
