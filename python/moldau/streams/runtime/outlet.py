"""What leaves a thread, and through what: which collector a session has, and what it may expect of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from moldau.client.membership import Brokers, Commit, GroupMetadata
from moldau.client.producing import RecordProducer, produce_settings
from moldau.client.protocol.partitions import Partition
from moldau.streams.operators.contract import Header
from moldau.streams.runtime.batch_collector import BatchCollector
from moldau.streams.runtime.emitting import EmitColumns
from moldau.streams.runtime.environment import Environment
from moldau.streams.runtime.exception_handlers import Failure
from moldau.streams.runtime.left_out import LeftOut
from moldau.streams.runtime.transaction_collector import TransactionCollector
from moldau.streams.state.contract import ChangelogWriter
from moldau.streams.task import Emit


class Collector(Protocol):
    """The output of one thread. Belongs to that thread."""

    changelog_positions: dict[Partition, int]
    """The offset after the last record that was delivered to a changelog partition."""
    sent: int

    def initialise(self) -> None:
        """Fence whoever has written in our name, where there are transactions."""

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

    @property
    def wants_commit(self) -> bool:
        """Whether to commit at once, although it is not time."""

    def commit(self, offsets: Mapping[Partition, Commit], group: GroupMetadata) -> None:
        """Commit the transaction with these offsets; begin one if nothing was written since the last."""

    def abort(self) -> None:
        """Undo what was written since the last commit, as far as that can be said to the cluster."""

    def close(self) -> None:
        """Let the producer go."""


def collector_for(environment: Environment, index: int, left_out: LeftOut) -> Collector:
    """What a thread writes with.

    Raises:
        ClientSettingsError: the settings of the producer cannot be used.
    """
    settings = environment.settings
    native = settings.producer(environment.client_id(index, "producer"), environment.transactional_id(index))
    patience_s = settings.task_timeout_ms / 1000
    handler, letters = settings.production_exception_handler, settings.errors_dead_letter_queue_topic_name
    producer = RecordProducer(Brokers(native), produce_settings(native))
    if settings.exactly_once:
        return TransactionCollector(
            producer, handler=handler, patience_s=patience_s, dead_letters=letters, left_out=left_out
        )
    return BatchCollector(producer, handler=handler, patience_s=patience_s, dead_letters=letters)
