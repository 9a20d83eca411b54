"""OffsetFetch: how far one group, or from version 8 many groups, have come.

A null list of topics asks for everything. Version 7 can ask for stable offsets, 8 for many groups, 9 also serves the
consumer protocol, 10 names topics by id. A group that does not exist has committed nothing: it answers offset -1 and
no error, which is what clients rely on at their first start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import OffsetFetch, TopicPartitions
from moldau.control.groups.responses import FetchedOffset, OffsetFetchResponse
from moldau.control.schema import ZERO_UUID
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext
from moldau.server.topic_names import find_topic, topic_id_of

API = Api(key=9, name="OffsetFetch", versions=(1, 10))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    require_stable = getattr(request, "require_stable", False)
    if context.api_version < 8:
        return await _group(shell, request, context, require_stable=require_stable)
    groups = []
    for asked in request.groups:
        answer = await _group(shell, asked, context, require_stable=require_stable)
        groups.append({"group_id": asked.group_id, **answer})
    return {"groups": groups}


async def _group(shell: Any, asked: Any, context: RequestContext, *, require_stable: bool) -> dict[str, Any]:
    """One group's offsets; before version 8 it is the whole answer, with the same field names."""
    if not context.access.allows(Operation.DESCRIBE, ResourceType.GROUP, asked.group_id):
        return _failed(asked, ErrorCode.GROUP_AUTHORIZATION_FAILED, context)
    uses_ids = context.api_version >= 10
    refused: list[dict[str, Any]] = []
    wanted: list[TopicPartitions] | None = None if asked.topics is None else []
    for topic in asked.topics or ():
        assert wanted is not None
        partitions = tuple(topic.partition_indexes)
        found = find_topic(shell, topic)
        name = getattr(topic, "name", None) if found is None else found.name
        if name is None:
            refused.append(_refused_topic(topic, ErrorCode.UNKNOWN_TOPIC_ID))
        elif not context.access.allows(Operation.DESCRIBE, ResourceType.TOPIC, name):
            refused.append(_refused_topic(topic, ErrorCode.TOPIC_AUTHORIZATION_FAILED))
        else:
            # By its id also for who asks by name: what was committed for an older topic of this name does not count.
            wanted.append(TopicPartitions(name, partitions, ZERO_UUID if found is None else found.id))
    fetch = OffsetFetch(
        asked.group_id,
        None if wanted is None else tuple(wanted),
        require_stable,
        member_id=getattr(asked, "member_id", None),
        member_epoch=getattr(asked, "member_epoch", -1),
    )
    try:
        fetched: OffsetFetchResponse = await shell.groups.run(asked.group_id, fetch)
    except ApiError as error:
        fetched = OffsetFetchResponse(error.code)
    if fetched.error is not ErrorCode.NONE:
        return _failed(asked, fetched.error, context)
    by_topic: dict[str, list[dict[str, Any]]] = {topic.topic: [] for topic in wanted or ()}
    for offset in fetched.offsets:
        if wanted is not None or context.access.sees(Operation.DESCRIBE, ResourceType.TOPIC, offset.topic):
            by_topic.setdefault(offset.topic, []).append(_partition(offset))
    if not uses_ids:
        topics = [{"name": name, "partitions": each} for name, each in by_topic.items()]
        return {"topics": topics + refused, "error_code": ErrorCode.NONE}
    ids = {name: topic_id_of(shell, name) for name in by_topic}
    # A topic without an id is gone, and cannot be named in version 10.
    known = [{"topic_id": ids[name], "partitions": each} for name, each in by_topic.items() if ids[name] != ZERO_UUID]
    return {"topics": known + refused, "error_code": ErrorCode.NONE}


def _failed(asked: Any, error: ErrorCode, context: RequestContext) -> dict[str, Any]:
    topics: list[dict[str, Any]] = []
    if context.api_version < 2:
        # Version 1 has no place for an error but the partitions.
        for topic in asked.topics or ():
            offsets = [FetchedOffset(topic.name, index, -1, -1, "", error) for index in topic.partition_indexes]
            topics.append({"name": topic.name, "partitions": [_partition(offset) for offset in offsets]})
    return {"topics": topics, "error_code": error}


def _refused_topic(topic: Any, code: ErrorCode) -> dict[str, Any]:
    refused = [FetchedOffset("", index, -1, -1, "", code) for index in topic.partition_indexes]
    named = {"name": topic.name} if hasattr(topic, "name") else {"topic_id": topic.topic_id}
    return {**named, "partitions": [_partition(offset) for offset in refused]}


def _partition(offset: FetchedOffset) -> dict[str, Any]:
    return {
        "partition_index": offset.partition,
        "committed_offset": offset.offset,
        "committed_leader_epoch": offset.leader_epoch,
        "metadata": offset.metadata,
        "error_code": offset.error,
    }
