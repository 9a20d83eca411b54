"""Where the connector is, in the map that Debezium stores: a Debezium worker can go on from ours, and we from its own.

`lsn` is the last event's position, `lsn_proc` the last one wholly handed on, `lsn_commit` the end of the last whole
transaction. Many rows may share a position (COPY writes them in one piece of WAL): `lsn_events_processed` counts those
of `lsn` that are done, so that a restart neither loses nor repeats one. `lsn_snapshot` is ours: the slot may be older
than the snapshot, and until a first transaction is done only this says what the server need not send again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

BLOCKING = "BLOCKING"
_TRANSACTION_ID = "transaction_id"
_COLLECTION_ORDER = "transaction_data_collection_order_"


@dataclass(slots=True)
class Position:
    """The place in the stream that is being handed on. LSNs are numbers; 0 stands for none, as in PostgreSQL."""

    lsn: int = 0
    processed_lsn: int = 0
    commit_lsn: int = 0
    snapshot_lsn: int = 0
    """Where a snapshot stands that holds all that was committed before, and nothing else; 0 if it is not so exact."""
    events_at_lsn: int = 0
    xid: int | None = None
    time_us: int = 0
    message_type: str | None = None
    # What `provide.transaction.metadata` keeps, in the map's own keys.
    transaction: dict[str, Any] = field(default_factory=dict)
    incremental: dict[str, Any] = field(default_factory=dict)

    @property
    def done_before(self) -> int:
        """Transactions whose commit stands before this need not come again."""
        return max(self.commit_lsn, self.snapshot_lsn)

    def go_back_to(self, other: Position) -> None:
        """Become what `other` is: what was read since does not count."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    def to_map(self) -> dict[str, Any]:
        """The offset of an event in the stream."""
        offset: dict[str, Any] = {"lsn_proc": self.processed_lsn or self.lsn, "messageType": self.message_type}
        if self.commit_lsn:
            offset["lsn_commit"] = self.commit_lsn
        elif self.snapshot_lsn:
            offset["lsn_snapshot"] = self.snapshot_lsn
        offset["lsn"] = self.lsn
        if self.xid is not None:
            offset["txId"] = self.xid
        offset["ts_usec"] = self.time_us
        if self.events_at_lsn:
            offset["lsn_events_processed"] = self.events_at_lsn
        if self.transaction:
            offset.update(self.transaction)
        if self.incremental:
            offset.update(self.incremental)
        return offset


def not_yet(offset: dict[str, Any]) -> dict[str, Any]:
    """The offset of an event of which a part is still to be handed on: everything before it is done, itself is not."""
    done = offset.get("lsn_events_processed", 1) - 1
    if done:
        return {**offset, "lsn_events_processed": done}
    # Nothing begins at the number before a place in the WAL.
    earlier = {**offset, "lsn": offset["lsn"] - 1, "lsn_proc": offset["lsn"] - 1}
    earlier.pop("lsn_events_processed", None)
    return earlier


def snapshot_map(position: Position, *, last: bool) -> dict[str, Any]:
    """The offset of a row of the first snapshot; only with the last one is the snapshot complete."""
    offset: dict[str, Any] = {"ts_usec": position.time_us, "lsn": position.lsn}
    if position.snapshot_lsn:
        offset["lsn_snapshot"] = position.snapshot_lsn
    if position.xid is not None:
        offset["txId"] = position.xid
    return {**offset, "snapshot": "INITIAL", "last_snapshot_record": last, "snapshot_completed": last}


def blocking_map(position: Position, *, last: bool) -> dict[str, Any]:
    """The same while the stream waits at `position`: after a restart it goes on there, and the snapshot is over."""
    return {**position.to_map(), "snapshot": BLOCKING, "last_snapshot_record": last, "snapshot_completed": last}


@dataclass(frozen=True)
class Stored:
    """A stored offset, read. `snapshot_running`: a snapshot was begun and not finished."""

    position: Position
    snapshot_running: bool

    @classmethod
    def read(cls, offset: Mapping[str, Any]) -> Stored:
        """Reads Debezium's map or ours; absent keys are as in an older version's."""
        position = Position(
            lsn=int(offset.get("lsn") or 0),
            processed_lsn=int(offset.get("lsn_proc") or 0),
            commit_lsn=int(offset.get("lsn_commit") or 0),
            snapshot_lsn=int(offset.get("lsn_snapshot") or 0),
            events_at_lsn=int(offset.get("lsn_events_processed") or 0),
            xid=offset.get("txId"),
            time_us=int(offset.get("ts_usec") or 0),
            message_type=offset.get("messageType"),
            incremental={key: value for key, value in offset.items() if key.startswith("incremental_snapshot_")},
        )
        begun = offset.get("snapshot") not in (None, BLOCKING)
        done = bool(offset.get("snapshot_completed") or offset.get("last_snapshot_record"))
        return cls(position, begun and not done)


class Resume:
    """Which events of the stream were handed on before a restart.

    The server sends whole transactions again. Those that ended at or before the stored commit are done; in the one that
    was being handed on, everything up to the stored position is; all later ones are new, whatever their LSNs: a
    transaction that commits later may well have begun earlier.
    """

    __slots__ = ("_active", "_count", "_done_before", "_stored", "_xid")

    def __init__(self, stored: Position | None) -> None:
        self._stored = stored if stored is not None and stored.lsn else None
        self._done_before = 0 if stored is None else stored.done_before
        self._xid = None if stored is None else stored.xid
        self._active = False
        self._count = 0

    @property
    def waiting(self) -> bool:
        """Whether a transaction may still come that is done, wholly or in part."""
        return self._stored is not None

    def begin(self, xid: int, final_lsn: int) -> bool:
        """A transaction starts; True when it is wholly done."""
        stored = self._stored
        if stored is None:
            return False
        self._active = xid == self._xid and stored.message_type not in (None, "COMMIT")
        self._count = 0
        if not self._active and final_lsn >= stored.lsn and final_lsn >= self._done_before:
            # The transactions come in the order of their commits: nothing before this position follows.
            self._stored = None
            return False
        return final_lsn < self._done_before

    @property
    def inside(self) -> bool:
        """Whether the transaction that was begun is the one of which events were handed on."""
        return self._active and self._stored is not None and self._stored.message_type != "BEGIN"

    def is_done(self, lsn: int) -> bool:
        """Whether an event of the transaction was handed on."""
        stored = self._stored
        # The first event has the LSN of its transaction's BEGIN: behind that alone nothing is done.
        if stored is None or not self.inside:
            return False
        if lsn < stored.lsn:
            return True
        if lsn > stored.lsn:
            return False
        self._count += 1
        return stored.events_at_lsn == 0 or self._count <= stored.events_at_lsn

    def commit(self) -> None:
        if self._active:
            self._stored = None
            self._active = False
