"""How far a group is behind, partition by partition, drawn to fit 80 columns."""

from __future__ import annotations

from collections.abc import Mapping

from moldau.cli.connection import Connection
from moldau.cli.group import committed_offsets
from moldau.cli.places import end_offsets

PER_LINE = 6
BARS = " ▁▂▃▄▅▆▇█"


def lag_of(connection: Connection, group: str, topic: str, partitions: int) -> dict[int, int]:
    """End offset less committed offset of each partition; what was never committed counts from 0."""
    admin = connection.admin()
    committed = committed_offsets(admin, connection, group)
    ends = end_offsets(admin, connection, [(topic, partition) for partition in range(partitions)])
    return {place[1]: max(end - committed.get(place, 0), 0) for place, end in sorted(ends.items())}


def draw(lag: Mapping[int, int]) -> list[str]:
    """Lines of `partition bar lag`, a few partitions each."""
    highest = max(lag.values(), default=0)
    cells = [f"{partition:>2} {_bar(behind, highest)}{behind:>7,}" for partition, behind in lag.items()]
    return [" ".join(cells[start : start + PER_LINE]) for start in range(0, len(cells), PER_LINE)]


def _bar(behind: int, highest: int) -> str:
    if behind == 0 or highest == 0:
        return BARS[0]
    return BARS[max(1, round(behind / highest * (len(BARS) - 1)))]
