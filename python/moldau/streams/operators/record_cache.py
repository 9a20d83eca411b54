"""The record cache: updates of one key between two commits go downstream once, as the last of them.

A table whose store is cached puts and forwards through this; of a store that several nodes write, those of a cogroup,
there is one cache. The first put of a key since the last flush notes what the store held until then; each forward takes
the place of the one before it. `flush` sends on what is there, in the order of the last updates, each with the place
and time of the record that made it. A row that was not there before and is not there now is not spoken of. When the
caches of a thread hold more than they may, the one that is put into is flushed: counted are the bytes of keys, of
values and of what was there before, and of the objects around them. (`CachingKeyValueStore`, `CachingWindowStore`,
`CachingSessionStore`, `NamedCache`; KIP-63.)

An update that waits is a plain tuple under a plain tuple, and the windows that are sent on are made when they are sent:
Python's garbage collector leaves such tuples alone, where it would look through tens of thousands of others again and
again.

What is written to a changelog is not decided here: stores write each key once per commit, cached or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from moldau.streams.context import TaskContext
from moldau.streams.operators.contract import Headers, Process, Sink
from moldau.streams.serdes import Windowed, required
from moldau.streams.serdes.primitive import width_of
from moldau.streams.serdes.windowed import TimeWindowedSerde
from moldau.streams.topology.nodes import StoreSpec

CACHED_KINDS: Final = frozenset({"timestamped", "window", "session"})

Hold = Callable[[Any, Any, Any, Any, int, Headers], None]
"""`hold(identity, key, old, new, timestamp, headers)`: a forward by whoever has read what was there before the put.

`old` counts if the update is the first of its key and no put has noted what was there.
What an update is known by is its key, that and the start of its window, or that and both ends of its session.
"""
Failed = Callable[[Exception], None]
"""`failed(error)`: a record could not be sent on; the context says where it came from. Returns to go on without it."""


AROUND_BYTES: Final = 300
"""What the objects around an update take: a dict entry, two tuples, the heads of key and values."""
_INT64_MAX: Final = 2**63 - 1
_NEW: Final = 0
_SIZE: Final = 6
_OLD: Final = 7
"""Where an update that waits has its new value, how many bytes that and the headers take, and the old value."""


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
        self._caches: dict[str, _RecordCache] = {}

    def over(self, spec: StoreSpec, store: Any, forward: Process, *, sends_old: bool) -> tuple[Any, Process]:
        """The store and the `forward` that a node has to use from now on."""
        cache = self._caches.get(spec.name)
        if cache is None:
            cache = _RecordCache(self._context, self._budget, self._failed, forward, sends_old, spec)
            self._caches[spec.name] = cache
        # The nodes of a cogroup come out in one place; the first of them that is bound is below all that is above any.
        assert cache.forward is forward
        assert cache.sends_old is sends_old
        return _NotingStore(store, _noting(cache, spec, store), _holding(cache, spec)), _taking(cache, spec)

    @property
    def is_empty(self) -> bool:
        """Whether no update waits."""
        return not any(cache.waiting for cache in self._caches.values())

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
        for cache in reversed(self._caches.values()):
            cache.flush()
            cache.before.clear()


class _RecordCache:
    """The updates of one table that wait: per key the last of them, with what was there before the first."""

    def __init__(
        self,
        context: TaskContext,
        budget: CacheBudget,
        failed: Failed,
        forward: Process,
        sends_old: bool,
        spec: StoreSpec,
    ) -> None:
        self.context = context
        self.budget = budget
        self.forward = forward
        self.sends_old = sends_old
        self._failed = failed
        self._of_sessions = spec.kind == "session"
        key = required(spec.key, f"store {spec.name}", "key")
        self._is_plain_window = spec.kind == "window" and key.immutable
        self._outward = _outward(spec)
        self._sink = context.table_sinks.get(forward)
        self.before: dict[Any, Any] = {}
        """What was there before puts of which nothing was said yet; updates that wait have it with them."""
        self.waiting: dict[Any, tuple[Any, ...]] = {}
        """New value, time, headers, place and time of the record, bytes of value and headers, old value."""
        self.held = 0
        self.update = _updating(self, spec)

    def flush(self) -> None:
        """Send on what waits."""
        waiting, self.waiting = self.waiting, {}
        self.budget.held -= self.held
        self.held = 0
        context = self.context
        place = context.topic, context.offset, context.timestamp
        try:
            if self._sink is None:
                for identity, update in waiting.items():
                    self._send_on(identity, update)
            else:
                self._write(waiting, self._sink)
        finally:
            context.topic, context.offset, context.timestamp = place

    def _send_on(self, identity: Any, update: tuple[Any, ...]) -> None:
        context, outward = self.context, self._outward
        new, timestamp, headers, context.topic, context.offset, context.timestamp, _, old = update
        if new is None and not self._of_sessions:
            timestamp = context.timestamp
        try:
            key = identity if outward is None else outward(identity)
            self.forward(key, (new, old if self.sends_old else None, True), timestamp, headers)
        except Exception as error:  # noqa: BLE001 (it is raised again by whoever decides, unless it goes on)
            self._failed(error)

    def _key_writer(self, sink: Sink) -> Callable[[Any], bytes]:
        outward, serialize = self._outward, sink.key.serialize
        if outward is None or (self._is_plain_window and isinstance(sink.key, TimeWindowedSerde)):
            return serialize
        return lambda identity: serialize(outward(identity))

    def _write(self, waiting: dict[Any, tuple[Any, ...]], sink: Sink) -> None:
        """The same where nothing but a topic comes behind the table: straight into it."""
        context, write_key, write_value = self.context, self._key_writer(sink), sink.value.serialize
        topic, emit = sink.topic, sink.emit
        for identity, update in waiting.items():
            new, timestamp, headers, context.topic, context.offset, context.timestamp, _, _ = update
            if new is None:
                self._send_on(identity, update)
                continue
            try:
                key, value = write_key(identity), write_value(new)
            except Exception:  # noqa: BLE001 (what cannot be written is told on the way for each)
                self._send_on(identity, update)
                continue
            try:
                emit(topic, key, value, timestamp, headers, None, None, None)
            except Exception as error:  # noqa: BLE001 (as above)
                self._failed(error)


def _updating(cache: _RecordCache, spec: StoreSpec) -> Hold:
    """How an update takes the place of the one that waits, and is counted: a function, for each record calls it."""
    context, budget, before = cache.context, cache.budget, cache.before
    key_serde = required(spec.key, f"store {spec.name}", "key")
    value_serde = required(spec.value, f"store {spec.name}", "value")
    key_bytes: Callable[[Any], bytes] = key_serde.serialize if key_serde.immutable else bytes
    value_bytes, width = value_serde.serialize, width_of(value_serde)

    def update(identity: Any, key: Any, old: Any, new: Any, timestamp: int, headers: Headers) -> None:
        waiting = cache.waiting
        last = waiting.get(identity)
        try:
            size = 0 if new is None else width or len(value_bytes(new))
        except Exception:
            # It stays in the store and is not sent on: of the next one it is not the old value.
            if last is not None:
                before[identity] = last[_NEW]
            else:
                before.setdefault(identity, old)
            raise
        if headers:
            size += sum(len(name) + len(data or b"") for name, data in headers)
        if before:
            old = before.pop(identity, old)
        if last is None:
            growth = AROUND_BYTES + len(key_bytes(key)) + size
            if old is not None:
                growth += width or len(value_bytes(old))
        else:
            # Taken out and put in again: the order is that of the last updates.
            del waiting[identity]
            old = last[_OLD]
            growth = size - last[_SIZE]
        if new is None and old is None:
            # It neither was there nor is.
            growth = 0 if last is None else -last[_SIZE] - AROUND_BYTES - len(key_bytes(key))
        else:
            waiting[identity] = new, timestamp, headers, context.topic, context.offset, context.timestamp, size, old
        cache.held += growth
        budget.held += growth
        if budget.held > budget.limit and not budget.patient:
            cache.flush()

    return update


class _NotingStore:
    """A store whose `put` and `remove` note what was there before."""

    def __init__(self, store: Any, methods: dict[str, Any], hold: Hold | None) -> None:
        self.noted = store
        self.hold = hold
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.noted, name)
        self.__dict__[name] = method
        return method


def hold_of(store: Any) -> tuple[Any, Hold | None]:
    """The store and the function for updates that are held back by whoever knows what was there before them.

    There is no such function where nothing is held back, or where what was read could be changed.
    """
    if isinstance(store, _NotingStore) and store.hold is not None:
        return store.noted, store.hold
    return store, None


def _noting(cache: _RecordCache, spec: StoreSpec, store: Any) -> dict[str, Any]:
    before, put = cache.before, store.put
    same = _plain_key(spec)
    if spec.kind == "timestamped":
        get = store.get

        def put_row(key: Any, value: Any) -> None:
            identity = key if same is None else same(key)
            if identity not in cache.waiting and identity not in before:
                held = get(key)
                before[identity] = None if held is None else held[0]
            put(key, value)

        return {"put": put_row}
    if spec.kind == "window":
        fetch = store.fetch

        def put_window(key: Any, value: Any, start: int) -> None:
            identity = key if same is None else same(key), start
            if identity not in cache.waiting and identity not in before:
                held = fetch(key, start)
                before[identity] = None if held is None else held[0]
            put(key, value, start)

        return {"put": put_window}
    remove, fetch_session = store.remove, store.fetch_session

    def note(session: Any) -> None:
        identity = session[0] if same is None else same(session[0]), session[1], session[2]
        if identity not in cache.waiting and identity not in before:
            before[identity] = fetch_session(*session)

    def put_session(session: Any, value: Any) -> None:
        note(session)
        put(session, value)

    def remove_session(session: Any) -> None:
        note(session)
        remove(session)

    return {"put": put_session, "remove": remove_session}


def _holding(cache: _RecordCache, spec: StoreSpec) -> Hold | None:
    serde = required(spec.value, f"store {spec.name}", "value")
    return cache.update if _plain_key(spec) is None and serde.immutable else None


def _taking(cache: _RecordCache, spec: StoreSpec) -> Process:
    """A forward by whoever puts into the noting store: what was there before is noted, or waits."""
    update, same = cache.update, _plain_key(spec)
    if spec.kind == "timestamped":

        def take_row(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            key = key if same is None else same(key)
            update(key, key, None, change[0], timestamp, headers)

        return take_row
    if spec.kind == "window":

        def take_window(window: Any, change: Any, timestamp: int, headers: Headers) -> None:
            key = window[0] if same is None else same(window[0])
            update((key, window[1]), key, None, change[0], timestamp, headers)

        return take_window

    def take_session(session: Any, change: Any, timestamp: int, headers: Headers) -> None:
        key, start, end = session
        key = key if same is None else same(key)
        update((key, start, end), key, None, change[0], timestamp, headers)

    return take_session


def _plain_key(spec: StoreSpec) -> Callable[[Any], bytes] | None:
    """How a key that could change, or has no hash, is known again; None for one that is known as it is."""
    serde = required(spec.key, f"store {spec.name}", "key")
    return None if serde.immutable else serde.serialize


def _outward(spec: StoreSpec) -> Callable[[Any], Any] | None:
    """How what an update is known by becomes its key again; None for keys that are known as they are."""
    serde = required(spec.key, f"store {spec.name}", "key")
    read = None if serde.immutable else serde.deserialize
    # Past the constructor of the named tuple, which is a function of Python.
    make = tuple.__new__
    if spec.kind == "timestamped":
        return read
    if spec.kind == "session":
        if read is None:
            return lambda session: make(Windowed, session)
        return lambda session: make(Windowed, (read(session[0]), session[1], session[2]))
    size = spec.window_size_ms
    assert size is not None

    def window_of(identity: Any) -> Any:
        key, start = identity
        return make(Windowed, (key if read is None else read(key), start, min(start + size, _INT64_MAX)))

    return window_of
