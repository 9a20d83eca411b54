"""The bytes of batches, read back by decoders that are not ours."""

from __future__ import annotations

import struct

import crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record import MemoryRecords

from moldau._core import RecordAccumulator

BYTES = st.none() | st.binary(max_size=40)
RECORDS = st.lists(
    st.tuples(
        st.integers(0, 2**42),
        BYTES,
        BYTES,
        st.lists(st.tuples(st.text(max_size=8), BYTES), max_size=3),
    ),
    min_size=1,
    max_size=30,
)
HEADER = struct.Struct(">qiibIhiqqqhii")


def batch_of(records):
    made = RecordAccumulator(1 << 20, 1 << 20, 1 << 20, 1 << 30)
    topic = made.add_topic()
    made.set_partitions(topic, 1)
    for timestamp, key, value, headers in records:
        assert made.append(topic, 0, key, value, timestamp, headers, 1.0) in {0, 1}
    return made.take(topic, 0)


@given(RECORDS, st.sampled_from(["none", "gzip"]), st.integers(0, 2**40), st.integers(0, 2**15 - 1))
def test_every_batch_reads_back_as_it_was_given(records, compression, producer_id, epoch):
    batch = batch_of(records)
    encoded = batch.encode(compression, None, producer_id, epoch, 17)
    base, length, leader_epoch, magic, checksum, attributes, last, first_ms, latest_ms, *who, count = (
        HEADER.unpack_from(encoded)
    )
    assert (base, leader_epoch, magic, last, count) == (0, -1, 2, len(records) - 1, len(records))
    assert length == len(encoded) - 12
    assert checksum == crc32c.crc32c(encoded[21:])
    assert attributes == {"none": 0, "gzip": 1}[compression]
    assert (first_ms, latest_ms) == (records[0][0], max(one[0] for one in records))
    assert who == [producer_id, epoch, 17]
    read = [
        (record.timestamp, record.key, record.value, list(record.headers))
        for record in MemoryRecords(encoded).next_batch()
    ]
    assert read == records
    assert batch.records() == records


@given(RECORDS.filter(lambda records: len(records) > 1))
def test_halves_have_what_the_whole_had(records):
    first, second = batch_of(records).halves()
    assert len(first) == len(records) // 2
    assert first.records() + second.records() == records


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_is_one_that_the_decoder_knows(codec):
    from moldau._core import RecordBlock

    records = [(5, b"k", b"v" * 100, [])] * 50
    block = RecordBlock(batch_of(records).encode(codec, None, -1, -1, -1), 0, None)
    assert [(one[1], one[2], one[3]) for one in block.records(0, 50)] == [(5, b"k", b"v" * 100)] * 50


def test_what_cannot_be_is_an_error():
    made = RecordAccumulator(100, 100, 100, 50)
    topic = made.add_topic()
    with pytest.raises(ValueError, match="no partitions"):
        made.append(topic, -1, b"k", b"v", 5, None, 1.0)
    made.set_partitions(topic, 2)
    with pytest.raises(IndexError, match="there is no partition 2, there are 2"):
        made.append(topic, 2, b"k", b"v", 5, None, 1.0)
    with pytest.raises(IndexError, match="there is no topic 1"):
        made.append(1, -1, b"k", b"v", 5, None, 1.0)
    assert made.append(topic, -1, b"k", b"v" * 100, 5, None, 1.0) == 2
    assert made.append(topic, -1, b"k", b"v", 5, None, 1.0) == 1
    assert len(made.take_news()) == 1
    assert made.append(topic, -1, b"k", b"v", 5, None, 1.0) == 3
    with pytest.raises(ValueError, match="no halves"):
        batch_of([(1, None, None, [])]).halves()
    with pytest.raises(ValueError, match="no compression"):
        batch_of([(1, None, None, [])]).encode("rar", None, -1, -1, -1)
