"""What Kafka has, in the order in which it was handed on: only an unbroken beginning of it may be confirmed.

Records are acknowledged in any order, since they go to many partitions. Between them stand positions that were passed
without a record (ends of transactions, quiet stretches of WAL); they count once all before them has arrived.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Protocol


class Outstanding(Protocol):
    """A record, or a stretch of them, on its way. `confirm_lsn` may be confirmed once it has arrived."""

    acknowledged: bool
    confirm_lsn: int


class Acknowledged:
    """Called from the task's thread and from the one that brings acknowledgements."""

    def __init__(self) -> None:
        self._outstanding: deque[Outstanding | int] = deque()
        self._lock = threading.Lock()
        self._lsn = 0

    def sent(self, records: Iterable[Outstanding]) -> None:
        with self._lock:
            self._outstanding.extend(records)

    def passed(self, lsn: int) -> None:
        """Nothing before `lsn` is left to be handed on."""
        with self._lock:
            last = self._outstanding[-1] if self._outstanding else None
            if isinstance(last, int):
                self._outstanding[-1] = max(last, lsn)
            elif last is None:
                self._lsn = max(self._lsn, lsn)
            else:
                self._outstanding.append(lsn)

    def arrived(self, record: Outstanding) -> None:
        with self._lock:
            record.acknowledged = True
            outstanding = self._outstanding
            while outstanding:
                first = outstanding[0]
                if isinstance(first, int):
                    self._lsn = max(self._lsn, first)
                elif first.acknowledged:
                    self._lsn = max(self._lsn, first.confirm_lsn)
                else:
                    return
                outstanding.popleft()

    @property
    def lsn(self) -> int:
        """Everything up to here is in Kafka; 0 when nothing is known yet."""
        return self._lsn

    @property
    def outstanding(self) -> int:
        return len(self._outstanding)
