"""confluent-kafka: librdkafka, the client of the guide."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from tests.conformance.clients import Client, ClientError, MemberState, Record, Start
from tests.conformance.clients.polling_member import PollingMember

TIMEOUT_S = 20.0
CODES = {"TOPIC_ALREADY_EXISTS": "TOPIC_ALREADY_EXISTS", "UNKNOWN_TOPIC_OR_PART": "UNKNOWN_TOPIC_OR_PARTITION"}


def _wait(futures: Mapping[Any, Any]) -> Any:
    """The result of the only future of an admin call, its error as ours."""
    (future,) = futures.values()
    try:
        return future.result(TIMEOUT_S)
    except KafkaException as raised:
        name = raised.args[0].name()
        raise ClientError(CODES.get(name, name), raised.args[0].str()) from raised


class _Member(PollingMember):
    def __init__(self, settings: dict[str, Any], topic: str) -> None:
        super().__init__()
        self.consumer = Consumer(settings)
        self.topic = topic

    def open(self) -> None:
        self.consumer.subscribe([self.topic], on_assign=self._assigned, on_revoke=self._revoked)

    def _assigned(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        self.partitions = frozenset(partition.partition for partition in partitions)

    def _revoked(self, _consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self.partitions = frozenset()

    def poll(self) -> int:
        messages = self.consumer.consume(500, 0.1)
        return sum(1 for message in messages if message.error() is None)

    def commit(self) -> None:
        self.consumer.commit(asynchronous=False)

    def leave(self) -> None:
        self.consumer.close()


class _ConsumerProtocolMember(_Member):
    """In the consumer protocol the callbacks tell what is added and what is taken away, not everything."""

    def _assigned(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += 1
        self.partitions |= {partition.partition for partition in partitions}

    def _revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.partitions -= {partition.partition for partition in partitions}


class ConfluentKafka(Client):
    name = "confluent-kafka"

    def __post_init__(self) -> None:
        self.version = f"{confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})"
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        self._members: dict[str, _Member] = {}

    def produce(self, topic: str, records: Sequence[Record], compression: str = "none") -> list[tuple[int, int]]:
        settings = {
            "bootstrap.servers": self.bootstrap_servers,
            "enable.idempotence": True,
            "compression.type": compression,
            "linger.ms": 5,
        }
        producer = Producer(settings)
        reports: dict[int, Any] = {}
        for index, record in enumerate(records):
            optional: dict[str, int] = {}
            if record.partition is not None:
                optional["partition"] = record.partition
            if record.timestamp_ms is not None:
                optional["timestamp"] = record.timestamp_ms
            producer.produce(
                topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                on_delivery=lambda error, message, index=index: reports.update({index: (error, message)}),
                **optional,
            )
            producer.poll(0)
        assert producer.flush(TIMEOUT_S) == 0, "not every record was acknowledged in time"
        placed = []
        for index in range(len(records)):
            error, message = reports[index]
            if error is not None:
                raise ClientError(error.name(), error.str())
            placed.append((message.partition(), message.offset()))
        return placed

    def consume(
        self, topic: str, partitions: Sequence[int], start: Start, count: int, timeout_ms: int = 10_000
    ) -> list[Record]:
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap_servers, "group.id": "no-group", "enable.auto.commit": False}
        )
        if isinstance(start, int):
            wanted = [TopicPartition(topic, partition, start) for partition in partitions]
            assignment = consumer.offsets_for_times(wanted, TIMEOUT_S)
        else:
            offset = OFFSET_BEGINNING if start == "earliest" else OFFSET_END
            assignment = [TopicPartition(topic, partition, offset) for partition in partitions]
        consumer.assign(assignment)
        found: list[Record] = []
        deadline = time.monotonic() + timeout_ms / 1000
        while len(found) < count and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                if message.error() is not None:
                    raise ClientError(message.error().name(), message.error().str())
                found.append(_record(message))
        consumer.close()
        return found

    def offset_of(self, topic: str, partition: int, at: Start) -> int | None:
        specs = {"earliest": OffsetSpec.earliest, "latest": OffsetSpec.latest}
        spec = OffsetSpec.for_timestamp(at) if isinstance(at, int) else specs[at]()
        offset = _wait(self._admin.list_offsets({TopicPartition(topic, partition): spec})).offset
        return None if offset < 0 else int(offset)

    def join(self, member: str, group: str, topic: str, instance_id: str | None = None) -> None:
        settings = {
            "bootstrap.servers": self.bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "group.protocol": self.group_protocol,
        }
        if self.group_protocol == "classic":
            settings |= {"session.timeout.ms": 10_000, "heartbeat.interval.ms": 500}
        if instance_id is not None:
            settings["group.instance.id"] = instance_id
        kind = _Member if self.group_protocol == "classic" else _ConsumerProtocolMember
        self._members[member] = kind(settings, topic)
        self._members[member].start()

    def state(self, member: str) -> MemberState:
        return self._members[member].state()

    def commit(self, member: str) -> None:
        self._members[member].order("commit")

    def leave(self, member: str) -> None:
        if member in self._members:
            self._members.pop(member).order("leave")

    def committed(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number) for number in partitions])]
        answer = _wait(self._admin.list_consumer_group_offsets(wanted))
        return {entry.partition: entry.offset for entry in answer.topic_partitions if entry.offset >= 0}

    def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str] | None = None) -> None:
        _wait(self._admin.create_topics([NewTopic(topic, partitions, 1, config=dict(configs or {}))]))

    def partition_count(self, topic: str) -> int:
        metadata = self._admin.list_topics(topic, TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise ClientError(CODES.get(metadata.error.name(), metadata.error.name()))
        return len(metadata.partitions)

    def topic_config(self, topic: str) -> dict[str, str]:
        entries = _wait(self._admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))
        return {name: entry.value for name, entry in entries.items()}

    def set_topic_config(self, topic: str, key: str, value: str) -> None:
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        _wait(self._admin.incremental_alter_configs([resource]))

    def grow_topic(self, topic: str, partitions: int) -> None:
        _wait(self._admin.create_partitions([NewPartitions(topic, partitions)]))

    def delete_topic(self, topic: str) -> None:
        _wait(self._admin.delete_topics([topic]))

    def groups(self) -> set[str]:
        listing = self._admin.list_consumer_groups().result(TIMEOUT_S)
        return {group.group_id for group in listing.valid}

    def group_type(self, group: str) -> ConsumerGroupType:
        """Whether the group is of the classic or the consumer protocol."""
        listing = self._admin.list_consumer_groups().result(TIMEOUT_S)
        return next(each.type for each in listing.valid if each.group_id == group)

    def delete_group(self, group: str) -> None:
        _wait(self._admin.delete_consumer_groups([group]))

    def close(self) -> None:
        for member in list(self._members):
            self.leave(member)


class ConfluentConsumer(ConfluentKafka):
    """The same client with `group.protocol=consumer`."""

    name = "confluent-kafka-consumer"
    group_protocol = "consumer"


def _record(message: Any) -> Record:
    text = [None if part is None else part.decode() for part in (message.value(), message.key())]
    headers = tuple((name, value.decode()) for name, value in message.headers() or ())
    return Record(text[0], text[1], headers, message.partition(), message.timestamp()[1], message.offset())
