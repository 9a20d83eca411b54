"""Values as COPY takes them, and JDBC URLs as libpq's parameters."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.config_def import ConfigDef
from moldau.connect.connectors.jdbc import settings
from moldau.connect.connectors.jdbc.address import libpq_parameters
from moldau.connect.connectors.jdbc.tables import table_name
from moldau.connect.connectors.jdbc.types import converter, type_name
from moldau.connect.connectors.postgres import semantic
from moldau.connect.connectors.postgres.text import INFINITY_US
from moldau.connect.data import Schema, SchemaBuilder
from moldau.connect.data.logical import EPOCH
from moldau.connect.errors import ConfigError, ConnectError, DataError

DATE = semantic.time_type("Date").build()
MICROS = semantic.time_type("MicroTimestamp").build()


@given(st.datetimes(timezones=st.just(dt.UTC)).filter(lambda moment: moment.year >= 1000))
def test_moments_are_what_python_says(moment):
    microseconds = (moment - EPOCH) // dt.timedelta(microseconds=1)
    text = converter(MICROS, "timestamp without time zone")(microseconds)
    assert text == moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    days = moment.date().toordinal() - dt.date(1970, 1, 1).toordinal()
    assert converter(DATE, "date")(days) == str(moment.date())


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (-719163, "0001-12-31 BC"),
        (-719162, "0001-01-01"),
        (-719528 - 1, "0002-12-31 BC"),
        (2932897, "10000-01-01"),
        (2**31 - 1, "infinity"),
    ],
)
def test_days_of_years_that_python_has_not_are_written_as_well(days, text):
    assert converter(DATE, "date")(days) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-0043-03-15T12:00:00Z", "0044-03-15T12:00:00Z BC"),
        ("0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z BC"),
        ("+10000-01-01T00:00:00Z", "10000-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
    ],
)
def test_years_of_iso_8601_are_those_of_postgresql(text, expected):
    assert converter(semantic.time_type("ZonedTimestamp").build(), "timestamp with time zone")(text) == expected


def test_infinity_is_infinity():
    assert converter(MICROS, "timestamp with time zone")(INFINITY_US) == "infinity"


def test_a_number_that_is_a_day_stays_a_number_in_a_column_of_numbers():
    assert converter(DATE, "integer") is None


def test_bits_without_a_length_are_as_long_as_they_need():
    assert converter(semantic.bits(2**31 - 1).build(), "bit varying")(b"\x05") == "101"
    assert converter(semantic.bits(5).build(), "bit(5)")(b"\x05") == "00101"


def test_text_with_a_zero_byte_is_refused():
    with pytest.raises(DataError, match="zero byte"):
        converter(Schema.STRING_SCHEMA, "text")("a\0")


def test_types_of_arrays_are_those_of_their_elements():
    assert type_name(SchemaBuilder.array(MICROS).build()) == "timestamp[]"


def test_an_address_is_read():
    found = libpq_parameters(
        "jdbc:postgresql://a:1,b/my%20db?user=u&currentSchema=x&ssl=true&reWriteBatchedInserts=true"
    )
    assert found == {
        "application_name": "moldau jdbc sink",
        "host": "a,b",
        "port": "1,5432",
        "dbname": "my db",
        "user": "u",
        "sslmode": "verify-full",
        "options": "-c timezone=UTC -c search_path=x",
    }
    assert libpq_parameters("jdbc:postgresql:db")["host"] == "localhost"
    assert libpq_parameters("jdbc:postgresql://[::1]:5/db")["host"] == "::1"


URL = "jdbc:postgresql://h/db"


@pytest.mark.parametrize(
    ("read", "props", "said"),
    [
        (settings.confluent, {"connection.url": "jdbc:mysql://h/db"}, "jdbc:postgresql"),
        (settings.confluent, {"connection.url": f"{URL}?nonsense=1"}, "nonsense"),
        (settings.confluent, {"connection.url": URL, "delete.enabled": "true"}, "pk.mode=record_key"),
        (settings.confluent, {"connection.url": URL, "insert.mode": "upsert"}, "needs a primary key"),
        (settings.confluent, {"connection.url": URL, "pk.mode": "kafka", "pk.fields": "a,b"}, "three"),
        (settings.confluent, {"connection.url": URL, "table.name.format": "${topic}_${day}"}, "all that is replaced"),
        (settings.debezium, {"connection.url": URL, "delete.enabled": "true"}, "primary.key.mode=record_key"),
        (settings.debezium, {"connection.url": URL, "primary.key.mode": "record_header"}, "record_header"),
    ],
)
def test_settings_that_do_not_go_together_are_explained(read, props, said):
    with pytest.raises(ConfigError, match=said.replace("$", r"\$")):
        read(props)
    config: ConfigDef = settings.CONFLUENT if read is settings.confluent else settings.DEBEZIUM
    assert any(value.errors for value in settings.validated(config, read, props))


def test_a_topic_with_dots_is_a_table_of_debeziums_and_none_of_confluents():
    mine = settings.confluent({"connection.url": URL})
    assert table_name("s.t", mine, "db") == '"s"."t"'
    assert table_name("db.s.t", mine, "db") == '"s"."t"'
    with pytest.raises(ConnectError, match="RegexRouter"):
        table_name("p.s.t", mine, "db")
    theirs = settings.debezium({"connection.url": URL})
    assert table_name("p.s.t", theirs, "db") == '"p_s_t"'
