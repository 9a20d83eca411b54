"""The order in which Java walks a `HashSet<String>`: Kafka's description lists some names in it.

A string's hash is `s[0]*31^(n-1) + …` over UTF-16 units in 32 bits; the table is the smallest power of two (16 at
least) that is no more than three quarters full; a bucket is in order of insertion. (`java.util.HashMap`.)
"""

from __future__ import annotations

from collections.abc import Iterable


def string_hash(text: str) -> int:
    """Java's `String.hashCode`, as an unsigned 32-bit number."""
    units = text.encode("utf-16-be")
    value = 0
    for index in range(0, len(units), 2):
        value = (31 * value + (units[index] << 8) + units[index + 1]) & 0xFFFFFFFF
    return value


def hash_order(names: Iterable[str]) -> list[str]:
    """The names without doubles, in the order of a `HashSet` that they were added to one by one."""
    unique = list(dict.fromkeys(names))
    size = 16
    while len(unique) > size * 3 // 4:
        size *= 2

    def bucket(name: str) -> int:
        hashed = string_hash(name)
        return (hashed ^ (hashed >> 16)) & (size - 1)

    return sorted(unique, key=bucket)
