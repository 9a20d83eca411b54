"""What OffsetCommit and TxnOffsetCommit have in common: offsets for the group, and an answer for each partition.

A partition is *resolved* to its offset, or to the error that keeps it from the group. The group answers in the order in
which it was asked, so the answer is put together in the order of the request, whatever is named twice in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from moldau.control.groups.requests import OffsetToCommit
from moldau.control.groups.responses import OffsetCommitResponse
from moldau.errors import ErrorCode

Resolved = OffsetToCommit | ErrorCode


def offset_to_commit(topic: Any, asked: Any) -> OffsetToCommit:
    """The offset of a partition of `topic`, which exists, as the request has it."""
    return OffsetToCommit(
        topic=topic.name,
        topic_id=topic.id,
        partition=asked.partition_index,
        offset=asked.committed_offset,
        leader_epoch=getattr(asked, "committed_leader_epoch", -1),
        metadata=asked.committed_metadata,
    )


def offsets_among(resolved: Iterable[Resolved]) -> tuple[OffsetToCommit, ...]:
    """Those that the group is asked about."""
    return tuple(each for each in resolved if isinstance(each, OffsetToCommit))


def topics_of_answer(
    asked: Iterable[Any],
    resolved: Sequence[Resolved],
    committed: OffsetCommitResponse,
    told: Callable[[ErrorCode], ErrorCode] = lambda error: error,
) -> list[dict[str, Any]]:
    """The topics of the answer. `told` is what the client of this version is told of an error."""
    errors = _errors(resolved, committed)
    return [
        {
            **_named(topic),
            "partitions": [
                {"partition_index": partition.partition_index, "error_code": told(next(errors))}
                for partition in topic.partitions
            ],
        }
        for topic in asked
    ]


def _named(topic: Any) -> dict[str, Any]:
    """As the request names the topic: from version 10 of OffsetCommit on by its id."""
    return {"topic_id": topic.topic_id} if hasattr(topic, "topic_id") else {"name": topic.name}


def _errors(resolved: Iterable[Resolved], committed: OffsetCommitResponse) -> Iterator[ErrorCode]:
    of_the_group = iter(committed.partitions)
    for each in resolved:
        if isinstance(each, ErrorCode):
            yield each
        elif committed.error is not ErrorCode.NONE:
            yield committed.error
        else:
            yield next(of_the_group)[2]
