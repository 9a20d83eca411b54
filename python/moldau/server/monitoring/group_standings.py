"""Where groups stand, as the machines of `__consumer_offsets` know it."""

from __future__ import annotations

from typing import NamedTuple

from moldau.control.groups.coordinator import GroupCoordinator
from moldau.server.coordinators import Coordinators


class GroupStanding(NamedTuple):
    """Where one group stands, for those who watch."""

    group_id: str
    members: int
    offsets: list[tuple[str, int, int]]
    """Topic, partition, committed offset."""


def standings(groups: Coordinators[GroupCoordinator]) -> list[GroupStanding]:
    """Every group of the loaded machines, and every name under which offsets were committed, in order."""
    found = []
    for machine in groups.machines():
        for group_id in machine.groups.keys() | machine.consumer_groups.keys() | set(machine.offsets.group_ids()):
            group = machine.consumer_groups.get(group_id) or machine.groups.get(group_id)
            committed = [(topic, index, value.offset) for topic, index, value in machine.offsets.of_group(group_id)]
            found.append(GroupStanding(group_id, 0 if group is None else len(group.members), committed))
    return sorted(found)
