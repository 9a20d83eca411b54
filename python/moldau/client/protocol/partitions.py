"""Partitions, and how requests have them: by topic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Partition = tuple[str, int]
Row = TypeVar("Row")


def by_topic(rows: Iterable[tuple[str, Row]]) -> dict[str, list[Row]]:
    """What there is of each topic, in the order it comes in."""
    topics: dict[str, list[Row]] = {}
    for topic, row in rows:
        topics.setdefault(topic, []).append(row)
    return topics
