"""Rows that wait to be written together. Of one key only what happened last is kept."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from moldau.connect.connectors.jdbc.mapping import MISSING, Row, Shape


class Batch:
    """Rows of one table and one shape, in the order in which they came.

    Since a key is there once, the rows of a batch can be written in any order: deletes and writes apart.
    """

    def __init__(self, table: str, shape: Shape, *, keyed: bool) -> None:
        self.table = table
        self.shape = shape
        self._keyed = keyed
        self._rows: dict[Hashable, Row] = {}
        self.has_writes = False
        """Whether a row is in it that is not a key to be gone: then `shape` tells its columns."""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Row) -> None:
        """Take a row in. What did not come with it, it has of the row before it."""
        key: Hashable = _hashable(row.key) if self._keyed else len(self._rows)
        earlier = self._rows.pop(key, None)
        if earlier is not None and earlier.values is not None and row.values is not None:
            row.values = [
                before if value is MISSING else value for before, value in zip(earlier.values, row.values, strict=True)
            ]
        row.earlier = earlier
        self.has_writes |= row.values is not None
        self._rows[key] = row

    def rows(self) -> list[Row]:
        """All of them."""
        return list(self._rows.values())

    def last_is_delete(self) -> bool:
        """Whether the last row is a key that is to be gone."""
        return bool(self._rows) and next(reversed(self._rows.values())).values is None


def _hashable(key: tuple[Any, ...]) -> Hashable:
    return tuple(each if isinstance(each, Hashable) else repr(each) for each in key)
