"""Which partition of an internal topic keeps a group or a transactional id: a hash that every Kafka node agrees on."""

from __future__ import annotations

from functools import lru_cache


def java_hash(text: str) -> int:
    """Java's `String.hashCode`: over UTF-16 units, as a signed 32-bit number."""
    data = text.encode("utf-16-be", "surrogatepass")
    result = 0
    for high, low in zip(data[::2], data[1::2], strict=True):
        result = (31 * result + (high << 8 | low)) & 0xFFFFFFFF
    return result - (1 << 32) if result & 0x80000000 else result


@lru_cache(maxsize=10_000)
def partition_for(key: str, partitions: int) -> int:
    """Kafka's `abs(hashCode) % partitions`, where the absolute value of the smallest integer is 0."""
    value = java_hash(key)
    return (0 if value == -(1 << 31) else abs(value)) % partitions
