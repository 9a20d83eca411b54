"""Converters of one type each: strings, bytes, numbers and booleans, as Kafka's serializers write them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from moldau.connect.config_def import ConfigDef, Importance, Type, invalid
from moldau.connect.converters.both import ConverterOfBoth
from moldau.connect.data import Schema, SchemaAndValue
from moldau.connect.data import Type as DataType
from moldau.connect.data.java_text import java_float, java_text
from moldau.connect.data.schema import INTEGER_RANGES
from moldau.connect.errors import DataError
from moldau.connect.records import Header

STRING_CONFIG: Final = ConfigDef().define(
    "converter.encoding", Type.STRING, "UTF-8", importance=Importance.HIGH, doc="The character set of the text."
)


class StringConverter(ConverterOfBoth):
    """Text. Other values are written as Java writes them; bytes that are no text are read with replacement marks."""

    def config(self) -> ConfigDef:
        return STRING_CONFIG

    def configure(self, configs: Mapping[str, Any], is_key: bool = False) -> None:
        self._encoding: str = STRING_CONFIG.parse(configs)["converter.encoding"]
        try:
            "".encode(self._encoding)
        except LookupError:
            raise invalid("converter.encoding", self._encoding, "no such character set") from None

    def from_connect_data(
        self, topic: str, schema: Schema | None, value: Any, headers: Iterable[Header] | None = None
    ) -> bytes | None:
        if value is None:
            return None
        if value.__class__ is not str:
            if isinstance(value, bytes | bytearray | memoryview):
                raise DataError("bytes are no text\nhint: use org.apache.kafka.connect.converters.ByteArrayConverter")
            is_float = schema is not None and schema.type is DataType.FLOAT32
            value = java_float(value) if is_float else java_text(value)
        return str(value).encode(self._encoding, "replace")

    def to_connect_data(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None = None
    ) -> SchemaAndValue:
        text = None if data is None else data.decode(self._encoding, "replace")
        return SchemaAndValue(Schema.OPTIONAL_STRING_SCHEMA, text)


class ByteArrayConverter(ConverterOfBoth):
    """Bytes as they are."""

    def from_connect_data(
        self, topic: str, schema: Schema | None, value: Any, headers: Iterable[Header] | None = None
    ) -> bytes | None:
        if schema is not None and schema.type is not DataType.BYTES:
            raise DataError(f"{schema} is not a schema of bytes, which is all that ByteArrayConverter writes")
        if value is None or isinstance(value, bytes):
            return value
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        raise DataError(f"ByteArrayConverter writes bytes, not {type(value).__name__}: {value!r:.80}")

    def to_connect_data(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None = None
    ) -> SchemaAndValue:
        return SchemaAndValue(Schema.OPTIONAL_BYTES_SCHEMA, data)


class NumberConverter(ConverterOfBoth):
    """Numbers of one type, big-endian. Extended by one class for each type."""

    FORM: ClassVar[struct.Struct]
    SCHEMA: ClassVar[Schema]

    def from_connect_data(
        self, topic: str, schema: Schema | None, value: Any, headers: Iterable[Header] | None = None
    ) -> bytes | None:
        if value is None:
            return None
        kind = self.SCHEMA.type
        if kind in INTEGER_RANGES:
            low, high = INTEGER_RANGES[kind]
            fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        else:
            fits = isinstance(value, float)
        if not fits or (schema is not None and schema.type is not kind):
            raise DataError(f"{type(self).__name__} writes {kind.name}, not {type(value).__name__}: {value!r:.80}")
        try:
            return self.FORM.pack(value)
        except OverflowError:
            raise DataError(f"{value} does not fit into {kind.name}") from None

    def to_connect_data(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None = None
    ) -> SchemaAndValue:
        if data is None:
            return SchemaAndValue(self.SCHEMA, None)
        if len(data) != self.FORM.size:
            raise DataError(f"{self.SCHEMA.type.name} has {self.FORM.size} bytes, not {len(data)}")
        return SchemaAndValue(self.SCHEMA, self.FORM.unpack(data)[0])


class ShortConverter(NumberConverter):
    """INT16 in 2 bytes."""

    FORM = struct.Struct(">h")
    SCHEMA = Schema.OPTIONAL_INT16_SCHEMA


class IntegerConverter(NumberConverter):
    """INT32 in 4 bytes."""

    FORM = struct.Struct(">i")
    SCHEMA = Schema.OPTIONAL_INT32_SCHEMA


class LongConverter(NumberConverter):
    """INT64 in 8 bytes."""

    FORM = struct.Struct(">q")
    SCHEMA = Schema.OPTIONAL_INT64_SCHEMA


class FloatConverter(NumberConverter):
    """FLOAT32 in 4 bytes."""

    FORM = struct.Struct(">f")
    SCHEMA = Schema.OPTIONAL_FLOAT32_SCHEMA


class DoubleConverter(NumberConverter):
    """FLOAT64 in 8 bytes."""

    FORM = struct.Struct(">d")
    SCHEMA = Schema.OPTIONAL_FLOAT64_SCHEMA


class BooleanConverter(ConverterOfBoth):
    """A boolean in 1 byte, 0 or 1."""

    def from_connect_data(
        self, topic: str, schema: Schema | None, value: Any, headers: Iterable[Header] | None = None
    ) -> bytes | None:
        if schema is not None and schema.type is not DataType.BOOLEAN:
            raise DataError(f"{schema} is not a schema of booleans, which is all that BooleanConverter writes")
        if value is not None and not isinstance(value, bool):
            raise DataError(f"BooleanConverter writes booleans, not {type(value).__name__}: {value!r:.80}")
        return None if value is None else bytes([value])

    def to_connect_data(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None = None
    ) -> SchemaAndValue:
        if data is not None and data not in {b"\x00", b"\x01"}:
            raise DataError(f"a boolean is one byte, 0 or 1, not {data[:20]!r}")
        return SchemaAndValue(Schema.OPTIONAL_BOOLEAN_SCHEMA, None if data is None else data == b"\x01")
