"""What Confluent's `ProtobufData` has for names: parameters of schemas, well-known messages, its settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.schema_registry.confluent import meta_pb2

from moldau.connect.converters.avro_names import scrubbed
from moldau.connect.data import Date, Decimal, Schema, Time, Timestamp, Type

NAMESPACE: Final = "io.confluent.connect.protobuf"
DEFAULT_NAME: Final = "ConnectDefault"
ENUM: Final = f"{NAMESPACE}.Enum"
UNION: Final = f"{NAMESPACE}.Union"
TAG: Final = f"{NAMESPACE}.Tag"
TYPE: Final = f"{NAMESPACE}.Type"
WRAPPER: Final = f"{NAMESPACE}.Wrapper"
"""A parameter: a member of a oneof was a wrapper, and is to be one again."""
ENTRY: Final = "Entry"
KEY: Final = "key"
VALUE: Final = "value"
CONNECT_TYPE: Final = "connect.type"
DECIMAL_PRECISION: Final = "connect.decimal.precision"
PRECISION: Final = "precision"
SCALE: Final = "scale"

FIELD_META: Final[Any] = getattr(meta_pb2, "field_meta")  # noqa: B009 (its stubs know no extensions)
"""The option of a field under which Confluent keeps what Protobuf has no words for."""
DECIMAL: Final = "confluent.type.Decimal"
LOGICAL: Final = {
    Decimal.LOGICAL_NAME: DECIMAL,
    Date.LOGICAL_NAME: "google.type.Date",
    Time.LOGICAL_NAME: "google.type.TimeOfDay",
    Timestamp.LOGICAL_NAME: "google.protobuf.Timestamp",
}
WRAPPERS_FILE: Final = "google/protobuf/wrappers.proto"
FILES: Final = {
    DECIMAL: "confluent/type/decimal.proto",
    "google.type.Date": "google/type/date.proto",
    "google.type.TimeOfDay": "google/type/timeofday.proto",
    "google.protobuf.Timestamp": "google/protobuf/timestamp.proto",
}
WRAPPERS: Final = {
    Type.INT8: "google.protobuf.Int32Value",
    Type.INT16: "google.protobuf.Int32Value",
    Type.INT32: "google.protobuf.Int32Value",
    Type.INT64: "google.protobuf.Int64Value",
    Type.FLOAT32: "google.protobuf.FloatValue",
    Type.FLOAT64: "google.protobuf.DoubleValue",
    Type.BOOLEAN: "google.protobuf.BoolValue",
    Type.STRING: "google.protobuf.StringValue",
    Type.BYTES: "google.protobuf.BytesValue",
}
UNSIGNED_WRAPPERS: Final = {
    **dict.fromkeys(("uint32", "fixed32"), "google.protobuf.UInt32Value"),
    **dict.fromkeys(("uint64", "fixed64"), "google.protobuf.UInt64Value"),
}
UNWRAPPED: Final = {name: kind for kind, name in WRAPPERS.items() if kind not in {Type.INT8, Type.INT16}} | {
    "google.protobuf.UInt32Value": Type.INT64,
    "google.protobuf.UInt64Value": Type.INT64,
}
SCALARS: Final = {
    Type.INT8: "int32",
    Type.INT16: "int32",
    Type.INT32: "int32",
    Type.INT64: "int64",
    Type.FLOAT32: "float",
    Type.FLOAT64: "double",
    Type.BOOLEAN: "bool",
    Type.STRING: "string",
    Type.BYTES: "bytes",
}


@dataclass(frozen=True, slots=True)
class ProtobufSettings:
    """Of `ProtobufConverter`."""

    enhanced: bool = False
    scrub: bool = False
    int_for_enums: bool = False
    optional_for_nullables: bool = False
    optional_for_proto2: bool = True
    wrapper_for_nullables: bool = False
    wrapper_for_raw_primitives: bool = True
    struct_for_nulls: bool = False
    index_for_unions: bool = True
    flatten_unions: bool = False
    ignore_defaults: bool = False

    def scrubbed(self, name: str) -> str:
        """A name as Protobuf allows it, if that is wanted."""
        if not self.scrub:
            return name
        return f"x{scrubbed(name)}" if name.startswith("_") else scrubbed(name)

    def wraps(self, schema: Schema, *, in_union: bool) -> bool:
        """Whether a value that may be null goes into a message of its own; in a oneof it need not."""
        if not (self.wrapper_for_nullables and schema.optional):
            return False
        return not in_union or (schema.parameters or {}).get(WRAPPER) == "true"


def is_union(schema: Schema) -> bool:
    """Whether a struct stands for a oneof: one field for each member, of which one has a value."""
    return schema.type is Type.STRUCT and (schema.name or "").startswith(UNION)


def enum_of(schema: Schema) -> str | None:
    """The name of the enum that a string or a number was read from, None for others."""
    return (schema.parameters or {}).get(ENUM) if schema.type in {Type.STRING, Type.INT32} else None


def to_entry(name: str) -> str:
    """What the message of a map's entries is called."""
    if "_" in name:
        name = "".join(word[:1].upper() + word[1:].lower() for word in name.split("_"))
    return name + ENTRY


def from_entry(full_name: str) -> str:
    """The name of a map, from that of the message of its entries."""
    space, dot, name = full_name.rpartition(".")
    if name.endswith(ENTRY):
        words = re.findall(r"[A-Z][^A-Z]*|^[^A-Z]+", name.removesuffix(ENTRY))
        name = "_".join(words).lower()
    return f"{space}{dot}{name}"
