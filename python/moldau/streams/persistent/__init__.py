"""Stores on disk: RocksDB below, a write-back cache above, one write per commit with the changelog's offset in it."""

from moldau.streams.persistent.database import DatabaseInUseError, TaskDatabase
from moldau.streams.persistent.open import is_on_disk, opener

__all__ = ["DatabaseInUseError", "TaskDatabase", "is_on_disk", "opener"]
