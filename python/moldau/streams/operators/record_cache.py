"""The record cache: updates of one key between two commits go downstream once, as the last of them.

A table whose store is cached puts and forwards through this. The first put of a key since the last flush notes what the
store held until then; each forward takes the place of the one before it. `flush` sends on what is there, in the order
of the last updates, each with the place and time of the record that made it. A row that was not there before and is not
there now is not spoken of. When the caches of a thread hold more than they may, the one that is put into is flushed:
counted are the bytes of keys, of values and of what was there before, and of the objects around them.
(`CachingKeyValueStore`, `CachingWindowStore`, `CachingSessionStore`, `NamedCache`; KIP-63.)

What is written to a changelog is not decided here: stores write each key once per commit, cached or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.operators.contract import Headers, Process
from moldau.streams.serdes import required
from moldau.streams.topology.nodes import StoreSpec

CACHED_KINDS: Final = frozenset({"timestamped", "window", "session"})

Failed = Callable[[Exception], None]
"""`failed(error)`: a record could not be sent on; the context says where it came from. Returns to go on without it."""


AROUND_BYTES: Final = 300
"""What the objects around an update take: two dict entries, two tuples, the heads of key and values."""


class CacheBudget:
    """How many bytes the caches of one thread may hold together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.patient = False
        """Whether caches may hold more for a while: whoever puts into them now must not be the one who empties them."""


class RecordCaches:
    """The caches of one task. A node is bound before those above it, so what is flushed first was added last."""

    def __init__(self, context: TaskContext, budget: CacheBudget, failed: Failed) -> None:
        self._context = context
        self._budget = budget
        self._failed = failed
        self._caches: list[_RecordCache] = []

    def over(self, spec: StoreSpec, store: Any, forward: Process, *, sends_old: bool) -> tuple[Any, Process]:
        """The store and the `forward` that a table has to use from now on."""
        cache = _RecordCache(self._context, self._budget, self._failed, forward, sends_old, spec)
        self._caches.append(cache)
        return _NotingStore(store, _noting(cache, spec, store)), _taking(cache, spec)

    @property
    def is_empty(self) -> bool:
        """Whether no update waits."""
        return not any(cache.before for cache in self._caches)

    @property
    def room(self) -> int:
        """How many bytes more the caches of the thread may hold."""
        return max(self._budget.limit - self._budget.held, 0)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Meanwhile nothing is sent on, however much is put in; the next who puts something in makes up for it."""
        self._budget.patient = True
        try:
            yield
        finally:
            self._budget.patient = False

    def flush(self) -> None:
        """Send on everything that waits; what an upper cache sends on may still be merged by a lower one."""
        for cache in reversed(self._caches):
            cache.flush()


class _RecordCache:
    """The updates of one table that wait: per key what was before them, and the last of them."""

    def __init__(
        self,
        context: TaskContext,
        budget: CacheBudget,
        failed: Failed,
        forward: Process,
        sends_old: bool,
        spec: StoreSpec,
    ) -> None:
        self._context = context
        self._budget = budget
        self._failed = failed
        self._forward = forward
        self._sends_old = sends_old
        self._of_sessions = spec.kind == "session"
        self._key_of_row = spec.kind == "timestamped"
        self._key_bytes = required(spec.key, f"store {spec.name}", "key").serialize
        self._value_bytes = required(spec.value, f"store {spec.name}", "value").serialize
        self.before: dict[Any, Any] = {}
        self._waiting: dict[Any, tuple[Any, ...]] = {}
        self._held = 0

    def take(self, identity: Any, key: Any, new: Any, timestamp: int, headers: Headers) -> None:
        """The latest update of a key."""
        context, waiting = self._context, self._waiting
        size = 0 if new is None else len(self._value_bytes(new))
        if headers:
            size += sum(len(name) + len(data or b"") for name, data in headers)
        # Taken out and put in again: the order is that of the last updates.
        last = waiting.pop(identity, None)
        waiting[identity] = key, new, timestamp, headers, context.topic, context.offset, context.timestamp, size
        growth = size + (self._size_of_rest(identity, key) if last is None else -last[7])
        self._held += growth
        self._budget.held += growth
        if self._budget.held > self._budget.limit and not self._budget.patient:
            self.flush()

    def _size_of_rest(self, identity: Any, key: Any) -> int:
        """What a key takes beside its new value."""
        held = self.before[identity]
        old = held if held is None or self._of_sessions else held[0]
        size = AROUND_BYTES + len(self._key_bytes(key if self._key_of_row else key[0]))
        return size if old is None else size + len(self._value_bytes(old))

    def flush(self) -> None:
        """Send on what waits."""
        waiting, before = self._waiting, self.before.copy()
        self._waiting = {}
        self.before.clear()
        self._budget.held -= self._held
        self._held = 0
        context, forward = self._context, self._forward
        place = context.topic, context.offset, context.timestamp
        for identity, (key, new, timestamp, headers, topic, offset, moment, *_) in waiting.items():
            held = before[identity]
            old = held if held is None or self._of_sessions else held[0]
            if new is None and old is None:
                continue
            context.topic, context.offset, context.timestamp = topic, offset, moment
            change = new, old if self._sends_old else None, True
            try:
                forward(key, change, moment if new is None and not self._of_sessions else timestamp, headers)
            except Exception as error:  # noqa: BLE001 (it is raised again by whoever decides, unless it goes on)
                self._failed(error)
        context.topic, context.offset, context.timestamp = place


class _NotingStore:
    """A store whose `put` and `remove` note what was there before."""

    def __init__(self, store: Any, methods: dict[str, Any]) -> None:
        self._store = store
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        self.__dict__[name] = method
        return method


def _noting(cache: _RecordCache, spec: StoreSpec, store: Any) -> dict[str, Any]:
    before, put = cache.before, store.put
    same = _plain_key(spec)
    if spec.kind == "timestamped":
        get = store.get

        def put_row(key: Any, value: Any) -> None:
            identity = key if same is None else same(key)
            if identity not in before:
                before[identity] = get(key)
            put(key, value)

        return {"put": put_row}
    if spec.kind == "window":
        fetch = store.fetch

        def put_window(key: Any, value: Any, start: int) -> None:
            identity = key if same is None else same(key), start
            if identity not in before:
                before[identity] = fetch(key, start)
            put(key, value, start)

        return {"put": put_window}
    remove, fetch_session = store.remove, store.fetch_session

    def note(session: Any) -> None:
        identity = session[0] if same is None else same(session[0]), session[1], session[2]
        if identity not in before:
            before[identity] = fetch_session(*session)

    def put_session(session: Any, value: Any) -> None:
        note(session)
        put(session, value)

    def remove_session(session: Any) -> None:
        note(session)
        remove(session)

    return {"put": put_session, "remove": remove_session}


def _taking(cache: _RecordCache, spec: StoreSpec) -> Process:
    take, same = cache.take, _plain_key(spec)
    if spec.kind == "timestamped":

        def take_row(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            take(key if same is None else same(key), key, change[0], timestamp, headers)

        return take_row
    if spec.kind == "window":

        def take_window(window: Any, change: Any, timestamp: int, headers: Headers) -> None:
            key = window[0]
            take((key if same is None else same(key), window[1]), window, change[0], timestamp, headers)

        return take_window

    def take_session(session: Any, change: Any, timestamp: int, headers: Headers) -> None:
        key, start, end = session
        take((key if same is None else same(key), start, end), session, change[0], timestamp, headers)

    return take_session


def _plain_key(spec: StoreSpec) -> Callable[[Any], bytes] | None:
    """How a key that could change, or has no hash, is known again; None for one that is known as it is."""
    serde = required(spec.key, f"store {spec.name}", "key")
    return None if serde.immutable else serde.serialize
