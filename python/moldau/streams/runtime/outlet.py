"""What leaves a thread, and through what: which collector a session has, and what it may expect of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import confluent_kafka

from moldau._core import ColumnRun
from moldau.client.membership import Brokers
from moldau.client.producing import RecordProducer, produce_settings, unserved
from moldau.streams.operators.contract import Header
from moldau.streams.runtime.batch_collector import BatchCollector
from moldau.streams.runtime.collector import LeftOut, RecordCollector
from moldau.streams.runtime.environment import Environment
from moldau.streams.runtime.exception_handlers import Failure
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.task import Emit

logger: Final = logging.getLogger("moldau.streams")

EmitColumns = Callable[[Sequence[str], ColumnRun], None]
"""`emit_columns(topics, run)`: the records of each output of a run out of its sink, by the topology's names."""


class Collector(Protocol):
    """The output of one thread. Belongs to that thread."""

    changelog_positions: dict[tuple[str, int], int]
    """The offset after the last record that was delivered to a changelog partition."""
    sent: int

    def begin(self) -> None:
        """Begin a transaction, where there are transactions and none is open."""

    def emitter(self, on_cluster: Callable[[str], str]) -> Emit:
        """The function that the sinks of a task write with; `on_cluster` gives the cluster's name of a topic."""

    def columns_emitter(self, on_cluster: Callable[[str], str]) -> EmitColumns:
        """The same for whole runs."""

    def changelog(self, topic: str, partition: int, headers: list[Header]) -> ChangelogWriter:
        """The function that a store's changes are written with."""

    def dead_letter(self, failure: Failure) -> None:
        """Write a record that is left behind to the dead letters, if there are any."""

    def serve(self) -> None:
        """Take what is said of deliveries, and raise what it says."""

    def flush(self) -> None:
        """Wait until everything is delivered."""

    def commit(self, offsets: list[confluent_kafka.TopicPartition], group_metadata: Any) -> None:
        """Commit the transaction with these offsets; begin one if nothing was written since the last."""

    def abort(self) -> None:
        """Undo what was written since the last commit, as far as that can be said to the cluster."""

    def close(self) -> None:
        """Let the producer go."""


def collector_for(environment: Environment, index: int, left_out: LeftOut) -> Collector:
    """What a thread writes with.

    Without transactions that is a producer of our own, which takes whole runs. Transactions, and what is asked of
    librdkafka by name, are librdkafka's.

    Raises:
        ClientSettingsError: the settings of the producer cannot be used.
    """
    settings = environment.settings
    native = settings.producer(environment.client_id(index, "producer"), environment.transactional_id(index))
    patience_s = settings.task_timeout_ms / 1000
    handler, letters = settings.production_exception_handler, settings.errors_dead_letter_queue_topic_name
    foreign = unserved(native)
    if not foreign:
        producer = RecordProducer(Brokers(native), produce_settings(native))
        return BatchCollector(producer, handler=handler, patience_s=patience_s, dead_letters=letters)
    if not settings.exactly_once:
        logger.info("librdkafka's producer writes, one record after the other, because of %s", ", ".join(foreign))
    collector: RecordCollector | None = None

    def failed(error: Any) -> None:
        if collector is not None:
            collector.client_failed(error)

    collector = RecordCollector(
        confluent_kafka.Producer({**native, "error_cb": failed}),
        exactly_once=settings.exactly_once,
        handler=handler,
        left_out=left_out,
        patience_s=patience_s,
        dead_letters=letters,
    )
    return collector
