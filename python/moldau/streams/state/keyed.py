"""What key-value stores share, wherever entries are kept: how an entry looks, and what is made of get and put."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.serdes import Serde, required
from moldau.streams.state.codec import Codec
from moldau.streams.topology.nodes import StoreSpec


class KeyedStore:
    """A value, or with a spec of kind "timestamped" a `(value, timestamp)` pair, for each key."""

    get: Callable[[Any], Any]
    put: Callable[[Any, Any], None]

    def __init__(self, spec: StoreSpec, context: TaskContext) -> None:
        self.name = spec.name
        self._context = context
        self._pairs = spec.kind == "timestamped"
        self._key_serde: Serde[Any] = required(spec.key, f"store {spec.name}", "key")
        self._keys = Codec(self._key_serde)
        self._values = Codec(required(spec.value, f"store {spec.name}", "value"))
        self._as_is = self._keys.kept_as_is and self._values.kept_as_is

    def put_if_absent(self, key: Any, value: Any) -> Any:
        """Put a value where there is none; returns the one that was there."""
        old = self.get(key)
        if old is None:
            self.put(key, value)
        return old

    def put_all(self, entries: list[tuple[Any, Any]]) -> None:
        """Put several entries."""
        for key, value in entries:
            self.put(key, value)

    def delete(self, key: Any) -> Any:
        """Remove a key; returns what it had."""
        old = self.get(key)
        self.put(key, None)
        return old

    def _load(self, entry: Any) -> Any:
        return (self._values.outward(entry[0]), entry[1]) if self._pairs else self._values.outward(entry)

    def _keep(self, value: Any) -> Any:
        return (self._values.inward(value[0]), value[1]) if self._pairs else self._values.inward(value)
