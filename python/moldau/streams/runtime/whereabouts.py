"""What the threads of an instance know together: how much state is in this process, and which instance has what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from moldau.streams.persistent import TaskDatabase
from moldau.streams.persistent.database import DatabaseError
from moldau.streams.runtime.layout import Layout, TaskId
from moldau.streams.runtime.subscription import Served, tasks_of


class Whereabouts:
    """Written by the threads, each for its own tasks, and read by any."""

    def __init__(self) -> None:
        self._positions: dict[TaskId, int] = {}
        self._hosts: Mapping[str, tuple[frozenset[TaskId], frozenset[TaskId]]] = {}

    def note(self, task: TaskId, position: int | None) -> None:
        """How much of a task's changelogs is in this process, in records; None for nothing."""
        if position is None:
            self._positions.pop(task, None)
        else:
            self._positions[task] = position

    def positions(self) -> dict[TaskId, int]:
        """By task, as it is now."""
        return dict(self._positions)

    def note_hosts(self, hosts: Mapping[str, Served]) -> None:
        """What the leader says of who answers where."""
        self._hosts = {
            endpoint: (tasks_of(served.active), tasks_of(served.standby)) for endpoint, served in hosts.items()
        }

    def hosts_with(self, tasks: Iterable[TaskId], *, stale: bool) -> set[str]:
        """The endpoints that have one of these tasks; with `stale` also those that have a copy."""
        wanted = frozenset(tasks)
        return {
            endpoint
            for endpoint, (active, standby) in self._hosts.items()
            if wanted & active or (stale and wanted & standby)
        }

    def look_at_disk(self, folder: Path, layout: Layout) -> None:
        """What earlier runs left here."""
        for sub in layout.sub_topologies:
            if not any(store in layout.changelogs for store in sub.stores):
                continue
            for partition in range(sub.tasks):
                path = folder / f"{sub.id}_{partition}" / "rocksdb"
                if path.is_dir():
                    self.note(TaskId(sub.id, partition), _left_behind(path, sub.stores, layout))


def contained_of(database: TaskDatabase, stores: Iterable[str], layout: Layout) -> int:
    """How much of a task's changelogs is in its database, in records."""
    return sum(database.position(store) or 0 for store in stores if store in layout.changelogs)


def _left_behind(path: Path, stores: Iterable[str], layout: Layout) -> int | None:
    try:
        database = TaskDatabase(path)
    except DatabaseError:
        # Whoever gets the task will say what is wrong with it.
        return None
    try:
        return contained_of(database, stores, layout)
    finally:
        database.close()
