"""Records as lines of JSON, and as the bytes that they were; both may be compressed with gzip."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from moldau.connect.connectors.s3.formats.writer import Format, RecordWriter, View
from moldau.connect.connectors.s3.storage import Upload
from moldau.connect.errors import DataError
from moldau.connect.plugin import Converter
from moldau.connect.records import SinkRecord

# Lines are handed on in lots of about this size.
LOT_BYTES = 64 * 1024
GZIP_WINDOW = 31


class Lines(RecordWriter):
    """Chunks of bytes, one a record, each followed by a separator."""

    def __init__(self, upload: Upload, view: View, separator: bytes, level: int | None) -> None:
        super().__init__(upload)
        self._view = view
        self._separator = separator
        self._held = bytearray()
        # No time and no name in the header of gzip: the same records make the same bytes.
        self._gzip = None if level is None else zlib.compressobj(level, zlib.DEFLATED, GZIP_WINDOW)
        self._size = 0

    @property
    def size_bytes(self) -> int:
        return self.upload.position + len(self._held)

    def write(self, record: SinkRecord) -> None:
        self._held += self.line(record)
        self._held += self._separator
        if len(self._held) >= LOT_BYTES:
            self._hand_on()

    def line(self, record: SinkRecord) -> bytes:
        """Return a record as bytes. Raises `DataError`."""
        raise NotImplementedError

    def _hand_on(self) -> None:
        held, self._held = bytes(self._held), bytearray()
        if out := held if self._gzip is None else self._gzip.compress(held):
            self.upload.write(out)

    def _finish(self) -> None:
        self._hand_on()
        if self._gzip is not None:
            self.upload.write(self._gzip.flush())


class JsonFormat(Format):
    """`.json`: one object or value a line. `converter` writes what has a schema."""

    def __init__(self, converter: Converter, level: int | None = None) -> None:
        self.converter = converter
        self.level = level
        self.extension = ".json" if level is None else ".json.gz"

    def open(self, upload: Upload, view: View) -> RecordWriter:
        return _JsonLines(upload, view, self)


class _JsonLines(Lines):
    def __init__(self, upload: Upload, view: View, form: JsonFormat) -> None:
        super().__init__(upload, view, b"\n", form.level)
        self._converter = form.converter
        self._enveloped = view.enveloped_in_json

    def line(self, record: SinkRecord) -> bytes:
        value = self._view.value(record, enveloped=self._enveloped)
        schema = self._view.schema(record, enveloped=self._enveloped)
        if schema is not None:
            return self._converter.from_connect_data(record.topic, schema, value) or b"null"
        try:
            return msgspec.json.encode(value)
        except (TypeError, msgspec.MsgspecError) as error:
            raise DataError(f"{type(value).__name__} cannot be written as JSON: {error}") from error


class ByteArrayFormat(Format):
    """`.bin`, or `format.bytearray.extension`: the bytes of each record, then the separator."""

    def __init__(self, extension: str = ".bin", separator: bytes = b"\n", level: int | None = None) -> None:
        self.separator = separator
        self.level = level
        self.extension = extension if level is None else f"{extension}.gz"

    def open(self, upload: Upload, view: View) -> RecordWriter:
        return _Bytes(upload, view, self.separator, self.level)


class _Bytes(Lines):
    def line(self, record: SinkRecord) -> bytes:
        value: Any = self._view.value(record, enveloped=False)
        if value is None:
            return b""
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        raise DataError(
            f"ByteArrayFormat writes bytes, not {type(value).__name__}\n"
            "hint: value.converter=org.apache.kafka.connect.converters.ByteArrayConverter leaves them as they are"
        )
