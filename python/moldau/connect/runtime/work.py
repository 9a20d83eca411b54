"""Connectors and tasks as what there is to share: pure sets, with what can be done with sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from moldau.connect.runtime.config_records import ConfigState
from moldau.connect.runtime.names import TaskId


@dataclass(frozen=True, slots=True)
class Work:
    """Some connectors and some tasks; not always the tasks of these connectors."""

    connectors: frozenset[str] = frozenset()
    tasks: frozenset[TaskId] = frozenset()

    def __or__(self, other: Work) -> Work:
        return Work(self.connectors | other.connectors, self.tasks | other.tasks)

    def __and__(self, other: Work) -> Work:
        return Work(self.connectors & other.connectors, self.tasks & other.tasks)

    def __sub__(self, other: Work) -> Work:
        return Work(self.connectors - other.connectors, self.tasks - other.tasks)

    def __bool__(self) -> bool:
        return bool(self.connectors or self.tasks)

    @property
    def subjects(self) -> list[str | TaskId]:
        """All of it, one after the other."""
        return [*self.connectors, *self.tasks]

    def __str__(self) -> str:
        return ", ".join([*sorted(self.connectors), *map(str, sorted(self.tasks))]) or "nothing"


NOTHING = Work()


def configured(state: ConfigState) -> Work:
    """All there is to do: every connector, and the tasks of sets that are whole."""
    tasks = (task for name in state.connectors for task in state.task_ids(name))
    return Work(frozenset(state.connectors), frozenset(tasks))


def together(parts: Iterable[Work]) -> Work:
    """What is in any of them."""
    kept = list(parts)
    return Work(
        frozenset(chain.from_iterable(each.connectors for each in kept)),
        frozenset(chain.from_iterable(each.tasks for each in kept)),
    )


def held_twice(held: Mapping[str, Work]) -> Work:
    """What more than one has."""
    seen, twice = NOTHING, NOTHING
    for each in held.values():
        twice |= seen & each
        seen |= each
    return twice
