"""Structs, and the check that a value fits its schema."""

import datetime as dt
import decimal
import enum

import pytest

from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Struct, Time, Timestamp, validate_value
from moldau.connect.errors import DataError

ORDER = (
    SchemaBuilder.struct()
    .name("order")
    .field("id", Schema.INT64_SCHEMA)
    .field("note", Schema.OPTIONAL_STRING_SCHEMA)
    .field("status", SchemaBuilder.string().default_value("NEW"))
    .build()
)


class Colour(enum.IntEnum):
    RED = 1


def test_a_struct_holds_what_was_put_in_the_order_of_its_schema():
    struct = Struct(ORDER, note="hello").put("id", 7)
    assert struct.values == [7, "hello", None]
    assert struct.get("id") == 7
    assert struct["note"] == "hello"
    assert repr(struct) == "Struct{id=7,note=hello}"


def test_a_default_stands_in_for_null():
    struct = Struct(ORDER, id=1)
    assert struct.get("status") == "NEW"
    assert struct.get_without_default("status") is None
    assert dict(struct.items()) == {"id": 1, "note": None, "status": "NEW"}
    struct.validate()


def test_a_required_field_must_be_there():
    with pytest.raises(DataError, match=r"field 'id' is required \(INT64\) but is null"):
        Struct(ORDER, note="x").validate()


def test_an_unknown_field_is_named_with_those_that_are_known():
    for call in (Struct(ORDER).get, Struct(ORDER).get_without_default, lambda name: Struct(ORDER).put(name, 1)):
        with pytest.raises(DataError, match=r"'ID' is not a field of .*order.*: id, note, status"):
            call("ID")


def test_a_struct_needs_a_schema_of_a_struct():
    with pytest.raises(DataError, match="a struct needs a schema of a struct"):
        Struct(Schema.INT8_SCHEMA)


def test_structs_are_equal_by_schema_and_values():
    assert Struct(ORDER, id=1) == Struct(ORDER, id=1)
    assert Struct(ORDER, id=1) != Struct(ORDER, id=2)
    other = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).build()
    assert Struct.of(ORDER, [1, None, None]) != Struct.of(other, [1])


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (Schema.INT8_SCHEMA, -128),
        (Schema.INT64_SCHEMA, 2**63 - 1),
        (Schema.INT32_SCHEMA, Colour.RED),
        (Schema.FLOAT32_SCHEMA, 1.5),
        (Schema.BOOLEAN_SCHEMA, True),
        (Schema.STRING_SCHEMA, "x"),
        (Schema.BYTES_SCHEMA, b"x"),
        (Schema.BYTES_SCHEMA, memoryview(b"x")),
        (Schema.OPTIONAL_BYTES_SCHEMA, None),
        (SchemaBuilder.array(Schema.OPTIONAL_INT8_SCHEMA).build(), [1, None]),
        (SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT8_SCHEMA).build(), {"a": 1}),
        (Decimal.schema(2), decimal.Decimal("1.50")),
        (Date.SCHEMA, dt.date(2024, 2, 29)),
        (Time.SCHEMA, dt.time(12)),
        (Timestamp.SCHEMA, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_a_value_that_fits_passes(schema: Schema, value: object):
    validate_value(schema, value)


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (Schema.INT8_SCHEMA, 128, r"128 does not fit into INT8 \(-128 to 127\)"),
        (Schema.INT64_SCHEMA, 2**63, "does not fit into INT64"),
        (Schema.INT32_SCHEMA, True, "takes INT32 as int, not bool"),
        (Schema.INT32_SCHEMA, 1.0, "takes INT32 as int, not float"),
        (Schema.FLOAT64_SCHEMA, 1, "takes FLOAT64 as float, not int"),
        (Schema.BOOLEAN_SCHEMA, 1, "takes BOOLEAN as bool"),
        (Schema.STRING_SCHEMA, b"x", "takes STRING as str"),
        (Schema.STRING_SCHEMA, None, "is required"),
        (SchemaBuilder.array(Schema.INT8_SCHEMA).build(), [1, "2"], "an element of the value takes INT8"),
        (SchemaBuilder.array(Schema.INT8_SCHEMA).build(), (1,), "as list, not tuple"),
        (SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT8_SCHEMA).build(), {1: 1}, "a key of the value"),
        (SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT8_SCHEMA).build(), {"1": ""}, "a value of the value"),
        (Decimal.schema(2), 1.5, "Decimal as Decimal, not float"),
        (Date.SCHEMA, dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "as date, not datetime"),
        (Timestamp.SCHEMA, 0, "Timestamp as datetime, not int"),
        (ORDER, {"id": 1}, "order as Struct, not dict"),
        (ORDER, Struct(SchemaBuilder.struct().build()), "is not equal to"),
        (ORDER, Struct(ORDER), "field 'id' is required"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_the_reason(schema: Schema, value: object, message: str):
    with pytest.raises(DataError, match=message):
        validate_value(schema, value)
