"""What a plan is made from: the load that must fit, and what one partition and one broker can take.

A megabyte has 10⁶ bytes, as in the guide. Numbers are read as the decimals they were written as, so 0.3 / 0.1 is 3.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Final

from moldau.errors import MoldauError

MB: Final = 10**6
DAY_S: Final = 86_400
GUIDE_HEAP_BYTES: Final = 6 * 2**30


class LoadError(MoldauError):
    """A load or a limit that cannot be."""


def exact(value: float) -> Fraction:
    """The decimal that was written: 0.1 is a tenth, not the nearest binary fraction."""
    return Fraction(repr(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What has to fit."""

    peak_mb_s: float
    """What all producers together send at the busiest time, in MB/s, before compression."""
    record_bytes: int = 1_000
    """A typical record, key and value."""
    consumers: int = 1
    """Members of the largest consumer group."""
    groups: int = 1
    """Consumer groups; each of them reads everything."""
    replication_factor: int = 3
    retention_s: int = 7 * DAY_S
    """How long records are kept."""
    average_mb_s: float | None = None
    """Over a day; the peak without it. Disks fill by the average."""
    growth: float = 1.0
    """How many times today's load must fit."""
    headroom: float = 2.0
    """For partitions and network: what is free on a busy day."""
    compression: float = 1.0
    """How many times smaller records are on disk and on the wire."""

    def __post_init__(self) -> None:
        _check_positive(self)
        _check_at_least_one(self, "growth", "headroom", "compression")
        if self.average_mb_s is not None and self.average_mb_s > self.peak_mb_s:
            raise LoadError(f"the average ({self.average_mb_s:g} MB/s) is above the peak ({self.peak_mb_s:g} MB/s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one partition and one broker can take; the first three are the guide's."""

    partition_write_mb_s: float = 10.0
    partition_read_mb_s: float = 50.0
    broker_partitions: int = 4_000
    """Partitions with their replicas on one broker."""
    broker_network_mb_s: float = 1_250.0
    """In each direction: 10 Gbit/s."""
    broker_disk_bytes: int | None = None
    """Disk of one broker; without it as large as it has to be."""
    disk_fill: float = 0.8
    """How full a disk may get: a full one stops its partitions."""
    cache_s: float = 30.0
    """How far back consumers read from memory and not from disk (Kafka's own advice is 30 seconds)."""
    process_bytes: int = GUIDE_HEAP_BYTES
    """Memory of the broker's process: the guide's JVM heap."""
    segment_bytes: int = 2**30
    """`segment.bytes`: retention takes whole segments, so each replica holds up to one more than it must."""

    def __post_init__(self) -> None:
        _check_positive(self)
        if self.disk_fill > 1:
            raise LoadError(f"a disk cannot be filled to {self.disk_fill:g} of its size")


def _check_positive(values: Load | Limits) -> None:
    for each in fields(values):
        value = getattr(values, each.name)
        # An infinity or a NaN is not above 0 and below infinity either.
        if value is not None and not 0 < value < float("inf"):
            raise LoadError(f"{each.name} is {value:g}: it has to be a number above 0")


def _check_at_least_one(load: Load, *names: str) -> None:
    for name in names:
        if getattr(load, name) < 1:
            raise LoadError(f"{name} is {getattr(load, name):g}: it multiplies, so it is 1 or more")
