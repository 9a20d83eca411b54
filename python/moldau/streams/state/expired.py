"""Entries that were older than a store's retention when they were put: Kafka logs them and never finds them again.

Only several aggregates on one store (cogroup) bring such entries, for each of them has a stream time of its own.
"""

from __future__ import annotations

from typing import Any

from moldau.streams.context import TaskContext
from moldau.streams.serdes import Windowed
from moldau.streams.state.codec import Codec
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.state.formats import session_key, window_key
from moldau.streams.topology.nodes import StoreSpec


class ExpiredEntries:
    """What goes on the changelog of one windowed store and nowhere else; `oldest` is the first moment that it keeps."""

    def __init__(self, spec: StoreSpec, context: TaskContext, keys: Codec, values: Codec) -> None:
        self._name = spec.name
        self._context = context
        self._keys = keys
        self._values = values
        # On disk whole segments of time go at once: until then Kafka counts nothing as dropped.
        self._segment = 1 if spec.in_memory else spec.segment_interval_ms
        self._waiting: dict[bytes, tuple[bytes | None, int]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing came since the last time."""
        return not self._waiting

    def put_window(self, key: Any, pair: Any, start: int, oldest: int) -> None:
        """The entry of a window, `(value, timestamp)` or None."""
        value, timestamp = (None, self._context.timestamp) if pair is None or pair[0] is None else pair
        self._put(window_key(self._bytes(key), start), value, timestamp)
        self._count(start, oldest)

    def put_session(self, session: Windowed[Any], value: Any, oldest: int) -> None:
        """The value of a session, or None."""
        key, start, end = session
        self._put(session_key(self._bytes(key), start, end), value, self._context.timestamp)
        self._count(end, oldest)

    def flush(self, write: ChangelogWriter) -> None:
        """Hand out what came since the last time."""
        for key, (value, timestamp) in self._waiting.items():
            write(key, value, timestamp)
        self._waiting.clear()

    def _bytes(self, key: Any) -> bytes:
        return self._keys.as_bytes(self._keys.inward(key))

    def _put(self, place: bytes, value: Any, timestamp: int) -> None:
        data = None if value is None else self._values.as_bytes(self._values.inward(value))
        self._waiting[place] = data, timestamp

    def _count(self, moment: int, oldest: int) -> None:
        if moment // self._segment < oldest // self._segment:
            self._context.dropped(self._name, "it is older than the store's retention")
