"""Records on their way to the cluster: which source offsets may be kept, because everything before them has arrived.

Acknowledgements come in any order and from any thread; an offset may be kept when its record and all records of the
same source partition that were sent before it are acknowledged (KAFKA-12226).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from moldau.connect.runtime.offsets import Entry, canonical


class Submitted:
    """One record on its way, or several that share their fate."""

    __slots__ = ("_owner", "acknowledged", "offset", "partition", "size")

    def __init__(
        self, owner: SubmittedRecords, partition: Mapping[str, Any], offset: Mapping[str, Any] | None, size: int
    ) -> None:
        self._owner = owner
        self.size = size
        self.partition = partition
        self.offset = offset
        self.acknowledged = False

    def acknowledge(self) -> None:
        """It has arrived, or is left out on purpose."""
        self.acknowledged = True
        self._owner.less(self.size)


class SubmittedRecords:
    """The records of one task."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[Submitted]] = {}
        self._lock = threading.Condition()
        self._on_their_way = 0
        self.arrived = 0
        """How many records were acknowledged since the start."""

    def submit(self, partition: Mapping[str, Any], offset: Mapping[str, Any] | None, size: int = 1) -> Submitted:
        """Note records that are about to be sent."""
        submitted = Submitted(self, partition, offset, size)
        place = place_of(partition)
        with self._lock:
            queue = self._queues.get(place)
            if queue is None:
                queue = self._queues[place] = deque()
            queue.append(submitted)
            self._on_their_way += 1
        return submitted

    def less(self, size: int) -> None:
        """Called by what is acknowledged."""
        with self._lock:
            self._on_their_way -= 1
            self.arrived += size
            if not self._on_their_way:
                self._lock.notify_all()

    def take_committable(self) -> list[Entry]:
        """The newest offset of each source partition that may be kept; each is given once."""
        found: list[Entry] = []
        with self._lock:
            for place, queue in list(self._queues.items()):
                last: Submitted | None = None
                while queue and queue[0].acknowledged:
                    last = queue.popleft()
                if last is not None:
                    found.append((last.partition, last.offset))
                if not queue:
                    del self._queues[place]
        return found

    def give_back(self, entries: Iterable[Entry]) -> None:
        """Offsets that were taken and could not be kept; a newer one of the same partition goes before."""
        with self._lock:
            for partition, offset in entries:
                given = Submitted(self, partition, offset, 0)
                given.acknowledged = True
                self._queues.setdefault(place_of(partition), deque()).appendleft(given)

    @property
    def on_their_way(self) -> int:
        """How many are not acknowledged."""
        return self._on_their_way

    def wait_for_all(self, timeout_s: float) -> bool:
        """Whether everything is acknowledged within the time."""
        with self._lock:
            return self._lock.wait_for(lambda: self._on_their_way == 0, timeout_s)


def place_of(partition: Mapping[str, Any]) -> Hashable:
    """Something to find a source partition by."""
    try:
        return frozenset(partition.items())
    except TypeError:
        return canonical(partition)
