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
    refused: dict[tuple[str, Any, int], ErrorCode] = {}
    offsets = tuple(_resolve(shell, request, context, refused))
    committed = OffsetCommitResponse(ErrorCode.NONE)
    if offsets:
        try:
            committed = await _commit(shell, request, context, offsets)
        except ApiError as error:
            # It is for those that the group was asked about; the others have errors of their own.
            committed = OffsetCommitResponse(error.code)
    errors = {(topic, partition): error for topic, partition, error in committed.partitions}
    names = {id_: name for name, id_ in ((offset.topic, offset.topic_id) for offset in offsets)}
    return {"topics": [_topic(topic, refused, errors, names, committed.error) for topic in request.topics]}


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


def _resolve(
    shell: Any, request: Any, context: RequestContext, refused: dict[tuple[str, Any, int], ErrorCode]
) -> Iterator[OffsetToCommit]:
    """The offsets of partitions that exist and may be read; what is wrong with others goes into `refused`."""
    uses_ids = context.api_version >= 10
    for asked in request.topics:
        topic = find_topic(shell, asked)
        name = getattr(asked, "name", None) if topic is None else topic.name
        # An id that is unknown has no name to ask for.
        allowed = name is None or context.access.allows(Operation.READ, ResourceType.TOPIC, name)
        for partition in asked.partitions:
            if not allowed:
                refused[_key(asked, partition)] = ErrorCode.TOPIC_AUTHORIZATION_FAILED
            elif topic is None:
                unknown = ErrorCode.UNKNOWN_TOPIC_ID if uses_ids else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                refused[_key(asked, partition)] = unknown
            elif partition.partition_index not in topic.partitions:
                refused[_key(asked, partition)] = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                yield OffsetToCommit(
                    topic=topic.name,
                    topic_id=topic.id,
                    partition=partition.partition_index,
                    offset=partition.committed_offset,
                    leader_epoch=getattr(partition, "committed_leader_epoch", -1),
                    metadata=partition.committed_metadata,
                )


def _key(asked: Any, partition: Any) -> tuple[str, Any, int]:
    return getattr(asked, "name", ""), getattr(asked, "topic_id", ZERO_UUID), partition.partition_index


def _topic(
    asked: Any,
    refused: Mapping[tuple[str, Any, int], ErrorCode],
    errors: Mapping[tuple[str, int], ErrorCode],
    names: Mapping[Any, str],
    for_all: ErrorCode,
) -> dict[str, Any]:
    topic_id = getattr(asked, "topic_id", ZERO_UUID)
    name = getattr(asked, "name", None) or names.get(topic_id, "")
    partitions = [
        {
            "partition_index": partition.partition_index,
            "error_code": refused.get(_key(asked, partition)) or errors.get((name, partition.partition_index), for_all),
        }
        for partition in asked.partitions
    ]
    return {"name": name, "topic_id": topic_id, "partitions": partitions}
