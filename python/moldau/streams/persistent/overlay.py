"""The dict above a table: what changed since the last commit, and what was read or written lately.

Two generations bound it: when the younger is full it becomes the older, and what was older goes. What changed since the
last commit always stays, for it is nowhere else.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Overlay(Generic[K, V]):
    """Entries by key; None is an entry too, for a key that is known not to be there."""

    def __init__(self, entries: int) -> None:
        self._limit = max(entries // 2, 1)
        self._changed: dict[K, V | None] = {}
        self._young: dict[K, V | None] = {}
        self._old: dict[K, V | None] = {}

    def get(self, key: K, missing: Any) -> Any:
        """The entry, or `missing` if nothing is known here."""
        entry = self._changed.get(key, missing)
        if entry is missing:
            entry = self._young.get(key, missing)
            if entry is missing:
                entry = self._old.get(key, missing)
                if entry is not missing:
                    self.remember(key, entry)
        return entry

    def remember(self, key: K, entry: V | None) -> None:
        """Keep what the table has."""
        if len(self._young) >= self._limit:
            self._old, self._young = self._young, {}
        self._young[key] = entry

    def put(self, key: K, entry: V | None) -> None:
        """Change an entry."""
        self._changed[key] = entry

    def dirty(self) -> Iterator[tuple[K, V | None]]:
        """What changed since the last commit, in the order of the first change."""
        return iter(self._changed.items())

    def take_dirty(self) -> ItemsView[K, V | None]:
        """The same, which is then no longer dirty."""
        taken, self._changed = self._changed, {}
        if len(self._young) + len(taken) <= self._limit:
            self._young.update(taken)
        else:
            for key, entry in taken.items():
                self.remember(key, entry)
        return taken.items()

    @property
    def is_clean(self) -> bool:
        """Whether nothing changed since the last commit."""
        return not self._changed

    def clear(self) -> None:
        """Forget everything."""
        self._changed.clear()
        self._young.clear()
        self._old.clear()
