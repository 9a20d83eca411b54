"""OffsetCommit: a group stores how far it has come.

Versions 2 to 4 may bring a retention of their own; 6 adds leader epochs, 7 static members, 8 is flexible, 9 also
serves the consumer protocol and may answer GROUP_ID_NOT_FOUND, 10 names topics by id. A topic or partition that does
not exist is refused here, before the group is asked: its offset could never expire with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import OffsetCommit, OffsetToCommit
from moldau.control.groups.responses import OffsetCommitResponse
from moldau.errors import ApiError, ErrorCode
from moldau.server.commit_answers import Resolved, offset_to_commit, offsets_among, topics_of_answer
from moldau.server.durations import milliseconds
from moldau.server.handlers import Api, RequestContext
from moldau.server.topic_names import find_topic

API = Api(key=8, name="OffsetCommit", versions=(2, 10))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
    resolved = [each for topic in request.topics for each in _resolve(shell, topic, context)]
    offsets = offsets_among(resolved)
    committed = OffsetCommitResponse(ErrorCode.NONE)
    if offsets:
        try:
            committed = await _commit(shell, request, context, offsets)
        except ApiError as error:
            # It is for those that the group was asked about; the others have errors of their own.
            committed = OffsetCommitResponse(error.code)
    return {"topics": topics_of_answer(request.topics, resolved, committed)}


async def _commit(
    shell: Any, request: Any, context: RequestContext, offsets: tuple[OffsetToCommit, ...]
) -> OffsetCommitResponse:
    asked = OffsetCommit(
        group_id=request.group_id,
        generation_id=request.generation_id_or_member_epoch,
        member_id=request.member_id,
        group_instance_id=getattr(request, "group_instance_id", None),
        offsets=offsets,
        retention_ms=milliseconds(getattr(request, "retention_time", -1)),
        knows_group_id_not_found=context.api_version >= 9,
    )
    committed: OffsetCommitResponse = await shell.groups.run(request.group_id, asked)
    return committed


def _resolve(shell: Any, asked: Any, context: RequestContext) -> Iterator[Resolved]:
    """For each partition of a topic its offset, or what is wrong with it: it must exist, and be one to read."""
    topic = find_topic(shell, asked)
    name = getattr(asked, "name", None) if topic is None else topic.name
    # An id that is unknown has no name to ask for.
    allowed = name is None or context.access.allows(Operation.READ, ResourceType.TOPIC, name)
    for partition in asked.partitions:
        if not allowed:
            yield ErrorCode.TOPIC_AUTHORIZATION_FAILED
        elif topic is None:
            yield ErrorCode.UNKNOWN_TOPIC_ID if context.api_version >= 10 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        elif partition.partition_index not in topic.partitions:
            yield ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        else:
            yield offset_to_commit(topic, partition)
