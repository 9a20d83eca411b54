"""Which transactions a statement sees, and whether it sees those that the stream has handed on.

A transaction's commit stands in the WAL, and is streamed, before other sessions see it: between the two the server
waits for the disk, and with synchronous replication for a standby (`RecordTransactionCommit`, then
`ProcArrayEndTransaction`). Whoever reads a table at that time reads what was before a change that he has had already.
Numbers of transactions are those of the stream, 32 bits that go round; the server's snapshots have 64.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from moldau.connect.connectors.postgres.connection import Connection, rows

_LOG = logging.getLogger(__name__)

NUMBERS: Final = 1 << 32
REMEMBERED_MAX: Final = 1 << 14
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

    def sees(self, xid: int) -> bool:
        """Whether a transaction of the stream is over here, by the number nearest to `xmax`."""
        age = (self.xmax - xid) % NUMBERS
        if not 0 < age < NUMBERS // 2:
            return False
        whole = self.xmax - age
        return whole < self.xmin or whole not in self.in_progress


class HandedOn:
    """The transactions that the stream has handed on and that are not known to be visible: the latest, so many."""

    def __init__(self, wait: Callable[[float], object], most: int = REMEMBERED_MAX) -> None:
        """`wait` lets some seconds pass, in which nothing is handed on."""
        self._wait = wait
        self._latest: deque[int] = deque(maxlen=most)
        self._stuck: frozenset[int] = frozenset()

    def add(self, xids: Iterable[int]) -> None:
        self._latest.extend(xids)

    def forget(self) -> None:
        """All are visible."""
        self._latest.clear()
        self._stuck = frozenset()

    def visible(self, ask: Callable[[], Visibility]) -> Visibility | None:
        """A snapshot that sees all of them. None when some stay invisible: then later again, which does not wait for
        the same ones once more.
        """
        for pause_s in (0.0, *PAUSES_S):
            if pause_s:
                self._wait(pause_s)
            seen = ask()
            self._latest = deque((xid for xid in self._latest if not seen.sees(xid)), self._latest.maxlen)
            unseen = frozenset(self._latest)
            if not unseen:
                self._stuck = unseen
                return seen
            if unseen & self._stuck:
                self._stuck &= unseen
                return None
        self._stuck = unseen
        _LOG.info(
            "An incremental snapshot waits for %d transactions that the stream has handed on and that are not visible"
            " yet: is a synchronous standby gone?",
            len(unseen),
        )
        return None
