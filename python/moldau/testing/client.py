"""What a test does with a broker: send some records, read them back, look around; everything is closed at its end."""

from __future__ import annotations

import contextlib
import functools
import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from moldau.client import AdminClient, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

OFFSET_BEGINNING = -2
CLOSE_TIMEOUT_S = 10.0
READ_SLICE_S = 0.2

Record = bytes | str | None | tuple[bytes | str | None, bytes | str | None]
"""A value, or a key and a value."""


class KafkaClient:
    """Producers, consumers and an admin client of one cluster, for the time of a test."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    @functools.cached_property
    def admin(self) -> AdminClient:
        """An admin client, made when it is first used."""
        return AdminClient(bootstrap_servers=self.bootstrap_servers)

    def producer(self, **settings: Any) -> Producer:
        """A producer; settings are written with underscores for dots. It is flushed at the end of the test."""
        producer = Producer({"bootstrap.servers": self.bootstrap_servers}, **settings)
        self._open.callback(producer.flush, CLOSE_TIMEOUT_S)
        return producer

    def consumer(self, *topics: str, **settings: Any) -> Consumer:
        """A consumer of these topics from their beginning, in a group of its own unless `group_id` is given."""
        defaults = {
            "bootstrap.servers": self.bootstrap_servers,
            "group.id": f"test-{uuid.uuid4().hex[:12]}",
            "auto.offset.reset": "earliest",
        }
        consumer = Consumer(defaults, **settings)
        self._open.callback(consumer.close)
        if topics:
            consumer.subscribe(topics)
        return consumer

    def send(self, topic: str, *records: Record, timeout: float = 10.0, **settings: Any) -> list[Message]:
        """Produce records and wait until they are acknowledged; each is a value or a pair of key and value.

        Returns the acknowledged messages, in the order given. Raises KafkaException if one was refused, TimeoutError
        if one was not acknowledged within `timeout` seconds.
        """
        producer = Producer({"bootstrap.servers": self.bootstrap_servers}, **settings)
        reports: dict[int, tuple[KafkaError | None, Message]] = {}
        for index, record in enumerate(records):
            key, value = record if isinstance(record, tuple) else (None, record)

            def report(error: KafkaError | None, message: Message, index: int = index) -> None:
                reports[index] = error, message

            producer.produce(topic, value, key, on_delivery=report)
        producer.flush(timeout=timeout)
        for error, _ in reports.values():
            if error is not None:
                raise KafkaException(error)
        if len(reports) < len(records):
            raise TimeoutError(f"{len(reports)} of {len(records)} records were acknowledged within {timeout} s")
        return [reports[index][1] for index in range(len(records))]

    def read(self, topic: str, count: int, timeout: float = 10.0, **settings: Any) -> list[Message]:
        """The first `count` records of a topic, those of one partition in their order.

        Joins no group and commits nothing. Raises TimeoutError if there are fewer after `timeout` seconds, and
        KafkaException if the topic cannot be read.
        """
        deadline_s = time.monotonic() + timeout
        found: list[Message] = []
        with Consumer(
            {"bootstrap.servers": self.bootstrap_servers, "group.id": "unused", "enable.auto.commit": False}, **settings
        ) as consumer:
            consumer.assign(self._from_the_beginning(consumer, topic, timeout))
            while len(found) < count:
                if time.monotonic() > deadline_s:
                    raise TimeoutError(f"{len(found)} of {count} records of {topic} came within {timeout} s")
                for message in consumer.consume(count - len(found), timeout=READ_SLICE_S):
                    error = message.error()
                    if error is not None:
                        raise KafkaException(error)
                    found.append(message)
        return found

    def _from_the_beginning(self, consumer: Consumer, topic: str, timeout: float) -> Sequence[TopicPartition]:
        metadata = consumer.list_topics(topic, timeout=timeout).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in metadata.partitions]
