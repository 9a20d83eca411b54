"""Segments of time in a table, so that what is over goes at once: one range deletion in the next write.

A table's key is the number of the segment (8 bytes) and Kafka's own key. Segments are as long as in Kafka: half of the
retention, at least a minute. Entries live as long as the retention, counted in the store's own stream time, which a
restart must know: it is the table's last key.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from moldau.streams.persistent.database import Table

_NUMBER: Final = struct.Struct(">q")
_STREAM_TIME: Final = b"\xff"
WIDTH: Final = _NUMBER.size


class Heads(dict[int, bytes]):
    """By the number of a segment what stands before its keys in the database."""

    def __init__(self, prefix: bytes) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, number: int) -> bytes:
        head = self[number] = self._prefix + _NUMBER.pack(number)
        return head


class Segments:
    """The time of one store: what is too old, and where in the table a moment is."""

    def __init__(self, table: Table, retention_ms: int, segment_ms: int) -> None:
        self._table = table
        self.retention_ms = retention_ms
        self.segment_ms = segment_ms
        self.heads = Heads(table.prefix)
        """An entry of a moment is in the database at `heads[moment // segment_ms] + key`."""
        self.read()

    def read(self) -> None:
        """Take the stream time from the table, as at the start or when the table was emptied."""
        stored = self._table.get(_STREAM_TIME)
        self.stream_time = -1 if stored is None else int(_NUMBER.unpack(stored)[0])
        self.noted_time = self.stream_time
        """No moment of an entry in the table is later."""
        self.oldest = max(0, self.stream_time - self.retention_ms + 1)
        """The earliest moment whose entries are kept; it goes on with the stream time."""
        self._oldest_segment = self._number(self.oldest)

    @property
    def oldest_segment_start(self) -> int:
        """The first moment of the earliest segment that is kept."""
        return self._number(self.oldest) * self.segment_ms

    def takes(self, moment: int) -> bool:
        """Whether an entry of this moment is kept; stream time goes on with it."""
        if moment > self.stream_time:
            self.stream_time = moment
            if moment >= self.retention_ms:
                self.oldest = moment - self.retention_ms + 1
            return True
        return moment > self.stream_time - self.retention_ms

    def place(self, moment: int, key: bytes) -> bytes:
        """The table's key for an entry of this moment."""
        return _NUMBER.pack(moment // self.segment_ms) + key

    def spans(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """The segments from one moment to another: prefix, and the moments of the span that lie in it."""
        end = min(end, self.stream_time)
        if end < start:
            return
        for number in range(self._number(start), self._number(end) + 1):
            first = number * self.segment_ms
            yield _NUMBER.pack(number), max(start, first), min(end, first + self.segment_ms - 1)

    def note(self) -> None:
        """Put the stream time into the next write, and with it the end of segments that are over."""
        if self.stream_time == self.noted_time:
            return
        self.noted_time = self.stream_time
        self._table.put(_STREAM_TIME, _NUMBER.pack(self.stream_time))
        oldest = self._number(self.oldest)
        if oldest > self._oldest_segment:
            self._oldest_segment = oldest
            self.heads.clear()
            self._table.delete_before(_NUMBER.pack(oldest))

    def _number(self, moment: int) -> int:
        return max(moment, 0) // self.segment_ms


def after(prefix: bytes) -> bytes:
    """The prefix of the segment after this one."""
    return _NUMBER.pack(_NUMBER.unpack(prefix)[0] + 1)
