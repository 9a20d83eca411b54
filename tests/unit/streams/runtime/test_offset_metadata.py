"""The partition's time and the closed windows beside a committed offset, in Kafka Streams' bytes."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.streams.runtime.offset_metadata import decode, encode, ended


def test_the_bytes_are_those_of_kafka_streams():
    # TopicPartitionMetadata.encode: base64 of the version 2 and eight bytes of time.
    assert encode(5, {}) == "AgAAAAAAAAAF"
    assert encode(-1, {}) == "Av//////////"
    # ProcessorMetadata.serialize: the number of entries; of each its name with 4 bytes of length, and 8 bytes of time.
    assert base64.b64decode(encode(5, {"ab": 7})) == bytes.fromhex(
        "02 0000000000000005 00000001 00000002 6162 0000000000000007"
    )


def test_versions_one_and_two_are_read():
    assert decode("AQAAAAAAAAAF") == (5, {})
    assert decode("AgAAAAAAAAAF") == (5, {})
    assert decode("AgAAAAAAAAAFAAAAAA==") == (5, {})


@pytest.mark.parametrize("metadata", [None, "", "no base64!", "AwAAAAAAAAAF", "AgAA"])
def test_what_somebody_else_wrote_is_no_time(metadata):
    assert decode(metadata) == (-1, {})


@pytest.mark.parametrize(
    "tail", ["00000001", "00000001 7fffffff 61", "00000001 ffffffff 61", "00000002 00000001 61 0000"]
)
def test_torn_metadata_is_no_time(tail):
    data = bytes.fromhex("02 0000000000000005" + tail)
    assert decode(base64.b64encode(data).decode()) == (-1, {})


@given(st.integers(-1, 2**63 - 1), st.dictionaries(st.text(), st.integers(-1, 2**63 - 1), max_size=4))
def test_what_was_encoded_comes_back(time, closed):
    assert decode(encode(time, closed)) == (time, closed)


def test_what_is_committed_ends_with_the_zero_that_the_client_reads_up_to():
    assert ended("abc") == "abc\0"
    assert decode(ended(encode(5, {}))) == (5, {})
