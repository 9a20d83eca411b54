"""Bugs planted on purpose: `python -m tests.fault.planted BUG up ...` is `moldau up ...` with one of them.

They are put in from outside, in the process of the node, and show that the checker would see such a bug.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from moldau.control.groups.requests import OffsetCommit
from moldau.control.machine import TransactionMarker
from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ErrorCode
from moldau.server.handlers import k28_txn_offset_commit
from moldau.server.markers import MarkerWriter
from moldau.server.topic_creation import OFFSETS_TOPIC


def commit_what_is_aborted() -> None:
    """Records of an aborted transaction get the marker of a committed one."""
    change_markers(lambda marker, at: replace(marker, committed=True))


def abort_in_one_partition() -> None:
    """A committed transaction is aborted in partition 1."""
    change_markers(lambda marker, at: replace(marker, committed=marker.committed and at.partition != 1))


def change_markers(change: Callable[[TransactionMarker, TopicPartition], TransactionMarker]) -> None:
    write = MarkerWriter.write

    async def changed(self: MarkerWriter, shell: Any, marker: TransactionMarker, at: TopicPartition) -> ErrorCode:
        return await write(self, shell, marker if at.topic == OFFSETS_TOPIC else change(marker, at), at)

    MarkerWriter.write = changed


def commit_offsets_outside_of_the_transaction() -> None:
    """Offsets of a transaction count at once, however it ends."""

    def at_once(group_id: str, producer: object, *rest: Any) -> OffsetCommit:
        generation_id, member_id, instance_id, offsets = rest
        return OffsetCommit(
            group_id=group_id,
            generation_id=generation_id,
            member_id=member_id,
            group_instance_id=instance_id,
            offsets=offsets,
        )

    k28_txn_offset_commit.TransactionalOffsetCommit = at_once


BUGS = {
    "commit-what-is-aborted": commit_what_is_aborted,
    "abort-in-one-partition": abort_in_one_partition,
    "offsets-outside-of-the-transaction": commit_offsets_outside_of_the_transaction,
}


def markers_wait() -> None:
    """Between the decision of a transaction and its first marker time stands still: a place to be killed at."""

    async def wait(*_: object) -> ErrorCode:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    MarkerWriter.write = wait


STOPS = {"markers-wait": markers_wait}
"""No bugs, and no node that a checker should look at."""

if __name__ == "__main__":
    (BUGS | STOPS)[sys.argv.pop(1)]()
    from moldau.cli import main

    main()
