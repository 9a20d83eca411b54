"""kafka-python: pure Python, its own protocol code."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import kafka
import kafka.errors
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import KafkaError
from tests.conformance.clients import Client, ClientError, MemberState, Record, Start
from tests.conformance.clients.polling_member import PollingMember

TIMEOUT_S = 20.0


def _code(error: KafkaError) -> str:
    """TopicAlreadyExistsError carries the protocol's own name."""
    return str(getattr(type(error), "message", "") or type(error).__name__)


class _Member(PollingMember, ConsumerRebalanceListener):
    def __init__(self, settings: dict[str, Any], topic: str) -> None:
        super().__init__()
        self.consumer = KafkaConsumer(**settings)
        self.topic = topic

    def open(self) -> None:
        self.consumer.subscribe([self.topic], listener=self)

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.rebalances += 1
        self.partitions = frozenset(entry.partition for entry in assigned)

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.partitions = frozenset()

    def poll(self) -> int:
        # kafka-python 3.0.12 drops a good SyncGroup answer, and stops heartbeating, when a poll times out while it
        # joins; so no short polls.
        return sum(len(records) for records in self.consumer.poll(1_000).values())

    def commit(self) -> None:
        self.consumer.commit()

    def leave(self) -> None:
        self.consumer.close(autocommit=False)


class KafkaPython(Client):
    name = "kafka-python"

    def __post_init__(self) -> None:
        self.version = kafka.__version__
        self._admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        self._members: dict[str, _Member] = {}

    def produce(self, topic: str, records: Sequence[Record], compression: str = "none") -> list[tuple[int, int]]:
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            enable_idempotence=True,
            compression_type=None if compression == "none" else compression,
            linger_ms=5,
        )
        futures = [
            producer.send(
                topic,
                value=None if record.value is None else record.value.encode(),
                key=None if record.key is None else record.key.encode(),
                headers=[(name, value.encode()) for name, value in record.headers],
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
        ]
        producer.flush(TIMEOUT_S)
        try:
            placed = [future.get(TIMEOUT_S) for future in futures]
        except KafkaError as raised:
            raise ClientError(_code(raised)) from raised
        finally:
            producer.close()
        return [(metadata.partition, metadata.offset) for metadata in placed]

    def consume(
        self, topic: str, partitions: Sequence[int], start: Start, count: int, timeout_ms: int = 10_000
    ) -> list[Record]:
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap_servers, enable_auto_commit=False)
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        consumer.assign(wanted)
        if start == "earliest":
            consumer.seek_to_beginning(*wanted)
        elif start == "latest":
            consumer.seek_to_end(*wanted)
        else:
            ends = consumer.end_offsets(wanted)
            for partition, found in consumer.offsets_for_times(dict.fromkeys(wanted, start)).items():
                consumer.seek(partition, ends[partition] if found is None else found.offset)
        records: list[Record] = []
        deadline = time.monotonic() + timeout_ms / 1000
        while len(records) < count and time.monotonic() < deadline:
            for batch in consumer.poll(200).values():
                records.extend(_record(record) for record in batch)
        consumer.close()
        return records

    def offset_of(self, topic: str, partition: int, at: Start) -> int | None:
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap_servers)
        wanted = TopicPartition(topic, partition)
        try:
            if at == "earliest":
                return int(consumer.beginning_offsets([wanted])[wanted])
            if at == "latest":
                return int(consumer.end_offsets([wanted])[wanted])
            found = consumer.offsets_for_times({wanted: at})[wanted]
            return None if found is None else int(found.offset)
        finally:
            consumer.close()

    def join(self, member: str, group: str, topic: str, instance_id: str | None = None) -> None:
        settings = {
            "bootstrap_servers": self.bootstrap_servers,
            "group_id": group,
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "session_timeout_ms": 10_000,
            "heartbeat_interval_ms": 500,
            "group_instance_id": instance_id,
        }
        self._members[member] = _Member(settings, topic)
        self._members[member].start()

    def state(self, member: str) -> MemberState:
        return self._members[member].state()

    def commit(self, member: str) -> None:
        self._members[member].order("commit")

    def leave(self, member: str) -> None:
        if member in self._members:
            self._members.pop(member).order("leave")

    def committed(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        answer = self._admin.list_group_offsets(group)
        offsets = answer.get(group, answer)
        return {
            entry.partition: metadata.offset
            for entry, metadata in offsets.items()
            if entry.topic == topic and entry.partition in partitions and metadata.offset >= 0
        }

    def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str] | None = None) -> None:
        self._do(lambda: self._admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=dict(configs or {}))]))

    def partition_count(self, topic: str) -> int:
        (description,) = self._admin.describe_topics([topic])
        if description["error_code"] != 0:
            raise ClientError(_code(kafka.errors.for_code(description["error_code"])()))
        return len(description["partitions"])

    def topic_config(self, topic: str) -> dict[str, str]:
        answer = self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
        return {name: entry["value"] for name, entry in answer["topic"][topic].items()}

    def set_topic_config(self, topic: str, key: str, value: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={key: value})
        self._do(lambda: self._admin.alter_configs([resource]))

    def grow_topic(self, topic: str, partitions: int) -> None:
        self._do(lambda: self._admin.create_partitions({topic: NewPartitions(partitions)}))

    def delete_topic(self, topic: str) -> None:
        self._do(lambda: self._admin.delete_topics([topic]))

    def groups(self) -> set[str]:
        return {group["group_id"] for group in self._admin.list_groups()}

    def delete_group(self, group: str) -> None:
        verdict = self._admin.delete_groups([group])[group]
        if verdict != "OK":
            # The library names its own exception: NonEmptyGroupError.
            raise ClientError(_code(getattr(kafka.errors, verdict)()))

    def _do(self, call: Any) -> Any:
        try:
            return call()
        except KafkaError as raised:
            raise ClientError(_code(raised), str(raised)) from raised

    def close(self) -> None:
        for member in list(self._members):
            self.leave(member)
        self._admin.close()


def _record(record: Any) -> Record:
    text = [None if part is None else part.decode() for part in (record.value, record.key)]
    headers = tuple((name, value.decode()) for name, value in record.headers)
    return Record(text[0], text[1], headers, record.partition, record.timestamp, record.offset)
