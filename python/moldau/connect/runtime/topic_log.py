"""A compacted topic as a worker keeps its state in: created if it is not there, read from its start, written to.

A thread reads; whatever changes the state of a worker comes from there, in the topic's order, its own writes too.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ConfigResource, NewTopic, ResourceType

from moldau.client import AdminClient, Consumer, Producer
from moldau.connect.errors import ConfigError, ConnectError

logger: Final = logging.getLogger("moldau.connect.topics")

POLL_S: Final = 0.2
ASK_AGAIN_S: Final = 0.2
BATCH: Final = 1000
ASK_TIMEOUT_S: Final = 30.0
ANSWER_S: Final = 5.0
"""Where a topic ends is asked again after this time, if somebody still wants to know."""
WRITE_TIMEOUT_S: Final = 30.0
FLUSH_S: Final = 5.0

Pair = tuple[str | bytes, bytes | None]
Apply = Callable[[bytes | None, bytes | None, int], None]
"""(key, value, offset), in the reading thread."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The settings of the clients of a topic, in librdkafka's or Java's names."""

    producer: Mapping[str, Any]
    consumer: Mapping[str, Any]
    admin: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """A topic of the worker's own; `setting` is the name of the setting that names it, for messages."""

    name: str
    setting: str
    partitions: int = 1
    replication_factor: int = 3
    config: Mapping[str, str] = field(default_factory=dict)
    single_partition: bool = False


class TopicLog:
    """One topic. `apply` is called by the reading thread; everything else may be called by any."""

    def __init__(self, topic: TopicSettings, clients: Clients, apply: Apply) -> None:
        self.topic = topic
        self._clients = clients
        self._apply = apply
        self._changed = threading.Condition()
        self._positions: dict[int, int] = {}
        self._closing = threading.Event()
        self._failure: BaseException | None = None
        self._reader = threading.Thread(target=self._read, name=f"connect-{topic.name}", daemon=True)
        self._producer: Producer | None = None
        self._producing = threading.Lock()
        self.replacements = 0
        """How many producers have failed for good; what they had may be lost, and whoever sent it not told."""
        self._watcher: Consumer | None = None

    def start(self) -> None:
        """Make sure of the topic, and return when everything that is in it was applied.

        Raises:
            ConfigError: the topic cannot be used as it is.
            ConnectError: the cluster does not answer, or not in time.
        """
        make_sure_of(self.topic, self._clients.admin)
        watcher = Consumer(self._consumer_settings())
        partitions = watcher.list_topics(self.topic.name, ASK_TIMEOUT_S).topics[self.topic.name].partitions
        if self.topic.single_partition and len(partitions) != 1:
            raise ConfigError(
                f"Topic '{self.topic.name}' supplied via the '{self.topic.setting}' property is required to have a "
                "single partition in order to guarantee consistency of connector configurations, but found "
                f"{len(partitions)} partitions."
            )
        self._positions = dict.fromkeys(partitions, 0)
        self._reader.start()
        # A transaction that somebody left open who was killed holds up nobody's start: what it may still commit is
        # waited for by whoever needs it.
        ends = self._ends(watcher, time.monotonic() + ASK_TIMEOUT_S)
        watcher.close()
        if ends is None:
            raise ConnectError(f"cannot see where {self.topic.name} ends: the cluster does not answer, or not in time")
        self._wait_for(ends, time.monotonic() + ASK_TIMEOUT_S)
        # From here on it asks for the end with what is in open transactions.
        self._watcher = Consumer({**self._consumer_settings(), "isolation.level": "read_uncommitted"})

    def stop(self) -> None:
        """Stop reading and writing; what is on its way has a few seconds."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._reader.is_alive() and self._reader is not threading.current_thread():
            self._reader.join(FLUSH_S)
        with self._producing:
            producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.flush(FLUSH_S)
            except KafkaException as error:
                logger.warning("what was last written to %s may be lost: %s", self.topic.name, error.args[0].str())
        # Let go of, not closed: somebody may be asking for the end, and closes it with his answer.
        self._watcher = None

    def read_to_end(self, timeout_s: float = ASK_TIMEOUT_S, given_up: Callable[[], bool] | None = None) -> None:
        """Return when everything is applied that stands in the topic at this moment.

        Transactions that are open at this moment are waited for. With `given_up` that takes as long as it takes, or
        until it says True.

        Raises:
            ConnectError: the cluster does not answer, or not in time.
        """
        watcher = self._watcher
        if watcher is None:
            raise ConnectError(f"{self.topic.name} is not read any more: the worker stops")
        deadline = time.monotonic() + timeout_s
        ends = self._ends(watcher, deadline, given_up)
        while ends is None and given_up is not None and not given_up() and not self._closing.is_set():
            ends = self._ends(watcher, time.monotonic() + timeout_s, given_up)
        if ends is None:
            if given_up is not None and given_up():
                return
            raise ConnectError(f"cannot see where {self.topic.name} ends: the cluster does not answer, or not in time")
        self._wait_for(ends, deadline, given_up)

    def _wait_for(self, ends: dict[int, int], deadline: float, given_up: Callable[[], bool] | None = None) -> None:
        with self._changed:
            while any(self._positions[partition] < end for partition, end in ends.items()):
                if self._failure is not None:
                    raise ConnectError(f"{self.topic.name} is not read any more: {self._failure}") from self._failure
                left = deadline - time.monotonic() if given_up is None else POLL_S
                if left <= 0 or self._closing.is_set():
                    raise ConnectError(f"{self.topic.name} was not read to its end in time")
                if given_up is not None and given_up():
                    return
                self._changed.wait(left)

    def _ends(
        self, watcher: Consumer, deadline: float, given_up: Callable[[], bool] | None = None
    ) -> dict[int, int] | None:
        """Where the partitions end; None when the cluster does not say so before the deadline.

        Who gives up himself has no deadline but for answers that do not come.
        """
        ends: dict[int, int] = {}
        waiting = list(self._positions)
        while waiting:
            place = TopicPartition(self.topic.name, waiting[-1])
            try:
                left_s = max(deadline - time.monotonic(), 1)
                marks = watcher.get_watermark_offsets(place, timeout=min(left_s, ANSWER_S))
            except KafkaException as error:
                # A node that goes away in the middle of the question ends it at once; it, or another, is there soon.
                logger.info("cannot see where %s ends: %s", self.topic.name, error.args[0].str())
                if time.monotonic() >= deadline or (given_up is not None and given_up()):
                    return None
                if self._closing.wait(ASK_AGAIN_S):
                    return None
                continue
            ends[waiting.pop()] = int(marks[1])
            late = time.monotonic() >= deadline if given_up is None else given_up()
            if waiting and late:
                # Each answers, but so slowly that all of them take too long.
                return None
        return ends

    def write(self, pairs: Sequence[Pair], timeout_s: float = WRITE_TIMEOUT_S) -> None:
        """Append records, in their order, and return when they are acknowledged.

        Raises:
            ConnectError: they were not.
        """
        failures: list[KafkaError] = []
        done = threading.Semaphore(0)

        def report(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                failures.append(error)
            done.release()

        for key, value in pairs:
            self.send(key, value, report)
        deadline = time.monotonic() + timeout_s
        for _ in pairs:
            while not done.acquire(blocking=False):
                if time.monotonic() > deadline:
                    raise ConnectError(f"a write to {self.topic.name} was not acknowledged within {timeout_s:g} s")
                self.poll(0.05)
        if failures:
            raise ConnectError(f"a write to {self.topic.name} failed: {failures[0].str()}")

    def send(
        self, key: str | bytes, value: bytes | None, report: Callable[[KafkaError | None, Any], None] | None = None
    ) -> None:
        """Append one record; `report` is called by a later `poll` or `write` of any thread. Raises KafkaException."""
        producer = self._opened_producer()
        while True:
            try:
                producer.produce(self.topic.name, value, key, on_delivery=report)
                return
            except BufferError:
                self.poll(0.1)
                producer = self._opened_producer()
            except KafkaException as error:
                if not self._is_replaced(producer, error):
                    raise
                producer = self._opened_producer()

    def poll(self, timeout_s: float = 0) -> None:
        """Have delivery reports called."""
        producer = self._opened_producer()
        try:
            producer.poll(timeout_s)
        except KafkaException as error:
            if not self._is_replaced(producer, error):
                raise

    def _is_replaced(self, producer: Producer, error: KafkaException) -> bool:
        """Whether a producer is of no more use and will be another one; what it had is reported as failed."""
        reason = error.args[0]
        if not (reason.fatal() or reason.code() == KafkaError._FATAL):  # noqa: SLF001 (librdkafka's name for it)
            return False
        logger.warning("the producer for %s has failed, and is replaced: %s", self.topic.name, reason.str())
        with self._producing:
            if self._producer is producer:
                self._producer = None
                self.replacements += 1
        with contextlib.suppress(KafkaException):
            producer.purge()
        with contextlib.suppress(KafkaException):
            producer.flush(FLUSH_S)
        return True

    def _opened_producer(self) -> Producer:
        with self._producing:
            if self._producer is None:
                self._producer = Producer(
                    {
                        "acks": "all",
                        "enable.idempotence": True,
                        "linger.ms": 0,
                        "delivery.timeout.ms": int(WRITE_TIMEOUT_S * 1000),
                        **self._clients.producer,
                    }
                )
            return self._producer

    def _consumer_settings(self) -> dict[str, Any]:
        return {
            "isolation.level": "read_committed",
            # As long takes it to hear that the end was reached, which a start waits for.
            "fetch.wait.max.ms": 100,
            "topic.metadata.refresh.interval.ms": 10_000,
            **self._clients.consumer,
            "group.id": "unused",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }

    # The reading thread.

    def _read(self) -> None:
        consumer = Consumer(self._consumer_settings())
        try:
            consumer.assign([TopicPartition(self.topic.name, each, OFFSET_BEGINNING) for each in self._positions])
            while not self._closing.is_set():
                first = consumer.poll(POLL_S)
                if first is not None:
                    self._take([first, *consumer.consume(BATCH, timeout=0)])
        except Exception as error:
            logger.exception("the worker no longer reads %s", self.topic.name)
            self._failure = error
        finally:
            consumer.close()
            with self._changed:
                self._changed.notify_all()

    def _take(self, messages: Sequence[Any]) -> None:
        for message in messages:
            error = message.error()
            if error is None:
                try:
                    self._apply(message.key(), message.value(), message.offset())
                except Exception:
                    # One record that nobody can read is no reason to read no more.
                    logger.exception("a record of %s at offset %d was skipped", self.topic.name, message.offset())
                position = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (that is its name)
                # Transaction markers take offsets too; only the end of the partition tells about them.
                position = message.offset()
            else:
                logger.warning("reading %s: %s", self.topic.name, error.str())
                continue
            with self._changed:
                self._positions[message.partition()] = max(self._positions[message.partition()], position)
                self._changed.notify_all()


def make_sure_of(topic: TopicSettings, client: Mapping[str, Any]) -> None:
    """Create a compacted topic unless it is there, and see that it is compacted.

    Raises:
        ConfigError: it throws records away.
        ConnectError: the cluster does not answer, or refuses.
    """
    admin = AdminClient(client)
    try:
        metadata = admin.list_topics(timeout=ASK_TIMEOUT_S)
        if topic.name not in metadata.topics:
            factor = min(topic.replication_factor, len(metadata.brokers)) if topic.replication_factor > 0 else -1
            config = {"cleanup.policy": "compact", **topic.config}
            created = admin.create_topics([NewTopic(topic.name, topic.partitions, factor, config=config)])
            _unless_it_exists(created[topic.name])
            while topic.name not in admin.list_topics(topic.name, ASK_TIMEOUT_S).topics:
                time.sleep(0.1)
            return
        resource = ConfigResource(ResourceType.TOPIC, topic.name)
        configs = admin.describe_configs([resource])[resource].result(ASK_TIMEOUT_S)
    except KafkaException as error:
        raise ConnectError(f"cannot make sure of the topic {topic.name}: {error.args[0].str()}") from error
    policy = configs["cleanup.policy"].value if "cleanup.policy" in configs else "compact"
    if policy != "compact":
        raise ConfigError(
            f"Topic '{topic.name}' supplied via the '{topic.setting}' property is required to have "
            "'cleanup.policy=compact' to guarantee consistency and durability of connector configurations, source "
            f"connector offsets and statuses, but found the topic currently has 'cleanup.policy={policy}'. "
            "Change the topic's cleanup.policy, or name another topic."
        )


def _unless_it_exists(future: Any) -> None:
    try:
        future.result(ASK_TIMEOUT_S)
    except KafkaException as error:
        # Another worker that starts at the same moment was faster.
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def text_of(key: bytes | str | None) -> str | None:
    """The key of a record as text."""
    return key.decode(errors="replace") if isinstance(key, bytes) else key
