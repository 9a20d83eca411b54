"""How far one connector has come: in the worker's offsets topic, or in one of its own (`offsets.storage.topic`).

With a topic of its own, what is not there is looked for in the worker's, and what is kept there is kept in the worker's
as well, as well as that goes: so the setting can be added and taken away. A reset goes to the worker's first, or what
is gone from the one would be found again in the other (KAFKA-15018).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from moldau.connect.errors import ConnectError
from moldau.connect.runtime.offsets import (
    FLUSH_TIMEOUT_S,
    Entry,
    Offset,
    OffsetStore,
    Pair,
    Place,
    TopicOffsetStore,
    canonical,
)

logger: Final = logging.getLogger("moldau.connect.offsets")


class ConnectorOffsets:
    """One for each connector or task. `start` and `stop` concern a topic of its own; the worker's runs already.

    `is_the_workers` is asked when it is started, since that may take a while: whether `own` turns out to be the topic
    of the worker under another address; it is told who says that nobody waits any more, and then knows nothing. Kept
    as two, what a task writes in its transaction would be written again outside of it.
    """

    def __init__(
        self,
        workers: OffsetStore,
        own: TopicOffsetStore | None = None,
        is_the_workers: Callable[[Callable[[], bool]], bool | None] = lambda _given_up: False,
    ) -> None:
        self._workers = workers
        self.own = own
        self._is_the_workers = is_the_workers
        self._started = False

    def start(self, given_up: Callable[[], bool] = bool) -> bool:
        """Read what there is; False when nobody waits for that any more. Raises ConfigError, ConnectError."""
        if self.own is not None and not self._started:
            same = self._is_the_workers(given_up)
            if same is None or given_up():
                return False
            if same:
                self.own = None
        if self.own is not None and not self._started:
            self.own.start()
            self._started = True
        return True

    def stop(self) -> None:
        """Close what was opened."""
        if self.own is not None and self._started:
            self._started = False
            self.own.stop()

    @property
    def topic(self) -> str | None:
        """Where offsets are kept; None if that is no topic."""
        store = self.own if self.own is not None else self._workers
        return store.topic.name if isinstance(store, TopicOffsetStore) else None

    def refresh(self, given_up: Callable[[], bool] | None = None) -> None:
        """Return when everything is known that was written until now. Raises ConnectError."""
        self._workers.refresh(given_up)
        if self.own is not None:
            self.own.refresh(given_up)

    def get(self, connector: str, partition: Place) -> Offset | None:
        """The offset of a partition; None if there is none."""
        if self.own is not None and self.own.state.knows(connector, partition):
            return self.own.get(connector, partition)
        return self._workers.get(connector, partition)

    def all_of(self, connector: str) -> list[tuple[Place, Offset]]:
        """All partitions of a connector that have an offset."""
        if self.own is None:
            return self._workers.all_of(connector)
        state = self.own.state
        found = {
            canonical(place): (place, offset)
            for place, offset in self._workers.all_of(connector)
            if not state.knows(connector, place)
        }
        found |= {canonical(place): (place, offset) for place, offset in self.own.all_of(connector)}
        return list(found.values())

    def put(self, connector: str, entries: Iterable[Entry], timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Return when the offsets are kept. Raises ConnectError when it is not known whether they are."""
        if self.own is None:
            self._workers.put(connector, entries, timeout_s)
            return
        entries = list(entries)
        self.before(connector, entries, timeout_s)
        self.own.put(connector, entries, timeout_s)
        self.after(connector, entries, timeout_s)

    # The same in three steps, for who writes in a transaction of his own.

    def before(self, connector: str, entries: Iterable[Entry], timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """What has to be done first. Raises ConnectError: then nothing may be written."""
        gone = [(place, offset) for place, offset in entries if offset is None]
        if self.own is not None and gone:
            self._workers.put(connector, gone, timeout_s)

    def records(self, connector: str, entries: Iterable[Entry]) -> list[Pair]:
        """The records to write to `topic`. Raises ConnectError for an offset that is not plain."""
        store = self.own if self.own is not None else self._workers
        assert isinstance(store, TopicOffsetStore), "transactions are for workers whose offsets are in a topic"
        return store.state.records(connector, entries)

    def after(self, connector: str, entries: Iterable[Entry], timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """What is done when they are written; it may fail without harm."""
        kept = [(place, offset) for place, offset in entries if offset is not None]
        if self.own is None or not kept:
            return
        try:
            self._workers.put(connector, kept, timeout_s)
        except ConnectError as error:
            logger.warning(
                "the offsets of connector %s are in its own topic, but not in the worker's: %s", connector, error
            )


class OffsetReader:
    """What a connector or a task asks: `offset` for one partition, `offsets` for several."""

    def __init__(
        self,
        store: ConnectorOffsets,
        connector: str,
        fresh: Callable[[], None] | None = None,
        given_up: Callable[[], bool] = bool,
    ) -> None:
        """`fresh` is called before each look, and returns when what is known is what there is."""
        self._store = store
        self._connector = connector
        self._fresh = fresh
        self._given_up = given_up

    def offset(self, partition: Place) -> dict[str, Any] | None:
        """The offset of a partition; None if there is none."""
        return self.offsets([partition])[0]

    def offsets(self, partitions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
        """The offsets of partitions, in their order."""
        if not self._store.start(self._given_up):
            raise ConnectError(f"connector {self._connector} is stopped: nobody waits for its offsets any more")
        if self._fresh is not None:
            self._fresh()
        found = (self._store.get(self._connector, each) for each in partitions)
        return [None if offset is None else dict(offset) for offset in found]
