"""`io.confluent.connect.s3.S3SinkConnector`: the connector and its task, put together from the settings."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from moldau.connect.config_def import ConfigDef, ConfigValue
from moldau.connect.connectors.s3 import settings
from moldau.connect.connectors.s3.assembly import (
    extractor_of,
    make_partitioner,
    make_parts,
    make_rotation,
    make_storage,
    never_replaces,
)
from moldau.connect.connectors.s3.formats.views import RecordFiles
from moldau.connect.connectors.s3.rotation import PartitionWriter
from moldau.connect.connectors.s3.storage import Storage
from moldau.connect.errors import ConfigError, ConnectError, DataError, RetriableError
from moldau.connect.plugin import ErrantRecordReporter, SinkConnector, SinkTask, Task, TopicPartition
from moldau.connect.records import SinkRecord

logger: Final = logging.getLogger("moldau.connect.s3")


class S3SinkConnector(SinkConnector):
    """Every task gets the same settings; partitions of topics are what is divided."""

    def version(self) -> str:
        return "12.0.0"

    def config(self) -> ConfigDef:
        return settings.CONFIG

    def start(self, props: Mapping[str, str]) -> None:
        values = settings.parse(props)
        if values["schema.compatibility"] not in settings.COMPATIBILITIES:
            logger.warning("schema.compatibility=%s is none of %s, which means NONE, as in Confluent's connector",
                           values["schema.compatibility"], ", ".join(settings.COMPATIBILITIES))  # fmt: skip
        self._props = dict(props)

    def task_class(self) -> type[Task]:
        return S3SinkTask

    def task_configs(self, max_tasks: int) -> Sequence[Mapping[str, str]]:
        return [self._props] * max_tasks

    def validate(self, props: Mapping[str, str]) -> list[ConfigValue]:
        found = settings.validate(props)
        if not any(value.errors for value in found):
            by_name = {value.name: value for value in found}
            try:
                make_partitioner({name: value.value for name, value in by_name.items()})
            except ConfigError as error:
                by_name[error.name if error.name in by_name else "partitioner.class"].errors.append(str(error))
        return found


class S3SinkTask(SinkTask):
    """Records of some partitions to objects. `storage` and `clock_ms` are for tests; the settings say the rest."""

    def __init__(self, storage: Storage | None = None, clock_ms: Callable[[], int] | None = None) -> None:
        self._storage = storage
        self._clock_ms = clock_ms or (lambda: time.time_ns() // 1_000_000)
        self._writers: dict[TopicPartition, PartitionWriter] = {}
        self._paused: set[TopicPartition] = set()
        self._not_before_ms: dict[TopicPartition, int] = {}
        """When partitions are written again after a failure of the store."""

    def start(self, props: Mapping[str, str]) -> None:
        values = self._values = settings.parse(props)
        if self._storage is None:
            self._storage = make_storage(values)
        try:
            self._storage.check()
        except RetriableError as error:
            # A task that is moved while the store is away: what it cannot write it writes later.
            logger.warning("the task begins all the same: %s", error)
        self._nulls = values["behavior.on.null.values"].lower()
        self._partitioner = make_partitioner({**props, **values})
        self._extractor = extractor_of(self._partitioner)
        self._rotation = make_rotation(values)
        self._files = RecordFiles(
            self._storage,
            make_parts(values),
            tombstones=self._rotation.tombstone_partition,
            replace=not never_replaces(values),
        )
        self._reporter: ErrantRecordReporter | None = self.context.errant_record_reporter()
        self.open(self.context.assignment())

    def open(self, partitions: Collection[tuple[str, int]]) -> None:
        for topic, partition in partitions:
            key = TopicPartition(topic, partition)
            if key not in self._writers:
                self._writers[key] = self._new_writer(key)

    def close(self, partitions: Collection[tuple[str, int]]) -> None:
        for topic, partition in partitions:
            key = TopicPartition(topic, partition)
            writer = self._writers.pop(key, None)
            if key in self._paused:
                # Should it come back in this rebalance, it would be paused as it was.
                self.context.resume(key)
                self._paused.discard(key)
            self._not_before_ms.pop(key, None)
            if writer is not None:
                writer.abandon()

    def stop(self) -> None:
        for writer in self._writers.values():
            writer.abandon()
        self._writers.clear()

    def put(self, records: Sequence[SinkRecord]) -> None:
        started = self._clock_ms()
        writers = self._writers
        topic, partition, writer = "", -1, None
        for record in records:
            if record.original_kafka_partition != partition or record.original_topic != topic:
                topic, partition = record.original_topic, record.original_kafka_partition
                writer = writers.get(TopicPartition(topic, partition))
            if writer is None:
                raise ConnectError(f"a record of {topic}-{partition} was given to a task that does not read it")
            if record.value is None and self._leaves_out(record):
                writer.skip(record)
            else:
                writer.add(record)
        # In another order each time: with a deadline the last would always get what is left.
        order = list(writers)
        random.shuffle(order)
        for key in order:
            self._write(key, started + self._values["max.write.duration.ms"])

    def pre_commit(self, offsets: Mapping[tuple[str, int], int]) -> Mapping[tuple[str, int], int]:
        """Return the offsets behind files that are complete, and no others."""
        found = ((key, writer.committable()) for key, writer in self._writers.items())
        return {key: offset for key, offset in found if offset is not None}

    def _write(self, key: TopicPartition, deadline_ms: int) -> None:
        writer = self._writers[key]
        if self._clock_ms() < self._not_before_ms.get(key, 0):
            return
        try:
            writer.write(self._clock_ms, deadline_ms)
        except RetriableError as error:
            logger.warning("%s: %s; it is tried again in %d ms", key, error, self._values["retry.backoff.ms"])
            self._begin_again(key, writer)
            return
        # What a deadline left waiting is written first; until then no more is asked for, so that memory stays bounded.
        if writer.waiting:
            self._pause(key)
        elif not writer.waiting and key in self._paused:
            self.context.resume(key)
            self._paused.discard(key)

    def _pause(self, key: TopicPartition) -> None:
        if key not in self._paused:
            self.context.pause(key)
            self._paused.add(key)

    def _begin_again(self, key: TopicPartition, failed: PartitionWriter) -> None:
        """Throw away what is open, and after `retry.backoff.ms` read again from where it began."""
        offset = failed.restart_offset()
        committable = failed.committable()
        failed.abandon()
        self._writers[key] = self._new_writer(key, committable)
        if offset is not None:
            self.context.offset({key: offset})
        self._not_before_ms[key] = self._clock_ms() + self._values["retry.backoff.ms"]
        self._pause(key)

    def _leaves_out(self, record: SinkRecord) -> bool:
        if self._nulls == "ignore":
            if self._reporter is not None and self._values["report.null.values.to.dlq"]:
                self._reporter.report(record, DataError("Skipping null value record."))
            return True
        if self._nulls == "write":
            return False
        raise ConnectError(
            f"the record at offset {record.kafka_offset} of {record.topic}-{record.kafka_partition} has no value\n"
            "hint: behavior.on.null.values=ignore leaves such records out, write keeps them"
        )

    def _new_writer(self, key: TopicPartition, committable: int | None = None) -> PartitionWriter:
        writer = PartitionWriter(key, self._rotation, self._partitioner, self._extractor, self._files, self._reporter)
        writer.start(self._clock_ms(), committable)
        return writer
