"""`TimeTravel`: a topology over records that are there already, step by step, forwards and back.

    travel = TimeTravel(topology, {"orders": moldau.consume("orders"), "customers": "customers.jsonl"})
    step = travel.until(lambda step: step.key == "ann")
    step.written, step.changed          # what this one record led to
    travel.store("revenue")             # every row, as it was then
    travel.back()
    travel.end().written("totals")      # all that ever came out

Records of several topics are taken by their times, as a task takes them. The wall clock is that of the records: it goes
on to the time of each before it is taken. To go back all of it is run again up to there, so nothing has to be kept.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import TracebackType
from typing import Any, Final, Self

from moldau.streams.errors import StreamsError
from moldau.streams.serdes import Serde, Windowed
from moldau.streams.state.formats import split_session_key, split_window_key
from moldau.streams.testing.driver import TopologyTestDriver
from moldau.streams.testing.given import Given, GivenError, records_of
from moldau.streams.topology.nodes import SinkNode, SourceNode, StoreSpec
from moldau.streams.topology.topology import Topology

_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Written:
    """One record that left the topology. What no serde of it reads is left in bytes."""

    topic: str
    key: Any
    value: Any
    timestamp: int


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a store that is another now; a value of None: it is gone."""

    store: str
    key: Any
    value: Any
    timestamp: int


@dataclass(frozen=True, slots=True)
class Step:
    """One record that was taken, the `position`th, and what it led to."""

    position: int
    topic: str
    key: Any
    value: Any
    timestamp: int
    written: tuple[Written, ...]
    changed: tuple[Change, ...]
    dropped: int
    """How many records were dropped on the way, such as for being late."""


class TimeTravel:
    """A topology and the records of its topics. Before the first step it is at position 0."""

    def __init__(
        self,
        topology: Topology,
        given: Mapping[str, Any],
        *,
        application_id: str = "time-travel",
        caches: bool = False,
    ) -> None:
        """`given` has for each input topic a file (.jsonl, .csv, .parquet), a frame, `moldau.consume(...)`, a list, or
        `Rows` of one of these. `caches` as of `TopologyTestDriver`.

        Raises:
            GivenError: a topic is not read by the topology, or something is no record of it.
        """
        self._topology = topology
        self._application_id = application_id
        self._caches = caches
        streams = [records_of(topic, _source_of(topology, topic), one) for topic, one in given.items()]
        self._records: list[Given] = list(heapq.merge(*streams, key=attrgetter("timestamp")))
        self._readers = _readers_of(topology, application_id)
        self._restart()

    def _restart(self) -> None:
        self._changes: list[tuple[str, bytes, bytes | None, int]] = []
        self._written: dict[str, list[Written]] = {}
        self.position = 0
        self.step: Step | None = None
        """The last step that was taken."""
        self.driver = TopologyTestDriver(
            self._topology,
            self._application_id,
            max(self._records[0].timestamp, 0) if self._records else 0,
            emit_interval_ms=0,
            caches=self._caches,
            watch=lambda *change: self._changes.append(change),
        )

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._records)

    def __iter__(self) -> Iterator[Step]:
        """The steps from here to the end."""
        while self.position < len(self._records):
            yield self._take()

    def forward(self, records: int = 1) -> Self:
        """So many steps, or as many as there are."""
        for _ in range(min(records, len(self._records) - self.position)):
            self._take()
        return self

    def back(self, records: int = 1) -> Self:
        """As it was so many steps ago."""
        return self.to(max(self.position - records, 0))

    def to(self, position: int) -> Self:
        """As it is when so many records were taken, be it before or after here."""
        if not 0 <= position <= len(self._records):
            raise ValueError(f"there is no position {position}: there are {len(self._records)} records")
        if position < self.position:
            self.driver.close()
            self._restart()
        return self.forward(position - self.position)

    def until(self, condition: Callable[[Step], Any]) -> Step | None:
        """The next step for which this holds; None, at the end, if there is none."""
        return next((step for step in self if condition(step)), None)

    def end(self) -> Self:
        """All records that are left."""
        return self.forward(len(self._records))

    def store(self, name: str) -> list[tuple[Any, Any]]:
        """The rows of a store as they are at this position."""
        store = self.driver.get_state_store(name)
        if not hasattr(store, "all"):
            raise StreamsError(f"store {name} keeps what waits in a join or in suppress, and has no rows to be listed")
        return list(store.all())

    def stores(self) -> dict[str, list[tuple[Any, Any]]]:
        """The rows of all stores that have rows to be listed, by their names."""
        context = self.driver.context
        return {name: self.store(name) for name, store in context.stores.items() if hasattr(store, "all")}

    def written(self, topic: str) -> list[Written]:
        """Everything that came out to a topic so far; internal ones have their names on a cluster."""
        return [*self._written.get(topic, ())]

    @property
    def topics(self) -> list[str]:
        """What was written to so far."""
        return sorted(self._written)

    def close(self) -> None:
        """Close the stores."""
        self.driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> Step:
        record, driver = self._records[self.position], self.driver
        dropped = driver.dropped_records
        self._changes.clear()
        if record.timestamp > driver.now:
            driver.advance_wall_clock_time(record.timestamp - driver.now)
        driver.pipe(record.topic, record.key, record.value, record.timestamp, record.headers)
        self.position += 1
        written = []
        for topic in sorted(driver.produced_topic_names):
            queue = driver.produced(topic)
            while queue:
                out = queue.popleft()
                read_key, read_value = self._readers.get(topic, (None, None))
                written.append(Written(topic, _read(read_key, out.key), _read(read_value, out.value), out.timestamp))
                self._written.setdefault(topic, []).append(written[-1])
        source = _source_of(self._topology, record.topic)
        self.step = Step(
            self.position,
            record.topic,
            _read(source.key, record.key),
            _read(source.value, record.value),
            record.timestamp,
            tuple(written),
            tuple(self._change(*change) for change in self._changes),
            driver.dropped_records - dropped,
        )
        return self.step

    def _change(self, store: str, key: bytes, value: bytes | None, timestamp: int) -> Change:
        spec = self._topology.stores[store]
        return Change(store, _row_key(spec, key), _read(spec.value, value) if _is_plain(spec) else value, timestamp)


def _source_of(topology: Topology, topic: str) -> SourceNode:
    for source in topology.sources():
        if topic in source.topics or (source.pattern is not None and source.pattern.fullmatch(topic)):
            return source
    known = sorted(topic for source in topology.sources() for topic in source.topics)
    raise GivenError(f"no source reads topic {topic!r}; there are: {', '.join(known)}")


def _readers_of(topology: Topology, application_id: str) -> dict[str, tuple[Serde[Any] | None, Serde[Any] | None]]:
    """By topic what reads the keys and values that sinks write."""
    return {
        topology.internal_topic(application_id, node.topic): (
            None if node.key is None else node.key.bind(node.topic, "key"),
            None if node.value is None else node.value.bind(node.topic, "value"),
        )
        for node in topology.nodes.values()
        if isinstance(node, SinkNode) and isinstance(node.topic, str)
    }


def _read(serde: Serde[Any] | None, data: bytes | None) -> Any:
    if data is None or serde is None:
        return data
    try:
        return serde.deserialize(data)
    except Exception:  # noqa: BLE001 (what cannot be read is shown as it is)
        return data


def _is_plain(spec: StoreSpec) -> bool:
    """Whether changelog records have the value itself."""
    return spec.kind in {"key_value", "timestamped", "versioned", "window", "join_window", "session"}


def _row_key(spec: StoreSpec, key: bytes) -> Any:
    if spec.kind in {"window", "join_window"}:
        plain, start, _ = split_window_key(key)
        return Windowed(_read(spec.key, plain), start, min(start + (spec.window_size_ms or 0), _INT64_MAX))
    if spec.kind == "session":
        plain, start, end = split_session_key(key)
        return Windowed(_read(spec.key, plain), start, end)
    return _read(spec.key, key) if _is_plain(spec) else key
