"""Which part of a record goes into an object: its value, its key, its headers; and the three objects as one.

With `store.kafka.keys` and `store.kafka.headers` a file of values has neighbours, `.keys` and `.headers`, whose lines
belong together by their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moldau.connect.connectors.s3.formats.writer import Format, RecordWriter, View
from moldau.connect.connectors.s3.storage import Storage, Upload
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.data.values import to_text
from moldau.connect.errors import DataError
from moldau.connect.records import SinkRecord

HEADER = SchemaBuilder.struct().field("key", Schema.STRING_SCHEMA).field("value", Schema.OPTIONAL_STRING_SCHEMA).build()
HEADERS = SchemaBuilder.array(HEADER).build()
HEADERS_ENVELOPE = SchemaBuilder.struct().name("RecordHeaders").field("headers", HEADERS).build()


class KeyView(View):
    """The key; formats of columns get a struct with the one field `key`."""

    extension = ".keys"

    def __init__(self) -> None:
        self._schema: Schema | None = None
        self._envelope: Schema | None = None

    def schema(self, record: SinkRecord, *, enveloped: bool) -> Schema | None:
        schema = record.key_schema
        if not enveloped or schema is None:
            return schema
        if schema is not self._schema or self._envelope is None:
            self._schema = schema
            self._envelope = SchemaBuilder.struct().name("RecordKey").field("key", schema).build()
        return self._envelope

    def value(self, record: SinkRecord, *, enveloped: bool) -> Any:
        if record.key is None:
            raise DataError(f"store.kafka.keys: the record at offset {record.kafka_offset} has no key")
        schema = self.schema(record, enveloped=enveloped)
        return Struct.of(schema, [record.key]) if enveloped and schema is not None else record.key


class HeadersView(View):
    """The headers, their values as text."""

    extension = ".headers"
    enveloped_in_json = True

    def schema(self, record: SinkRecord, *, enveloped: bool) -> Schema | None:
        return HEADERS_ENVELOPE if enveloped else HEADERS

    def value(self, record: SinkRecord, *, enveloped: bool) -> Any:
        if not record.raw_headers:
            raise DataError(f"store.kafka.headers: the record at offset {record.kafka_offset} has no headers")
        headers = [Struct.of(HEADER, [each.key, to_text(each.schema, each.value)]) for each in record.headers]
        return Struct.of(HEADERS_ENVELOPE, [headers]) if enveloped else headers


class RecordFiles:
    """Opens the objects of a name: of values, and of keys and headers where they are stored."""

    def __init__(
        self, storage: Storage, parts: Sequence[tuple[View, Format]], *, tombstones: str | None, replace: bool
    ) -> None:
        self._storage = storage
        self._parts = parts
        self._tombstones = tombstones
        self._replace = replace

    def open(self, name: str) -> RecordWriter:
        # There are no values in the folder of tombstones.
        bare = self._tombstones is not None and self._tombstones in name.split("/")
        parts = [(view, form) for view, form in self._parts if not (bare and not view.extension)]
        writers = []
        for view, form in parts:
            upload = self._storage.create(f"{name}{view.extension}{form.extension}", replace=self._replace)
            writers.append((view, form.open(upload, view)))
        return writers[0][1] if len(writers) == 1 and not bare else _Together(writers)

    def exists(self, name: str) -> bool:
        view, form = self._parts[0]
        return self._storage.exists(f"{name}{view.extension}{form.extension}")


class _Together(RecordWriter):
    """Several objects whose records belong together."""

    def __init__(self, writers: list[tuple[View, RecordWriter]]) -> None:
        super().__init__(Upload(""))
        self._writers = writers

    @property
    def size_bytes(self) -> int:
        return max(writer.size_bytes for _, writer in self._writers)

    def write(self, record: SinkRecord) -> None:
        # A part that is missing is seen before any is written, so that the objects stay aligned.
        for view, _ in self._writers:
            view.value(record, enveloped=False)
        for _, writer in self._writers:
            writer.write(record)

    def commit(self) -> None:
        for _, writer in self._writers:
            writer.commit()

    def close(self) -> None:
        for _, writer in self._writers:
            writer.close()
