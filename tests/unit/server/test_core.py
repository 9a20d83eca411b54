"""The bridge by itself: what is appended is read back, however it is cut into reads."""

import random

import pytest

from moldau._core import Core, CoreError
from moldau.config import topic_defaults
from moldau.errors import ErrorCode
from moldau.server.translation import log_settings

TOPIC = "__cluster_metadata"


@pytest.fixture
def core(tmp_path):
    opened = Core([str(tmp_path)], durable=False)
    settings = log_settings(topic_defaults({})) | {"segment_bytes": 300_000, "max_message_bytes": 2**31 - 1}
    opened.open_metadata_log(settings, 1)
    yield opened
    opened.shutdown(1)


def read_everything(core, max_bytes):
    records, position = [], 0
    while found := core.read(TOPIC, 0, position, max_bytes):
        records += found
        position = found[-1].offset + 1
    return records


@pytest.mark.parametrize("max_bytes", [1, 100, 5_000, 100_000, 1 << 20, 1 << 30])
def test_a_long_log_is_read_back_whole_whatever_a_read_may_hold(core, max_bytes):
    chance = random.Random(max_bytes)
    written = []
    for batch in range(150):
        values = [chance.randbytes(chance.choice((0, 10, 3_000))) for _ in range(chance.choice((1, 7, 40)))]
        core.append(TOPIC, 0, [(None, value) for value in values], batch, "raft")
        written += [(batch, None, value) for value in values]
    found = read_everything(core, max_bytes)
    assert [record.offset for record in found] == list(range(len(written)))
    assert [(record.timestamp_ms, record.key, record.value) for record in found] == written


def test_a_read_may_begin_in_the_middle_of_a_batch(core):
    core.append(TOPIC, 0, [(b"%d" % number, None) for number in range(10)], 5, "raft")
    assert [record.key for record in core.read(TOPIC, 0, 7, 1)] == [b"7", b"8", b"9"]


def test_logs_are_told_all_or_those_that_are_asked_for_and_are_there(core):
    ((topic, partition, *_),) = core.logs()
    assert (topic, partition) == (TOPIC, 0)
    assert core.logs([("nowhere", 3), (TOPIC, 0), (TOPIC, 1)]) == core.logs()
    assert core.logs([]) == []


def test_an_empty_log_has_nothing_to_read(core):
    assert core.read(TOPIC, 0, 0, 100) == []


def test_an_unknown_partition_is_refused_with_kafkas_code(core):
    with pytest.raises(CoreError, match="nowhere-3") as caught:
        core.high_watermark("nowhere", 3)
    assert caught.value.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert "nowhere-3" in caught.value.message


def test_an_empty_batch_and_an_unknown_origin_are_mistakes(core):
    with pytest.raises(ValueError, match="at least one record"):
        core.append(TOPIC, 0, [], 1, "raft")
    with pytest.raises(ValueError, match="origin"):
        core.append(TOPIC, 0, [(None, b"x")], 1, "somebody")


def test_records_carry_the_epoch_of_the_quorum(core):
    core.begin_leader_epoch(TOPIC, 0, 7)
    core.append(TOPIC, 0, [(None, b"x")], 1, "raft")
    assert core.latest_leader_epoch(TOPIC, 0) == 7


def test_what_is_committed_already_is_reported_at_once(core):
    offset = core.append(TOPIC, 0, [(None, b"x")], 1, "raft")
    core.when_committed(TOPIC, 0, offset, 99)
    assert core.poll_committed() == [99]
    assert core.poll_committed() == []


def test_a_setting_that_is_missing_is_an_error_and_not_a_default(tmp_path):
    core = Core([str(tmp_path)], durable=False)
    settings = dict(log_settings(topic_defaults({})))
    del settings["segment_ms"]
    with pytest.raises(KeyError, match="segment_ms"):
        core.open_metadata_log(settings, 1)
    core.shutdown(1)


def test_a_directory_is_free_again_after_shutdown(tmp_path):
    for _ in range(2):
        core = Core([str(tmp_path)], durable=False)
        with pytest.raises(CoreError, match="in use"):
            Core([str(tmp_path)], durable=False)
        core.shutdown(1)
        core.shutdown(1)
