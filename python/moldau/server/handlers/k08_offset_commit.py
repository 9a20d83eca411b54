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
from moldau.control.schema import ZERO_UUID
from moldau.errors import ApiError, ErrorCode
from moldau.server.durations import milliseconds
from moldau.server.handlers import Api, RequestContext
from moldau.server.topic_names import find_topic

API = Api(key=8, name="OffsetCommit", versions=(2, 10))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
    resolved = [each for topic in request.topics for each in _resolve(shell, topic, context)]
    offsets = tuple(each for each in resolved if isinstance(each, OffsetToCommit))
    committed = OffsetCommitResponse(ErrorCode.NONE)
    if offsets:
        try:
            committed = await _commit(shell, request, context, offsets)
        except ApiError as error:
            # It is for those that the group was asked about; the others have errors of their own.
            committed = OffsetCommitResponse(error.code)
    errors = _errors(resolved, committed)
    return {"topics": [_topic(topic, errors) for topic in request.topics]}


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


def _resolve(shell: Any, asked: Any, context: RequestContext) -> Iterator[OffsetToCommit | ErrorCode]:
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
            yield OffsetToCommit(
                topic=topic.name,
                topic_id=topic.id,
                partition=partition.partition_index,
                offset=partition.committed_offset,
                leader_epoch=getattr(partition, "committed_leader_epoch", -1),
                metadata=partition.committed_metadata,
            )


def _errors(resolved: list[OffsetToCommit | ErrorCode], committed: OffsetCommitResponse) -> Iterator[ErrorCode]:
    """What is said of each partition, in the order of the request: the group has answered in it, too."""
    of_the_group = iter(committed.partitions)
    for each in resolved:
        if isinstance(each, ErrorCode):
            yield each
        elif committed.error is not ErrorCode.NONE:
            yield committed.error
        else:
            yield next(of_the_group)[2]


def _topic(asked: Any, errors: Iterator[ErrorCode]) -> dict[str, Any]:
    partitions = [
        {"partition_index": partition.partition_index, "error_code": next(errors)} for partition in asked.partitions
    ]
    return {
        "name": getattr(asked, "name", ""),
        "topic_id": getattr(asked, "topic_id", ZERO_UUID),
        "partitions": partitions,
    }
