"""The dict above a table: what changed since the last commit, and what was read or written lately.

Two generations bound what is clean: when the younger one is full it becomes the older, and what was older goes. The
stores of a thread share how much that is (`Room`), so a store that is asked a lot has the place of one that rests. What
changed since the last commit always stays, for it is nowhere else.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from itertools import islice
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

ENTRY_BYTES: Final = 200
"""What an entry that is kept in memory is taken to weigh, with the objects around it."""
KEPT_BYTES: Final = 32 * 1024 * 1024
"""What the stores of a thread keep in memory of what was read and written, unless somebody says more."""

K = TypeVar("K")
V = TypeVar("V")


class Room:
    """How many clean entries the overlays of one thread hold together: at most `entries`, in two generations."""

    def __init__(self, entries: int = KEPT_BYTES // ENTRY_BYTES) -> None:
        self.entries = entries
        self.generation = max(entries // 2, 1)
        """How many entries a generation has."""
        self.young = 0
        """How many there are in the younger generation."""
        self.overlays: WeakSet[Overlay[Any, Any]] = WeakSet()
        self.tables: WeakSet[Any] = WeakSet()
        """The tables that columns have, of groups and of rows that were looked up; of each the same number is kept."""

    @property
    def groups_max(self) -> int:
        """How many groups, or rows, a table may keep."""
        return self.entries // max(len(self.tables), 1)

    def turn(self) -> None:
        """The next generation begins, in all overlays."""
        for overlay in self.overlays:
            overlay.grow_old()
        self.young = 0


class Overlay(Generic[K, V]):
    """Entries by key; None is an entry too, for a key that is known not to be there."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._changed: dict[K, V | None] = {}
        self._young: dict[K, V | None] = {}
        self._old: dict[K, V | None] = {}
        room.overlays.add(self)

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
        room = self._room
        if room.young >= room.generation:
            room.turn()
        young = self._young
        before = len(young)
        young[key] = entry
        room.young += len(young) - before

    def put(self, key: K, entry: V | None) -> None:
        """Change an entry."""
        self._changed[key] = entry

    def dirty(self) -> Iterator[tuple[K, V | None]]:
        """What changed since the last commit, in the order of the first change."""
        return iter(self._changed.items())

    def take_dirty(self) -> ItemsView[K, V | None]:
        """The same, which is then no longer dirty."""
        taken, self._changed = self._changed, {}
        room = self._room
        if room.young + len(taken) > room.generation:
            room.turn()
        too_many = len(taken) - room.generation
        if too_many > 0:
            # The last are kept. Of the others there must be nothing here from before.
            self._old.clear()
            self._young = dict(islice(taken.items(), too_many, None))
            room.young += len(self._young)
        else:
            before = len(self._young)
            self._young.update(taken)
            room.young += len(self._young) - before
        return taken.items()

    def grow_old(self) -> None:
        """What is young is old from now on, what was old is gone."""
        self._old, self._young = self._young, {}

    @property
    def is_clean(self) -> bool:
        """Whether nothing changed since the last commit."""
        return not self._changed

    def clear(self) -> None:
        """Forget everything."""
        self._room.young -= len(self._young)
        self._changed.clear()
        self._young.clear()
        self._old.clear()
