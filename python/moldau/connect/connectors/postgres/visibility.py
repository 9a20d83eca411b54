"""Which transactions a statement sees, and whether it sees those that the stream has handed on.

A transaction's commit stands in the WAL, and is streamed, before other sessions see it: between the two the server
waits for the disk, and with synchronous replication for a standby (`RecordTransactionCommit`, then
`ProcArrayEndTransaction`). Whoever reads a table at that time reads what was before a change that he has had already.
Numbers of transactions are those of the stream, 32 bits that go round; the server's snapshots have 64.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from moldau.connect.connectors.postgres.connection import Clock, Connection, literal, rows, run

_LOG = logging.getLogger(__name__)

NUMBERS: Final = 1 << 32
# After so many transactions, or so long, it is asked which of them are visible.
ASK_AT: Final = 1 << 13
ASK_AFTER_S: Final = 3600.0
# How often it is asked which of those that hold up a snapshot are known not to have committed, and how often they are
# told of.
SUSPECTS_EVERY_S: Final = 1.0
TOLD_EVERY_S: Final = 300.0
TOLD_MOST: Final = 5
# How long is waited for a commit to become visible, as a rule a moment: half a second in all.
PAUSES_S: Final = tuple(0.001 * 2**number for number in range(9))


@dataclass(frozen=True, slots=True)
class Visibility:
    """A snapshot of the server: below `xmin` all transactions are over, from `xmax` on none, between them all others
    than those `in_progress`.
    """

    xmin: int
    xmax: int
    in_progress: frozenset[int]

    @classmethod
    def of(cls, text: str) -> Self:
        """From `10:20:10,14,15`."""
        xmin, xmax, in_progress = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, filter(None, in_progress.split(",")))))

    @classmethod
    def now(cls, connection: Connection) -> Self:
        """What the next statement is sure to see. Raises `PostgresError`."""
        name = "pg_current_snapshot" if connection.info.server_version >= 130000 else "txid_current_snapshot"
        found = rows(connection, f"SELECT {name}()::text", doing="asking which transactions are visible")
        return cls.of(found[0][0])

    @classmethod
    def exported(cls, connection: Connection, snapshot: str) -> Self:
        """What another session's snapshot shows, by its name. Raises `PostgresError`."""
        doing = "taking over a snapshot"
        run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", doing)
        try:
            run(connection, f"SET TRANSACTION SNAPSHOT {literal(snapshot)}", doing)
            return cls.now(connection)
        finally:
            run(connection, "ROLLBACK", doing)

    def sees(self, xid: int) -> bool:
        """Whether a transaction of the stream is over here, by the number nearest to `xmax`."""
        age = (self.xmax - xid) % NUMBERS
        if not 0 < age < NUMBERS // 2:
            return False
        whole = self.xmax - age
        return whole < self.xmin or whole not in self.in_progress


@dataclass(frozen=True, slots=True)
class ServerView:
    """What the server says of transactions, over one connection. All raise `PostgresError`."""

    connection: Connection

    def visibility(self) -> Visibility:
        """What the next statement is sure to see."""
        return Visibility.now(self.connection)

    def uncommitted(self) -> set[int]:
        """Transactions, by their numbers in the stream, that have not committed, or whose database is another one."""
        return {xid for (xid,) in rows(self.connection, _UNCOMMITTED, doing=_DOING)}


@dataclass(frozen=True, slots=True)
class Underway:
    """Transactions that are not over, by their numbers in the stream: the commit of some may have been streamed.

    They `may_stay` so where commits wait for a standby; elsewhere what was streamed is visible in a moment.
    """

    xids: frozenset[int]
    may_stay: bool

    @classmethod
    def now(cls, connection: Connection) -> Self:
        """All that may have been streamed before. Raises `PostgresError`."""
        ((replays, may_stay),) = rows(connection, _SERVER, doing=_DOING)
        if replays:
            # A standby streams a transaction once it is visible there.
            return cls(frozenset(), may_stay=False)
        # A number of its own: what has committed has a lower one, and is over or named in the snapshot behind it.
        rows(connection, "SELECT txid_current()", doing=_DOING)
        view = ServerView(connection)
        found = {xid % NUMBERS for xid in view.visibility().in_progress}
        return cls(frozenset(found - view.uncommitted()), may_stay)


_DOING: Final = "asking which transactions are under way"
_SERVER: Final = "SELECT pg_is_in_recovery(), current_setting('synchronous_standby_names') <> ''"
# A transaction that waits for its client has not committed. Of other roles only some may see that: then it counts as
# one that may have. So does one that is prepared here: its COMMIT PREPARED may wait.
_UNCOMMITTED: Final = """
SELECT backend_xid::text::bigint FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND (state LIKE 'idle in transaction%' OR datname <> current_database())
UNION ALL
SELECT transaction::text::bigint FROM pg_prepared_xacts WHERE database <> current_database()
"""


class HandedOn:
    """The transactions that the stream has handed on and that are not known to be visible."""

    def __init__(self, wait: Callable[[float], object], ask_at: int = ASK_AT, clock: Clock = time.monotonic) -> None:
        """`wait` lets some seconds pass, in which nothing is handed on; `ask_at` so many `keep_short` begins to ask."""
        self._wait = wait
        self._clock = clock
        self._xids: set[int] = set()
        self._suspected: set[int] = set()
        """Of these such as may have been handed on before a restart, or not have committed at all."""
        self._passing: set[int] = set()
        """Those that may have been handed on before, where no commit waits for a standby: they are waited for once."""
        self._stuck: frozenset[int] = frozenset()
        self._least_ask_at = self._ask_at = ask_at
        self._asked_s = clock()
        self._next_suspicion_s = self._next_told_s = self._asked_s

    def __len__(self) -> int:
        return len(self._xids)

    def add(self, xids: Iterable[int]) -> None:
        self._xids.update(xids)

    def begin_behind(self, shown: Visibility, underway: Underway) -> None:
        """A slot was created whose snapshot has `shown` commits of transactions that are `underway` for all others.

        Those that came before are over: for them its creation has waited.
        """
        self.forget()
        self.add(xid for xid in underway.xids if shown.sees(xid))

    def suspect(self, underway: Underway) -> None:
        """Some of these may have been handed on by whoever read the stream before."""
        if underway.may_stay:
            self._suspected |= underway.xids - self._xids
            self._xids |= underway.xids
        else:
            self._passing |= underway.xids

    def forget(self) -> None:
        """All are visible."""
        self._xids.clear()
        self._suspected.clear()
        self._passing.clear()
        self._stuck = frozenset()
        self._ask_at = self._least_ask_at

    def keep_short(self, server: ServerView) -> None:
        """Asks which are visible when many have come, and an hour after it was last asked: a number that was kept for
        half a round would mean a transaction to come. When many stay, it asks again when they are twice as many.
        """
        if not self._xids and not self._passing:
            return
        if len(self._xids) < self._ask_at and self._clock() < self._asked_s + ASK_AFTER_S:
            return
        self._forget_seen(server.visibility())
        self._ask_at = max(self._least_ask_at, 2 * len(self._xids))

    def visible(self, server: ServerView) -> Visibility | None:
        """A snapshot that sees all of them. None when some stay invisible: then later again, which does not wait for
        the same ones once more.
        """
        for pause_s in (0.0, *PAUSES_S):
            if pause_s:
                self._wait(pause_s)
            seen = server.visibility()
            self._forget_seen(seen)
            if self._stuck:
                self._forget_uncommitted(server)
                self._stuck &= self._xids
                if self._stuck:
                    self._tell()
                    return None
            if not self._xids and not self._passing:
                return seen
        self._passing.clear()
        self._stuck = frozenset(self._xids)
        if not self._stuck:
            return seen
        self._tell()
        return None

    def _forget_seen(self, seen: Visibility) -> None:
        self._asked_s = self._clock()
        for xids in (self._xids, self._suspected, self._passing):
            xids.difference_update([xid for xid in xids if seen.sees(xid)])

    def _forget_uncommitted(self, server: ServerView) -> None:
        """What has not committed even now was not handed on."""
        if not self._suspected or self._clock() < self._next_suspicion_s:
            return
        self._next_suspicion_s = self._clock() + SUSPECTS_EVERY_S
        uncommitted = self._suspected & server.uncommitted()
        self._xids -= uncommitted
        self._suspected -= uncommitted

    def _tell(self) -> None:
        if self._clock() < self._next_told_s:
            return
        self._next_told_s = self._clock() + TOLD_EVERY_S
        some = sorted(self._stuck)
        _LOG.warning(
            "A snapshot waits for %d transactions (%s) that are not visible yet; the stream has handed them on, or may"
            " have before a restart: is a synchronous standby gone? (pg_stat_activity, backend_xid)",
            len(some),
            ", ".join(map(str, some[:TOLD_MOST])) + (", ..." if len(some) > TOLD_MOST else ""),
        )
