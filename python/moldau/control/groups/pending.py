"""Offsets that were committed inside a transaction and wait for its marker.

Such an offset is in the log, and is not there for anybody until the marker says "commit". Then it takes the place of
what was committed before it, but not of what was committed after it: if the group has committed outside of the
transaction meanwhile, or a younger transaction was faster, the later word counts. Records come in the order of the
log, so "later" is the order of `add` and `overtaken`.

Source: OffsetMetadataManager of Apache Kafka 4.3; KIP-98, KIP-447.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from moldau.control.groups.records import OffsetCommitValue, OffsetRecord, PendingOffsetRecord

_NOTHING: Final[Mapping[tuple[str, int], int]] = MappingProxyType({})


class PendingOffsets:
    """By producer, what its open transaction has committed."""

    def __init__(self) -> None:
        self._by_producer: dict[int, dict[tuple[str, str, int], tuple[int, OffsetRecord]]] = {}
        self._open: dict[str, dict[tuple[str, int], int]] = {}
        """Group to (topic, partition) to the number of transactions that hold an offset for it."""
        self._added = 0

    def of_group(self, group_id: str) -> Mapping[tuple[str, int], int]:
        """The partitions of a group that some transaction has an offset for."""
        return self._open.get(group_id, _NOTHING)

    def everything(self) -> Iterator[tuple[str, str, int, OffsetCommitValue]]:
        for offsets in self._by_producer.values():
            for _, record in offsets.values():
                if record.value is not None:
                    yield record.group, record.topic, record.partition, record.value

    def add(self, record: PendingOffsetRecord) -> None:
        offset = record.offset
        key = (offset.group, offset.topic, offset.partition)
        self._added += 1
        offsets = self._by_producer.setdefault(record.producer_id, {})
        if key not in offsets:
            held = self._open.setdefault(offset.group, {})
            held[key[1:]] = held.get(key[1:], 0) + 1
        offsets[key] = (self._added, offset)

    def overtaken(self, group_id: str, topic: str, partition: int) -> None:
        """The group has committed outside of any transaction: what is pending for this partition never counts."""
        self._overtake((group_id, topic, partition), self._added)

    def forget(self, group_id: str, topic: str, partition: int) -> None:
        """The offset was deleted, and what was pending for it with it."""
        if (topic, partition) not in self.of_group(group_id):
            return
        for producer_id in list(self._by_producer):
            offsets = self._by_producer[producer_id]
            if offsets.pop((group_id, topic, partition), None) is not None:
                self._release(group_id, topic, partition)
            if not offsets:
                del self._by_producer[producer_id]

    def end(self, producer_id: int, *, committed: bool) -> Iterator[OffsetRecord]:
        """The marker of a producer's transaction: what counts now."""
        for key, (added, record) in self._by_producer.pop(producer_id, {}).items():
            self._release(*key)
            if committed and record.value is not None:
                self._overtake(key, added)
                yield record

    def _overtake(self, key: tuple[str, str, int], until: int) -> None:
        if key[1:] not in self.of_group(key[0]):
            return
        for offsets in self._by_producer.values():
            pending = offsets.get(key)
            if pending is not None and pending[0] <= until:
                offsets[key] = (pending[0], OffsetRecord(*key, None))

    def _release(self, group_id: str, topic: str, partition: int) -> None:
        held = self._open[group_id]
        if held[topic, partition] > 1:
            held[topic, partition] -= 1
            return
        del held[topic, partition]
        if not held:
            del self._open[group_id]
