"""Interactive queries: what a store holds, asked of any instance.

A query is made of bytes, so that it means the same in every instance: keys are serialised once, by whoever asks. A
query for one key goes to the task that has the key's partition, one for many keys to all tasks; those of this instance
are asked while their thread waits for records, those of others over HTTP. Who has what the leader of the group tells
everybody with each division of the tasks. A query that may be `stale` is answered by copies and by what is being
restored as well (KIP-535).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from confluent_kafka import murmur2

from moldau.streams.errors import StreamsError
from moldau.streams.runtime.layout import TaskId
from moldau.streams.serdes import Serde, Windowed, required

if TYPE_CHECKING:
    from moldau.streams.runtime.environment import Environment
    from moldau.streams.runtime.thread import StreamThread

_LOOK_AGAIN_S: Final = 0.1
_ASKED: Final = frozenset({"key_value", "session", "timestamped", "versioned", "window"})
_MS_MAX: Final = 2**63 - 1

Operation = Literal["get", "fetch", "range", "prefix", "all"]


class StoreNotAvailableError(StreamsError):
    """A part of the store has no owner that answers: it is being moved or restored, or its instance does not serve."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: `get` and `fetch` one key, the others many.

    `start` and `end` (ms) are when windows start, or the time that sessions have a part in; `as_of` asks a versioned
    store what was true then.
    """

    store: str
    operation: Operation
    key: bytes | None = None
    to: bytes | None = None
    start: int = 0
    end: int = _MS_MAX
    stale: bool = False
    as_of: int | None = None

    @property
    def is_for_one_key(self) -> bool:
        """Whether one task can answer it."""
        return self.operation in {"get", "fetch"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry in bytes; a window's has its start and end, a timestamped one its time, all in ms."""

    key: bytes
    value: bytes
    timestamp: int | None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class StoreSerdes:
    """How a store's keys and values are written, and of which kind it is."""

    key: Serde[Any]
    value: Serde[Any]
    kind: str

    @property
    def windowed(self) -> bool:
        """Whether keys have windows, or sessions."""
        return self.kind in {"session", "window"}

    @property
    def timestamped(self) -> bool:
        """Whether values come with a timestamp."""
        return self.kind in {"timestamped", "versioned", "window"}


class LocalTasks:
    """The tasks of this instance, as far as they can be asked."""

    def __init__(self, environment: Environment, threads: Callable[[], list[StreamThread]]) -> None:
        self._environment = environment
        self._threads = threads

    def serdes(self, store: str) -> StoreSerdes:
        """Of a store of the topology; raises StreamsError that lists the stores there are."""
        self._environment.layout.sub_topology_with(store)
        spec = self._environment.topology.stores[store]
        if spec.kind not in _ASKED:
            raise StreamsError(
                f"store {store} is of kind {spec.kind}, which answers no queries yet\n"
                "hint: write the table to a topic, `.to_stream().to(...)`, or keep a key-value store beside it"
            )
        place = f"store {store}"
        return StoreSerdes(
            required(spec.key, place, "key"),
            required(spec.value, place, "value"),
            spec.kind,
        )

    def stores(self) -> list[str]:
        """The stores that can be asked, by name."""
        return self._environment.layout.stores

    def partition_of(self, store: str, key: bytes) -> int:
        """The partition that has a key, as Kafka's producers choose it."""
        return int(murmur2(key, self.parts(store)))

    def parts(self, store: str) -> int:
        """How many partitions a store has; a global one is whole."""
        layout = self._environment.layout
        return 1 if store in layout.global_stores else layout.sub_topology_with(store).tasks

    def ask(self, query: Query, partition: int | None) -> dict[int, list[Entry]]:
        """The entries of each partition that this instance has; of one partition, or of all."""
        sub = self._environment.layout.sub_topology_with(query.store)
        serdes = self.serdes(query.store)
        shared = self._environment.global_stores.get(query.store)
        if shared is not None:
            return {0: [_entry(key, value, serdes) for key, value in _answer(shared, query, serdes)]}
        found: dict[int, list[Entry]] = {}
        for thread in self._threads():
            with thread.gate.visit():
                for task in thread.ready_tasks(stale=query.stale):
                    if task.id.sub_topology == sub.id and partition in {None, task.id.partition}:
                        entries = _answer(task.asked(query.store), query, serdes)
                        found[task.id.partition] = [_entry(key, value, serdes) for key, value in entries]
        return found


def _answer(store: Any, query: Query, serdes: StoreSerdes) -> Iterator[tuple[Any, Any]]:
    """The store's own keys and values."""
    key = None if query.key is None else serdes.key.deserialize(query.key)
    if query.operation == "get":
        value = store.get(key) if query.as_of is None else store.get_at(key, query.as_of)
        return iter([] if value is None else [(key, value)])
    if query.operation == "fetch":
        return _windows_of(key, store, query, serdes)
    if query.operation == "all":
        return _everything(store, query, serdes)
    if query.operation == "prefix":
        return iter(store.prefix_scan(query.key))
    return iter(store.range(key, None if query.to is None else serdes.key.deserialize(query.to)))


def _windows_of(key: Any, store: Any, query: Query, serdes: StoreSerdes) -> Iterator[tuple[Any, Any]]:
    if serdes.kind == "session":
        return iter(store.find_sessions(key, query.start, query.end))
    windows = store.fetch_range(key, query.start, query.end)
    return ((Windowed(key, start, -1), value) for start, value in windows)


def _everything(store: Any, query: Query, serdes: StoreSerdes) -> Iterator[tuple[Any, Any]]:
    if serdes.kind == "session":
        sessions = store.find_all_sessions(query.start, _MS_MAX)
        return ((session, value) for session, value in sessions if session.start <= query.end)
    return iter(store.fetch_all(query.start, query.end) if serdes.kind == "window" else store.all())


def _entry(key: Any, value: Any, serdes: StoreSerdes) -> Entry:
    plain, timestamp = value if serdes.timestamped else (value, None)
    if isinstance(key, Windowed):
        end = None if key.end < 0 else key.end
        return Entry(serdes.key.serialize(key.key), serdes.value.serialize(plain), timestamp, key.start, end)
    return Entry(serdes.key.serialize(key), serdes.value.serialize(plain), timestamp)


Remote = Callable[[str, Query, "int | None"], Mapping[int, list[Entry]]]
"""`remote(server, query, partition)`: what another instance has."""


class Router:
    """Answers queries from wherever the data is."""

    def __init__(self, environment: Environment, local: LocalTasks, remote: Remote) -> None:
        self._environment = environment
        self._local = local
        self._remote = remote

    def ask(self, query: Query, timeout_s: float) -> list[Entry]:
        """All entries, waiting for parts that are being moved.

        Raises:
            StoreNotAvailableError: a part is still on its way after `timeout_s`; the message says which.
        """
        deadline = time.monotonic() + timeout_s
        one = self._local.partition_of(query.store, query.key or b"") if query.is_for_one_key else None
        wanted = set(range(self._local.parts(query.store))) if one is None else {one}
        while True:
            found = dict(self._local.ask(query, one))
            missing = wanted - found.keys()
            for server in self._owners(query, missing) if missing else ():
                found.update(self._remote(server, query, one))
            missing = wanted - found.keys()
            if not missing:
                return [entry for partition in sorted(wanted) for entry in found[partition]]
            if time.monotonic() > deadline:
                names = ", ".join(str(partition) for partition in sorted(missing))
                raise StoreNotAvailableError(
                    f"store {query.store}: partition {names} is being moved or restored, or its instance answers no "
                    "queries\nhint: ask again; give every instance an application.server"
                )
            time.sleep(_LOOK_AGAIN_S)

    def _owners(self, query: Query, partitions: set[int]) -> set[str]:
        """Where the instances that have these partitions answer."""
        sub = self._environment.layout.sub_topology_with(query.store)
        found = self._environment.whereabouts.hosts_with(
            (TaskId(sub.id, partition) for partition in partitions), stale=query.stale
        )
        return found - {self._environment.settings.application_server}


class ReadOnlyStore:
    """A store of the application, whole: its methods ask whichever instance has the key.

    Values of timestamped stores come without their timestamps, as in Kafka's plain queryable stores.
    """

    def __init__(
        self, name: str, router: Router, serdes: StoreSerdes, timeout_s: float, *, stale: bool = False
    ) -> None:
        self.name = name
        self._stale = stale
        self._router = router
        self._serdes = serdes
        self._timeout_s = timeout_s

    def get(self, key: Any, as_of: int | None = None) -> Any:
        """What a key has, or None; with `as_of` (ms) what it had then, of a versioned store."""
        if as_of is not None and self._serdes.kind != "versioned":
            raise StreamsError(
                f"store {self.name} does not know what was true before\n"
                "hint: Materialized.as_(...).with_history_retention(...) makes it keep versions"
            )
        found = self._ask("get", self._serdes.key.serialize(key), as_of=as_of)
        return self._serdes.value.deserialize(found[0].value) if found else None

    def fetch(self, key: Any, start: int | None = None, end: int | None = None) -> Any:
        """The value of the window that starts then, or None; with `end`, a list of (start, value) of the windows that
        start in that span, both ends included, ms.

        Of a session store a list of (session, value), by their ends: those that have a part in the span, or all.
        """
        if self._serdes.kind == "session":
            return self.find_sessions(key, start or 0, _MS_MAX if end is None else end)
        if start is None:
            raise TypeError(f"store {self.name} has windows: fetch(key, start), or fetch(key, start, end)")
        found = self._ask("fetch", self._serdes.key.serialize(key), start=start, end=start if end is None else end)
        windows = [(entry.start, self._serdes.value.deserialize(entry.value)) for entry in found]
        if end is not None:
            return windows
        return windows[0][1] if windows else None

    def find_sessions(self, key: Any, earliest_end: int, latest_start: int) -> list[tuple[Windowed[Any], Any]]:
        """The sessions of a key that end and start within these bounds (ms), by their ends."""
        key_bytes = self._serdes.key.serialize(key)
        return list(self._entries(self._ask("fetch", key_bytes, start=earliest_end, end=latest_start)))

    def fetch_session(self, key: Any, start: int, end: int) -> Any:
        """The value of the session with exactly these bounds (ms), or None."""
        sessions = self.find_sessions(key, end, start)
        return next((value for session, value in sessions if (session.start, session.end) == (start, end)), None)

    def range(self, start: Any = None, end: Any = None) -> Iterator[tuple[Any, Any]]:
        """Entries between two keys, both included, partition by partition; None is open."""
        write = self._serdes.key.serialize
        return self._entries(
            self._ask("range", None if start is None else write(start), to=None if end is None else write(end))
        )

    def prefix_scan(self, prefix: bytes | str) -> Iterator[tuple[Any, Any]]:
        """Entries whose key's bytes begin with `prefix`."""
        return self._entries(self._ask("prefix", prefix.encode() if isinstance(prefix, str) else prefix))

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Every entry, partition by partition; a window's key is a `Windowed`."""
        return self._entries(self._ask("all"))

    def fetch_all(self, start: int, end: int) -> Iterator[tuple[Any, Any]]:
        """The windows of all keys that start in a span, both ends included, ms; sessions that have a part in it."""
        return self._entries(self._ask("all", start=start, end=end))

    def _ask(self, operation: Operation, key: bytes | None = None, **more: Any) -> list[Entry]:
        return self._router.ask(Query(self.name, operation, key, stale=self._stale, **more), self._timeout_s)

    def _entries(self, entries: list[Entry]) -> Iterator[tuple[Any, Any]]:
        read_key, read_value = self._serdes.key.deserialize, self._serdes.value.deserialize
        for entry in entries:
            key = read_key(entry.key)
            if entry.start is not None:
                key = Windowed(key, entry.start, -1 if entry.end is None else entry.end)
            yield key, read_value(entry.value)
