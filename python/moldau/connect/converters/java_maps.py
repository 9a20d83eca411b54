"""The order in which Java's `HashMap` hands out what was put into it: what Confluent writes from one has that order.

A key's place is its hash in a table whose length is a power of two. Whatever falls into one place stays in the order in
which it came; so it does when the table grows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

INITIAL_CAPACITY: Final = 16
LOAD_FACTOR: Final = 0.75


def hash_order(keys: Iterable[str], capacity: int = INITIAL_CAPACITY) -> list[str]:
    """`keys`, put one after another into `new HashMap<>(capacity)`, in the order of its iterator."""
    given = list(dict.fromkeys(keys))
    length = _power_of_two(capacity)
    while len(given) > int(length * LOAD_FACTOR):
        length *= 2
    return _in_table(given, length)


def copied_order(keys: Iterable[str]) -> list[str]:
    """The order of a copy, `new HashMap<>(map)`; its table is as short as can be (since Java 19)."""
    given = list(keys)
    return _in_table(given, _power_of_two(-(-len(given) * 4 // 3)))


def _in_table(keys: list[str], length: int) -> list[str]:
    return sorted(keys, key=lambda key: _spread(key) & (length - 1))


def _spread(key: str) -> int:
    found = 0
    units = key.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        found = (31 * found + (units[at] << 8 | units[at + 1])) & 0xFFFF_FFFF
    return found ^ (found >> 16)


def _power_of_two(least: int) -> int:
    return 1 << max(least - 1, 0).bit_length()
