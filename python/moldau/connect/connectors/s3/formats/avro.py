"""Records as Avro object container files. Reference: Apache Avro 1.12, "Object Container Files"."""

from __future__ import annotations

import bz2
import hashlib
import json
import zlib
from collections.abc import Callable

import pyarrow as pa

from moldau.client.serdes import AvroEncoder, AvroError
from moldau.connect.connectors.s3.formats.avro_schema import AvroSchemas, conversion
from moldau.connect.connectors.s3.formats.writer import Format, RecordWriter, View
from moldau.connect.connectors.s3.storage import Upload
from moldau.connect.data import Schema
from moldau.connect.errors import DataError
from moldau.connect.records import SinkRecord

MAGIC = b"Obj\x01"
# What Java's writer has: a block is written when it is larger than this.
BLOCK_BYTES = 16_000 * 4


def _deflate(block: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(block) + deflater.flush()


def _snappy(block: bytes) -> bytes:
    return bytes(pa.compress(block, codec="snappy", asbytes=True)) + zlib.crc32(block).to_bytes(4, "big")


CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": lambda block: block,
    "deflate": _deflate,
    "snappy": _snappy,
    "bzip2": bz2.compress,
}


class AvroFormat(Format):
    """`.avro`; the codec is in the file and not in its name."""

    extension = ".avro"

    def __init__(self, codec: str = "null", schemas: AvroSchemas | None = None) -> None:
        self.codec = codec
        self.schemas = schemas or AvroSchemas()

    def open(self, upload: Upload, view: View) -> RecordWriter:
        return _AvroFile(upload, view, self)


class _AvroFile(RecordWriter):
    """One file; all its records have the schema of the first."""

    def __init__(self, upload: Upload, view: View, form: AvroFormat) -> None:
        super().__init__(upload)
        self._view = view
        self._form = form
        self._compress = CODECS[form.codec]
        self._encoder: AvroEncoder | None = None
        self._sync = b""
        self._block = bytearray()
        self._count = 0

    @property
    def size_bytes(self) -> int:
        return self.upload.position + len(self._block)

    def write(self, record: SinkRecord) -> None:
        value = self._view.value(record, enveloped=False)
        if self._encoder is None:
            schema = self._view.schema(record, enveloped=False)
            if schema is None:
                raise DataError(
                    f"Avro needs a schema, and {record.topic}-{record.kafka_partition} at offset "
                    f"{record.kafka_offset} has none\nhint: use a converter with schemas, or JsonFormat"
                )
            self._begin(schema)
        assert self._encoder is not None
        try:
            self._block += self._encoder.encode(self._convert(value))
        except (AvroError, AttributeError, TypeError) as error:
            raise DataError(f"the record at offset {record.kafka_offset} does not fit its schema: {error}") from error
        self._count += 1
        if len(self._block) >= BLOCK_BYTES:
            self._end_block()

    def _begin(self, schema: Schema) -> None:
        text = json.dumps(self._form.schemas.make(schema), separators=(",", ":"), ensure_ascii=False)
        try:
            self._encoder = AvroEncoder(text)
        except ValueError as error:
            raise DataError(f"{schema} cannot be a schema of Avro: {error}") from error
        self._convert = conversion(schema, optional_map_keys=self._form.schemas.optional_map_keys)
        # Made of what the file is, not by chance: the same records make the same bytes.
        self._sync = hashlib.blake2b(f"{self.upload.key}\0{text}".encode(), digest_size=16).digest()
        metadata = {"avro.schema": text.encode(), "avro.codec": self._form.codec.encode()}
        header = bytearray(MAGIC + _long(len(metadata)))
        for name, content in metadata.items():
            header += _bytes(name.encode()) + _bytes(content)
        self.upload.write(bytes(header + _long(0) + self._sync))

    def _end_block(self) -> None:
        if self._count:
            content = self._compress(bytes(self._block))
            self.upload.write(_long(self._count) + _bytes(content) + self._sync)
            self._block, self._count = bytearray(), 0

    def _finish(self) -> None:
        self._end_block()


def _long(value: int) -> bytes:
    """Write a long that is not negative as Avro does: zigzag, seven bits a byte."""
    value <<= 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(content: bytes) -> bytes:
    return _long(len(content)) + content
