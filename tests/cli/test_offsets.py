"""Places in logs, from the command line: offsets, trimming, and moving groups about."""

import time

import pytest
from tests.cli.conftest import moldau

from moldau.cli.outcome import UsageError
from moldau.cli.places import span


@pytest.fixture
def filled(servers, topic):
    """A topic of two partitions: 0 holds five records of 2023, a second apart; 1 is empty."""
    moldau("topic", "create", topic, "-p", "2", servers=servers)
    lines = "".join(
        f'{{"value":"{n}","timestamp_ms":{1_700_000_000_000 + n * 1000},"partition":0}}\n' for n in range(5)
    )
    assert moldau("produce", topic, "--json", text=lines, servers=servers).code == 0
    return topic


def test_offsets_say_where_a_partition_begins_ends_and_is_youngest(servers, filled):
    first, second = moldau("topic", "offsets", filled, "--at", "@1700000002000", "-o", "json", servers=servers).json
    assert first == {
        "topic": filled,
        "partition": 0,
        "start_offset": 0,
        "end_offset": 5,
        "youngest_offset": 4,
        "youngest_timestamp_ms": 1_700_000_004_000,
        "at_offset": 2,
    }
    assert (second["end_offset"], second["youngest_offset"], second["at_offset"]) == (0, None, 0)
    assert len(moldau("topic", "offsets", f"{filled}:1", "-o", "json", servers=servers).json) == 1


def test_trimming_shows_first_and_deletes_when_it_is_told(servers, filled):
    dry = moldau("topic", "trim", filled, "--before", "3", "-o", "json", servers=servers)
    assert [(one["from"], one["to"], one["records"]) for one in dry.json] == [(0, 3, 3), (0, 0, 0)]
    assert "nothing was deleted; --execute deletes 3" in dry.err
    assert moldau("consume", filled, "-f", "earliest", "-e", servers=servers).out.split() == list("01234")
    done = moldau("topic", "trim", filled, "--before", "3", "--execute", "-o", "json", servers=servers)
    assert [one["result"] for one in done.json] == ["deleted", "nothing to do"]
    assert moldau("consume", filled, "-f", "earliest", "-e", servers=servers).out.split() == list("34")


def test_a_group_goes_where_another_one_is_and_back_by_file(servers, filled, tmp_path):
    here, there = f"{filled}-here", f"{filled}-there"
    moldau("group", "seek", here, "--to", "2", "-t", f"{filled}:0", "--execute", servers=servers)
    moldau("group", "seek", there, "--to", "4", "-t", f"{filled}:0", "--execute", servers=servers)
    file = tmp_path / "offsets.csv"
    moved = moldau(
        "group", "seek", here, "--to-group", there, "--save", str(file), "--execute", "-o", "json", servers=servers
    )
    assert moved.json == [{"topic": filled, "partition": 0, "from": 2, "to": 4}]
    assert file.read_text() == f"{filled},0,2\n"
    back = moldau("group", "seek", here, "--to-file", str(file), "--execute", "-o", "json", servers=servers)
    assert back.json == [{"topic": filled, "partition": 0, "from": 4, "to": 2}]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("t 0\n", ":1 is not topic, partition and offset"), ("TOPIC,9,0\n", "there is no partition")],
)
def test_a_file_of_offsets_that_makes_no_sense_is_refused(servers, filled, tmp_path, content, complaint):
    file = tmp_path / "offsets"
    file.write_text(content.replace("TOPIC", filled))
    ended = moldau("group", "seek", "g", "--to-file", str(file), servers=servers)
    assert ended.code == 2
    assert complaint in ended.err


@pytest.mark.parametrize("wishes", [[], ["--to", "1", "--to-group", "g"]])
def test_a_seek_wants_exactly_one_place(servers, wishes):
    assert moldau("group", "seek", "g", *wishes, servers=servers).code == 2


def test_what_a_group_committed_for_a_topic_can_be_forgotten(servers, filled):
    group = f"{filled}-group"
    moldau("group", "seek", group, "--to", "1", "-t", filled, "--execute", servers=servers)
    refused = moldau("group", "delete-offsets", group, "-t", filled, servers=servers)
    assert refused.code == 2
    done = moldau("group", "delete-offsets", group, "-t", f"{filled}:1", "--yes", "-o", "json", servers=servers)
    assert done.json == [{"topic": filled, "partition": 1, "result": "deleted"}]
    left = moldau("group", "describe", group, "-o", "json", servers=servers).json["partitions"]
    assert [one["partition"] for one in left] == [0]


def test_a_misspelt_topic_is_answered_with_the_nearest(servers, filled):
    ended = moldau("topic", "offsets", filled[:-1], servers=servers)
    assert ended.code == 1
    assert f"did you mean {filled}?" in ended.err


def test_creating_what_is_there_may_be_no_failure(servers, filled):
    assert moldau("topic", "create", filled, servers=servers).code == 1
    ended = moldau("topic", "create", filled, "--if-absent", servers=servers)
    assert (ended.code, ended.err) == (0, f"{filled} is there already\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("earliest", ("earliest", None)),
        ("@-1h:end", ("@-1h", "end")),
        (":end", ("earliest", "end")),
        ("10:20", ("10", "20")),
        ("-3", ("-3", None)),
        ("@-1h30m", ("@-1h30m", None)),
        ("2026-01-31T12:00", ("2026-01-31T12:00", None)),
        ("2026-01-31T12:00:2026-01-31T13:00", ("2026-01-31T12:00", "2026-01-31T13:00")),
        ("2026-01-31T12:00:00+02:00:", ("2026-01-31T12:00:00+02:00", "latest")),
    ],
)
def test_a_span_is_a_place_or_two(text, expected):
    assert span(text) == expected


@pytest.mark.parametrize("text", ["", "noon", "1:2:3", "@-1", "@-1y", "a:b"])
def test_a_span_that_is_none_is_refused(text):
    with pytest.raises(UsageError):
        span(text)


def test_a_time_ago_is_counted_from_now(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    now = round(time.time() * 1000)
    for age_ms in (7_200_000, 60_000):
        line = f'{{"value":"{age_ms}","timestamp_ms":{now - age_ms}}}\n'
        moldau("produce", topic, "--json", text=line, servers=servers)
    assert moldau("topic", "offsets", topic, "--at", "@-1h", "-o", "json", servers=servers).json[0]["at_offset"] == 1
