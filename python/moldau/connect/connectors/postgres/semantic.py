"""Debezium's semantic types: what a schema's name says about a number or a string beneath it.

The names, versions and documentation strings are Debezium's, so that its consumers and converters know them.
"""

from __future__ import annotations

from decimal import Decimal as Number
from typing import Final

from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Struct, Time, Timestamp
from moldau.connect.data.logical import EXACT, to_bytes


def named(builder: SchemaBuilder, name: str, version: int = 1) -> SchemaBuilder:
    return builder.name(name).version(version)


def bits(length: int) -> SchemaBuilder:
    return named(SchemaBuilder.bytes(), "io.debezium.data.Bits").parameter("length", str(length))


def json() -> SchemaBuilder:
    return named(SchemaBuilder.string(), "io.debezium.data.Json")


def text(name: str) -> SchemaBuilder:
    """A string with one of `io.debezium.data`'s names: Xml, Uuid, Ltree, Tsvector."""
    return named(SchemaBuilder.string(), f"io.debezium.data.{name}")


def enum(labels: tuple[str, ...]) -> SchemaBuilder:
    return named(SchemaBuilder.string(), "io.debezium.data.Enum").parameter("allowed", ",".join(labels))


def time_type(kind: str) -> SchemaBuilder:
    """One of `io.debezium.time`'s types on the number or string that it stands on."""
    on = {
        "Date": SchemaBuilder.int32,
        "Time": SchemaBuilder.int32,
        "IsoDate": SchemaBuilder.string,
        "IsoTime": SchemaBuilder.string,
        "IsoTimestamp": SchemaBuilder.string,
        "ZonedTime": SchemaBuilder.string,
        "ZonedTimestamp": SchemaBuilder.string,
        "Interval": SchemaBuilder.string,
    }
    return named(on.get(kind, SchemaBuilder.int64)(), f"io.debezium.time.{kind}")


def connect_time(kind: str) -> SchemaBuilder:
    builders = {"Date": Date.builder, "Time": Time.builder, "Timestamp": Timestamp.builder}
    return builders[kind]()


def decimal(scale: int, precision: int | None) -> SchemaBuilder:
    builder = Decimal.builder(scale)
    return builder if precision is None else builder.parameter("connect.decimal.precision", str(precision))


def variable_scale_decimal() -> SchemaBuilder:
    builder = named(SchemaBuilder.struct(), "io.debezium.data.VariableScaleDecimal").doc("Variable scaled decimal")
    return builder.field("scale", Schema.INT32_SCHEMA).field("value", Schema.BYTES_SCHEMA)


def variable_scale_value(schema: Schema, number: Number) -> Struct:
    """A number without trailing zeros behind the point, as scale and unscaled bytes."""
    sign, digits, exponent = EXACT.normalize(number).as_tuple()
    assert isinstance(exponent, int)
    scale = max(-exponent, 0)
    unscaled = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
    return Struct.of(schema, [scale, to_bytes(-unscaled if sign else unscaled)])


def point() -> SchemaBuilder:
    builder = named(SchemaBuilder.struct(), "io.debezium.data.geometry.Point").doc("Geometry (POINT)")
    builder = builder.field("x", Schema.FLOAT64_SCHEMA).field("y", Schema.FLOAT64_SCHEMA)
    return builder.field("wkb", Schema.OPTIONAL_BYTES_SCHEMA).field("srid", Schema.OPTIONAL_INT32_SCHEMA)


def geometry(name: str = "Geometry") -> SchemaBuilder:
    extensions = SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.STRING_SCHEMA).optional().build()
    builder = named(SchemaBuilder.struct(), f"io.debezium.data.geometry.{name}", 2).doc(name)
    builder = builder.field("wkb", Schema.BYTES_SCHEMA).field("srid", Schema.OPTIONAL_INT32_SCHEMA)
    return builder.field("extensions", extensions)


def circle() -> SchemaBuilder:
    builder = named(SchemaBuilder.struct(), "io.debezium.data.geometry.Circle").doc("Geometry (CIRCLE)")
    return builder.field("center", point().build()).field("radius", Schema.FLOAT64_SCHEMA)


def line() -> SchemaBuilder:
    builder = named(SchemaBuilder.struct(), "io.debezium.data.geometry.Line").doc("Geometry (LINE)")
    for coefficient in "abc":
        builder = builder.field(coefficient, Schema.FLOAT64_SCHEMA)
    return builder


def double_vector() -> SchemaBuilder:
    return named(SchemaBuilder.array(Schema.FLOAT64_SCHEMA), "io.debezium.data.DoubleVector")


def float_vector() -> SchemaBuilder:
    return named(SchemaBuilder.array(Schema.FLOAT32_SCHEMA), "io.debezium.data.FloatVector")


def sparse_vector() -> SchemaBuilder:
    builder = named(SchemaBuilder.struct(), "io.debezium.data.SparseDoubleVector").doc("Sparse double vector")
    vector = SchemaBuilder.map(Schema.INT16_SCHEMA, Schema.FLOAT64_SCHEMA).build()
    return builder.field("dimensions", Schema.INT16_SCHEMA).field("vector", vector)


# The last word of the names under which Kafka Connect's converters see Debezium's own values.
SNAPSHOT_MARKS: Final = "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"
