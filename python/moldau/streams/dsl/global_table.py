"""`GlobalKTable`: a table that every instance has as a whole, to look up by any key."""

from __future__ import annotations

from typing import Generic, TypeVar

from moldau.streams.operators.contract import View

K = TypeVar("K")
V = TypeVar("V")


class GlobalKTable(Generic[K, V]):
    """Rows to join with; nothing comes out of it by itself."""

    def __init__(self, view: View, queryable_store_name: str | None) -> None:
        self.view = view
        self.queryable_store_name = queryable_store_name
