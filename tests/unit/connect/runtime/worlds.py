"""A group of workers that do at once what their leader says: who has what, round after round."""

from __future__ import annotations

from dataclasses import dataclass, field

from moldau.connect.runtime.assignors import Division, IncrementalAssignor
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.work import NOTHING, Work


def work(connectors: str = "", tasks: str = "") -> Work:
    """`work("a b", "a-0 a-1")`."""
    found = (each.rpartition("-") for each in tasks.split())
    return Work(frozenset(connectors.split()), frozenset(TaskId(name, int(number)) for name, _, number in found))


@dataclass
class World:
    """Members by name; connectors by name, with how many tasks each has."""

    delay_ms: int = 10_000
    connectors: dict[str, int] = field(default_factory=dict)
    held: dict[str, Work] = field(default_factory=dict)
    now_ms: int = 1
    generation: int = 0
    due_at_ms: int | None = None
    divisions: list[Division] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leader = IncrementalAssignor(self.delay_ms)

    @property
    def what(self) -> Work:
        tasks = (TaskId(name, number) for name, count in self.connectors.items() for number in range(count))
        return Work(frozenset(self.connectors), frozenset(tasks))

    def join(self, *members: str) -> None:
        for member in members:
            self.held[member] = NOTHING

    def leave(self, *members: str) -> None:
        for member in members:
            del self.held[member]

    def round(self) -> Division:
        """One rebalance."""
        last, self.generation = self.generation or -1, self.generation + 1
        found = self.leader.divide(self.what, self.held, self.generation, last, self.now_ms)
        for member, has in self.held.items():
            self.held[member] = has - found.revoked[member] | found.assigned[member]
        self.due_at_ms = self.now_ms + found.delay_ms if found.delay_ms else None
        self.divisions.append(found)
        return found

    def rebalance(self) -> None:
        """One, and those that workers ask for when they have stopped what was revoked."""
        while any(self.round().revoked.values()):
            pass

    def wait(self, ms: int) -> None:
        """Time passes; a rebalance that is due comes."""
        end = self.now_ms + ms
        while self.due_at_ms is not None and self.due_at_ms <= end:
            self.now_ms = self.due_at_ms
            self.rebalance()
        self.now_ms = end

    def settle(self) -> None:
        """Rebalance until nobody waits for anything."""
        self.rebalance()
        while self.due_at_ms is not None:
            self.wait(self.due_at_ms - self.now_ms)
