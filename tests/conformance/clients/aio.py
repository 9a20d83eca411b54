"""aiokafka: asyncio, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code
from tests.conformance.clients import Client, ClientError, MemberState, Record, Start

TIMEOUT_S = 30.0


class _Member(ConsumerRebalanceListener):
    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.consumer = consumer
        self.partitions: frozenset[int] = frozenset()
        self.rebalances = 0
        self.records = 0
        self.polling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        while True:
            batches = await self.consumer.getmany(timeout_ms=100)
            self.records += sum(len(batch) for batch in batches.values())

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.partitions = frozenset()

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.rebalances += 1
        self.partitions = frozenset(entry.partition for entry in assigned)


class AioKafka(Client):
    name = "aiokafka"
    lacks: Mapping[str, str] = {"delete_group": "aiokafka's admin client cannot delete groups"}

    def __post_init__(self) -> None:
        self.version = aiokafka.__version__
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._members: dict[str, _Member] = {}
        self._producers: dict[str, AIOKafkaProducer] = {}
        self._admin = self._run(self._open_admin())

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT_S)
        except KafkaError as raised:
            raise ClientError(getattr(raised, "message", "") or type(raised).__name__, str(raised)) from raised

    async def _open_admin(self) -> AIOKafkaAdminClient:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        return admin

    def produce(self, topic: str, records: Sequence[Record], compression: str = "none") -> list[tuple[int, int]]:
        return self._run(self._produce(topic, records, compression))

    async def _produce(self, topic: str, records: Sequence[Record], compression: str) -> list[tuple[int, int]]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers,
            enable_idempotence=True,
            compression_type=None if compression == "none" else compression,
            linger_ms=5,
        )
        await producer.start()
        try:
            futures = [
                await producer.send(
                    topic,
                    value=None if record.value is None else record.value.encode(),
                    key=None if record.key is None else record.key.encode(),
                    headers=[(name, value.encode()) for name, value in record.headers],
                    partition=record.partition,
                    timestamp_ms=record.timestamp_ms,
                )
                for record in records
            ]
            placed = await asyncio.gather(*futures)
        finally:
            await producer.stop()
        return [(metadata.partition, metadata.offset) for metadata in placed]

    def consume(
        self, topic: str, partitions: Sequence[int], start: Start, count: int, timeout_ms: int = 10_000
    ) -> list[Record]:
        return self._run(self._consume(topic, partitions, start, count, timeout_ms))

    async def _consume(
        self, topic: str, partitions: Sequence[int], start: Start, count: int, timeout_ms: int
    ) -> list[Record]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers, enable_auto_commit=False)
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        await consumer.start()
        try:
            consumer.assign(wanted)
            if start == "earliest":
                await consumer.seek_to_beginning(*wanted)
            elif start == "latest":
                await consumer.seek_to_end(*wanted)
            else:
                ends = await consumer.end_offsets(wanted)
                for partition, found in (await consumer.offsets_for_times(dict.fromkeys(wanted, start))).items():
                    consumer.seek(partition, ends[partition] if found is None else found.offset)
            records: list[Record] = []
            deadline = time.monotonic() + timeout_ms / 1000
            while len(records) < count and time.monotonic() < deadline:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records.extend(_record(record) for record in batch)
        finally:
            await consumer.stop()
        return records

    def offset_of(self, topic: str, partition: int, at: Start) -> int | None:
        return self._run(self._offset_of(TopicPartition(topic, partition), at))

    async def _offset_of(self, wanted: TopicPartition, at: Start) -> int | None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers)
        await consumer.start()
        try:
            if at == "earliest":
                return int((await consumer.beginning_offsets([wanted]))[wanted])
            if at == "latest":
                return int((await consumer.end_offsets([wanted]))[wanted])
            found = (await consumer.offsets_for_times({wanted: at}))[wanted]
            return None if found is None else int(found.offset)
        finally:
            await consumer.stop()

    def join(self, member: str, group: str, topic: str, instance_id: str | None = None) -> None:
        self._members[member] = self._run(self._join(group, topic, instance_id))

    async def _join(self, group: str, topic: str, instance_id: str | None) -> _Member:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers,
            group_id=group,
            group_instance_id=instance_id,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=500,
            # Revoked partitions are given up in this time; the library's default would hold up every rebalance.
            rebalance_timeout_ms=5_000,
        )
        member = _Member(consumer)
        consumer.subscribe([topic], listener=member)
        await consumer.start()
        member.polling = asyncio.create_task(member.run())
        return member

    def state(self, member: str) -> MemberState:
        found = self._members[member]
        return MemberState(found.partitions, found.rebalances, found.records)

    def commit(self, member: str) -> None:
        self._run(self._members[member].consumer.commit())

    def leave(self, member: str) -> None:
        if member in self._members:
            self._run(self._leave(self._members.pop(member)))

    async def _leave(self, member: _Member) -> None:
        assert member.polling is not None
        member.polling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await member.polling
        await member.consumer.stop()

    def committed(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        offsets = self._run(self._admin.list_consumer_group_offsets(group))
        return {
            entry.partition: metadata.offset
            for entry, metadata in offsets.items()
            if entry.topic == topic and entry.partition in partitions and metadata.offset >= 0
        }

    def open_transaction(self, name: str, transactional_id: str, topic: str, values: Sequence[str]) -> None:
        self._run(self._open_transaction(name, transactional_id, topic, values))

    async def _open_transaction(self, name: str, transactional_id: str, topic: str, values: Sequence[str]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers, transactional_id=transactional_id)
        await producer.start()
        self._producers[name] = producer
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value.encode(), partition=0)

    def end_transaction(self, name: str, *, commit: bool) -> None:
        self._run(self._end_transaction(self._producers.pop(name), commit=commit))

    async def _end_transaction(self, producer: AIOKafkaProducer, *, commit: bool) -> None:
        try:
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        finally:
            await producer.stop()

    def transform(
        self, group: str, transactional_id: str, source: str, target: str, count: int, *, commit: bool
    ) -> None:
        self._run(self._transform(group, transactional_id, source, target, count, commit=commit))

    async def _transform(
        self, group: str, transactional_id: str, source: str, target: str, count: int, *, commit: bool
    ) -> None:
        await self._open_transaction(group, transactional_id, target, [])
        producer = self._producers.pop(group)
        consumer = AIOKafkaConsumer(
            source,
            bootstrap_servers=self.bootstrap_servers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        await consumer.start()
        try:
            offsets: dict[TopicPartition, int] = {}
            for _ in range(count):
                record = await consumer.getone()
                offsets[TopicPartition(record.topic, record.partition)] = record.offset + 1
                await producer.send_and_wait(target, record.value.upper())
            await producer.send_offsets_to_transaction(offsets, group)
            await self._end_transaction(producer, commit=commit)
        finally:
            await consumer.stop()

    def create_topic(self, topic: str, partitions: int, configs: Mapping[str, str] | None = None) -> None:
        answer = self._run(
            self._admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=dict(configs or {}))])
        )
        _check(answer.topic_errors[0][1])

    def partition_count(self, topic: str) -> int:
        (description,) = self._run(self._admin.describe_topics([topic]))
        _check(description["error_code"])
        return len(description["partitions"])

    def topic_config(self, topic: str) -> dict[str, str]:
        (answer,) = self._run(self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        _error_code, _message, _kind, _name, entries = answer.resources[0]
        return {entry[0]: entry[1] for entry in entries}

    def set_topic_config(self, topic: str, key: str, value: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={key: value})
        (answer,) = self._run(self._admin.alter_configs([resource]))
        _check(answer.resources[0][0])

    def grow_topic(self, topic: str, partitions: int) -> None:
        answer = self._run(self._admin.create_partitions({topic: NewPartitions(partitions)}))
        _check(answer.topic_errors[0][1])

    def delete_topic(self, topic: str) -> None:
        answer = self._run(self._admin.delete_topics([topic]))
        _check(answer.topic_error_codes[0][1])

    def groups(self) -> set[str]:
        return {entry[0] for entry in self._run(self._admin.list_consumer_groups())}

    def close(self) -> None:
        for member in list(self._members):
            self.leave(member)
        self._run(self._admin.close())
        self._loop.call_soon_threadsafe(self._loop.stop)


def _check(error_code: int) -> None:
    if error_code != 0:
        raise ClientError(for_code(error_code).message)


def _record(record: Any) -> Record:
    text = [None if part is None else part.decode() for part in (record.value, record.key)]
    headers = tuple((name, value.decode()) for name, value in record.headers)
    return Record(text[0], text[1], headers, record.partition, record.timestamp, record.offset)
