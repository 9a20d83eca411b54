"""What one partition of a topic has open, and when its files end: the heart of the sink.

Records are taken in order. Before a record is written it is asked, in this order, whether it ends the open files: it
has a schema and theirs have none, or the other way round; time; another schema; too many open files. After it: the
number of records, the size. A rotation ends ALL open files of the partition, and only then may the offset behind the
last record be committed to Kafka.

Exactly once follows from names: a file is named after the offset of its first record. After a crash records are read
again from the committed offset, fall into the same files, and replace them with the same. A failure in the middle of a
rotation therefore goes back to the first record since the last whole one, files that were completed already included.
That holds unless something looks at the wall clock (`rotate.schedule.interval.ms`, the Wallclock extractor).
Reference: `TopicPartitionWriter` of kafka-connect-storage-cloud. Knows no clock: time is an argument.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from moldau.connect.connectors.s3.compatibility import Compatibility, Projector
from moldau.connect.connectors.s3.formats.writer import RecordWriter
from moldau.connect.connectors.s3.partitioners import Partitioner, has_only_times
from moldau.connect.connectors.s3.storage import ObjectExistsError
from moldau.connect.connectors.s3.timestamps import TimestampExtractor
from moldau.connect.connectors.s3.zones import Zone
from moldau.connect.data import Schema
from moldau.connect.errors import DataError
from moldau.connect.plugin import ErrantRecordReporter, TopicPartition
from moldau.connect.records import SinkRecord

logger: Final = logging.getLogger("moldau.connect.s3")

# Between two looks at the clock.
LONGEST_RUN = 1000


@dataclass(frozen=True)
class Rotation:
    """When files end, and how they are named. Times are in ms, -1 switches a rule off."""

    flush_size: int
    interval_ms: int = -1
    schedule_interval_ms: int = -1
    zone: Zone | None = None
    """The time zone whose midnight scheduled rotations are counted from."""
    on_partition_change: bool = True
    size_bytes: int = -1
    compatibility: Compatibility = Compatibility.NONE
    max_open_files: int = -1
    max_files_scan: int = 100
    tombstone_partition: str | None = None
    """Set when tombstones are written: where they go."""
    topics_dir: str = "topics"
    directory_delim: str = "/"
    file_delim: str = "+"
    zero_pad_width: int = 10


class Files(Protocol):
    """Where files are made; `name` is the key of the object without its extension."""

    def open(self, name: str) -> RecordWriter: ...

    def exists(self, name: str) -> bool: ...


@dataclass
class _OpenFile:
    name: str
    topic: str
    start_offset: int
    writer: RecordWriter
    schema: Schema | None


class PartitionWriter:
    """The open files of one partition, and the records that wait for them."""

    def __init__(
        self,
        partition: TopicPartition,
        rotation: Rotation,
        partitioner: Partitioner,
        extractor: TimestampExtractor | None,
        files: Files,
        reporter: ErrantRecordReporter | None,
    ) -> None:
        self.partition = partition
        self._rotation = rotation
        self._partitioner = partitioner
        self._extractor = extractor
        self._files = files
        self._reporter = reporter
        self._projector = Projector()
        self._waiting: deque[SinkRecord] = deque()
        self._open: dict[str, _OpenFile] = {}
        self._schemas: dict[str, Schema | None] = {}
        self._names_by_offset: dict[int, str] = {}
        self._count = 0
        self._base_timestamp: int | None = None
        self._timestamp: int | None = None
        self._encoded: str | None = None
        self._at_hand: _OpenFile | None = None
        """The file that the last record went into, where the next one very likely belongs too."""
        self._encode_instant = partitioner.encode_instant if has_only_times(partitioner) else None
        self._next_scheduled = 0
        self._first_offset: int | None = None
        """The first record since the last whole rotation: where to go back to after a failure."""
        self._next_offset: int | None = None
        """The offset behind the last record that was written or left out."""
        self._committable: int | None = None

    # -- what the task asks --------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many records have been given and not been written."""
        return len(self._waiting)

    def start(self, now_ms: int, committable: int | None = None) -> None:
        """Begin to count scheduled rotations; `committable` is what a writer before this one had done."""
        self._schedule(now_ms)
        self._committable = committable

    def add(self, record: SinkRecord) -> None:
        """Take a record; `write` writes it."""
        self._waiting.append(record)

    def skip(self, record: SinkRecord) -> None:
        """Take note of a record that is left out."""
        if not self._waiting:
            self._next_offset = record.original_kafka_offset + 1

    def write(self, clock_ms: Callable[[], int], deadline_ms: int) -> None:
        """Write what waits, ending files where the rules say so, then end files whose time has come.

        Raises `RetriableError` when the store fails in a way that may pass, `ConnectError` otherwise; then this writer
        is of no use any more: `abandon` it, and go on at `restart_offset` with another one.
        """
        now = clock_ms()
        if self._count == 0 and self._is_scheduled(now):
            self._schedule(now)
        while self._waiting:
            if clock_ms() > deadline_ms:
                return
            if not self._write_run(now):
                self._step(now)
        if self._count and self._time_reason(self._encoded or "", now):
            self._schedule(now)
            self._commit_files("a scheduled time")

    def committable(self) -> int | None:
        """Return the offset that may be committed to Kafka, None when there is none that is new."""
        if not self._open and not self._waiting and self._next_offset is not None:
            self._committable = self._next_offset
            self._next_offset = None
        found, self._committable = self._committable, None
        return found

    def restart_offset(self) -> int | None:
        """Return where to read again after a failure, so that the same files are made."""
        if self._first_offset is not None:
            return self._first_offset
        return self._waiting[0].original_kafka_offset if self._waiting else None

    def abandon(self) -> None:
        """Throw away all open files."""
        for file in self._open.values():
            file.writer.close()
        self._open.clear()
        self._waiting.clear()
        self._at_hand = None

    # -- a run of records ----------------------------------------------------------------------------------------------

    def _write_run(self, now: int) -> bool:
        """Write what goes into the same file as the record before, and ends no file; whether there was any."""
        file, rotation = self._at_hand, self._rotation
        if file is None or not file.writer.takes_runs or rotation.size_bytes > 0 or self._is_scheduled(now):
            return False
        if self._extractor is not None and self._base_timestamp is None:
            return False
        # The record that ends the file by its number is for `_step`.
        run = self._run_into(file, min(rotation.flush_size - self._count - 1, LONGEST_RUN), now)
        if not run:
            return False
        try:
            file.writer.write_run(run)
        except DataError as error:
            self._leave_out(run[-1], error)
        for record in run:
            self._remember_name(record, self._encoded or "")
            self._waiting.popleft()
        self._next_offset = run[-1].original_kafka_offset + 1
        self._count += len(run)
        return True

    def _run_into(self, file: _OpenFile, most: int, now: int) -> list[SinkRecord]:
        schema, topic, encoded = file.schema, file.topic, self._encoded
        extract = None if self._extractor is None else self._extractor.extract
        encode_instant, encode = self._encode_instant, self._partitioner.encode_partition
        base, interval_ms = self._base_timestamp, self._rotation.interval_ms
        found: list[SinkRecord] = []
        try:
            for record in islice(self._waiting, max(most, 0)):
                if record.value_schema is not schema or record.value is None or record.topic != topic:
                    break
                instant = None if extract is None else extract(record, now)
                if interval_ms > 0 and base is not None and instant is not None and instant - base >= interval_ms:
                    break
                at_once = encode_instant is not None and instant is not None
                if (encode_instant(instant) if at_once else encode(record, now)) != encoded:  # type: ignore[misc, arg-type]
                    break
                self._timestamp = instant if extract is not None else self._timestamp
                found.append(record)
        except DataError:
            # It comes up again, and is dealt with, when that record is the next.
            return found
        return found

    # -- one record ----------------------------------------------------------------------------------------------------

    def _step(self, now: int) -> None:
        record = self._waiting[0]
        if self._first_offset is None:
            self._first_offset = record.original_kafka_offset
        try:
            if self._extractor is not None and record.value is not None:
                self._timestamp = self._extractor.extract(record, now)
            encoded = self._encode(record, now)
            reason = self._reason_before(record, encoded, now)
            if reason is None:
                self._write_record(record, encoded)
        except DataError as error:
            self._leave_out(record, error)
            self._next_offset = record.original_kafka_offset + 1
            self._waiting.popleft()
            return
        if reason is not None:
            self._commit_files(reason)
            return
        self._waiting.popleft()
        if self._count >= self._rotation.flush_size:
            self._commit_files("flush.size")
        elif 0 < self._rotation.size_bytes <= self._open[self._place(record, encoded)].writer.size_bytes:
            self._commit_files("rotate.size.bytes")

    def _leave_out(self, record: SinkRecord, error: DataError) -> None:
        if self._reporter is None:
            raise error
        logger.warning("%s: the record at offset %s is left out: %s", self.partition, record.kafka_offset, error)
        self._reporter.report(record, error)

    def _encode(self, record: SinkRecord, now: int) -> str:
        if record.value is None and self._rotation.tombstone_partition is not None:
            return self._rotation.tombstone_partition
        return self._partitioner.encode_partition(record, now)

    def _reason_before(self, record: SinkRecord, encoded: str, now: int) -> str | None:
        """Say why the open files end before this record, None when they do not."""
        if self._base_timestamp is None:
            self._base_timestamp = self._timestamp
        place, schema = self._place(record, encoded), record.value_schema
        known = place in self._schemas
        current = self._schemas.get(place)
        if known and (current is None) != (schema is None):
            return "a change between records with a schema and without"
        if current is None:
            self._schemas[place] = current = schema
        if self._count and (reason := self._time_reason(encoded, now)):
            self._schedule(now)
            return reason
        if self._rotation.compatibility.must_change(schema, current) and self._count:
            return "another schema"
        if place not in self._open and len(self._open) == self._rotation.max_open_files:
            return "partitioner.max.open.files"
        return None

    def _time_reason(self, encoded: str, now: int) -> str | None:
        rotation = self._rotation
        if rotation.interval_ms > 0 and self._extractor is not None:
            base, at = self._base_timestamp, self._timestamp
            if base is not None and at is not None and at - base >= rotation.interval_ms:
                return "rotate.interval.ms"
            if rotation.on_partition_change and encoded != self._encoded and not self._is_tombstone_change(encoded):
                return "another partition of the path"
        return "rotate.schedule.interval.ms" if self._is_scheduled(now) else None

    def _is_tombstone_change(self, encoded: str) -> bool:
        tombstones = self._rotation.tombstone_partition
        return tombstones is not None and self._encoded is not None and tombstones in {encoded, self._encoded}

    def _write_record(self, record: SinkRecord, encoded: str) -> None:
        place = self._place(record, encoded)
        self._remember_name(record, encoded)
        file = self._open.get(place)
        current = self._schemas[place] if file is None else file.schema
        projected = self._projector.project(record, current)
        if file is None:
            name = self._name(record, encoded)
            file = _OpenFile(name, record.topic, record.original_kafka_offset, self._files.open(name), current)
            file.writer.refuse = self._leave_out
            try:
                file.writer.write(projected)
            except BaseException:
                file.writer.close()
                raise
            self._open[place] = file
        else:
            file.writer.write(projected)
        self._at_hand = file
        self._encoded = encoded
        self._next_offset = record.original_kafka_offset + 1
        self._count += 1

    # -- names ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def _place(record: SinkRecord, encoded: str) -> str:
        """What tells open files apart; a transform may have sent records of one partition to several topics."""
        return f"{record.topic}\0{encoded}"

    def _name(self, record: SinkRecord, encoded: str) -> str:
        rotation = self._rotation
        # The folder is that of the record's topic, the file that of the partition it was read from: two topics that a
        # transform made one cannot take each other's names.
        folder = self._partitioner.generate_partitioned_path(record.topic, encoded)
        offset = f"{record.original_kafka_offset:0{rotation.zero_pad_width}d}"
        file = rotation.file_delim.join((self.partition.topic, str(self.partition.partition), offset))
        parts = [rotation.topics_dir] if rotation.topics_dir.strip() else []
        return rotation.directory_delim.join((*parts, folder, file))

    def _remember_name(self, record: SinkRecord, encoded: str) -> None:
        """What a file that begins with this record would be called, for whoever must not replace what is there."""
        if len(self._names_by_offset) < self._rotation.max_files_scan:
            self._names_by_offset[record.original_kafka_offset] = self._name(record, encoded)

    # -- the end of files ----------------------------------------------------------------------------------------------

    def _commit_files(self, reason: str) -> None:
        self._at_hand = None
        for place, file in list(self._open.items()):
            try:
                file.writer.commit()
            except ObjectExistsError:
                self._first_offset = self._next_free(file)
                raise
            del self._open[place]
        logger.info("%s: files ended after %d records: %s", self.partition, self._count, reason)
        if self._next_offset is not None:
            self._committable, self._next_offset = self._next_offset, None
        self._schemas.clear()
        self._names_by_offset.clear()
        self._count = 0
        self._base_timestamp = self._first_offset = None

    def _next_free(self, file: _OpenFile) -> int:
        """Return the first offset behind a file's start whose name is free; `max.files.scan.limit` are tried."""
        offset = file.start_offset + 1
        for offset in range(file.start_offset + 1, file.start_offset + 1 + self._rotation.max_files_scan):
            name = self._names_by_offset.get(offset)
            if name is None or not self._files.exists(name):
                return offset
        return offset + 1

    # -- the wall clock ------------------------------------------------------------------------------------------------

    def _is_scheduled(self, now: int) -> bool:
        return self._rotation.schedule_interval_ms > 0 and now >= self._next_scheduled

    def _schedule(self, now: int) -> None:
        if self._rotation.schedule_interval_ms > 0:
            assert self._rotation.zone is not None, "settings with a schedule have a time zone"
            self._next_scheduled = next_period(now, self._rotation.schedule_interval_ms, self._rotation.zone)


def next_period(now_ms: int, period_ms: int, zone: Zone) -> int:
    """Return when the next period ends, counted from midnight; midnight ends one in any case."""
    start = zone.start_of_day(now_ms)
    return min(start + ((now_ms - start) // period_ms + 1) * period_ms, zone.day_later(start))
