"""A store in memory that loses what was not committed, a task on it, and records to give it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from moldau.connect.connectors.s3.sink import S3SinkTask
from moldau.connect.connectors.s3.storage import ObjectExistsError, Storage, Upload
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.errors import RetriableError
from moldau.connect.plugin import TopicPartition
from moldau.connect.records import SinkRecord

PARTITION = TopicPartition("orders", 0)
RETRY_BACKOFF_MS = 5000
SETTINGS = {
    "store.url": "file:///unused",
    "format.class": "io.confluent.connect.s3.format.bytearray.ByteArrayFormat",
    "flush.size": "3",
}
TIMED = {
    "partitioner.class": "io.confluent.connect.storage.partitioner.TimeBasedPartitioner",
    "path.format": "'hour'=HH",
    "locale": "en-US",
    "timezone": "UTC",
    "timestamp.extractor": "Record",
}


class CrashError(Exception):
    """The process ends here."""


class MemoryStorage(Storage):
    """Objects by key. `before` is called with what is about to happen, and may raise."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.history: list[str] = []
        self.open: set[MemoryUpload] = set()
        self.before: Callable[[str], None] = lambda _: None

    def check(self) -> None:
        pass

    def create(self, key: str, *, replace: bool = True) -> Upload:
        self.before(f"create {key}")
        return MemoryUpload(key, self, replace)

    def exists(self, key: str) -> bool:
        return key in self.objects


class MemoryUpload(Upload):
    def __init__(self, key: str, storage: MemoryStorage, replace: bool) -> None:
        super().__init__(key)
        self._storage, self._replace, self._data = storage, replace, bytearray()
        storage.open.add(self)

    def _write(self, data: Any) -> None:
        self._storage.before(f"write {self.key}")
        self._data += data

    def _commit(self) -> None:
        self._storage.before(f"commit {self.key}")
        if not self._replace and self.key in self._storage.objects:
            raise ObjectExistsError(self.key)
        self._storage.objects[self.key] = bytes(self._data)
        self._storage.history.append(self.key)
        self._storage.open.discard(self)
        self._storage.before(f"committed {self.key}")

    def _abort(self) -> None:
        self._storage.open.discard(self)


class Reporter:
    def __init__(self) -> None:
        self.reported: list[tuple[int, BaseException]] = []

    def report(self, record: SinkRecord, error: BaseException) -> Any:
        self.reported.append((record.kafka_offset, error))


class Context:
    """What a worker is to a task."""

    def __init__(self, reporter: Reporter | None = None) -> None:
        self.reporter = reporter
        self.rewound: dict[tuple[str, int], int] = {}
        self.paused: set[tuple[str, int]] = set()

    def configs(self) -> Mapping[str, str]:
        return {}

    def assignment(self) -> Collection[tuple[str, int]]:
        return [PARTITION]

    def offset(self, offsets: Mapping[tuple[str, int], int], /) -> None:
        self.rewound.update(offsets)

    def pause(self, *partitions: tuple[str, int]) -> None:
        self.paused.update(partitions)

    def resume(self, *partitions: tuple[str, int]) -> None:
        self.paused.difference_update(partitions)

    def request_commit(self) -> None:
        pass

    def errant_record_reporter(self) -> Any:
        return self.reporter


class Lake:
    """A task and its store; `restart` is what follows a crash."""

    def __init__(self, reporter: Reporter | None = None, **settings: str) -> None:
        self.settings = SETTINGS | {name.replace("_", "."): value for name, value in settings.items()}
        self.storage = MemoryStorage()
        self.reporter = reporter
        self.now_ms = 1_000
        self.committed = 0
        self.restart()

    def restart(self) -> None:
        self.storage.open.clear()
        self.context = Context(self.reporter)
        self.task = S3SinkTask(self.storage, lambda: self.now_ms)
        self.task.initialize(self.context)
        self.task.start(self.settings)

    def put(self, *records: SinkRecord) -> None:
        if PARTITION in self.context.paused:
            # It is not read until the task lets it flow again.
            self.now_ms += RETRY_BACKOFF_MS
            self.task.put([])
        self.task.put(records)

    def commit(self) -> int:
        self.committed = self.task.pre_commit({}).get(PARTITION, self.committed)
        return self.committed

    @property
    def names(self) -> list[str]:
        return self.storage.history

    def records(self) -> dict[str, list[str]]:
        """What is in each object, a line a record."""
        return {key: data.decode().splitlines() for key, data in self.storage.objects.items()}


def plain(offset: int, timestamp: int = 0, value: bytes | str | None = "") -> SinkRecord:
    value = str(offset).encode() if value == "" else value
    return SinkRecord("orders", 0, None, b"k%d" % offset, None, value, offset, timestamp)


def version(number: int, *fields: str, optional: bool = True) -> Schema:
    builder = SchemaBuilder.struct().name("Order").version(number).field("id", Schema.INT64_SCHEMA)
    for field in fields:
        builder.field(field, Schema.OPTIONAL_STRING_SCHEMA if optional else Schema.STRING_SCHEMA)
    return builder.build()


def structured(schema: Schema, offset: int, timestamp: int = 0, **fields: Any) -> SinkRecord:
    return SinkRecord("orders", 0, None, None, schema, Struct(schema, id=offset, **fields), offset, timestamp)


def failing(*when: str) -> Callable[[str], None]:
    """Fail, each once, at the moments that begin with these words."""
    left = list(when)

    def before(moment: str) -> None:
        for each in left:
            if moment.startswith(each):
                left.remove(each)
                raise RetriableError(f"503 at {moment}")

    return before


def drive(lake: Lake, records: Sequence[SinkRecord], lot: int) -> None:
    """Read records from the committed offset on, as a worker does: in lots, going back when the task says so."""
    at = lake.committed
    while at < len(records):
        batch = records[at : at + lot]
        lake.put(*batch)
        at = lake.context.rewound.pop(PARTITION, at + len(batch))
        lake.commit()
