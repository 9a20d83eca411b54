"""What a text most likely is. The expected answers are those of Kafka's `Values.parseString`."""

import datetime as dt
import decimal

import pytest

from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Time, Timestamp, Type
from moldau.connect.data.values import parse_string, to_text


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("", Schema.STRING_SCHEMA, ""),
        ("null", None, None),
        ("true", Schema.BOOLEAN_SCHEMA, True),
        ("true}", Schema.STRING_SCHEMA, "true}"),
        ("127", Schema.INT8_SCHEMA, 127),
        ("-129", Schema.INT16_SCHEMA, -129),
        ("70000", Schema.INT32_SCHEMA, 70000),
        ("3000000000", Schema.INT64_SCHEMA, 3000000000),
        ("1.0", Schema.INT8_SCHEMA, 1),
        ("1.5", Schema.FLOAT32_SCHEMA, 1.5),
        ("1e300", Schema.FLOAT64_SCHEMA, 1e300),
        ("99999999999999999999", Decimal.schema(0), decimal.Decimal(99999999999999999999)),
        ("1 2", Schema.STRING_SCHEMA, "1 2"),
        ("hello, world", Schema.STRING_SCHEMA, "hello, world"),
        ("2024-02-30", Date.SCHEMA, dt.date(2024, 3, 1)),
        ("01:02:03.004Z", Time.SCHEMA, dt.time(1, 2, 3, 4000)),
        ("2024-01-02T03:04:05.006Z", Timestamp.SCHEMA, dt.datetime(2024, 1, 2, 3, 4, 5, 6000, dt.UTC)),
        ("[1, 300]", SchemaBuilder.array(Schema.INT16_SCHEMA).build(), [1, 300]),
        ('["a","b"]', SchemaBuilder.array(Schema.STRING_SCHEMA).build(), ["a", "b"]),
        ("[]", Schema(Type.ARRAY), []),
        ("[1,", Schema.STRING_SCHEMA, "[1,"),
        ("[a]", Schema.STRING_SCHEMA, "[a]"),
        ('{"a":1, "b":2}', SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT8_SCHEMA).build(), {"a": 1, "b": 2}),
        ("{1:null}", Schema(Type.MAP, key_schema=Schema.INT8_SCHEMA), {1: None}),
        ("{}", Schema(Type.MAP), {}),
        ("{null:1}", Schema.STRING_SCHEMA, "{null:1}"),
    ],
)
def test_the_type_of_a_text_is_found(text: str, schema: Schema | None, value: object):
    found = parse_string(text)
    assert found.schema == schema
    assert repr(found.value) == repr(value)


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        (None, None, None),
        (Schema.STRING_SCHEMA, 'a"b', 'a"b'),
        (None, ["a", 1, None, 1.0], '["a",1,null,1.0]'),
        (None, {"a": b"x"}, '{"a":"eA=="}'),
        (Schema.FLOAT32_SCHEMA, 0.10000000149011612, "0.1"),
        (Date.SCHEMA, dt.date(2024, 1, 1), "2024-01-01"),
        (Date.SCHEMA, dt.date(1970, 1, 1), "00:00:00.000Z"),
        (Decimal.schema(2), decimal.Decimal("1.50"), "1.50"),
    ],
)
def test_a_value_is_written_so_that_it_can_be_read(schema: Schema | None, value: object, text: str | None):
    assert to_text(schema, value) == text
