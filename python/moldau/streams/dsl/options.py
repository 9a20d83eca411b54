"""What can be said beside the function: names, types, stores. Kafka's configuration objects, frozen.

`with` and `as` are words of Python, so Kafka's `Consumed.with` and `Materialized.as` end with an underscore here. A
type stands for its serde everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from moldau.streams.durations import Duration, milliseconds
from moldau.streams.expressions import Expression
from moldau.streams.serdes import Serde, SerdeLike, serde_of
from moldau.streams.topology.nodes import OffsetReset, Partitioner, StoreSpec, TimestampExtractor

K = TypeVar("K")
V = TypeVar("V")
V2 = TypeVar("V2")


@dataclass(frozen=True, slots=True)
class Named:
    """The name of a node; without one it is numbered."""

    name: str | None = None

    @staticmethod
    def as_(name: str) -> Named:
        """A name."""
        return Named(name)


Name = Named | str | None


def name_of(name: Name) -> str | None:
    """The text of a name, or None."""
    return name.name if isinstance(name, Named) else name


@dataclass(frozen=True, slots=True)
class Consumed(Generic[K, V]):
    """How a topic is read."""

    key: Serde[K] | None = None
    value: Serde[V] | None = None
    name: str | None = None
    timestamp_extractor: TimestampExtractor | None = None
    offset_reset: OffsetReset | None = None

    @staticmethod
    def with_(
        key: SerdeLike[K] | None = None,
        value: SerdeLike[V] | None = None,
        timestamp_extractor: TimestampExtractor | None = None,
        offset_reset: OffsetReset | None = None,
    ) -> Consumed[K, V]:
        """The types of keys and values, and from where on a new application reads.

        An extractor may be an expression: what it gives is ms since 1970.
        """
        if isinstance(timestamp_extractor, Expression):
            timestamp_extractor = _time_in(timestamp_extractor)
        return Consumed(serde_of(key), serde_of(value), None, timestamp_extractor, offset_reset)

    @staticmethod
    def as_(name: str) -> Consumed[Any, Any]:
        """The name of the source node."""
        return Consumed(name=name)

    def with_name(self, name: str) -> Consumed[K, V]:
        """The same with a name."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class Produced(Generic[K, V]):
    """How a topic is written."""

    key: Serde[K] | None = None
    value: Serde[V] | None = None
    name: str | None = None
    partitioner: Partitioner | None = None

    @staticmethod
    def with_(
        key: SerdeLike[K] | None = None, value: SerdeLike[V] | None = None, partitioner: Partitioner | None = None
    ) -> Produced[K, V]:
        """The types of keys and values, and who chooses partitions."""
        return Produced(serde_of(key), serde_of(value), None, partitioner)

    @staticmethod
    def as_(name: str) -> Produced[Any, Any]:
        """The name of the sink node."""
        return Produced(name=name)

    def with_name(self, name: str) -> Produced[K, V]:
        """The same with a name."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class Grouped(Generic[K, V]):
    """How grouped records go through a repartition topic; the name is that of the topic."""

    name: str | None = None
    key: Serde[K] | None = None
    value: Serde[V] | None = None

    @staticmethod
    def with_(
        key: SerdeLike[K] | None = None, value: SerdeLike[V] | None = None, name: str | None = None
    ) -> Grouped[K, V]:
        """The types of keys and values."""
        return Grouped(name, serde_of(key), serde_of(value))

    @staticmethod
    def as_(name: str) -> Grouped[Any, Any]:
        """The name of the repartition topic, without the application id and `-repartition`."""
        return Grouped(name)


@dataclass(frozen=True, slots=True)
class Repartitioned(Generic[K, V]):
    """How `repartition()` writes and reads its topic."""

    name: str | None = None
    key: Serde[K] | None = None
    value: Serde[V] | None = None
    partitions: int | None = None
    partitioner: Partitioner | None = None

    @staticmethod
    def with_(key: SerdeLike[K] | None = None, value: SerdeLike[V] | None = None) -> Repartitioned[K, V]:
        """The types of keys and values."""
        return Repartitioned(None, serde_of(key), serde_of(value))

    @staticmethod
    def as_(name: str) -> Repartitioned[Any, Any]:
        """The name of the topic, without the application id and `-repartition`."""
        return Repartitioned(name)

    @staticmethod
    def number_of_partitions(partitions: int) -> Repartitioned[Any, Any]:
        """How many partitions the topic gets."""
        return Repartitioned(partitions=partitions)

    def with_name(self, name: str) -> Repartitioned[K, V]:
        """The same with a name."""
        return replace(self, name=name)

    def with_number_of_partitions(self, partitions: int) -> Repartitioned[K, V]:
        """The same with a number of partitions."""
        return replace(self, partitions=partitions)


@dataclass(frozen=True, slots=True)
class Materialized(Generic[K, V]):
    """The store of a table: its name makes it queryable, the types say how its changelog is written."""

    name: str | None = None
    key: Serde[K] | None = None
    value: Serde[V] | None = None
    logged: bool = True
    cached: bool = True
    in_memory: bool = False
    retention_ms: int | None = None
    history_retention_ms: int | None = None
    log_config: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def as_(name: str) -> Materialized[Any, Any]:
        """The name of the store."""
        return Materialized(name)

    @staticmethod
    def with_(key: SerdeLike[K] | None = None, value: SerdeLike[V] | None = None) -> Materialized[K, V]:
        """The types of keys and values."""
        return Materialized(None, serde_of(key), serde_of(value))

    def with_key_serde(self, key: SerdeLike[K]) -> Materialized[K, V]:
        """The same with the type of keys."""
        return replace(self, key=serde_of(key))

    def with_value_serde(self, value: SerdeLike[V2]) -> Materialized[K, V2]:
        """The same with the type of values."""
        return Materialized(**{**_fields(self), "value": serde_of(value)})

    def with_logging_disabled(self) -> Materialized[K, V]:
        """No changelog: the store is empty after a move."""
        return replace(self, logged=False)

    def with_logging_enabled(self, config: Mapping[str, str] | None = None) -> Materialized[K, V]:
        """A changelog with these topic settings."""
        return replace(self, logged=True, log_config=dict(config or {}))

    def with_caching_disabled(self) -> Materialized[K, V]:
        """Every update goes downstream, whatever `statestore.cache.max.bytes` says."""
        return replace(self, cached=False)

    def with_caching_enabled(self) -> Materialized[K, V]:
        """Updates between two commits are merged, if `statestore.cache.max.bytes` gives room for it."""
        return replace(self, cached=True)

    def with_retention(self, retention: Duration) -> Materialized[K, V]:
        """How long a window or session store keeps an entry."""
        return replace(self, retention_ms=milliseconds(retention, "retention"))

    def with_history_retention(self, retention: Duration) -> Materialized[K, V]:
        """A versioned store: every version of a row is kept this long, and joins ask for the one of their time."""
        return replace(self, history_retention_ms=milliseconds(retention, "history retention"))

    def with_store_type(self, store_type: str) -> Materialized[K, V]:
        """`rocksDB` (the default, on disk) or `in_memory`."""
        return replace(self, in_memory=store_type.lower() == "in_memory")


def _fields(options: Any) -> dict[str, Any]:
    return {name: getattr(options, name) for name in options.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Joined(Generic[K, V, V2]):
    """How a stream is joined with a table."""

    key: Serde[K] | None = None
    value: Serde[V] | None = None
    other_value: Serde[V2] | None = None
    name: str | None = None
    grace_ms: int | None = None

    @staticmethod
    def with_(
        key: SerdeLike[K] | None = None,
        value: SerdeLike[V] | None = None,
        other_value: SerdeLike[V2] | None = None,
        name: str | None = None,
        grace: Duration | None = None,
    ) -> Joined[K, V, V2]:
        """The types, the name of the join, and how long records wait for a versioned table."""
        grace_ms = None if grace is None else milliseconds(grace, "grace")
        return Joined(serde_of(key), serde_of(value), serde_of(other_value), name, grace_ms)

    @staticmethod
    def as_(name: str) -> Joined[Any, Any, Any]:
        """The name of the join."""
        return Joined(name=name)

    def with_grace_period(self, grace: Duration) -> Joined[K, V, V2]:
        """Hold stream records back this long, so that the versioned table knows what was true at their time."""
        return replace(self, grace_ms=milliseconds(grace, "grace"))


@dataclass(frozen=True, slots=True)
class TableJoined:
    """How two tables are joined by a foreign key: the name of the nodes, and who chooses partitions.

    A partitioner is asked with a value of None: that of this table for its keys, the other's for the foreign ones.
    """

    name: str | None = None
    partitioner: Partitioner | None = None
    other_partitioner: Partitioner | None = None

    @staticmethod
    def as_(name: str) -> TableJoined:
        """The base name of nodes and topics."""
        return TableJoined(name)

    @staticmethod
    def with_(partitioner: Partitioner | None = None, other_partitioner: Partitioner | None = None) -> TableJoined:
        """The partitioners that the two tables' topics were written with."""
        return TableJoined(None, partitioner, other_partitioner)


@dataclass(frozen=True, slots=True)
class StreamJoined(Generic[K, V, V2]):
    """How two streams are joined: types, names of node and stores, changelogs."""

    key: Serde[K] | None = None
    value: Serde[V] | None = None
    other_value: Serde[V2] | None = None
    name: str | None = None
    store_name: str | None = None
    logged: bool = True
    in_memory: bool = False

    @staticmethod
    def with_(
        key: SerdeLike[K] | None = None,
        value: SerdeLike[V] | None = None,
        other_value: SerdeLike[V2] | None = None,
    ) -> StreamJoined[K, V, V2]:
        """The types of keys and both values."""
        return StreamJoined(serde_of(key), serde_of(value), serde_of(other_value))

    @staticmethod
    def as_(store_name: str) -> StreamJoined[Any, Any, Any]:
        """The base name of the stores."""
        return StreamJoined(store_name=store_name)

    def with_name(self, name: str) -> StreamJoined[K, V, V2]:
        """The same with the name of the nodes."""
        return replace(self, name=name)

    def with_store_name(self, store_name: str) -> StreamJoined[K, V, V2]:
        """The same with the base name of the stores."""
        return replace(self, store_name=store_name)

    def with_logging_disabled(self) -> StreamJoined[K, V, V2]:
        """No changelogs."""
        return replace(self, logged=False)


@dataclass(frozen=True, slots=True)
class Branched:
    """The name of a branch, and what is done with it at once."""

    name: str | None = None
    chain: Callable[[Any], Any] | None = None

    @staticmethod
    def as_(name: str) -> Branched:
        """The name, which the split's is put before."""
        return Branched(name)

    @staticmethod
    def with_function(chain: Callable[[Any], Any], name: str | None = None) -> Branched:
        """A function of the branch; what it returns stands in the result, nothing if that is None."""
        return Branched(name, chain)

    with_consumer = with_function


def key_value_spec(stored: Materialized[Any, Any], name: str) -> StoreSpec:
    """The store of a table that is not windowed."""
    return StoreSpec(
        name,
        "timestamped" if stored.history_retention_ms is None else "versioned",
        stored.key,
        stored.value,
        logged=stored.logged,
        in_memory=stored.in_memory,
        cached=stored.cached,
        retention_ms=stored.history_retention_ms,
        log_config=stored.log_config,
    )


def _time_in(expression: Expression) -> TimestampExtractor:
    time_of = expression.function

    def extract(timestamp: int, key: Any, value: Any, partition_time: int) -> int:
        found: int = time_of(value)
        return found

    return extract
