"""Converters of one type, and of headers."""

import datetime as dt

import pytest

from moldau.connect.converters.header import SimpleHeaderConverter
from moldau.connect.converters.simple import (
    BooleanConverter,
    ByteArrayConverter,
    DoubleConverter,
    FloatConverter,
    IntegerConverter,
    LongConverter,
    ShortConverter,
    StringConverter,
)
from moldau.connect.data import NULL, Schema, SchemaBuilder, Struct, Time, Timestamp
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.plugin import Converter


def strings(**settings: str) -> StringConverter:
    made = StringConverter()
    made.configure(settings)
    return made


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (Schema.STRING_SCHEMA, "é", "é".encode()),
        (None, 5, b"5"),
        (None, True, b"true"),
        (Schema.FLOAT64_SCHEMA, 1e7, b"1.0E7"),
        (Schema.FLOAT32_SCHEMA, 0.10000000149011612, b"0.1"),
        (None, {"a": [1, None]}, b"{a=[1, null]}"),
        (None, Struct(SchemaBuilder.struct().field("a", Schema.INT8_SCHEMA).build(), a=1), b"Struct{a=1}"),
        (None, None, None),
    ],
)
def test_a_value_is_written_as_text_as_java_writes_it(schema: Schema | None, value: object, expected: bytes | None):
    assert strings().from_connect_data("t", schema, value) == expected


def test_text_is_read_in_its_character_set():
    assert strings().to_connect_data("t", b"a\xff") == (Schema.OPTIONAL_STRING_SCHEMA, "a�")
    latin = strings(**{"converter.encoding": "ISO-8859-1"})
    assert latin.to_connect_data("t", b"\xe9") == (Schema.OPTIONAL_STRING_SCHEMA, "é")
    assert strings().to_connect_data("t", None) == (Schema.OPTIONAL_STRING_SCHEMA, None)
    with pytest.raises(ConfigError, match="no such character set"):
        strings(**{"converter.encoding": "klingon"})


def test_bytes_are_no_text():
    with pytest.raises(DataError, match="ByteArrayConverter"):
        strings().from_connect_data("t", None, b"x")


def test_bytes_go_as_they_are():
    both = ByteArrayConverter()
    assert both.from_connect_data("t", Schema.BYTES_SCHEMA, memoryview(b"x")) == b"x"
    assert both.to_connect_data("t", b"x") == (Schema.OPTIONAL_BYTES_SCHEMA, b"x")
    assert both.from_connect_data("t", None, None) is None
    for schema, value in ((Schema.STRING_SCHEMA, "x"), (None, "x")):
        with pytest.raises(DataError, match=r"bytes"):
            both.from_connect_data("t", schema, value)


@pytest.mark.parametrize(
    ("both", "value", "data"),
    [
        (ShortConverter(), -2, b"\xff\xfe"),
        (IntegerConverter(), 1, b"\x00\x00\x00\x01"),
        (LongConverter(), 2**63 - 1, b"\x7f" + b"\xff" * 7),
        (FloatConverter(), 1.5, b"\x3f\xc0\x00\x00"),
        (DoubleConverter(), -0.5, b"\xbf\xe0" + bytes(6)),
        (BooleanConverter(), True, b"\x01"),
    ],
)
def test_a_number_is_written_big_endian_and_read_back(both: Converter, value: object, data: bytes):
    assert both.from_connect_data("t", None, value) == data
    assert both.to_connect_data("t", data).value == value
    assert both.to_connect_data("t", None).value is None
    assert both.from_connect_data("t", None, None) is None
    for wrong in (b"", data + b"\x00"):
        with pytest.raises(DataError):
            both.to_connect_data("t", wrong)
    with pytest.raises(DataError, match="writes"):
        both.from_connect_data("t", None, "x")


def test_a_number_that_is_too_large_is_refused():
    with pytest.raises(DataError, match="ShortConverter writes INT16"):
        ShortConverter().from_connect_data("t", None, 2**15)
    with pytest.raises(DataError, match="does not fit into FLOAT32"):
        FloatConverter().from_connect_data("t", None, 1e300)
    with pytest.raises(DataError, match="LongConverter writes INT64"):
        LongConverter().from_connect_data("t", Schema.INT32_SCHEMA, 1)


def test_a_header_is_text_whose_type_is_guessed():
    headers = SimpleHeaderConverter()
    assert headers.from_connect_header("t", "h", Schema.STRING_SCHEMA, "true") == b"true"
    assert headers.to_connect_header("t", "h", b"true") == (Schema.BOOLEAN_SCHEMA, True)
    assert headers.to_connect_header("t", "h", None) == NULL
    assert headers.to_connect_header("t", "h", b"\xff\xfe") == (Schema.BYTES_SCHEMA, b"\xff\xfe")
    at = dt.datetime(2024, 5, 6, 7, 8, 9, 123_000, dt.UTC)
    written = headers.from_connect_header("t", "h", Timestamp.SCHEMA, at)
    assert written == b"2024-05-06T07:08:09.123Z"
    assert headers.to_connect_header("t", "h", written) == (Timestamp.SCHEMA, at)
    assert headers.from_connect_header("t", "h", Time.SCHEMA, dt.time(1)) == b"01:00:00.000Z"
