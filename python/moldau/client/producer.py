"""The producer: confluent-kafka's, with Java's spellings, Java's partitions, and a transaction as a `with` block.

Everything confluent-kafka's Producer has works as there, at the same speed: `produce`, `poll` and `flush` are its own
C functions, not wrapped. Only a producer whose partitions are chosen by a Python callable pays for a Python `produce`;
that is `PartitioningProducer`, and `Producer(..., partitioner=f)` makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from moldau.client.defaults import with_producer_defaults
from moldau.client.partitioner import PARTITION_UNASSIGNED, PartitionChooser, Partitioner
from moldau.client.settings import Role
from moldau.client.transaction import transact
from moldau.client.translation import construct, merged, translate

if TYPE_CHECKING:
    from moldau.client.consumer import Consumer

DeliveryCallback = Callable[[KafkaError | None, Message], None]
Headers = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]]

MAX_BLOCK_MS = 60_000
METADATA_REFRESH_MS = 300_000


class Producer(confluent_kafka.Producer):
    """Produces records to a Kafka cluster.

    Settings come as a dictionary, as keywords (`bootstrap_servers=...`), or both; Java's names are understood.
    `partitioner` is one of librdkafka's names (`murmur2_random` if not given, as in Java) or a callable
    `(key_bytes, all_partitions, available) -> partition`.

    Raises ClientSettingsError (a KafkaException) if a setting cannot be used.
    """

    def __new__(cls, config: Mapping[str, Any] | None = None, /, **settings: Any) -> Self:
        """Chooses the class that asks a callable, so that the others need not look for one on each record."""
        chosen = merged(config, settings).get("partitioner")
        if callable(chosen) and not issubclass(cls, PartitioningProducer):
            if cls is not Producer:
                raise TypeError(f"{cls.__name__} has a partitioner in Python: derive it from PartitioningProducer")
            return super().__new__(PartitioningProducer)  # type: ignore[return-value]
        return super().__new__(cls)

    def __init__(self, config: Mapping[str, Any] | None = None, /, **settings: Any) -> None:
        given = merged(config, settings)
        if callable(given.get("partitioner")):
            del given["partitioner"]
        translation = translate(Role.PRODUCER, given)
        self._transactions_ready = False
        self._max_block_ms: int = translation.ours.get("max.block.ms", MAX_BLOCK_MS)
        native = with_producer_defaults(translation.native)
        refresh_ms = int(native.get("topic.metadata.refresh.interval.ms", METADATA_REFRESH_MS))
        self._metadata_refresh_ms = refresh_ms if refresh_ms > 0 else METADATA_REFRESH_MS
        construct(Role.PRODUCER, super().__init__, native)

    def init_transactions(self, timeout: float = -1) -> None:
        """Make this producer the only one with its `transactional.id`; needed once, before the first transaction."""
        super().init_transactions(timeout)
        self._transactions_ready = True

    @contextmanager
    def transaction(self, *, offsets_from: Consumer | None = None, timeout: float = -1) -> Iterator[Self]:
        """One transaction: committed when the block ends, aborted when it raises.

        With `offsets_from`, the positions of that consumer are committed in the same transaction, and an abort sends
        the consumer back to what is committed, so that the next `consume` returns the same messages again.
        `timeout` in seconds is for each call to the coordinator; -1 leaves it to `transaction.timeout.ms`.

        Raises what the block raised, or KafkaException if the transaction could not be committed; it is aborted then.
        """
        if not self._transactions_ready:
            self.init_transactions(timeout)
        with transact(self, offsets_from, timeout):
            yield self


class PartitioningProducer(Producer):
    """A producer that asks a Python callable for the partition of each record that has a key."""

    def __init__(self, config: Mapping[str, Any] | None = None, /, **settings: Any) -> None:
        given = merged(config, settings)
        partitioner: Partitioner = given.pop("partitioner")
        super().__init__(given)
        self._chooser = PartitionChooser(
            partitioner,
            super().list_topics,
            max_block_ms=self._max_block_ms,
            max_age_ms=self._metadata_refresh_ms,
        )

    def produce(
        self,
        topic: str,
        value: str | bytes | None = None,
        key: str | bytes | None = None,
        partition: int = PARTITION_UNASSIGNED,
        callback: DeliveryCallback | None = None,
        on_delivery: DeliveryCallback | None = None,
        timestamp: int = 0,
        headers: Headers | None = None,
    ) -> None:
        """As confluent-kafka's, with the partition asked from the callable unless it is given."""
        if partition == PARTITION_UNASSIGNED:
            partition = self._chooser.choose(topic, key)
        report = callback or on_delivery
        if report is None:
            super().produce(topic, value, key, partition, timestamp=timestamp, headers=headers)
        else:
            super().produce(topic, value, key, partition, on_delivery=report, timestamp=timestamp, headers=headers)

    def produce_batch(
        self,
        topic: str,
        messages: list[dict[str, Any]],
        partition: int = PARTITION_UNASSIGNED,
        callback: DeliveryCallback | None = None,
        on_delivery: DeliveryCallback | None = None,
    ) -> int:
        """Refused: confluent-kafka gives a whole batch one partition, so the callable could not be asked."""
        raise KafkaException(
            KafkaError(KafkaError._NOT_IMPLEMENTED, "produce_batch() cannot ask a partitioner: call produce()")  # noqa: SLF001
        )
