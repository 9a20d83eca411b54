"""`JsonConverter`: JSON, alone or in an envelope that carries its schema: `{"schema": ..., "payload": ...}`.

For each schema the way of its values is worked out once (`json_values`). In the envelope, the schema's own JSON is
bytes that are written as they are and, when read, the key under which the schema is known already.

Where Java's converter makes something up (a text in the place of a number is 0), this one raises.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from moldau.connect.config_def import ConfigDef, Importance, Type, Width
from moldau.connect.config_validators import CaseInsensitiveValidString
from moldau.connect.converters.both import ConverterOfBoth
from moldau.connect.converters.json_schemas import from_json_schema, to_json_schema
from moldau.connect.converters.json_values import Reader, Writer, plain, reader_of, writer_of
from moldau.connect.converters.rendering import Rendering
from moldau.connect.data import NULL, Field, Schema, SchemaAndValue
from moldau.connect.errors import DataError
from moldau.connect.records import Header

CONFIG: Final = (
    ConfigDef()
    .define(
        "schemas.enable",
        Type.BOOLEAN,
        True,
        importance=Importance.HIGH,
        doc="Whether each key and value carries its schema.",
        group="Schemas",
        order=0,
        width=Width.MEDIUM,
        display_name="Enable Schemas",
    )
    .define(
        "schemas.cache.size",
        Type.INT,
        1000,
        importance=Importance.HIGH,
        doc="How many schemas are remembered.",
        group="Schemas",
        order=1,
        width=Width.MEDIUM,
        display_name="Schema Cache Size",
    )
    .define(
        "schema.content",
        Type.STRING,
        None,
        importance=Importance.HIGH,
        doc="The schema, in the JSON of the envelope, of all that a sink reads; the records then carry none. For "
        "schemas.enable=true only.",
        group="Schemas",
        order=2,
        width=Width.MEDIUM,
        display_name="Schema Content",
    )
    .define(
        "decimal.format",
        Type.STRING,
        "BASE64",
        CaseInsensitiveValidString("BASE64", "NUMERIC"),
        Importance.LOW,
        "How decimals are written: BASE64 of their bytes, or NUMERIC.",
        group="Serialization",
        order=0,
        width=Width.MEDIUM,
        display_name="Decimal Format",
    )
    .define(
        "replace.null.with.default",
        Type.BOOLEAN,
        True,
        importance=Importance.LOW,
        doc="Whether a field that is null and has a default is written and read as the default.",
        group="Serialization",
        order=1,
        width=Width.MEDIUM,
        display_name="Replace null with default",
    )
)


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """A record with its schema; both still JSON."""

    schema: msgspec.Raw
    payload: msgspec.Raw


class JsonConverter(ConverterOfBoth):
    """See the module. Configured once, used by one task."""

    def config(self) -> ConfigDef:
        return CONFIG

    def configure(self, configs: Mapping[str, Any], is_key: bool = False) -> None:
        settings = CONFIG.parse(configs)
        self._part = "key" if is_key else "value"
        self._with_schemas: bool = settings["schemas.enable"]
        self._numeric: bool = settings["decimal.format"].upper() == "NUMERIC"
        self._replace_null: bool = settings["replace.null.with.default"]
        self._most: int = settings["schemas.cache.size"]
        self._encode = msgspec.json.Encoder(decimal_format="number").encode
        self._decode = msgspec.json.Decoder().decode
        self._decode_exact = msgspec.json.Decoder(float_hook=decimal.Decimal).decode
        self._open: Callable[[bytes], Envelope] = msgspec.json.Decoder(Envelope).decode
        self._writers: dict[Schema, tuple[bytes, Writer]] = {}
        self._last_schema: Schema | None = None
        self._last_writer: tuple[bytes, Writer] = (b"", plain)
        self._readers: dict[bytes, Reader] = {}
        content = settings["schema.content"]
        self._fixed = self._reader(content.encode()) if content else None

    def from_connect_data(
        self, topic: str, schema: Schema | None, value: Any, headers: Iterable[Header] | None = None
    ) -> bytes | None:
        head: bytes
        write: Writer
        if schema is None:
            if value is None:
                return None
            head, write = b'{"schema":null,"payload":', plain
        elif schema is self._last_schema:
            head, write = self._last_writer
        else:
            head, write = self._writer(schema)
        try:
            payload = self._encode(write(value))
        except (msgspec.MsgspecError, TypeError, ValueError) as error:
            raise DataError(f"a value for {topic} cannot be written as JSON: {error}") from error
        return b"".join((head, payload, b"}")) if self._with_schemas else payload

    def rendering(self, topic: str, schema: Schema) -> Rendering:
        """How values of a schema are written (`ready.RenderingConverter`)."""
        head, _ = self._writer(schema)
        encode = self._encode

        def name(field: Field) -> bytes:
            return (b"," if field.index else b"") + encode(field.name) + b":"

        def write(each: Schema) -> Callable[[Any], bytes]:
            way = writer_of(each, numeric=self._numeric, replace_null=self._replace_null)
            return lambda value: encode(way(value))

        around = (head, b"}") if self._with_schemas else (b"", b"")
        return Rendering("json", *around, b"{", b"}", name, lambda _: b"", write, not self._numeric)

    def to_connect_data(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None = None
    ) -> SchemaAndValue:
        if data is None:
            return NULL
        try:
            if not self._with_schemas:
                return SchemaAndValue(None, self._decode(data)) if data else NULL
            if self._fixed is not None:
                return self._read(self._fixed, data)
            envelope = self._open(data)
        except msgspec.ValidationError as error:
            raise DataError(
                f'JSON with schemas.enable=true has the two fields "schema" and "payload", and no other: {error}\n'
                "hint: for plain JSON set schemas.enable=false"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(
                f"the {self._part} of a record of {topic} is not JSON: {error}\n"
                f"hint: {self._part}.converter=org.apache.kafka.connect.storage.StringConverter reads plain text"
            ) from error
        known = bytes(envelope.schema)
        reader = self._readers.get(known)
        if reader is None:
            reader = self._reader(known)
        return self._read(reader, envelope.payload)

    def _read(self, reader: Reader, payload: bytes | msgspec.Raw) -> SchemaAndValue:
        if reader.quick is not None:
            try:
                return SchemaAndValue(reader.schema, reader.quick(payload))
            except (msgspec.MsgspecError, DataError, ValueError):
                # The long way says what is wrong with it, if anything.
                pass
        try:
            value = self._decode_exact(payload) if reader.exact else self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"a value is not JSON: {error}") from error
        return SchemaAndValue(reader.schema, reader.read(value))

    def _writer(self, schema: Schema) -> tuple[bytes, Writer]:
        found = self._writers.get(schema)
        if found is None:
            write = writer_of(schema, numeric=self._numeric, replace_null=self._replace_null)
            declared = self._encode(to_json_schema(schema, numeric=self._numeric, replace_null=self._replace_null))
            found = (b'{"schema":' + declared + b',"payload":', write)
            if len(self._writers) >= self._most:
                self._writers.pop(next(iter(self._writers)), None)
            self._writers[schema] = found
        self._last_schema = schema
        self._last_writer = found
        return found

    def _reader(self, declared: bytes) -> Reader:
        try:
            node = self._decode_exact(declared)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"a schema is not JSON: {error}") from error
        schema = None if node is None else from_json_schema(node, replace_null=self._replace_null)
        reader = reader_of(schema, replace_null=self._replace_null)
        if len(self._readers) >= self._most:
            self._readers.pop(next(iter(self._readers)), None)
        self._readers[declared] = reader
        return reader
