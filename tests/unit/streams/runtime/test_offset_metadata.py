"""The partition's time beside a committed offset, in Kafka Streams' bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.streams.runtime.offset_metadata import decode, encode


def test_the_bytes_are_those_of_kafka_streams():
    # TopicPartitionMetadata.encode: base64 of the version 2 and eight bytes of time.
    assert encode(5) == "AgAAAAAAAAAF"
    assert encode(-1) == "Av//////////"


def test_versions_one_and_two_are_read_with_whatever_follows():
    assert decode("AQAAAAAAAAAF") == 5
    assert decode("AgAAAAAAAAAFAAAAAA==") == 5


@pytest.mark.parametrize("metadata", [None, "", "no base64!", "AwAAAAAAAAAF", "AgAA"])
def test_what_somebody_else_wrote_is_no_time(metadata):
    assert decode(metadata) == -1


@given(st.integers(-1, 2**63 - 1))
def test_a_time_comes_back(time):
    assert decode(encode(time)) == time
