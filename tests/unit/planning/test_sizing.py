"""The guide's example, and each rule where it decides."""

from __future__ import annotations

import pytest

from moldau.planning import Limits, Load, LoadError, size

GUIDE = {"peak_mb_s": 100, "consumers": 4, "replication_factor": 3}
TB = 10**12


def plan(limits=None, **load):
    return size(Load(**{**GUIDE, **load}), Limits(**(limits or {})))


def test_the_example_of_the_guide_needs_24_partitions():
    found = plan()
    assert found.partitions.value == 24
    assert found.partitions.rule == "write throughput"
    for step in ("need 10", "is 20", "multiple of 12"):
        assert step in found.partitions.why


@pytest.mark.parametrize(
    ("load", "rule", "partitions"),
    [
        ({"consumers": 30}, "consumers", 60),
        # Ten groups read 1,000 MB/s where 100 are written.
        ({"groups": 10}, "read throughput", 48),
        ({"peak_mb_s": 0.001, "consumers": 1, "replication_factor": 1}, "consumers", 2),
        ({"headroom": 1}, "write throughput", 12),
        ({"growth": 3}, "write throughput", 60),
        # Seven consumers and three replicas share 21 evenly.
        ({"consumers": 7}, "write throughput", 21),
    ],
)
def test_the_largest_need_decides_how_many_partitions(load, rule, partitions):
    found = plan(**load).partitions
    assert (found.rule, found.value) == (rule, partitions)


def test_decimals_mean_what_was_written():
    # In binary 0.3 / 0.1 is a little less than 3, and 1.1 / 0.1 a little more than 11.
    limits = {"partition_write_mb_s": 0.1}
    assert "need 3;" in plan(limits, peak_mb_s=0.3, consumers=1, replication_factor=1).partitions.why
    assert "need 11;" in plan(limits, peak_mb_s=1.1, consumers=1, replication_factor=1).partitions.why


@pytest.mark.parametrize(
    ("load", "limits", "rule", "brokers"),
    [
        ({}, {}, "replicas", 3),
        ({"replication_factor": 1, "peak_mb_s": 1}, {}, "replicas", 1),
        ({}, {"broker_network_mb_s": 100}, "network", 6),
        ({"groups": 5}, {"broker_network_mb_s": 100}, "network", 14),
        ({}, {"broker_disk_bytes": 10 * TB}, "disk", 23),
        ({"consumers": 6000}, {}, "partition limit", 9),
    ],
)
def test_the_largest_need_decides_how_many_brokers(load, limits, rule, brokers):
    found = plan(limits, **load).brokers
    assert (found.rule, found.value) == (rule, brokers)


def test_disk_holds_the_retention_on_every_replica_and_the_segments_that_are_still_open():
    day_s = 86_400
    found = plan({"disk_fill": 1}, record_bytes=988, retention_s=day_s, average_mb_s=9.88)
    # 10,000 records a second of 988 + 12 bytes: 10 MB/s.
    kept = 10 * 10**6 * day_s
    assert found.disk.value == (kept + 24 * 2**30) * 3
    compressed = plan({"disk_fill": 1}, record_bytes=988, retention_s=day_s, average_mb_s=9.88, compression=4)
    assert compressed.disk.value == (kept // 4 + 24 * 2**30) * 3


def test_a_quiet_topic_needs_no_whole_segment_in_each_partition():
    quiet = plan(peak_mb_s=0.001, record_bytes=1_000)
    week = 0.001 * 10**6 * 1.012 * 7 * 86_400
    assert quiet.disk.value == pytest.approx(2 * week * 3 / 0.8, rel=1e-6)


def test_memory_is_the_page_cache_for_what_is_still_read_and_the_process():
    found = plan({"process_bytes": 10**8})
    assert found.page_cache_per_broker.value == 100 * 10**6 * 30
    assert found.memory_per_broker.value == 100 * 10**6 * 30 + 10**8


def test_network_counts_followers_and_groups():
    found = plan(groups=2)
    assert found.network_in_per_broker.value == 100 * 10**6
    # Two followers and two groups are sent every byte, by three brokers.
    assert found.network_out_per_broker.value == -(-400 * 10**6 // 3)


def test_settings_are_the_guides_and_its_retention_bytes_do_not_cut_the_retention_short():
    small = plan(peak_mb_s=0.1)
    assert small.configs == {
        "retention.ms": "604800000",
        "retention.bytes": "53687091200",
        "compression.type": "zstd",
        "min.insync.replicas": "2",
        "cleanup.policy": "delete",
        "message.timestamp.type": "CreateTime",
    }
    large = plan()
    assert int(large.configs["retention.bytes"]) == 2 * 100 * 10**6 * 1.012 * 604_800 / 24
    assert any("3.54 hours" in note for note in large.notes)
    assert not any("retention.bytes" in note for note in small.notes)


def test_a_record_above_the_limit_of_kafka_raises_it():
    assert "max.message.bytes" not in plan(record_bytes=1_000_000).configs
    assert plan(record_bytes=2_000_000).configs["max.message.bytes"] == "4000000"


@pytest.mark.parametrize("replicas", [1, 2])
def test_fewer_than_two_in_sync_replicas_are_asked_for_where_there_are_no_more(replicas):
    assert plan(replication_factor=replicas).configs["min.insync.replicas"] == "1"


@pytest.mark.parametrize(
    ("load", "says"),
    [
        ({"peak_mb_s": 0}, "peak_mb_s is 0"),
        ({"peak_mb_s": float("nan")}, "peak_mb_s is nan"),
        ({"peak_mb_s": float("inf")}, "peak_mb_s is inf"),
        ({"consumers": -1}, "consumers is -1"),
        ({"headroom": 0.5}, "headroom is 0.5"),
        ({"average_mb_s": 101}, "above the peak"),
    ],
)
def test_a_load_that_cannot_be_is_refused_with_its_name(load, says):
    with pytest.raises(LoadError, match=says):
        plan(**load)


def test_a_disk_cannot_be_filled_beyond_its_size():
    with pytest.raises(LoadError, match="cannot be filled"):
        Limits(disk_fill=1.5)
