"""The two ends of a test: topics to pipe objects into, and topics to read objects from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from moldau.streams.durations import Duration, milliseconds
from moldau.streams.operators.contract import Header, Headers
from moldau.streams.serdes import Serde

if TYPE_CHECKING:
    from moldau.streams.testing.driver import TopologyTestDriver

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class TestRecord(Generic[K, V]):
    """One record with its objects; the timestamp is in ms since 1970."""

    __test__ = False

    key: K | None
    value: V | None
    timestamp: int
    headers: tuple[Header, ...] = ()


class TestInputTopic(Generic[K, V]):
    """Pipes records into a topic of the driver."""

    __test__ = False

    def __init__(
        self,
        driver: TopologyTestDriver,
        topic: str,
        key: Serde[Any],
        value: Serde[Any],
        start: int | None,
        advance_ms: int,
    ) -> None:
        self._driver = driver
        self._topic = topic
        self._key = key.bind(topic, "key")
        self._value = value.bind(topic, "value")
        self._next = start
        self._advance_ms = advance_ms

    def pipe_input(self, key: K | None, value: V | None, timestamp: int | None = None, headers: Headers = ()) -> None:
        """One record, all the way through the topology. None is a null key or a tombstone."""
        if timestamp is None:
            timestamp = self._driver.now if self._next is None else self._next
            if self._next is not None:
                self._next += self._advance_ms
        self._driver.pipe(
            self._topic,
            None if key is None else self._key.serialize(key),
            None if value is None else self._value.serialize(value),
            timestamp,
            headers,
        )

    def pipe_value(self, value: V | None, timestamp: int | None = None) -> None:
        """One record without a key."""
        self.pipe_input(None, value, timestamp)

    def pipe_key_value_list(
        self, pairs: Iterable[tuple[K | None, V | None]], start: int | None = None, advance: Duration = 0
    ) -> None:
        """Several records; with `start` each is stamped `advance` after the one before."""
        step = milliseconds(advance, "advance")
        for number, (key, value) in enumerate(pairs):
            self.pipe_input(key, value, None if start is None else start + number * step)

    def pipe_record_list(self, records: Iterable[TestRecord[K, V]]) -> None:
        """Several records as they are."""
        for record in records:
            self.pipe_input(record.key, record.value, record.timestamp, record.headers)

    def advance_time(self, by: Duration) -> None:
        """Stamp the following records this much later."""
        self._next = (self._driver.now if self._next is None else self._next) + milliseconds(by, "by")


class TestOutputTopic(Generic[K, V]):
    """Reads records that the topology wrote to a topic, each once."""

    __test__ = False

    def __init__(self, driver: TopologyTestDriver, topic: str, key: Serde[Any], value: Serde[Any]) -> None:
        self._records = driver.produced(topic)
        self._topic = topic
        self._key = key.bind(topic, "key")
        self._value = value.bind(topic, "value")

    def read_record(self) -> TestRecord[K, V]:
        """The next record; raises LookupError when there is none."""
        if not self._records:
            raise LookupError(f"nothing is left to read in topic {self._topic}")
        record = self._records.popleft()
        return TestRecord(
            None if record.key is None else self._key.deserialize(record.key),
            None if record.value is None else self._value.deserialize(record.value),
            record.timestamp,
            record.headers,
        )

    def read_value(self) -> V | None:
        """The next record's value."""
        return self.read_record().value

    def read_key_value(self) -> tuple[K | None, V | None]:
        """The next record's key and value."""
        record = self.read_record()
        return record.key, record.value

    def read_records_to_list(self) -> Sequence[TestRecord[K, V]]:
        """All records that are left."""
        return [self.read_record() for _ in range(len(self._records))]

    def read_values_to_list(self) -> list[V | None]:
        """The values of all records that are left."""
        return [record.value for record in self.read_records_to_list()]

    def read_key_values_to_list(self) -> list[tuple[K | None, V | None]]:
        """Keys and values of all records that are left."""
        return [(record.key, record.value) for record in self.read_records_to_list()]

    def read_key_values_to_map(self) -> dict[K | None, V | None]:
        """The last value per key of all records that are left."""
        return dict(self.read_key_values_to_list())

    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not self._records

    def queue_size(self) -> int:
        """How many records are left."""
        return len(self._records)
