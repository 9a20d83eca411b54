"""Records and their headers."""

import decimal

import pytest

from moldau.connect.data import Schema
from moldau.connect.data.values import parse_string
from moldau.connect.errors import DataError
from moldau.connect.records import CREATE_TIME, Header, Headers, SinkRecord, SourceRecord


def source() -> SourceRecord:
    return SourceRecord(
        {"file": "a"}, {"line": 3}, "lines", 1, Schema.STRING_SCHEMA, "k", Schema.STRING_SCHEMA, "v", 1000
    )


def sink() -> SinkRecord:
    return SinkRecord("orders", 2, None, "k", None, "v", 41, 1000, CREATE_TIME, [Header("a", 1)])


def test_a_new_record_keeps_where_it_came_from():
    record = source().new_record("other", None, None, 1, None, 2, 5)
    assert (record.topic, record.kafka_partition, record.key, record.value, record.timestamp) == (
        "other",
        None,
        1,
        2,
        5,
    )
    assert (record.source_partition, record.source_offset) == ({"file": "a"}, {"line": 3})


def test_a_sink_record_remembers_its_original_place_whatever_is_done_to_it():
    record = sink().new_record("other", 9, None, None, None, None, None).with_topic("third").with_value(None, 1)
    assert (record.topic, record.kafka_partition) == ("third", 9)
    assert (record.original_topic, record.original_kafka_partition, record.original_kafka_offset) == ("orders", 2, 41)
    assert (record.kafka_offset, record.timestamp_type) == (41, CREATE_TIME)


def test_headers_of_a_new_record_are_its_own():
    before = sink()
    after = before.with_value(None, "w")
    after.headers.add("b", 2)
    assert [header.key for header in before.headers] == ["a"]
    assert [header.key for header in after.headers] == ["a", "b"]


def test_headers_given_to_a_new_record_take_the_place_of_its_own():
    record = sink().new_record("t", 0, None, None, None, None, None, Headers([Header("z", 0)]))
    assert list(record.headers) == [Header("z", 0)]
    assert list(sink().with_headers([]).headers) == []


def test_records_are_equal_by_all_they_say():
    assert source() == source()
    assert sink() == sink()
    assert source() != source().with_key(None, "k")
    assert sink() != source()
    empty = source()
    assert len(empty.headers) == 0
    assert empty == source()


def test_headers_keep_their_order_and_their_doubles():
    headers = Headers().add_string("a", "1").add_int("b", 2).add_string("a", None)
    assert headers.all_with_name("a") == [
        Header("a", "1", Schema.STRING_SCHEMA),
        Header("a", None, Schema.OPTIONAL_STRING_SCHEMA),
    ]
    last = headers.last_with_name("a")
    assert last is not None
    assert last.value is None
    assert headers.last_with_name("c") is None
    assert [header.key for header in headers.duplicate().remove("a")] == ["b"]
    assert len(headers) == 3


def test_the_latest_header_of_each_key_can_be_kept():
    headers = Headers([Header("a", 1), Header("b", 1), Header("a", 2), Header("b", 2)])
    assert list(headers.duplicate().retain_latest()) == [Header("a", 2), Header("b", 2)]
    assert list(headers.retain_latest("a")) == [Header("b", 1), Header("a", 2), Header("b", 2)]


def test_headers_are_changed_or_dropped_by_a_function():
    headers = Headers([Header("a", 1), Header("b", 1)])
    headers.apply(lambda header: header._replace(value=9), "a")
    headers.apply(lambda header: None if header.key == "b" else header)
    assert list(headers) == [Header("a", 9)]


def test_a_header_must_fit_its_schema():
    with pytest.raises(DataError, match="the header 'n' takes INT32"):
        Headers().add("n", "x", Schema.INT32_SCHEMA)
    decimals = Headers().add_decimal("d", decimal.Decimal("1.50"))
    schema = next(iter(decimals)).schema
    assert schema is not None
    assert schema.parameters == {"scale": "2"}


def test_a_header_that_was_read_may_have_several_types_in_a_map():
    found = parse_string('{"id":1001,"part":"moved"}')
    header = sink().headers.add("__debezium.newkey", found.value, found.schema).last_with_name("__debezium.newkey")
    assert header.value == {"id": 1001, "part": "moved"}
