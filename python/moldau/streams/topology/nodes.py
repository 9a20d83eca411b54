"""The nodes of a topology, as they are built: sources, processors, sinks, and the stores between them.

Plain facts without behaviour. `moldau.streams.task` turns a set of nodes into running functions; `describe` turns them
into Kafka's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from moldau.streams.operators.contract import Header, Headers, Operator
from moldau.streams.serdes import Serde

TimestampExtractor = Callable[[int, Any, Any, int], int]
"""`extractor(record_timestamp, key, value, partition_time) -> timestamp`, in ms; a negative one drops the record."""

TopicChooser = Callable[[Any, Any, Headers], str]
"""`chooser(key, value, headers) -> topic` of a sink whose topic depends on the record."""

Partitioner = Callable[[str, Any, Any, int], int | None]
"""`partitioner(topic, key, value, partition_count) -> partition`, None for the default."""

OffsetReset = Literal["earliest", "latest", "none"]


@dataclass(frozen=True, slots=True)
class SourceNode:
    """Reads topics (or those whose name matches a pattern) and hands records on, decoded."""

    name: str
    topics: tuple[str, ...]
    key: Serde[Any] | None
    value: Serde[Any] | None
    pattern: re.Pattern[str] | None = None
    timestamp_extractor: TimestampExtractor | None = None
    offset_reset: OffsetReset | None = None


@dataclass(frozen=True, slots=True)
class ProcessorNode:
    """One operator behind its parents, with the stores that it uses (added as they are connected)."""

    name: str
    operator: Operator
    parents: tuple[str, ...]
    stores: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SinkNode:
    """Writes to a topic, or to the one that is chosen per record."""

    name: str
    topic: str | TopicChooser
    parents: tuple[str, ...]
    key: Serde[Any] | None
    value: Serde[Any] | None
    partitioner: Partitioner | None = None


Node = SourceNode | ProcessorNode | SinkNode

_MINUTE_MS: Final = 60_000

StoreKind = Literal[
    "key_value",
    "timestamped",
    "versioned",
    "window",
    "join_window",
    "join_buffer",
    "session",
    "suppress",
    "waiting",
    "custom",
]


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A store that is still to be opened: what it holds, and how its changelog is kept.

    `open_store` of the task decides which implementation serves it. `timestamped` and `window` hold pairs of value and
    timestamp, the others plain values; `join_window` keeps duplicates, `join_buffer` waits for partners, `suppress` for
    later updates,
    `waiting` for time to pass. Of one that is `cached` updates may be merged between two commits. Times in ms.
    """

    name: str
    kind: StoreKind
    key: Serde[Any] | None = None
    value: Serde[Any] | None = None
    other_value: Serde[Any] | None = None
    logged: bool = True
    in_memory: bool = False
    cached: bool = False
    retention_ms: int | None = None
    window_size_ms: int | None = None
    emits_on_close: bool = False
    log_config: Mapping[str, str] = field(default_factory=dict)
    make: Callable[[], Any] | None = None

    @property
    def changelog_headers(self) -> list[Header]:
        """What Kafka writes on each record of the changelog: the version of a format that has changed before."""
        return [("v", b"\x03")] if self.kind == "suppress" else []

    @property
    def segment_interval_ms(self) -> int:
        """How much time goes at once when its retention is over, of a windowed kind: Kafka's half of the retention."""
        assert self.retention_ms is not None
        return max(self.retention_ms // 2, _MINUTE_MS)


@dataclass(frozen=True, slots=True)
class RepartitionTopic:
    """An internal topic between two sub-topologies; without a count it gets as many partitions as its sources have."""

    name: str
    partitions: int | None = None


@dataclass(frozen=True, slots=True)
class GlobalStore:
    """A store that every instance fills with all partitions of one topic, through one processor, before it starts."""

    source: str
    processor: str
    store: str
    topic: str
