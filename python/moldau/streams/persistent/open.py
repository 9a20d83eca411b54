"""Which stores are on disk: those whose kind has a table and that did not ask for memory."""

from __future__ import annotations

from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.persistent.database import TaskDatabase
from moldau.streams.persistent.join_buffer import DiskJoinBuffer
from moldau.streams.persistent.join_window import DiskJoinStore
from moldau.streams.persistent.key_value import DiskKeyValueStore
from moldau.streams.persistent.overlay import Room
from moldau.streams.persistent.session import DiskSessionStore
from moldau.streams.persistent.versioned import DiskVersionedStore
from moldau.streams.persistent.waiting import DiskWaitingRecords
from moldau.streams.persistent.window import DiskWindowStore
from moldau.streams.state import open_in_memory
from moldau.streams.state.contract import OpenStore, Store
from moldau.streams.topology.nodes import StoreSpec

_ON_DISK: Final[dict[str, Any]] = {
    "key_value": DiskKeyValueStore,
    "timestamped": DiskKeyValueStore,
    "join_buffer": DiskJoinBuffer,
    "join_window": DiskJoinStore,
    "session": DiskSessionStore,
    "versioned": DiskVersionedStore,
    "waiting": DiskWaitingRecords,
    "window": DiskWindowStore,
}


def is_on_disk(spec: StoreSpec) -> bool:
    """Whether a store is kept in the task's database; the others are in memory and restored as a whole."""
    return spec.make is None and not spec.in_memory and spec.kind in _ON_DISK


def opener(database: TaskDatabase, room: Room) -> OpenStore:
    """How a task with a database gets its stores."""

    def open_store(spec: StoreSpec, context: TaskContext) -> Store:
        if not is_on_disk(spec):
            return open_in_memory(spec, context)
        opened: Store = _ON_DISK[spec.kind](spec, context, database.table(spec.name), room)
        return opened

    return open_store
