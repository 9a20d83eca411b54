"""OffsetDelete: take back committed offsets of topics that no member is subscribed to (KIP-496)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import OffsetDelete, TopicPartitions
from moldau.control.groups.responses import OffsetDeleteResponse
from moldau.errors import ErrorCode
from moldau.server.group_names import check_named
from moldau.server.handlers import Api, RequestContext
from moldau.server.topic_names import find_topic

API = Api(key=47, name="OffsetDelete", versions=(0, 0))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    context.access.require(Operation.DELETE, ResourceType.GROUP, request.group_id)
    check_named(request.group_id)
    wanted: list[TopicPartitions] = []
    refused: set[str] = set()
    for asked in request.topics:
        if not context.access.allows(Operation.READ, ResourceType.TOPIC, asked.name):
            refused.add(asked.name)
            continue
        topic = find_topic(shell, asked)
        known = () if topic is None else topic.partitions
        existing = tuple(each.partition_index for each in asked.partitions if each.partition_index in known)
        if existing:
            wanted.append(TopicPartitions(asked.name, existing))
    response: OffsetDeleteResponse = await shell.groups.run(
        request.group_id, OffsetDelete(request.group_id, tuple(wanted))
    )
    if response.error is not ErrorCode.NONE:
        return {"error_code": response.error, "topics": []}
    errors = {(topic, partition): error for topic, partition, error in response.partitions}
    return {
        "error_code": ErrorCode.NONE,
        "topics": [
            {
                "name": asked.name,
                "partitions": [
                    {
                        "partition_index": each.partition_index,
                        "error_code": ErrorCode.TOPIC_AUTHORIZATION_FAILED
                        if asked.name in refused
                        else errors.get((asked.name, each.partition_index), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
                    }
                    for each in asked.partitions
                ],
            }
            for asked in request.topics
        ],
    }
