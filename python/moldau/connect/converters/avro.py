"""`AvroConverter`: Avro through a schema registry, for Confluent's converter and serializers to read, and from them.

Schemas are Confluent's to the letter (`avro_from_connect`, `avro_to_connect`); bytes are written and read by
Moldau's compiled codec, and `avro_values` carries structs over to it and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import msgspec

from moldau.client.serdes import AvroDecoder, AvroEncoder
from moldau.client.serdes.framing import is_bare_bytes
from moldau.connect.config_def import ConfigDef, Type
from moldau.connect.converters.avro_from_connect import avro_schema, record_name
from moldau.connect.converters.avro_names import AvroSettings
from moldau.connect.converters.avro_to_connect import AvroReading
from moldau.connect.converters.avro_values import reader_of, writer_of
from moldau.connect.converters.registry import Declared, Decode, Encode, Registered, RegistryConverter
from moldau.connect.converters.registry_settings import check_refused, data_settings, registry_config
from moldau.connect.converters.rendering import Rendering
from moldau.connect.data import Decimal, Schema

# name, default, the attribute of AvroSettings, doc
DATA: Final = (
    ("enhanced.avro.schema.support", False, "enhanced", "Whether enums stay enums, and branches have full names."),
    ("scrub.invalid.names", False, "scrub", "Whether names that Avro does not allow are changed, such as a-b to a_b."),
    ("connect.meta.data", True, "meta_data", "Whether schemas carry what only Connect has: connect.name and others."),
    ("allow.optional.map.keys", False, "optional_map_keys", "Whether a map with optional strings as keys is a map."),
    ("flatten.singleton.unions", True, "flatten_singletons", "Whether a union of one type is that type."),
    ("ignore.default.for.nullables", False, "ignore_defaults", "Whether null stays null where there is a default."),
)
REFUSED: Final = (("discard.type.doc.default", Type.BOOLEAN, False, "Confluent has deprecated it"),)


class AvroConverter(RegistryConverter):
    """See the module."""

    FORMAT = "AVRO"
    LANGUAGE = "Avro"
    CONFIG: ClassVar[ConfigDef] = registry_config(DATA, REFUSED)

    def configure(self, configs: Mapping[str, Any], is_key: bool = False) -> None:
        super().configure(configs, is_key)
        check_refused(self._settings, REFUSED)
        self._avro = AvroSettings(**data_settings(self._settings, DATA))

    def _declared(self, schema: Schema | None) -> Declared:
        return Declared(avro_schema(schema, self._avro), record_name(schema, self._avro))

    def _encoder(self, schema: Schema | None, registered: Registered) -> Encode:
        write = writer_of(schema, self._avro)
        if is_bare_bytes(registered.text):
            # Confluent's serializers write bytes alone without their length.
            decimal = schema is not None and schema.name == Decimal.LOGICAL_NAME
            return _bare_decimal(schema) if decimal and schema is not None else _bare
        codec = AvroEncoder(self._reading(registered).codec_schema()).encode
        return lambda value, prefix: codec(write(value), prefix)

    def _decoder(self, registered: Registered, version: int | None, place: bytes = b"") -> tuple[Schema | None, Decode]:
        reading = self._reading(registered)
        schema = reading.connect_schema(version)
        if is_bare_bytes(registered.text):
            if schema is not None and schema.name == Decimal.LOGICAL_NAME:
                known = schema
                return schema, lambda data, start: Decimal.to_logical(known, data[start:])
            return schema, lambda data, start: data[start:]
        codec, read = AvroDecoder(reading.codec_schema()).decode, reader_of(schema, self._avro)
        return schema, lambda data, start: read(codec(data, start))

    def rendering(self, topic: str, schema: Schema) -> Rendering | None:
        """How values are written (`ready.RenderingConverter`); None when the registry's schema is another."""
        registered = self._registered_for(topic, schema)
        if self._forget_at is not None or registered.text != self._declared(schema).text:
            return None
        prefix = b"\0" + registered.id.to_bytes(4, "big")

        def branch(each: Schema) -> bytes:
            node = msgspec.json.decode(avro_schema(each, self._avro))
            # The number of a union's branch, as Avro writes numbers: there are two.
            return bytes((2 * (1 - node.index("null")),)) if isinstance(node, list) else b""

        def write(each: Schema) -> Callable[[Any], bytes]:
            way = writer_of(each, self._avro)
            codec = AvroEncoder(AvroReading(avro_schema(each, self._avro), [], self._avro).codec_schema()).encode
            return lambda value: codec(way(value), b"")

        return Rendering("avro", prefix, b"", b"", b"", lambda _: b"", branch, write)

    def _name_in(self, registered: Registered, place: bytes = b"") -> str:
        return self._reading(registered).root_name()

    def _reading(self, registered: Registered) -> AvroReading:
        return AvroReading(registered.text, list(registered.references.values()), self._avro)


def _bare(value: Any, prefix: bytes) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"{type(value).__name__} is no bytes")
    return prefix + bytes(value)


def _bare_decimal(schema: Schema) -> Encode:
    return lambda value, prefix: prefix + Decimal.from_logical(schema, value)
