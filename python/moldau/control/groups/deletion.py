"""Groups with more offsets than one batch can take back: deleted in several turns, and still all or nothing.

Kafka writes the tombstones of a group's offsets and then those of the group itself, as one batch, and refuses to delete
a group for which that batch is too large. So is it done here while it fits. A larger group is gone with the *first*
batch: that one begins with the tombstones of the group itself, and those of its first offsets follow at once. The
others come turn by turn, between which other requests are answered.

Nothing else in a log looks like that beginning: Kafka puts offsets in front of their group, and who takes a group back
to make one of another protocol of it goes on with records of that one. So a start that finds it, and behind it nothing
that is said of the group, knows that a crash came in between, and takes back what is left. Until that is done the group
id is answered like one that is still being loaded: whatever was written for it now, the next turn might take back.
Source: GroupCoordinatorShard.deleteGroups of Apache Kafka 4.3.
"""

from __future__ import annotations

from typing import Final

from moldau.control.groups.consumer.records import GroupEpochRecord
from moldau.control.groups.offsets import RETRY_MS, CommittedOffsets, delete_all
from moldau.control.groups.records import (
    GROUP_DECLARATIONS,
    CoordinatorRecord,
    GroupRecord,
    OffsetRecord,
    OtherRecord,
    PendingOffsetRecord,
)
from moldau.control.groups.refusals import refuse
from moldau.control.groups.requests import DeleteGroup, DeletionToFinish, JoinsAlone, JoinsGathered
from moldau.control.groups.responses import Done, GroupResponse
from moldau.control.groups.turn import Turn
from moldau.control.machine import AppendFailed, TransactionMarker
from moldau.errors import ErrorCode

LATER_MS: Final = 10
"""When those who wait to join together look again."""


class Deletions:
    """The groups of a partition whose deletion has begun and is not over."""

    def __init__(self, offsets: CommittedOffsets) -> None:
        self._offsets = offsets
        self._begun: set[str] = set()
        self._gone: str | None = None
        """The group that the record applied last took back."""

    def __contains__(self, group_id: object) -> bool:
        return group_id in self._begun

    def __len__(self) -> int:
        return len(self._begun)

    def begin(self, turn: Turn, group_id: str) -> None:
        """The records of this turn take the group itself back, and some of its offsets."""
        self._begun.add(group_id)
        # For the case that who asked for it goes away.
        self._finish_later(turn, group_id, turn.steady_ms + RETRY_MS)

    def go_on(self, turn: Turn, group_id: str) -> bool:
        """Take back what fits into a turn; False when another one has to follow."""
        return delete_all(turn, self._offsets, group_id)

    def finish(self, turn: Turn, event: DeletionToFinish) -> None:
        if event.group_id in self._begun and not self.go_on(turn, event.group_id):
            self._finish_later(turn, event.group_id, turn.steady_ms)

    def taken_back(self, group_id: str) -> None:
        """The tombstone of an offset was applied."""
        if group_id in self._begun and not self._offsets.has_any(group_id):
            self._begun.discard(group_id)

    def forget_those_done(self) -> None:
        """What was left of a group may have been the offsets of a transaction, and that was aborted."""
        self._begun = {group_id for group_id in self._begun if self._offsets.has_any(group_id)}

    def refuse(self, turn: Turn, request: object) -> GroupResponse | None:
        """What is answered about a group that is being deleted; None where this is about something else."""
        group_id = getattr(request, "group_id", None)
        if group_id not in self._begun or isinstance(request, DeleteGroup | DeletionToFinish):
            return None
        if isinstance(request, JoinsGathered):
            turn.schedule(("gathering", group_id), turn.steady_ms + LATER_MS, request)
            return Done()
        if isinstance(request, JoinsAlone):
            turn.schedule(("joins-alone", request.request.token), turn.steady_ms + LATER_MS, request)
            return Done()
        return refuse(request, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)

    def append_failed(self, turn: Turn, failed: AppendFailed) -> None:
        request = failed.request
        if not isinstance(request, DeleteGroup | DeletionToFinish) or request.group_id not in self._begun:
            return
        if isinstance(failed.decision.records[0], OffsetRecord):
            # The group is gone all the same.
            self._finish_later(turn, request.group_id, turn.steady_ms + RETRY_MS)
        else:
            self._begun.discard(request.group_id)

    # After a crash

    def read(self, record: CoordinatorRecord) -> None:
        """Take note of a record of the log, before it is applied at a start."""
        gone, self._gone = self._gone, None
        match record:
            case OffsetRecord(group, _, _, None):
                if group == gone:
                    self._begun.add(group)
            case TransactionMarker():
                pass
            case PendingOffsetRecord():
                self._begun.discard(record.offset.group)
            case _ if record.value is not None:
                # Who says something of a group, or for it, does so after all of its deletion.
                self._begun.discard(record.group)
            case GroupRecord() | GroupEpochRecord():
                self._gone = record.group
            case OtherRecord() if record.record_type in GROUP_DECLARATIONS:
                self._gone = record.group

    def start(self, turn: Turn) -> None:
        """Everything is applied: go on with what a crash has broken off."""
        self.forget_those_done()
        for group_id in sorted(self._begun):
            self._finish_later(turn, group_id, turn.steady_ms)

    def _finish_later(self, turn: Turn, group_id: str, at_ms: int) -> None:
        turn.schedule(("deleting", group_id), at_ms, DeletionToFinish(group_id))
