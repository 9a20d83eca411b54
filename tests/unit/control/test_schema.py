"""The record codec: what the schemas promise, and what becomes of bytes that break the promise."""

from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.control.schema import (
    BOOL,
    BYTES,
    INT16,
    INT32,
    INT64,
    STRING,
    UUID_,
    Message,
    SchemaError,
    array,
    decode,
    encode,
    registry,
    struct_of,
    wire,
)


@dataclass(frozen=True, slots=True)
class Endpoint(Message):
    host: str = wire(STRING)
    port: int = wire(INT32, since=1)


@dataclass(frozen=True, slots=True)
class Sample(Message, versions=(0, 3), flexible_since=2):
    """A field of every kind, in a message that turns flexible half-way."""

    name: str | None = wire(STRING, nullable_since=1)
    topic_id: UUID = wire(UUID_, since=1)
    replicas: tuple[int, ...] | None = wire(array(INT32), nullable_since=2)
    endpoints: tuple[Endpoint, ...] = wire(array(struct_of(Endpoint)))
    payload: bytes | None = wire(BYTES, nullable_since=0, default=None)
    fenced: bool = wire(BOOL, since=1, until=2)
    epoch: int = wire(INT64, since=2, tag=0, default=-1)
    note: str = wire(STRING, since=3, tag=7)


samples = st.builds(
    Sample,
    name=st.text(max_size=40),
    topic_id=st.uuids(),
    replicas=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5).map(tuple),
    endpoints=st.lists(st.builds(Endpoint, host=st.text(max_size=10), port=st.integers(0, 65535)), max_size=3).map(
        tuple
    ),
    payload=st.none() | st.binary(max_size=40),
    fenced=st.booleans(),
    epoch=st.integers(-(2**63), 2**63 - 1),
    note=st.text(max_size=10),
)


@given(samples, st.integers(0, 3))
def test_what_a_version_can_carry_comes_back(sample: Sample, version: int):
    once = decode(Sample, version, encode(sample, version))
    assert decode(Sample, version, encode(once, version)) == once
    assert (once.name, once.replicas, once.payload) == (sample.name, sample.replicas, sample.payload)
    assert once.topic_id == (sample.topic_id if version >= 1 else UUID(int=0))
    assert once.epoch == (sample.epoch if version >= 2 else -1)
    assert once.fenced == (sample.fenced if version in {1, 2} else False)


def test_layout_follows_the_protocol_guide():
    sample = Sample(name="a", replicas=(1,), endpoints=(Endpoint("h", 9),), payload=None, epoch=5)
    assert encode(sample, 0).hex(" ", 1).split() == (
        "00 01 61  00 00 00 01 00 00 00 01  00 00 00 01 00 01 68  ff ff ff ff".split()
    )
    flexible = encode(sample, 2)
    assert flexible[:2] == b"\x02a"
    # One tagged field: tag 0, eight bytes long, the epoch.
    assert flexible.endswith(b"\x01\x00\x08" + (5).to_bytes(8, "big"))
    # The nested structure ends with its own, empty, section of tagged fields.
    assert b"\x02\x02h\x00\x00\x00\x09\x00" in flexible


def test_tagged_field_of_a_newer_writer_is_passed_over():
    known = encode(Sample(name="a"), 2)
    assert known.endswith(b"\x00")
    newer = known[:-1] + b"\x01\x63\x02xy"
    assert decode(Sample, 2, newer) == decode(Sample, 2, known)


@given(st.binary(max_size=120), st.integers(0, 3))
def test_any_bytes_are_read_or_refused(data: bytes, version: int):
    try:
        decode(Sample, version, data)
    except SchemaError as error:
        assert str(error)


@given(samples, st.integers(0, 3), st.data())
def test_every_truncation_is_refused(sample: Sample, version: int, data: st.DataObject):
    encoded = encode(sample, version)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(SchemaError):
        decode(Sample, version, encoded[:cut])


@pytest.mark.parametrize(
    ("version", "data", "message"),
    [
        (0, b"\x7f\xff", "32767"),
        (0, b"\x00\x01a\x7f\xff\xff\xff", "2147483647"),
        (2, b"\xff\xff\xff\xff\x07", "length"),
        (2, b"\xff\xff\xff\xff\xff\xff", "varint"),
        (0, b"\xff\xff", "null"),
        (0, b"\xff\xfe", "length -2"),
    ],
)
def test_hostile_length_is_named_and_allocates_nothing(version: int, data: bytes, message: str):
    with pytest.raises(SchemaError, match=message):
        decode(Sample, version, data)


def test_bytes_left_over_are_refused():
    with pytest.raises(SchemaError, match="left over"):
        decode(Sample, 1, encode(Sample(name="a"), 1) + b"\x00")


def test_version_outside_the_range_is_refused_with_the_range():
    with pytest.raises(SchemaError, match="known: 0 to 3"):
        encode(Sample(), 4)
    with pytest.raises(SchemaError, match="known: 0 to 3"):
        decode(Sample, -1, b"")


def test_value_that_does_not_fit_its_type_is_refused():
    with pytest.raises(SchemaError, match="int32"):
        encode(Sample(replicas=(2**31,)), 0)
    with pytest.raises(SchemaError, match="may not be null"):
        encode(Sample(name=None), 0)
    with pytest.raises(SchemaError, match="limit is 32767"):
        encode(Sample(name="x" * 32768), 0)


@dataclass(frozen=True, slots=True)
class Other(Message, versions=(0, 0)):
    number: int = wire(INT16)


def test_record_type_declared_twice_is_a_programming_error():
    assert registry((1, Sample), (2, Other)) == {1: Sample, 2: Other}
    with pytest.raises(AssertionError, match="declared twice"):
        registry((1, Sample), (1, Other))
