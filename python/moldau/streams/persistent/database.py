"""The database of one task: all its stores in one RocksDB, and where in their changelogs they are.

What a commit makes safe is written as one batch: the changed entries of every store and, beside them, the offset up to
which each store's changelog is contained. After a crash the two agree, whatever was lost: a store goes on from that
offset, and what was never committed was never here. So an unclean end under exactly-once wipes nothing.

Writes go to RocksDB's log without a sync: `kill -9` loses nothing, a power cut the last moments, of data and offset.

    00 'o' <store>            -> offset, 8 bytes
    00 's' <store>            -> the store's number, 2 bytes
    01 <number> <key>         -> value
"""

from __future__ import annotations

import logging
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moldau.streams.errors import StreamsError

if TYPE_CHECKING:
    from rocksdict import Rdict, WriteBatch

logger: Final = logging.getLogger("moldau.streams")

_OFFSET: Final = struct.Struct(">q")
_NUMBER: Final = struct.Struct(">H")
_OFFSET_OF: Final = b"\x00o"
_NUMBER_OF: Final = b"\x00s"
_DATA: Final = b"\x01"
_IN_USE: Final = ("IO error: lock hold by current process", "IO error: While lock file")
_STORES_MAX: Final = 0xFFFF
WRITE_BUFFER_BYTES: Final = 16 * 1024 * 1024


class NotInstalledError(StreamsError):
    """RocksDB is not there."""

    def __init__(self) -> None:
        super().__init__(
            "rocksdict is not installed, so no state can be kept on disk\n"
            "hint: python -m pip install 'moldau[streams]', or Materialized.with_store_type('in_memory')"
        )


class DatabaseError(StreamsError):
    """A database cannot be opened."""


class DatabaseInUseError(DatabaseError):
    """Somebody else has it open."""


class Table:
    """One store's part of a database: its keys without the prefix. Changes go through batches."""

    def __init__(self, database: TaskDatabase, prefix: bytes) -> None:
        self._database = database
        self.prefix = prefix
        """What stands before its keys in the database."""
        self.read = database.rocks.get
        """The value of a key with its prefix."""

    @property
    def batch(self) -> WriteBatch:
        """The next write of the database, whose keys have their prefix; for those who put many at once."""
        return self._database.batch

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        value: bytes | None = self.read(self.prefix + key)
        return value

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set or remove a key with the next write."""
        if value is None:
            self._database.batch.delete(self.prefix + key)
        else:
            self._database.batch.put(self.prefix + key, value)

    def delete_before(self, key: bytes) -> None:
        """Remove all keys before this one with the next write."""
        self._database.batch.delete_range(self.prefix, self.prefix + key)

    def clear(self) -> None:
        """Remove everything with the next write."""
        self._database.batch.delete_range(self.prefix, _after(self.prefix))

    def estimate(self) -> int:
        """About how many keys the database has, those of other stores too."""
        return self._database.rocks.property_int_value("rocksdb.estimate-num-keys") or 0

    def scan(self, start: bytes, end: bytes | None, *, backward: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Entries with `start <= key < end`; None is open."""
        from rocksdict import ReadOptions

        low = self.prefix + start
        high = _after(self.prefix) if end is None else self.prefix + end
        options = ReadOptions()
        options.set_iterate_lower_bound(low)
        options.set_iterate_upper_bound(high)
        skip = len(self.prefix)
        items: Any = self._database.rocks.items(
            backwards=backward, from_key=None if backward else low, read_opt=options
        )
        for key, value in items:
            yield key[skip:], value


class TaskDatabase:
    """RocksDB in a folder of one task. Belongs to the task's thread; RocksDB's own lock keeps others out."""

    def __init__(self, path: Path) -> None:
        """Open or make it; one that RocksDB cannot read is removed and made anew, for all of it is in the changelogs.

        Raises:
            NotInstalledError: rocksdict is not there.
            DatabaseInUseError: somebody else has it.
            DatabaseError: the folder cannot be written.
        """
        self.rocks: Rdict = _open(path)
        self.batch: WriteBatch = _new_batch()

    def table(self, store: str) -> Table:
        """The part of one store."""
        key = _NUMBER_OF + store.encode()
        found = self.rocks.get(key)
        if found is None:
            taken = {number for _, number in self.rocks.items(from_key=_NUMBER_OF) if len(number) == _NUMBER.size}
            found = next(_NUMBER.pack(n) for n in range(_STORES_MAX) if _NUMBER.pack(n) not in taken)
            self.rocks.put(key, found)
        return Table(self, _DATA + found)

    def position(self, store: str) -> int | None:
        """The changelog offset after the last record that the store contains; None for a store that is new."""
        found = self.rocks.get(_OFFSET_OF + store.encode())
        return None if found is None else int(_OFFSET.unpack(found)[0])

    def write(self, positions: Mapping[str, int]) -> None:
        """Write what was put since the last time, and with it how far the changelogs are contained."""
        for store, offset in positions.items():
            self.batch.put(_OFFSET_OF + store.encode(), _OFFSET.pack(offset))
        if len(self.batch):
            self.rocks.write(self.batch)
            self.batch = _new_batch()

    def forget(self, store: str, table: Table) -> None:
        """Empty a store, at once: it is restored from the start."""
        table.clear()
        self.batch.delete(_OFFSET_OF + store.encode())
        self.write({})

    def size(self) -> int:
        """Bytes on disk and in RocksDB's memory."""
        names = ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables")
        return sum(self.rocks.property_int_value(name) or 0 for name in names)

    def close(self) -> None:
        """Close; what was put and not written is gone."""
        self.rocks.close()


def _new_batch() -> WriteBatch:
    from rocksdict import WriteBatch

    return WriteBatch(raw_mode=True)


def _open(path: Path) -> Rdict:
    try:
        from rocksdict import Options, Rdict
    except ImportError as error:
        raise NotInstalledError from error
    options: Any = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_log_file_size(1024 * 1024)
    options.set_keep_log_file_num(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return Rdict(str(path), options)
    except Exception as error:
        reason = str(error)
        if reason.startswith(_IN_USE):
            raise DatabaseInUseError(f"the database {path} is in use: {reason}") from error
        if not reason.startswith("Corruption"):
            raise DatabaseError(f"the database {path} cannot be opened: {reason}") from error
        logger.warning("the database %s is made anew from the changelogs, it cannot be read: %s", path, reason)
    # What is in there is in the changelogs too.
    shutil.rmtree(path)
    return Rdict(str(path), options)


def _after(prefix: bytes) -> bytes:
    """The first key after all that begin with a prefix."""
    return prefix[:-2] + _NUMBER.pack(_NUMBER.unpack(prefix[-2:])[0] + 1)
