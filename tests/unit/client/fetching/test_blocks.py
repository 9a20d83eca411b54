"""What a block shows of a Fetch answer: its records from an offset on, none of aborted transactions, none torn."""

from __future__ import annotations

import crc32c
import pytest
from tests.record_batches import ABORT, COMMIT, GZIP, batch, marker

from moldau._core import RecordBlock

THREE = [(1000 + number, b"k%d" % number, b"v%d" % number) for number in range(3)]


def offsets(block):
    return [record[0] for record in block.records(0, len(block))]


@pytest.mark.parametrize("codec", [0, GZIP])
def test_records_come_with_offset_time_key_value_and_headers(codec):
    headers = [("a", b"1"), ("b", None)]
    block = RecordBlock(batch(7, [(1000, b"k", None, headers), (900, None, b"v")], codec=codec), 7, None)
    assert block.records(0, 10) == [(7, 1000, b"k", None, headers), (8, 900, None, b"v", ())]
    assert block.records(1, 2) == [(8, 900, None, b"v", ())]
    assert (len(block), block.next_offset, block.offset(1)) == (2, 9, 8)


def test_a_batch_that_begins_before_the_offset_is_cut():
    block = RecordBlock(batch(0, THREE) + batch(3, THREE), 2, None)
    assert offsets(block) == [2, 3, 4, 5]


def test_batches_before_the_offset_are_passed_over():
    assert offsets(RecordBlock(batch(0, THREE) + batch(3, THREE), 3, None)) == [3, 4, 5]


@pytest.mark.parametrize("left", [1, 11, 12, 30, 60, 61, 70])
def test_an_answer_that_ends_in_the_midst_of_a_batch_is_read_up_to_it(left):
    block = RecordBlock(batch(0, THREE) + batch(3, THREE)[:left], 0, None)
    assert (offsets(block), block.next_offset) == ([0, 1, 2], 3)


def test_an_answer_without_one_whole_batch_is_refused():
    with pytest.raises(ValueError, match="the answer for offset 5 ends inside of its first batch"):
        RecordBlock(batch(5, THREE)[:-1], 5, None)


@pytest.mark.parametrize("at", range(21, 95, 7))
def test_a_changed_byte_is_noticed(at):
    data = bytearray(batch(0, THREE) + batch(3, THREE))
    data[at] ^= 0x40
    with pytest.raises(ValueError, match="the batch at offset 0"):
        RecordBlock(bytes(data), 0, None)


@pytest.mark.parametrize("codec", [0, GZIP])
def test_what_is_whole_before_a_damaged_batch_is_read_up_to_it(codec):
    whole, second = batch(0, THREE, codec=codec), bytearray(batch(3, THREE, codec=codec))
    second[-1] ^= 0x40
    block = RecordBlock(whole + second + batch(6, THREE), 0, None)
    assert (offsets(block), block.next_offset) == ([0, 1, 2], 3)
    with pytest.raises(ValueError, match="the checksum of the batch at offset 3 is wrong"):
        RecordBlock(bytes(second) + batch(6, THREE), 3, None)


def test_a_batch_with_a_good_checksum_and_a_bad_record_leaves_none_of_its_records():
    # It says that it has four records, and has three.
    bad = bytearray(batch(3, THREE))
    bad[57:61] = (4).to_bytes(4, "big")
    bad[23:27] = (3).to_bytes(4, "big")
    bad[17:21] = crc32c.crc32c(bytes(bad[21:])).to_bytes(4, "big")
    block = RecordBlock(batch(0, THREE) + bytes(bad), 0, None)
    assert (offsets(block), block.next_offset) == ([0, 1, 2], 3)


def test_a_block_says_under_which_leaders_its_batches_were_written():
    data = b"".join(
        (batch(0, THREE, epoch=2), batch(3, THREE, epoch=2), marker(6, 1, COMMIT), batch(7, THREE, epoch=5))
    )
    assert RecordBlock(data, 0, None).leader_epochs == [(0, 2), (6, 0), (7, 5)]
    assert RecordBlock(data, 8, None).leader_epochs == [(7, 5)]
    assert RecordBlock(data, 10, None).leader_epochs == []


def test_messages_from_before_kafka_0_11_are_refused_by_name():
    data = bytearray(batch(0, THREE))
    data[16] = 1
    with pytest.raises(ValueError, match="message format 1"):
        RecordBlock(bytes(data), 0, None)


def transaction(offset, producer, count=2):
    return batch(offset, THREE[:count], producer=producer, transactional=True)


def test_records_of_aborted_transactions_are_not_seen_by_those_who_read_what_is_committed():
    data = b"".join(
        (
            transaction(0, 1),
            transaction(2, 2),
            batch(4, THREE[:1]),
            marker(5, 1, ABORT),
            marker(6, 2, COMMIT),
            transaction(7, 1),
            marker(9, 1, COMMIT),
        )
    )
    seen = RecordBlock(data, 0, [(1, 0)])
    assert (offsets(seen), seen.next_offset) == ([2, 3, 4, 7, 8], 10)
    assert offsets(RecordBlock(data, 0, None)) == [0, 1, 2, 3, 4, 7, 8]
    # Records that are in no transaction are seen by everybody, also those of the same producer.
    assert offsets(RecordBlock(batch(0, THREE, producer=1), 0, [(1, 0)])) == [0, 1, 2]


def test_an_aborted_transaction_that_began_before_the_offset_is_not_seen_either():
    data = transaction(10, 1) + marker(12, 1, ABORT) + transaction(13, 1) + marker(15, 1, ABORT)
    assert offsets(RecordBlock(data, 10, [(1, 4), (1, 13)])) == []


def test_a_block_of_markers_only_moves_on():
    block = RecordBlock(marker(4, 1, COMMIT), 4, [])
    assert (len(block), block.next_offset) == (0, 5)
