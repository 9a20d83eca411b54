"""How far source connectors have come: the offsets topic, or a file for a standalone worker.

A key is `["connector",{partition}]` in JSON, a value the offset, or nothing when it was reset. Both are what a
connector made up; the worker only compares them, whatever the order of their names is. A partition that is in the
topic keeps the key that it has there, so that a Java worker, which compares bytes, finds it.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from moldau.connect.errors import ConnectError
from moldau.connect.runtime.offset_file import read_file, write_file
from moldau.connect.runtime.topic_log import Clients, TopicLog, TopicSettings

logger: Final = logging.getLogger("moldau.connect.offsets")

Place = Mapping[str, Any]
"""A source partition."""
Offset = Mapping[str, Any]
Entry = tuple[Place, Offset | None]
Pair = tuple[bytes, bytes | None]
"""Key and value of a record."""

FLUSH_TIMEOUT_S: Final = 5.0


class OffsetStore(Protocol):
    """Where offsets are. Everything may be called by any thread."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def refresh(self, given_up: Callable[[], bool] | None = None) -> None:
        """Return when everything is known that was written until now, by whomever, or nobody waits any more.

        Raises ConnectError when it is not in time, unless `given_up` says until when.
        """

    def get(self, connector: str, partition: Place) -> Offset | None: ...
    def all_of(self, connector: str) -> list[tuple[Place, Offset]]: ...
    def put(self, connector: str, entries: Iterable[Entry], timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Return when the offsets are kept. Raises ConnectError when it is not known whether they are."""


def canonical(partition: Place) -> str:
    """The same text for the same partition."""
    return json.dumps(partition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _bytes(content: Any) -> bytes:
    try:
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise ConnectError(
            f"an offset or partition of a source record is not text, number, boolean or null: {content!r}"
        ) from error


class OffsetState:
    """What is kept, by connector and partition. `apply` takes a record in."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[bytes, Place, Offset | None]]] = {}
        self._lock = threading.Lock()

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """A record of the topic; one that is not Connect's is skipped."""
        if key is None:
            return
        try:
            connector, partition = json.loads(key)
            offset = None if value is None else json.loads(value)
        except (ValueError, TypeError):
            logger.warning("skipped an offset with the key %.200r: it is not one of Connect", key)
            return
        if not isinstance(connector, str) or not isinstance(partition, dict):
            logger.warning("skipped an offset with the key %.200r: it is not one of Connect", key)
            return
        with self._lock:
            self._known.setdefault(connector, {})[canonical(partition)] = (key, partition, offset)

    def get(self, connector: str, partition: Place) -> Offset | None:
        with self._lock:
            entry = self._known.get(connector, {}).get(canonical(partition))
        return entry[2] if entry is not None else None

    def knows(self, connector: str, partition: Place) -> bool:
        """Whether there is a record of a partition, be it one of a reset."""
        with self._lock:
            return canonical(partition) in self._known.get(connector, {})

    def all_of(self, connector: str) -> list[tuple[Place, Offset]]:
        with self._lock:
            entries = list(self._known.get(connector, {}).values())
        return [(partition, offset) for _, partition, offset in entries if offset is not None]

    def records(self, connector: str, entries: Iterable[Entry]) -> list[Pair]:
        """The records that keep these offsets."""
        with self._lock:
            known = self._known.get(connector, {})
            found = []
            for partition, offset in entries:
                entry = known.get(canonical(partition))
                key = entry[0] if entry is not None else _bytes([connector, partition])
                found.append((key, None if offset is None else _bytes(offset)))
        return found


class TopicOffsetStore:
    """Offsets in a topic."""

    def __init__(self, topic: TopicSettings, clients: Clients) -> None:
        self.state = OffsetState()
        self.topic = topic
        self.clients = clients
        self._log = TopicLog(topic, clients, lambda key, value, _offset: self.state.apply(key, value))

    def start(self) -> None:
        """Read everything."""
        self._log.start()

    def stop(self) -> None:
        """Close the clients."""
        self._log.stop()

    def refresh(self, given_up: Callable[[], bool] | None = None) -> None:
        """Read to the end, past every transaction that is open now."""
        self._log.read_to_end(given_up=given_up)

    def get(self, connector: str, partition: Place) -> Offset | None:
        """The offset of a partition."""
        return self.state.get(connector, partition)

    def all_of(self, connector: str) -> list[tuple[Place, Offset]]:
        """All partitions of a connector."""
        return self.state.all_of(connector)

    def put(self, connector: str, entries: Iterable[Entry], timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Write, and return when it is acknowledged."""
        self._log.write(self.state.records(connector, entries), timeout_s)


class FileOffsetStore:
    """Offsets in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: dict[bytes, bytes | None] = {}
        self._state = OffsetState()
        self._writing = threading.Lock()

    def start(self) -> None:
        """Read the file. Raises ConnectError if it cannot be read."""
        self._content = read_file(self._path)
        for key, value in self._content.items():
            self._state.apply(key, value)

    def stop(self) -> None:
        """Nothing is open."""

    def refresh(self, given_up: Callable[[], bool] | None = None) -> None:
        """Nobody else writes the file."""

    def get(self, connector: str, partition: Place) -> Offset | None:
        """The offset of a partition."""
        return self._state.get(connector, partition)

    def all_of(self, connector: str) -> list[tuple[Place, Offset]]:
        """All partitions of a connector."""
        return self._state.all_of(connector)

    def put(self, connector: str, entries: Iterable[Entry], timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Write the file anew."""
        del timeout_s
        records = self._state.records(connector, entries)
        with self._writing:
            content = {**self._content, **dict(records)}
            write_file(self._path, content)
            self._content = content
        for key, value in records:
            self._state.apply(key, value)
