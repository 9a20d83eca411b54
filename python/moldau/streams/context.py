"""What the operators of one task share: its stores, its times, the place of the record in work, its counts.

The one who drives the task (the engine, the test driver) writes `topic`, `partition`, `offset` before a record and
reads the counts; operators only read. There is one of these per task and it is never shared between threads.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from moldau.streams.operators.aggregates import Adding
    from moldau.streams.operators.contract import Process, Sink
    from moldau.streams.operators.record_cache import RecordCaches
    from moldau.streams.punctuation import Punctuator
    from moldau.streams.state.contract import Store

EMIT_INTERVAL_MS: Final = 1000
"""How often, by the wall clock, a node looks for windows that have closed; Kafka's internal setting of that name."""

logger = logging.getLogger("moldau.streams")


class TaskContext:
    """One task's surroundings. Times are ms since 1970; `stream_time` is -1 before the first record."""

    __slots__ = (
        "adding",
        "application_id",
        "caches",
        "clock",
        "closed_windows",
        "closing",
        "dropped_records",
        "emit_interval_ms",
        "node_counts",
        "offset",
        "partition",
        "punctuators",
        "sinks",
        "stores",
        "stream_time",
        "table_sinks",
        "task_id",
        "timestamp",
        "topic",
    )

    def __init__(
        self, application_id: str, task_id: str, clock: Callable[[], int], emit_interval_ms: int = EMIT_INTERVAL_MS
    ) -> None:
        self.application_id = application_id
        self.task_id = task_id
        self.clock = clock
        self.emit_interval_ms = emit_interval_ms
        self.stores: dict[str, Store] = {}
        self.stream_time = -1
        self.topic: str | None = None
        self.partition = -1
        self.offset = -1
        self.timestamp = -1
        self.dropped_records: Counter[tuple[str, str]] = Counter()
        self.punctuators: list[Punctuator] = []
        self.caches: RecordCaches | None = None
        """Where updates are merged between commits; None where every update goes downstream."""
        self.adding: dict[str, Adding] = {}
        """By node the aggregates that somebody else may add to as well: columns."""
        self.sinks: dict[Process, Sink] = {}
        """By function the nodes that write what they are given into one topic."""
        self.table_sinks: dict[Process, Sink] = {}
        """The same for such as are given changes, of which they write the new values."""
        self.closing: list[Callable[[], None]] = []
        """What the processors of the task want to do when it is closed."""
        self.node_counts: Counter[str] | None = None
        """Records into each node; None where nobody wants to know, for counting costs."""
        self.closed_windows: dict[str, int] = {}
        """Per store whose windows are emitted when they close: up to where they were. It is kept with the offsets."""

    def store(self, name: str) -> Any:
        """A store of this task; raises KeyError that lists what there is."""
        try:
            return self.stores[name]
        except KeyError:
            raise KeyError(f"no store {name!r} in task {self.task_id}; there are: {sorted(self.stores)}") from None

    def dropped(self, node: str, reason: str) -> None:
        """Count a record under the node that dropped it, and log where it came from."""
        self.dropped_records[node, reason] += 1
        logger.debug("%s dropped a record of %s-%d at %d: %s", node, self.topic, self.partition, self.offset, reason)

    def dropped_at_once(self, node: str, reason: str, count: int) -> None:
        """The same for several records, whose places nobody knows any more."""
        self.dropped_records[node, reason] += count
        logger.debug("%s dropped %d records of %s-%d: %s", node, count, self.topic, self.partition, reason)
