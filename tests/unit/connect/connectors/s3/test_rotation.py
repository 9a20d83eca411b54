"""When files end, how they are named, and that every record is in exactly one of them whatever breaks in between."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.connect.connectors.s3.lake import (
    PARTITION,
    TIMED,
    CrashError,
    Lake,
    Reporter,
    drive,
    failing,
    plain,
    structured,
    version,
)

from moldau.connect.connectors.s3.rotation import next_period
from moldau.connect.connectors.s3.zones import zone_of
from moldau.connect.errors import ConnectError, DataError, RetriableError, SchemaProjectorError
from moldau.connect.records import SinkRecord

HOUR_MS = 3_600_000
JSON = "io.confluent.connect.s3.format.json.JsonFormat"


def key(offset: int, partition: str = "partition=0", extension: str = ".bin") -> str:
    return f"topics/orders/{partition}/orders+0+{offset:010d}{extension}"


def test_files_end_after_flush_size_records_and_are_named_after_their_first() -> None:
    lake = Lake()
    lake.put(*(plain(offset) for offset in range(10, 17)))
    assert lake.records() == {key(10): ["10", "11", "12"], key(13): ["13", "14", "15"]}
    assert lake.commit() == 16
    assert len(lake.storage.open) == 1


def test_offsets_are_committed_behind_complete_files_only() -> None:
    lake = Lake()
    lake.put(plain(0), plain(1))
    assert lake.task.pre_commit({PARTITION: 2}) == {}
    lake.put(plain(2))
    assert lake.task.pre_commit({PARTITION: 3}) == {PARTITION: 3}
    assert lake.task.pre_commit({PARTITION: 3}) == {}


def test_record_time_ends_files_when_a_record_of_a_later_time_comes() -> None:
    lake = Lake(**TIMED, flush_size="100", rotate_interval_ms="1000")
    lake.put(plain(0, 0), plain(1, 999), plain(2, 1000), plain(3, 1500))
    assert lake.records() == {key(0, "hour=00"): ["0", "1"]}
    lake.now_ms += HOUR_MS
    lake.put()
    assert lake.names == [key(0, "hour=00")], "an idle partition ends nothing by record time"


def test_another_path_ends_all_files_when_record_time_counts() -> None:
    lake = Lake(**TIMED, flush_size="100", rotate_interval_ms=str(10 * HOUR_MS))
    lake.put(plain(0, 0), plain(1, HOUR_MS), plain(2, 1))
    assert lake.names == [key(0, "hour=00"), key(1, "hour=01")]


def test_paths_may_be_open_side_by_side_when_that_is_switched_off() -> None:
    off = {"rotate.file.on.partition.change": "false"}
    lake = Lake(**TIMED, **off, flush_size="4", rotate_interval_ms=str(10 * HOUR_MS))
    lake.put(plain(0, 0), plain(1, HOUR_MS), plain(2, 1), plain(3, HOUR_MS))
    assert lake.records() == {key(0, "hour=00"): ["0", "2"], key(1, "hour=01"): ["1", "3"]}
    assert lake.commit() == 4


def test_flush_size_counts_the_records_of_all_open_files_together() -> None:
    lake = Lake(**TIMED)
    lake.put(plain(0, 0), plain(1, HOUR_MS), plain(2, 2 * HOUR_MS))
    assert sorted(lake.names) == [key(0, "hour=00"), key(1, "hour=01"), key(2, "hour=02")]


def test_the_wall_clock_ends_idle_files_too() -> None:
    lake = Lake(**TIMED, rotate_schedule_interval_ms="60000")
    lake.put(plain(0))
    lake.now_ms = 59_999
    lake.put()
    assert lake.names == []
    lake.now_ms = 60_000
    lake.put()
    assert lake.names == [key(0, "hour=00")]
    assert lake.commit() == 1


def test_schedules_are_counted_from_midnight_of_the_time_zone() -> None:
    prague = zone_of("Europe/Prague")
    assert next_period(0, HOUR_MS, prague) == HOUR_MS
    # 23:30 in Prague: a period of seven hours would end at 04:00, midnight comes before.
    assert next_period(1_704_061_800_000, 7 * HOUR_MS, prague) == 1_704_063_600_000


def test_a_larger_file_than_wanted_ends() -> None:
    lake = Lake(flush_size="100", rotate_size_bytes="10")
    lake.put(*(plain(offset, value=b"12345") for offset in range(5)))
    assert lake.names == [key(0), key(2)]


def test_no_more_files_are_open_than_allowed() -> None:
    lake = Lake(**TIMED, **{"partitioner.max.open.files": "2"}, flush_size="100")
    lake.put(plain(0, 0), plain(1, HOUR_MS), plain(2, 1), plain(3, 2 * HOUR_MS))
    assert lake.names == [key(0, "hour=00"), key(1, "hour=01")]


def test_another_schema_ends_files_without_compatibility_and_with_a_name_that_means_none() -> None:
    for rule in ("NONE", "FULL_TRANSITIVE"):
        lake = Lake(format_class=JSON, flush_size="100", schema_compatibility=rule)
        first, second = version(1), version(2, "note")
        lake.put(structured(first, 0), structured(first, 1), structured(second, 2), structured(first, 3))
        assert lake.names == [key(0, extension=".json"), key(2, extension=".json")]


def test_records_are_written_with_the_schema_of_their_file_where_the_rule_allows_it() -> None:
    lake = Lake(format_class=JSON, flush_size="3", schema_compatibility="BACKWARD")
    first, second = version(1), version(2, "note")
    lake.put(structured(second, 0, note="a"), structured(first, 1), structured(second, 2))
    assert lake.records() == {
        key(0, extension=".json"): ['{"id":0,"note":"a"}', '{"id":1,"note":null}', '{"id":2,"note":null}']
    }


def test_a_newer_schema_ends_a_file_backward_and_an_older_one_forward() -> None:
    for rule, order in (("BACKWARD", (1, 2)), ("FULL", (1, 2)), ("FORWARD", (2, 1))):
        lake = Lake(format_class=JSON, flush_size="100", schema_compatibility=rule)
        lake.put(*(structured(version(number, "note"), at) for at, number in enumerate(order)))
        assert lake.names == [key(0, extension=".json")]


def test_schemas_without_a_version_are_bad_records_for_a_rule_that_compares_versions() -> None:
    reporter = Reporter()
    lake = Lake(reporter, format_class=JSON, flush_size="2", schema_compatibility="FULL")
    bare = version(1)
    bare.version = None
    lake.put(structured(version(1), 0), structured(bare, 1), structured(version(1), 2))
    assert [offset for offset, _ in reporter.reported] == [1]
    assert isinstance(reporter.reported[0][1], SchemaProjectorError)
    assert lake.commit() == 3
    with pytest.raises(SchemaProjectorError, match="SetSchemaMetadata"):
        Lake(format_class=JSON, schema_compatibility="FULL").put(structured(version(1), 0), structured(bare, 1))


def test_a_bad_record_is_reported_or_ends_the_task() -> None:
    reporter = Reporter()
    lake = Lake(reporter)
    lake.put(plain(0), SinkRecord("orders", 0, None, None, None, {"no": "bytes"}, 1), plain(2), plain(3))
    assert [offset for offset, _ in reporter.reported] == [1]
    assert lake.records() == {key(0): ["0", "2", "3"]}
    with pytest.raises(DataError, match="ByteArrayConverter"):
        Lake().put(SinkRecord("orders", 0, None, None, None, {"no": "bytes"}, 1))


def test_a_bad_first_record_leaves_no_file_behind() -> None:
    lake = Lake(Reporter(), flush_size="1")
    lake.put(SinkRecord("orders", 0, None, None, None, 1.5, 0))
    assert (lake.names, lake.storage.open, lake.commit()) == ([], set(), 1)


def test_records_without_a_value_fail_are_left_out_or_are_written_apart() -> None:
    with pytest.raises(ConnectError, match=r"behavior\.on\.null\.values"):
        Lake().put(plain(0, value=None))
    ignoring = Lake(behavior_on_null_values="ignore")
    ignoring.put(plain(0, value=None))
    assert (ignoring.names, ignoring.commit()) == ([], 1)
    writing = Lake(
        behavior_on_null_values="write",
        store_kafka_keys="true",
        keys_format_class="io.confluent.connect.s3.format.bytearray.ByteArrayFormat",
    )
    writing.put(plain(0), plain(1, value=None), plain(2))
    assert writing.records() == {
        key(0): ["0", "2"],
        key(0, extension=".keys.bin"): ["k0", "k2"],
        key(1, "tombstone", ".keys.bin"): ["k1"],
    }


def test_a_transform_that_renames_topics_makes_other_folders_and_keeps_names_apart() -> None:
    lake = Lake()
    lake.put(*(plain(offset).with_topic("sales") for offset in range(3)))
    assert lake.names == ["topics/sales/partition=0/orders+0+0000000000.bin"]


def test_a_task_without_time_left_asks_for_no_more_and_goes_on_later() -> None:
    lake = Lake(max_write_duration_ms="5")
    clock = iter(range(10**6))
    lake.task._clock_ms = lambda: lake.now_ms + next(clock)
    lake.put(*(plain(offset) for offset in range(30)))
    assert lake.context.paused == {PARTITION}
    while lake.context.paused:
        lake.put()
    assert len(lake.names) == 10
    assert lake.commit() == 30


def test_partitions_that_are_taken_away_leave_nothing_behind() -> None:
    lake = Lake()
    lake.put(plain(0))
    lake.task.close([PARTITION])
    assert lake.storage.open == set()
    lake.task.open([PARTITION])
    lake.put(plain(0), plain(1), plain(2))
    assert lake.records() == {key(0): ["0", "1", "2"]}


def test_a_failure_in_the_middle_of_a_rotation_goes_back_to_its_first_record() -> None:
    lake = Lake(**TIMED, flush_size="4")
    records = [plain(0, 0), plain(1, HOUR_MS), plain(2, 1), plain(3, HOUR_MS)]
    lake.storage.before = failing(f"commit {key(1, 'hour=01')}")
    lake.put(*records)
    assert lake.context.rewound == {PARTITION: 0}
    lake.put(*records)
    assert lake.records() == {key(0, "hour=00"): ["0", "2"], key(1, "hour=01"): ["1", "3"]}


def test_after_a_failure_of_the_store_a_partition_waits_and_is_not_read() -> None:
    lake = Lake(flush_size="2")
    tried: list[int] = []

    def away(_moment: str) -> None:
        tried.append(lake.now_ms)
        raise RetriableError("503")

    lake.storage.before = away
    lake.task.put([plain(0), plain(1)])
    assert lake.context.paused == {PARTITION}
    for _ in range(3):
        lake.now_ms += 1_600
        lake.task.put([])
    assert tried == [1_000]
    assert lake.context.paused == {PARTITION}

    lake.storage.before = lambda _moment: None
    lake.now_ms += 200
    lake.task.put([])
    assert lake.context.paused == set()
    lake.task.put([plain(0), plain(1)])
    assert lake.records() == {key(0): ["0", "1"]}


def test_an_object_that_is_there_is_not_replaced_under_a_schedule() -> None:
    lake = Lake(**TIMED, rotate_schedule_interval_ms="60000", flush_size="2")
    lake.storage.objects[key(0, "hour=00")] = b"other"
    lake.put(plain(0), plain(1))
    assert lake.context.rewound == {PARTITION: 1}
    lake.put(plain(1), plain(2))
    assert lake.records() == {key(0, "hour=00"): ["other"], key(1, "hour=00"): ["1", "2"]}


MOMENTS = ("create", "write", "commit ", "committed")


@settings(max_examples=150, deadline=None)
@given(
    times=st.lists(st.sampled_from([0, 500, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS]), min_size=1, max_size=40),
    flush_size=st.integers(1, 7),
    interval_ms=st.sampled_from([-1, 1_000, HOUR_MS]),
    on_change=st.booleans(),
    lot=st.integers(1, 9),
    seed=st.integers(0, 2**32),
)
def test_every_record_is_in_one_file_wherever_the_process_ends_or_the_store_fails(
    times: list[int], flush_size: int, interval_ms: int, on_change: bool, lot: int, seed: int
) -> None:
    chance = random.Random(seed)
    lake = Lake(**TIMED, flush_size=str(flush_size), rotate_interval_ms=str(interval_ms),
                rotate_file_on_partition_change=str(on_change).lower())  # fmt: skip
    records = [plain(offset, at) for offset, at in enumerate(times)]
    troubles = 12

    def before(moment: str) -> None:
        nonlocal troubles
        if troubles and chance.random() < 0.15:
            troubles -= 1
            if chance.random() < 0.5:
                raise CrashError(moment)
            failing(moment)(moment)

    lake.storage.before = before
    while True:
        try:
            drive(lake, records, lot)
            break
        except CrashError:
            lake.restart()
    found = sorted(int(line) for lines in lake.records().values() for line in lines)
    assert found == list(range(len(found))), "no record twice, none left out"
    assert len(found) >= lake.committed, "what is committed to Kafka is in files"
    undisturbed = Lake(**TIMED, flush_size=str(flush_size), rotate_interval_ms=str(interval_ms),
                       rotate_file_on_partition_change=str(on_change).lower())  # fmt: skip
    drive(undisturbed, records, lot)
    assert lake.records() == undisturbed.records()


def test_a_partition_that_is_taken_away_while_it_waits_is_read_when_it_comes_back() -> None:
    lake = Lake(flush_size="2")
    lake.storage.before = failing(f"commit {key(0)}")
    lake.task.put([plain(0), plain(1)])
    assert lake.context.paused == {PARTITION}
    lake.task.close([PARTITION])
    lake.task.open([PARTITION])
    assert lake.context.paused == set()
    lake.task.put([plain(0), plain(1)])
    assert lake.records() == {key(0): ["0", "1"]}
