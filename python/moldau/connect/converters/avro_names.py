"""What Confluent's `AvroData` writes into Avro schemas so that none of a Connect schema is lost, and its settings."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from typing import Any, Final

from moldau.connect.data import Schema, Type

NAMESPACE: Final = "io.confluent.connect.avro"
DEFAULT_NAME: Final = "ConnectDefault"
DEFAULT_FULL_NAME: Final = f"{NAMESPACE}.{DEFAULT_NAME}"
MAP_ENTRY: Final = "MapEntry"
ANYTHING: Final = f"{NAMESPACE}.Anything"
UNION: Final = f"{NAMESPACE}.Union"
ENUM: Final = f"{NAMESPACE}.Enum"
RECORD_DOC: Final = f"{NAMESPACE}.record.doc"
ENUM_DOC: Final = f"{NAMESPACE}.enum.doc."
ENUM_DEFAULT: Final = f"{NAMESPACE}.enum.default."
FIELD_DOC: Final = f"{NAMESPACE}.field.doc."
FIELD_DEFAULT: Final = f"{NAMESPACE}.field.default"
"""A parameter: the default was that of an Avro field, and stands there again."""
INTERNAL_TYPE: Final = "connect.internal.type"
DECIMAL_PRECISION: Final = "connect.decimal.precision"
DEFAULT_PRECISION: Final = 64
FIXED_SIZE: Final = "connect.fixed.size"
AVRO_PROPERTY: Final = "avro"
"""Parameters that begin so are properties of the Avro schema, and the other way round."""

PRIMITIVES: Final = {
    Type.INT8: "int",
    Type.INT16: "int",
    Type.INT32: "int",
    Type.INT64: "long",
    Type.FLOAT32: "float",
    Type.FLOAT64: "double",
    Type.BOOLEAN: "boolean",
    Type.STRING: "string",
    Type.BYTES: "bytes",
}


@dataclass(frozen=True, slots=True)
class AvroSettings:
    """Of `AvroConverter`, by their names there."""

    enhanced: bool = False
    scrub: bool = False
    meta_data: bool = True
    optional_map_keys: bool = False
    flatten_singletons: bool = True
    ignore_defaults: bool = False

    def scrubbed(self, name: str) -> str:
        """A name as Avro allows it, if that is wanted."""
        return scrubbed(name) if self.scrub else name

    def scrubbed_full(self, name: str) -> str:
        """The same for every part of a name with dots."""
        return ".".join(map(scrubbed, name.split("."))) if self.scrub else name


VALID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def scrubbed(name: str) -> str:
    """`name` with what Avro does not allow in it URL-encoded, and what that does not allow replaced: `a-b` is `a_b`."""
    if not name or VALID.fullmatch(name):
        return name
    encoded = urllib.parse.quote_plus(name, safe="*-._")
    if encoded[0].isdigit():
        encoded = f"x{encoded}"
    return re.sub(r"[^A-Za-z0-9_]", "_", encoded)


def is_union(schema: Schema) -> bool:
    """Whether a struct stands for a union: one field for each branch, of which one has a value."""
    return schema.name == UNION and schema.type is Type.STRUCT


def enum_name(schema: Schema) -> str | None:
    """The name of the Avro enum that a string was read from, None for another string."""
    return (schema.parameters or {}).get(ENUM) if schema.type is Type.STRING else None


def fixed_size(schema: Schema) -> int | None:
    """The size of the Avro fixed that bytes were read from, None for other bytes."""
    size = (schema.parameters or {}).get(FIXED_SIZE)
    return int(size) if size is not None and schema.type is Type.BYTES and schema.name is not None else None


def is_avro_map(schema: Schema, settings: AvroSettings) -> bool:
    """Whether a map is one in Avro too, where keys are strings; others are arrays of entries."""
    key: Any = schema.key_schema
    return key.type is Type.STRING and (not key.optional or settings.optional_map_keys)
