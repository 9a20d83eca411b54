"""Which implementation serves a store: here all of them in memory, as the test driver opens them."""

from __future__ import annotations

from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.errors import StreamsError
from moldau.streams.state.contract import Store
from moldau.streams.state.join_buffer import MemoryJoinBuffer
from moldau.streams.state.join_window import MemoryJoinStore
from moldau.streams.state.key_value import MemoryKeyValueStore
from moldau.streams.state.session import MemorySessionStore
from moldau.streams.state.suppress_buffer import MemorySuppressBuffer
from moldau.streams.state.versioned import MemoryVersionedStore
from moldau.streams.state.waiting import MemoryWaitingRecords
from moldau.streams.state.window import MemoryWindowStore
from moldau.streams.topology.nodes import StoreSpec

_IN_MEMORY: dict[str, Any] = {
    "key_value": MemoryKeyValueStore,
    "timestamped": MemoryKeyValueStore,
    "window": MemoryWindowStore,
    "join_window": MemoryJoinStore,
    "join_buffer": MemoryJoinBuffer,
    "session": MemorySessionStore,
    "suppress": MemorySuppressBuffer,
    "versioned": MemoryVersionedStore,
    "waiting": MemoryWaitingRecords,
}


def open_in_memory(spec: StoreSpec, context: TaskContext) -> Store:
    """Open a store in memory; one that brings its own `make` is made by that."""
    if spec.make is not None:
        made: Store = spec.make()
        return made
    kind = _IN_MEMORY.get(spec.kind)
    if kind is None:
        raise StreamsError(f"store {spec.name}: there is no store of kind {spec.kind} in memory")
    opened: Store = kind(spec, context)
    return opened
