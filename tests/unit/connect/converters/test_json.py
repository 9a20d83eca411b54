"""`JsonConverter`, both ways, with and without schemas."""

import datetime as dt
import decimal
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.converters.json import JsonConverter
from moldau.connect.converters.json_schemas import to_json_schema
from moldau.connect.data import (
    NULL,
    Date,
    Decimal,
    Schema,
    SchemaAndValue,
    SchemaBuilder,
    Struct,
    Time,
    Timestamp,
    Type,
)
from moldau.connect.errors import ConfigError, DataError

ORDER = (
    SchemaBuilder.struct()
    .name("order")
    .version(2)
    .doc("an order")
    .field("id", Schema.INT64_SCHEMA)
    .field("price", Decimal.schema(2))
    .field("at", Timestamp.builder().optional())
    .field("status", SchemaBuilder.string().default_value("NEW"))
    .field("tags", SchemaBuilder.array(Schema.STRING_SCHEMA).optional())
    .build()
)
AT = dt.datetime(2024, 5, 6, 7, 8, 9, 123_000, dt.UTC)


def converter(**settings: Any) -> JsonConverter:
    made = JsonConverter()
    made.configure({name.replace("_", "."): value for name, value in settings.items()})
    return made


def plain(**settings: Any) -> JsonConverter:
    return converter(schemas_enable="false", **settings)


def order(**fields: Any) -> Struct:
    return Struct(ORDER, **{"id": 7, "price": decimal.Decimal("1.50"), **fields})


def test_a_struct_is_written_with_its_schema():
    written = converter().from_connect_data("t", ORDER, order(at=AT, tags=["a"]))
    assert written is not None
    assert json.loads(written) == {
        "schema": {
            "type": "struct",
            "name": "order",
            "version": 2,
            "doc": "an order",
            "optional": False,
            "fields": [
                {"type": "int64", "optional": False, "field": "id"},
                {
                    "type": "bytes",
                    "optional": False,
                    "name": Decimal.LOGICAL_NAME,
                    "version": 1,
                    "parameters": {"scale": "2"},
                    "field": "price",
                },
                {"type": "int64", "optional": True, "name": Timestamp.LOGICAL_NAME, "version": 1, "field": "at"},
                {"type": "string", "optional": False, "default": "NEW", "field": "status"},
                {
                    "type": "array",
                    "items": {"type": "string", "optional": False},
                    "optional": True,
                    "field": "tags",
                },
            ],
        },
        "payload": {"id": 7, "price": "AJY=", "at": 1714979289123, "status": "NEW", "tags": ["a"]},
    }


def test_what_is_written_with_its_schema_is_read_back():
    both = converter()
    value = order(at=AT, tags=["a", "b"], status="DONE")
    assert both.to_connect_data("t", both.from_connect_data("t", ORDER, value)) == SchemaAndValue(ORDER, value)


def test_a_schema_that_was_read_once_is_the_same_object_again():
    both = converter()
    data = both.from_connect_data("t", ORDER, order())
    assert both.to_connect_data("t", data).schema is both.to_connect_data("t", data).schema


@pytest.mark.parametrize(
    ("schema", "value", "payload"),
    [
        (Schema.INT8_SCHEMA, -1, "-1"),
        (Schema.INT64_SCHEMA, 2**63 - 1, "9223372036854775807"),
        (Schema.FLOAT32_SCHEMA, 0.10000000149011612, "0.1"),
        (Schema.FLOAT64_SCHEMA, 1.0, "1.0"),
        (Schema.FLOAT64_SCHEMA, float("inf"), '"Infinity"'),
        (Schema.BOOLEAN_SCHEMA, True, "true"),
        (Schema.STRING_SCHEMA, 'a"é', '"a\\"é"'),
        (Schema.BYTES_SCHEMA, b"\xff\x00", '"/wA="'),
        (Schema.OPTIONAL_STRING_SCHEMA, None, "null"),
        (SchemaBuilder.int32().default_value(5).build(), None, "5"),
        (SchemaBuilder.array(Schema.OPTIONAL_INT8_SCHEMA).build(), [1, None], "[1,null]"),
        (SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT8_SCHEMA).build(), {"a": 1}, '{"a":1}'),
        (SchemaBuilder.map(Schema.INT8_SCHEMA, Schema.INT8_SCHEMA).build(), {1: 2}, "[[1,2]]"),
        (Date.SCHEMA, dt.date(1970, 1, 2), "1"),
        (Time.SCHEMA, dt.time(0, 0, 1), "1000"),
        (Decimal.schema(2), decimal.Decimal("1.56"), '"AJw="'),
        (None, {"a": [1, 1.5, True, None, "x"]}, '{"a":[1,1.5,true,null,"x"]}'),
        (None, {1: 2}, "[[1,2]]"),
    ],
)
def test_a_value_is_written_without_its_schema(schema: Schema | None, value: object, payload: str):
    assert plain().from_connect_data("t", schema, value) == payload.encode()


@pytest.mark.parametrize(
    ("schema", "payload", "value"),
    [
        (Schema.FLOAT32_SCHEMA, "1", 1.0),
        (Schema.FLOAT64_SCHEMA, '"NaN"', float("nan")),
        (Schema.BYTES_SCHEMA, '"/wA="', b"\xff\x00"),
        (Decimal.schema(2), "1.560", decimal.Decimal("1.560")),
        (Decimal.schema(2), "123456789012345678901.23", decimal.Decimal("123456789012345678901.23")),
        (Decimal.schema(2), '"AJw="', decimal.Decimal("1.56")),
        (Date.SCHEMA, "1", dt.date(1970, 1, 2)),
        (Time.SCHEMA, "1000", dt.time(0, 0, 1)),
        (Timestamp.SCHEMA, "1714979289123", AT),
        (SchemaBuilder.map(Schema.INT8_SCHEMA, Schema.INT8_SCHEMA).build(), "[[1,2]]", {1: 2}),
        (SchemaBuilder.int32().default_value(5).build(), "null", 5),
    ],
)
def test_a_payload_is_read_after_its_schema(schema: Schema, payload: str, value: object):
    both = converter()
    declared = json.dumps(to_json_schema(schema, numeric=False, replace_null=True))
    data = b'{"schema":' + declared.encode() + b',"payload":' + payload.encode() + b"}"
    assert repr(both.to_connect_data("t", data)) == repr(SchemaAndValue(schema, value))


@pytest.mark.parametrize(
    ("schema", "payload", "message"),
    [
        ({"type": "int8"}, "300", "300 does not fit into INT8"),
        ({"type": "int32"}, '"5"', "'5' in the place of"),
        ({"type": "int32"}, "1.5", "1.5 in the place of"),
        ({"type": "boolean"}, "1", "1 in the place of"),
        ({"type": "string"}, "null", "null in the place of"),
        ({"type": "bytes"}, '"%"', "is not base64"),
        ({"type": "array", "items": {"type": "int8"}}, "{}", "in the place of"),
        ({"type": "map", "keys": {"type": "int8"}, "values": {"type": "int8"}}, "[[1]]", "a list of pairs"),
        ({"type": "struct", "fields": [{"field": "a", "type": "int8"}]}, "{}", "field 'a': null in the place of"),
        ({"type": "struct", "fields": [{"type": "int8"}]}, "{}", "needs its name under 'field'"),
        ({"type": "struct"}, "{}", "'fields' of a struct's schema are not a list"),
        ({"type": "array"}, "[]", "needs 'items'"),
        ({"type": "uuid"}, "1", "cannot be of type 'uuid'"),
        ({"type": "int8", "parameters": {"a": 1}}, "1", "parameter 'a' of a schema is not a string"),
        ({"no": "type"}, "1", "a schema needs a 'type'"),
        (5, "1", "a schema is an object"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused(schema: object, payload: str, message: str):
    data = b'{"schema":' + json.dumps(schema).encode() + b',"payload":' + payload.encode() + b"}"
    with pytest.raises(DataError, match=message):
        converter().to_connect_data("t", data)


@pytest.mark.parametrize(
    "data", [b"{}", b'{"schema":null}', b'{"schema":null,"payload":1,"more":2}', b"[1,2]", b"1", b"null"]
)
def test_an_envelope_has_schema_and_payload_and_nothing_else(data: bytes):
    with pytest.raises(DataError, match=r"schemas\.enable=false"):
        converter().to_connect_data("t", data)


def test_a_key_in_plain_text_is_refused_as_a_key_with_the_converter_that_reads_it():
    keys = JsonConverter()
    keys.configure({}, is_key=True)
    with pytest.raises(DataError, match=r"the key of a record of orders.*\nhint: key\.converter=.*StringConverter"):
        keys.to_connect_data("orders", b"customer-1")


@pytest.mark.parametrize("data", [b"{", b"nope", b"\xff\xfe", b'{"schema":{"type":"int8"},"payload":}', b""])
def test_what_is_not_json_is_refused(data: bytes):
    with pytest.raises(DataError, match="not JSON"):
        converter().to_connect_data("t", data)


def test_a_tombstone_stays_one():
    for each in (converter(), plain()):
        assert each.to_connect_data("t", None) == NULL
        assert each.from_connect_data("t", None, None) is None


def test_null_with_a_schema_is_the_json_null_and_no_tombstone():
    assert plain().from_connect_data("t", Schema.OPTIONAL_STRING_SCHEMA, None) == b"null"


def test_null_in_the_place_of_a_struct_is_refused_where_it_is_required():
    inner = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).build()
    outer = SchemaBuilder.struct().field("inner", inner).build()
    for schema, value in ((inner, None), (outer, Struct.of(outer, [None]))):
        with pytest.raises(DataError, match="required and has no default"):
            plain().from_connect_data("t", schema, value)


def test_no_bytes_at_all_are_null_without_schemas():
    assert plain().to_connect_data("t", b"") == NULL


def test_a_value_without_a_schema_goes_into_an_envelope_that_says_so():
    assert converter().from_connect_data("t", None, {"a": 1}) == b'{"schema":null,"payload":{"a":1}}'
    assert converter().to_connect_data("t", b'{"schema":null,"payload":{"a":1}}') == (None, {"a": 1})


def test_a_default_is_left_out_when_it_is_not_to_replace_null():
    keep = plain(replace_null_with_default="false")
    optional = SchemaBuilder.int32().optional().default_value(5).build()
    assert keep.from_connect_data("t", optional, None) == b"null"
    with pytest.raises(DataError, match="required and has no default"):
        keep.from_connect_data("t", SchemaBuilder.int32().default_value(5).build(), None)


def test_decimals_are_numbers_if_asked_for():
    numeric = plain(decimal_format="numeric")
    assert numeric.from_connect_data("t", Decimal.schema(2), decimal.Decimal("1.50")) == b"1.50"
    with pytest.raises(ConfigError, match="BASE64, NUMERIC"):
        plain(decimal_format="text")


def test_a_schema_of_the_settings_stands_for_that_of_each_record():
    fixed = converter(schema_content='{"type":"struct","fields":[{"field":"a","type":"int8"}]}')
    found = fixed.to_connect_data("t", b'{"a":1}')
    assert isinstance(found.value, Struct)
    assert found.value.get("a") == 1


def test_a_struct_of_another_schema_is_refused():
    with pytest.raises(DataError, match="a value is not of"):
        plain().from_connect_data("t", SchemaBuilder.struct().name("other").build(), order())


def test_schemas_that_are_forgotten_are_worked_out_again():
    few = converter(schemas_cache_size="1")
    for name in "ababa":
        schema = SchemaBuilder.struct().name(name).field("x", Schema.INT8_SCHEMA).build()
        value = Struct(schema, x=1)
        assert few.to_connect_data("t", few.from_connect_data("t", schema, value)) == (schema, value)


def test_headers_are_written_like_values():
    both = plain()
    assert both.from_connect_header("t", "h", Schema.INT8_SCHEMA, 1) == b"1"
    assert both.to_connect_header("t", "h", b"[1]") == (None, [1])


def values(kind: Type) -> st.SearchStrategy[Any]:
    return {
        Type.INT8: st.integers(-128, 127),
        Type.INT16: st.integers(-(2**15), 2**15 - 1),
        Type.INT32: st.integers(-(2**31), 2**31 - 1),
        Type.INT64: st.integers(-(2**63), 2**63 - 1),
        Type.FLOAT32: st.floats(width=32, allow_nan=False),
        Type.FLOAT64: st.floats(allow_nan=False),
        Type.BOOLEAN: st.booleans(),
        Type.STRING: st.text(),
        Type.BYTES: st.binary(),
    }[kind]


@st.composite
def schemas_and_values(draw: st.DrawFn, depth: int = 2) -> tuple[Schema, Any]:
    kind = draw(st.sampled_from(list(Type) if depth else [each for each in Type if each.is_primitive]))
    optional = draw(st.booleans())
    if kind is Type.STRUCT:
        builder, held = SchemaBuilder.struct(), []
        for name in draw(st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=4)):
            schema, value = draw(schemas_and_values(depth=depth - 1))
            builder.field(name, schema)
            held.append(value)
        schema = (builder.optional() if optional else builder).build()
        return schema, Struct.of(schema, held)
    if kind is Type.ARRAY:
        inner, value = draw(schemas_and_values(depth=depth - 1))
        return Schema(kind, optional=optional, value_schema=inner), [value] * draw(st.integers(0, 2))
    if kind is Type.MAP:
        inner, value = draw(schemas_and_values(depth=depth - 1))
        keys = draw(st.lists(st.text(max_size=4), unique=True, max_size=3))
        key_schema = Schema.STRING_SCHEMA
        return Schema(kind, optional=optional, key_schema=key_schema, value_schema=inner), dict.fromkeys(keys, value)
    schema = Schema(kind, optional=optional)
    return schema, None if optional and draw(st.booleans()) else draw(values(kind))


@given(schemas_and_values())
def test_whatever_is_written_is_read_back(both: tuple[Schema, Any]):
    schema, value = both
    each = converter()
    assert each.to_connect_data("t", each.from_connect_data("t", schema, value)) == SchemaAndValue(schema, value)
