"""One partition that a task reads: the records that wait, and how far it is done with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from moldau.client.fetching import Fetched
from moldau.streams.operators.contract import Headers
from moldau.streams.serdes import required
from moldau.streams.task import Entry, Feed
from moldau.streams.topology.nodes import SourceNode

Message = tuple[int, int, bytes | None, bytes | None, Headers]
"""A record as a block gives it: offset, timestamp (ms), key, value, headers."""


class Input:
    """One partition that a task reads."""

    def __init__(self, topic: str, feed: Feed, entry: Entry | None, node: SourceNode) -> None:
        self.topic = topic
        self.feed = feed
        self.entry = entry
        self.extracts = node.timestamp_extractor is not None
        self.records: deque[Message] = deque()
        self.blocks: deque[Fetched] = deque()
        """The same as it was fetched, of an input whose records go through columns; one of the two is in use."""
        self.time = -1
        """The greatest timestamp that was processed, ms; -1 before the first record."""
        self.position = -1
        """The offset after the last record that was processed; -1 when nobody ever committed one."""
        self.next_offset = -1
        """The offset after the last record that was queued."""
        self.end = -1
        """The end of the partition when it was last looked at, -1 if it was not."""
        self.read_to_the_end = False
        self.idle_since: int | None = None
        self._leader_epochs: deque[tuple[int, int]] = deque()
        """Where the records of which leader begin, of those that wait; the first is that of the last one before."""
        self._time_of = _clock_of(node)
        self._head_time: int | None = None

    @property
    def waiting(self) -> int:
        """How many records wait."""
        return len(self.records) + sum(part.stop - part.start for part in self.blocks)

    @property
    def has_records(self) -> bool:
        """Whether records wait."""
        return bool(self.records or self.blocks)

    def head_time(self) -> int:
        """The timestamp of the next record."""
        if self.blocks:
            first = self.blocks[0]
            assert first.block is not None
            return first.block.timestamp(first.start)
        if not self.extracts:
            return self.records[0][1]
        if self._head_time is None:
            self._head_time = self._time_of(self.records[0], self.time)
        return self._head_time

    def start_at(self, offset: int, leader_epoch: int) -> None:
        """Go on after somebody who has read the record before that offset, of this leader."""
        self.position = self.next_offset = max(offset, -1)
        self._leader_epochs = deque([(-1, leader_epoch)] if leader_epoch >= 0 else ())

    def note_leader_epochs(self, epochs: Iterable[tuple[int, int]]) -> None:
        """Take what a block says of its leaders. Where it goes back, the log was cut."""
        known = self._leader_epochs
        for offset, epoch in epochs:
            while known and known[-1][0] > offset:
                known.pop()
            if not known or known[-1][1] != epoch:
                known.append((offset, epoch))

    @property
    def leader_epoch(self) -> int:
        """Of the leader who has written the last record that was processed, -1 if nobody knows. (KIP-320)"""
        known = self._leader_epochs
        while len(known) > 1 and known[1][0] < self.position:
            known.popleft()
        return known[0][1] if known and known[0][0] < self.position else -1

    def take_all(self) -> Sequence[Message]:
        """All records that wait."""
        self._head_time = None
        taken, self.records = self.records, deque()
        return taken

    def take_before(self, time: int) -> Sequence[Message]:
        """The next record, and those behind it that are older than `time`; what is extracted is not known before."""
        self._head_time = None
        records = self.records
        taken = [records.popleft()]
        if not self.extracts:
            while records and records[0][1] < time:
                taken.append(records.popleft())
        return taken


def _clock_of(node: SourceNode) -> Callable[[Message, int], int]:
    """What time a record has, for the order among inputs: its timestamp, or what the source's extractor says."""
    extract = node.timestamp_extractor
    if extract is None:
        return lambda message, _: message[1]
    read_key = required(node.key, node.name, "key").deserialize
    read_value = required(node.value, node.name, "value").deserialize

    def extracted(message: Message, partition_time: int) -> int:
        _, timestamp, key, value, _ = message
        try:
            return extract(
                timestamp,
                None if key is None else read_key(key),
                None if value is None else read_value(value),
                partition_time,
            )
        except Exception:  # noqa: BLE001 (whatever is wrong with it is said when its turn has come)
            return timestamp

    return extracted
