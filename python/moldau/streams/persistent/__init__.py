"""Stores on disk: RocksDB below, a write-back cache above, one write per commit with the changelog's offset in it."""

from moldau.streams.persistent.database import DatabaseInUseError, TaskDatabase
from moldau.streams.persistent.open import is_on_disk, opener
from moldau.streams.persistent.overlay import ENTRY_BYTES, KEPT_BYTES, Room

__all__ = ["ENTRY_BYTES", "KEPT_BYTES", "DatabaseInUseError", "Room", "TaskDatabase", "is_on_disk", "opener"]
