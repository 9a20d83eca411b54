"""The codec against kio's own reader and writer, and against bodies that lie about their lengths."""

import contextlib
import io
import struct
import tracemalloc
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer

from moldau.errors import ErrorCode
from moldau.server.codec import DecodeError, EncodeError, decode, encode_response
from moldau.server.refusal import refuse
from moldau.wire.codec import message_codec
from moldau.wire.layout import (
    FLEXIBLE_SINCE,
    NOT_FLEXIBLE,
    FieldLayout,
    StructLayout,
    message_layout,
    message_versions,
)

MESSAGES = [(key, version) for key in range(93) for version in message_versions(key, "request")]

PRIMITIVES = {
    "int8": st.integers(-(2**7), 2**7 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=40),
    "records": st.binary(max_size=40),
    "uuid": st.uuids().filter(lambda value: value.int != 0),
    "error_code": st.sampled_from(ErrorCode).map(int),
    "timedelta_i32": st.integers(-(2**31), 2**31 - 1),
    "timedelta_i64": st.integers(-(2**40), 2**40),
    "datetime_i64": st.integers(0, 4_000_000_000_000),
}


def field_values(field: FieldLayout):
    element = mappings(field.struct) if field.struct is not None else PRIMITIVES[field.kind]
    value = st.lists(element, max_size=3) if field.is_array else element
    return st.none() | value if field.nullable and field.tag is None else value


def mappings(layout: StructLayout):
    every = [*layout.fields, *layout.tagged.values()]
    return st.fixed_dictionaries({}, optional={field.name: field_values(field) for field in every})


def kio_bytes(entity) -> bytes:
    with io.BytesIO() as out:
        entity_writer(type(entity))(out, entity)
        return out.getvalue()


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_kio_reads_every_response_as_it_was_meant(data):
    key, version = data.draw(st.sampled_from(MESSAGES))
    answer = data.draw(mappings(message_layout(key, version, "response")))
    encoded = encode_response(key, version, answer)
    entity, size = entity_reader(load_response_schema(key, version))(encoded, 0)
    assert size == len(encoded)
    assert kio_bytes(entity) == encoded
    for name, value in answer.items():
        if isinstance(value, str | bytes | bool | UUID):
            assert getattr(entity, name) == value


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_decoding_gives_the_object_that_kio_would_give(data):
    key, version = data.draw(st.sampled_from([m for m in MESSAGES if m[0] != 0]))
    layout = message_layout(key, version, "request")
    body = message_codec(key, version, "request").encode(data.draw(mappings(layout)))
    expected, _ = entity_reader(load_request_schema(key, version))(body, 0)
    assert decode(key, version, body) == expected


@given(st.sampled_from(MESSAGES), st.binary(max_size=60))
@settings(max_examples=1000, deadline=None)
def test_arbitrary_bytes_are_a_request_or_a_decode_error(message, body):
    with contextlib.suppress(DecodeError):
        decode(*message, body)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_truncated_request_is_a_decode_error(data):
    key, version = data.draw(st.sampled_from(MESSAGES))
    layout = message_layout(key, version, "request")
    body = message_codec(key, version, "request").encode(data.draw(mappings(layout)))
    cut = data.draw(st.integers(0, max(0, len(body) - 1)))
    if body:
        with pytest.raises(DecodeError):
            decode(key, version, body[:cut])


@pytest.mark.parametrize(
    ("version", "body"),
    [
        pytest.param(1, struct.pack(">i", 2**31 - 1), id="legacy array of two billion topics"),
        pytest.param(1, struct.pack(">ih", 1, 32767), id="legacy string beyond the end"),
        pytest.param(1, struct.pack(">i", -2), id="negative length"),
        pytest.param(12, b"\xff\xff\xff\xff\x07", id="compact array of two billion topics"),
        pytest.param(12, b"\xff\xff\xff\xff\x0f", id="compact array of four billion topics"),
        pytest.param(12, b"\xff" * 10, id="varint without an end"),
        pytest.param(12, b"\x00\x01\x01\xff\xff\xff\xff\x0f", id="four billion tagged fields"),
        pytest.param(12, b"\x00\x01\x01\x01\x00\xff\xff\xff\xff\x0f", id="tagged field of four gigabytes"),
    ],
)
def test_a_hostile_length_allocates_nothing(version, body):
    tracemalloc.start()
    with pytest.raises(DecodeError):
        decode(3, version, body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_an_array_with_too_many_elements_is_refused_before_they_are_read():
    # ListGroups 4: states_filter is an array of strings; each empty string is one byte.
    with pytest.raises(DecodeError, match="array of"):
        decode(16, 4, b"\x81\x89\x7a" + b"\x01" * 2_000_000)


def test_unknown_tagged_fields_are_skipped():
    assert decode(3, 12, b"\x00\x01\x00\x01\x05\x03abc").topics is None


def test_a_time_beyond_every_calendar_is_a_decode_error():
    with pytest.raises(DecodeError):
        # RenewDelegationToken 1: hmac, renew period in milliseconds.
        decode(39, 1, struct.pack(">iq", 0, 2**63 - 1))


def test_times_and_error_codes_are_written_from_plain_numbers():
    encoded = encode_response(12, 4, {"throttle_time": 1500, "error_code": ErrorCode.REBALANCE_IN_PROGRESS})
    entity, _ = entity_reader(load_response_schema(12, 4))(encoded, 0)
    assert entity.throttle_time == timedelta(milliseconds=1500)
    assert int(entity.error_code) == 27


def test_a_field_that_this_version_lacks_is_dropped():
    assert encode_response(12, 0, {"throttle_time": 1500, "error_code": 0}) == b"\x00\x00"


@pytest.mark.parametrize(
    "answer", [{"eror_code": 0}, {"throttle_time": "soon"}, {"error_code": 70000}, {"error_code": None}]
)
def test_an_answer_that_no_version_can_carry_is_an_encode_error(answer):
    with pytest.raises(EncodeError):
        encode_response(12, 4, answer)


def test_a_tagged_structure_that_says_nothing_is_not_written():
    plain = encode_response(82, 0, {})
    assert encode_response(82, 0, {"current_leader": {"host": ""}}) == plain
    assert encode_response(82, 0, {"current_leader": {"host": "a"}}) != plain


def test_a_misspelled_field_inside_a_structure_is_an_encode_error():
    with pytest.raises(EncodeError, match="memberid"):
        encode_response(11, 5, {"members": [{"memberid": "a"}]})


def test_null_in_a_field_that_may_not_be_null_is_an_encode_error():
    with pytest.raises(EncodeError, match="leader"):
        encode_response(11, 5, {"leader": None})


def test_the_first_flexible_versions_are_those_of_the_protocol():
    for key, since in FLEXIBLE_SINCE.items():
        flexible = [v for v in message_versions(key, "request") if message_layout(key, v, "request").flexible]
        assert since == min(flexible, default=NOT_FLEXIBLE), key


def request_of(key: int, version: int, answer: dict):
    return decode(key, version, message_codec(key, version, "request").encode(answer))


def test_a_refusal_names_every_topic_that_was_asked_for():
    request = request_of(19, 7, {"topics": [{"name": "orders"}, {"name": "payments"}]})
    body = refuse(19, 7, request, ErrorCode.UNKNOWN_SERVER_ERROR, "it broke")
    entity, _ = entity_reader(load_response_schema(19, 7))(body, 0)
    assert [(t.name, int(t.error_code), t.error_message) for t in entity.topics] == [
        ("orders", -1, "it broke"),
        ("payments", -1, "it broke"),
    ]


def test_a_refusal_reaches_down_to_partitions():
    request = request_of(8, 9, {"topics": [{"name": "orders", "partitions": [{"partition_index": 3}]}]})
    entity, _ = entity_reader(load_response_schema(8, 9))(refuse(8, 9, request, ErrorCode.NOT_COORDINATOR), 0)
    assert [(p.partition_index, int(p.error_code)) for p in entity.topics[0].partitions] == [(3, 16)]


@pytest.mark.parametrize(("key", "version", "asked"), [(42, 2, {"groups_names": ["a"]}), (15, 5, {"groups": ["a"]})])
def test_a_refusal_names_every_group(key, version, asked):
    body = refuse(key, version, request_of(key, version, asked), ErrorCode.NOT_COORDINATOR)
    entity, _ = entity_reader(load_response_schema(key, version))(body, 0)
    (element,) = getattr(entity, "results", None) or entity.groups
    assert (element.group_id, int(element.error_code)) == ("a", 16)


def test_a_response_that_cannot_carry_an_error_is_not_made_up():
    assert refuse(3, 0, request_of(3, 0, {"topics": []}), ErrorCode.UNKNOWN_SERVER_ERROR) is not None
    assert refuse(71, 0, request_of(71, 0, {}), ErrorCode.UNKNOWN_SERVER_ERROR) is not None
    assert refuse(0, 3, object(), ErrorCode.UNKNOWN_SERVER_ERROR) is None
