"""The record cache: updates of one key between two commits go downstream once, as the last of them.

A table whose store is cached puts and forwards through this. The first put of a key since the last flush notes what the
store held until then; each forward takes the place of the one before it. `flush` sends on what is there, in the order
of the last updates, each with the place and time of the record that made it. A row that was not there before and is not
there now is not spoken of. When the caches of a thread hold more than they may, the one that is put into is flushed:
counted are the bytes of keys, of values and of what was there before, and of the objects around them.
(`CachingKeyValueStore`, `CachingWindowStore`, `CachingSessionStore`, `NamedCache`; KIP-63.)

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

What an update is known by is its key, that and the start of its window, or that and both ends of its session.
"""
Failed = Callable[[Exception], None]
"""`failed(error)`: a record could not be sent on; the context says where it came from. Returns to go on without it."""


AROUND_BYTES: Final = 300
"""What the objects around an update take: a dict entry, two tuples, the heads of key and values."""
_INT64_MAX: Final = 2**63 - 1


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
        return _NotingStore(store, _noting(cache, spec, store), _holding(cache, spec)), _taking(cache, spec)

    @property
    def is_empty(self) -> bool:
        """Whether no update waits."""
        return not any(cache.waiting for cache in self._caches)

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
        self._failed = failed
        self._forward = forward
        self._sends_old = sends_old
        self._of_sessions = spec.kind == "session"
        self._key_of_row = spec.kind == "timestamped"
        key = required(spec.key, f"store {spec.name}", "key")
        self._is_plain_window = spec.kind == "window" and key.immutable
        value = required(spec.value, f"store {spec.name}", "value")
        self._key_bytes: Callable[[Any], bytes] = key.serialize if key.immutable else bytes
        self._value_bytes = value.serialize
        self._width = width_of(value)
        self._outward = _outward(spec)
        self._sink = context.table_sinks.get(forward)
        self.before: dict[Any, Any] = {}
        """What was there before a put that nothing was said of yet; such as wait have it with them."""
        self.waiting: dict[Any, tuple[Any, ...]] = {}
        """New value, time, headers, place and time of the record, bytes of value and headers, old value."""
        self.held = 0

    def take(self, identity: Any, new: Any, timestamp: int, headers: Headers) -> None:
        """The latest update of a key."""
        held = self.before.pop(identity, None)
        self.update(identity, held if held is None or self._of_sessions else held[0], new, timestamp, headers)

    def update(self, identity: Any, old: Any, new: Any, timestamp: int, headers: Headers) -> None:
        """The same, by whoever knows what the store held: it counts if it is the first update of the key."""
        context, budget = self.context, self.budget
        size = 0 if new is None else self._width or len(self._value_bytes(new))
        if headers:
            size += sum(len(name) + len(data or b"") for name, data in headers)
        # Taken out and put in again: the order is that of the last updates.
        last = self.waiting.pop(identity, None)
        if last is None:
            growth = size + self._size_of_rest(identity, old)
        else:
            old = last[7]
            growth = size - last[6]
        if new is None and old is None:
            # It neither was there nor is.
            growth = 0 if last is None else -last[6] - self._size_of_rest(identity, old)
        else:
            place = context.topic, context.offset, context.timestamp
            self.waiting[identity] = new, timestamp, headers, *place, size, old
        self.held += growth
        budget.held += growth
        if budget.held > budget.limit and not budget.patient:
            self.flush()

    def _size_of_rest(self, identity: Any, old: Any) -> int:
        """What a key takes beside its new value."""
        size = AROUND_BYTES + len(self._key_bytes(identity if self._key_of_row else identity[0]))
        return size if old is None else size + (self._width or len(self._value_bytes(old)))

    def flush(self) -> None:
        """Send on what waits."""
        waiting, self.waiting = self.waiting, {}
        self.before.clear()
        self.budget.held -= self.held
        self.held = 0
        context = self.context
        place = context.topic, context.offset, context.timestamp
        if self._sink is None:
            for identity, update in waiting.items():
                self._send_on(identity, update)
        else:
            self._write(waiting, self._sink)
        context.topic, context.offset, context.timestamp = place

    def _send_on(self, identity: Any, update: tuple[Any, ...]) -> None:
        context, outward = self.context, self._outward
        new, timestamp, headers, context.topic, context.offset, context.timestamp, _, old = update
        if new is None and not self._of_sessions:
            timestamp = context.timestamp
        try:
            key = identity if outward is None else outward(identity)
            self._forward(key, (new, old if self._sends_old else None, True), timestamp, headers)
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
                before[identity] = get(key)
            put(key, value)

        return {"put": put_row}
    if spec.kind == "window":
        fetch = store.fetch

        def put_window(key: Any, value: Any, start: int) -> None:
            identity = key if same is None else same(key), start
            if identity not in cache.waiting and identity not in before:
                before[identity] = fetch(key, start)
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
    if _plain_key(spec) is not None or not serde.immutable:
        return None
    context, budget, update = cache.context, cache.budget, cache.update
    key_bytes = required(spec.key, f"store {spec.name}", "key").serialize
    value_bytes, width = serde.serialize, width_of(serde)

    def hold(identity: Any, key: Any, old: Any, new: Any, timestamp: int, headers: Headers) -> None:
        waiting = cache.waiting
        last = waiting.get(identity)
        if headers or (new is None and (last is None or last[7] is not None)):
            update(identity, old, new, timestamp, headers)
            return
        # As `update`, at one blow.
        if last is None:
            size = width or len(value_bytes(new))
            growth = AROUND_BYTES + len(key_bytes(key)) + size
            if old is not None:
                growth += width or len(value_bytes(old))
        else:
            del waiting[identity]
            if new is None:
                growth = AROUND_BYTES + len(key_bytes(key)) + last[6]
                cache.held -= growth
                budget.held -= growth
                return
            size, old = width or len(value_bytes(new)), last[7]
            growth = size - last[6]
        waiting[identity] = new, timestamp, headers, context.topic, context.offset, context.timestamp, size, old
        cache.held += growth
        budget.held += growth
        if budget.held > budget.limit and not budget.patient:
            cache.flush()

    return hold


def _taking(cache: _RecordCache, spec: StoreSpec) -> Process:
    take, same = cache.take, _plain_key(spec)
    if spec.kind == "timestamped":

        def take_row(key: Any, change: Any, timestamp: int, headers: Headers) -> None:
            take(key if same is None else same(key), change[0], timestamp, headers)

        return take_row
    if spec.kind == "window":

        def take_window(window: Any, change: Any, timestamp: int, headers: Headers) -> None:
            key = window[0]
            take((key if same is None else same(key), window[1]), change[0], timestamp, headers)

        return take_window

    def take_session(session: Any, change: Any, timestamp: int, headers: Headers) -> None:
        key, start, end = session
        take((key if same is None else same(key), start, end), change[0], timestamp, headers)

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
