"""The way down and up between a logical value and what carries it."""

import datetime as dt
import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Time, Timestamp
from moldau.connect.data.logical import to_bytes
from moldau.connect.errors import DataError


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x00\x80"),
        (-128, b"\x80"),
        (-129, b"\xff\x7f"),
        (156, b"\x00\x9c"),
        (-1, b"\xff"),
    ],
)
def test_a_number_is_written_as_java_writes_it(number: int, expected: bytes):
    assert to_bytes(number) == expected


@given(st.integers(), st.integers(-5, 60))
def test_a_decimal_comes_back_exact_whatever_its_length(number: int, scale: int):
    schema = Decimal.schema(scale)
    value = Decimal.to_logical(schema, to_bytes(number))
    assert Decimal.from_logical(schema, value) == to_bytes(number)
    assert value.as_tuple().exponent == -scale


def test_a_decimal_of_another_scale_is_refused():
    with pytest.raises(DataError, match="has the scale 1, its schema has 2"):
        Decimal.from_logical(Decimal.schema(2), decimal.Decimal("1.5"))
    with pytest.raises(DataError, match="not a number that a Decimal can hold"):
        Decimal.from_logical(Decimal.schema(2), decimal.Decimal("NaN"))


def test_a_decimal_without_a_scale_is_refused():
    schema = SchemaBuilder.bytes().name(Decimal.LOGICAL_NAME).build()
    with pytest.raises(DataError, match="'scale' is None, not a number"):
        Decimal.to_logical(schema, b"\x01")


@given(st.dates())
def test_a_date_comes_back(day: dt.date):
    assert Date.to_logical(Date.from_logical(day)) == day


@given(st.integers(0, 86_399_999))
def test_a_time_comes_back(milliseconds: int):
    assert Time.from_logical(Time.to_logical(milliseconds)) == milliseconds


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_timestamp_comes_back(milliseconds: int):
    assert Timestamp.from_logical(Timestamp.to_logical(milliseconds)) == milliseconds


def test_a_timestamp_before_1970_is_rounded_down():
    assert Timestamp.from_logical(dt.datetime(1969, 12, 31, 23, 59, 59, 999_500, dt.UTC)) == -1


def test_a_timestamp_of_another_zone_is_the_same_moment():
    zone = dt.timezone(dt.timedelta(hours=2))
    assert Timestamp.from_logical(dt.datetime(1970, 1, 1, 2, tzinfo=zone)) == 0


def test_a_timestamp_without_a_zone_is_refused():
    with pytest.raises(DataError, match="has no zone"):
        Timestamp.from_logical(dt.datetime(2024, 1, 1))  # noqa: DTZ001


def test_what_python_cannot_hold_is_refused():
    with pytest.raises(DataError, match="outside of the years"):
        Timestamp.to_logical(2**60)
    with pytest.raises(DataError, match="outside of the years"):
        Date.to_logical(2**31 - 1)
    with pytest.raises(DataError, match="is not a time"):
        Time.to_logical(86_400_000)


def test_the_schemas_are_those_of_kafka():
    assert Schema(Schema.INT32_SCHEMA.type, name="org.apache.kafka.connect.data.Date", version=1) == Date.SCHEMA
    assert Decimal.schema(4).parameters == {"scale": "4"}
