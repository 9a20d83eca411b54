"""Which nodes belong together: a union-find over names that keeps the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Groups:
    """Sets of names that grow together."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def add(self, name: str, neighbours: Sequence[str]) -> None:
        """A new name, in one group with its neighbours."""
        self._parent[name] = name
        for neighbour in neighbours:
            self.unite(neighbour, name)

    def unite(self, one: str, other: str) -> None:
        """The groups of two names become one."""
        self._parent[self._root(other)] = self._root(one)

    def in_order(self, names: Iterable[str]) -> list[list[str]]:
        """The groups, ordered by the first of their names, each in the order of `names`."""
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(self._root(name), []).append(name)
        return list(groups.values())

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name
