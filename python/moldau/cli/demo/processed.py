"""What a processor writes down for every order it has processed, and the checks on what all of them wrote.

One entry is four 32-bit numbers: the order's sequence number, the checksum of the bytes that arrived, the partition
and the offset. Nothing here is about totals: an order that was lost and another that came twice do not cancel out.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

ENTRY_BYTES: Final = 16
FIELDS: Final = 4


def checksum(value: bytes) -> int:
    """CRC-32 of an order as it was sent or as it arrived."""
    return zlib.crc32(value)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and how it ended."""

    passed: bool
    text: str


def read_entries(files: Iterable[Path]) -> array[int]:
    """All entries of all files, one after the other."""
    entries: array[int] = array("I")
    for file in files:
        content = file.read_bytes()
        entries.frombytes(content[: len(content) // ENTRY_BYTES * ENTRY_BYTES])
    return entries


def check_processed(sent: Sequence[int], entries: array[int]) -> list[Finding]:
    """Hold what was processed against the checksums of what was sent, order by order."""
    times = array("I", bytes(4 * len(sent)))
    changed = strangers = 0
    for index in range(0, len(entries), FIELDS):
        sequence = entries[index]
        if sequence >= len(sent):
            strangers += 1
            continue
        times[sequence] += 1
        changed += entries[index + 1] != sent[sequence]
    lost = sum(1 for count in times if count == 0)
    twice = sum(1 for count in times if count > 1)
    return [
        Finding(lost == 0, f"lost: {lost:,} of {len(sent):,} orders were never processed"),
        Finding(twice == 0, f"twice: {twice:,} orders were processed more than once"),
        Finding(changed == 0, f"changed: {changed:,} orders did not arrive byte for byte"),
        Finding(strangers == 0, f"strange: {strangers:,} records were not sent by us"),
        _check_sequence(entries),
    ]


def _check_sequence(entries: array[int]) -> Finding:
    """In each partition the offsets and the orders rise together: what one customer ordered stays in sequence."""
    by_partition: dict[int, list[tuple[int, int]]] = {}
    for index in range(0, len(entries), FIELDS):
        by_partition.setdefault(entries[index + 2], []).append((entries[index + 3], entries[index]))
    disordered = 0
    for places in by_partition.values():
        places.sort()
        disordered += sum(1 for before, after in pairwise(places) if before[1] >= after[1])
    return Finding(disordered == 0, f"order: {disordered:,} orders overtook another one of their partition")


def check_replay(expected: set[int], replayed: Sequence[int]) -> Finding:
    """A replay gives every record since its time once, and none from before."""
    missing = len(expected - set(replayed))
    early = len(set(replayed) - expected)
    twice = len(replayed) - len(set(replayed))
    text = f"replay: {missing:,} orders missing, {early:,} too early, {twice:,} twice, of {len(expected):,}"
    return Finding(missing == early == twice == 0, text)
