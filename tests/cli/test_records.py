"""Records through `produce` and `consume`: templates, files, nulls, exact numbers, spans and filters."""

import contextlib
import os
import subprocess
import sys

import pytest
import yaml
from tests.cli.conftest import moldau

from moldau.cli.json_records import from_json
from moldau.cli.new_records import from_template
from moldau.cli.outcome import UsageError


@pytest.fixture
def one(servers, topic):
    """A topic with one partition, whose records may be as old as a test wants."""
    moldau("topic", "create", topic, "-p", "1", "--config", "retention.ms=-1", servers=servers)
    return topic


def read(servers, topic, *more):
    ended = moldau("consume", topic, "-f", "earliest", "-e", *more, servers=servers)
    assert ended.code == 0, ended.err
    return ended.out


def test_a_template_is_read_as_it_is_written(servers, one):
    text = "k1\tv:1\nk2\t\n"
    assert moldau("produce", one, "-F", "%k\\t%v", text=text, servers=servers).code == 0
    assert read(servers, one, "-F", "%k\\t%v\\n") == text


def test_every_field_of_a_record_can_stand_in_a_line():
    record = from_template("[%T] p%p %k|%v|%h\\n")(b"[1700] p3 key|a|b=1,c=2", 1)
    assert (record.timestamp_ms, record.partition, record.key, record.value) == (1700, 3, b"key", b"a")
    assert record.headers == [("b", b"1"), ("c", b"2")]


@pytest.mark.parametrize("text", ["%o", "%k%v", "", "%v{hex}"])
def test_a_template_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError):
        from_template(text)


@pytest.mark.parametrize(("template", "line"), [("%k\\t%v", b"no tab"), ("x%v", b"y"), ("%p %v", b"one v")])
def test_a_line_that_is_not_as_the_template_says_is_named(template, line):
    with pytest.raises(UsageError, match="line 7"):
        from_template(template)(line, 7)


def test_numbers_of_any_size_go_through_json_unchanged(servers, one):
    big = '{"a":9223372036854775807,"b":-9223372036854775808,"c":0.10000000000000000555,"d":1e400,"e":9007199254740993}'
    assert moldau("produce", one, "--json", text=f'{{"value":{big}}}\n', servers=servers).code == 0
    (record,) = moldau("consume", one, "-f", "earliest", "-e", "-o", "jsonl", servers=servers).lines
    assert record["value"] == big
    again = moldau("consume", one, "-f", "earliest", "-e", "-o", "jsonl", servers=servers).out
    assert moldau("produce", one, "--json", text=again, servers=servers).code == 0
    assert read(servers, one) == f"{big}\n{big}\n"
    assert yaml.safe_load(read(servers, one, "-c", "1", "-o", "yaml"))["value"] == big


@pytest.mark.parametrize(
    "line", [b"", b"[]", b'{"value": ', b'{"partition": "x"}', b'{"key_base64": "!"}', b'{"headers": [{}]}', b"\xff"]
)
def test_a_line_that_is_no_json_record_is_named(line):
    with pytest.raises(UsageError, match="line 3 is no record"):
        from_json(line, 3)


def test_nulls_are_written_and_shown_as_they_were_asked_for(servers, one):
    moldau("produce", one, "-K", ":", "--null", "NULL", text="a:NULL\nNULL:b\n", servers=servers)
    moldau("produce", one, "--key", "c", "--tombstone", servers=servers)
    assert read(servers, one, "-F", "%k=%v %S\\n", "--null", "-") == "a=- -1\n-=b 1\nc=- -1\n"


def test_a_tombstone_needs_a_key(servers, one):
    assert moldau("produce", one, "--tombstone", servers=servers).code == 2


def test_whole_files_and_odd_delimiters(servers, one, tmp_path):
    (tmp_path / "a").write_bytes(b"1\n2\n")
    (tmp_path / "b").write_bytes(b"3\0004\0")
    moldau("produce", one, str(tmp_path / "a"), "--whole", servers=servers)
    moldau("produce", one, str(tmp_path / "b"), "-D", "\\0", servers=servers)
    assert read(servers, one, "-F", "%v|") == "1\n2\n|3|4|"


def test_bytes_can_be_spelled_and_times_be_read(servers, one):
    moldau("produce", one, "--json", text='{"value_base64":"/wA=","timestamp_ms":1700000000123}\n', servers=servers)
    assert (
        read(servers, one, "-F", "%v{hex} %v{base64} %T %T{iso}\\n")
        == "ff00 /wA= 1700000000123 2023-11-14T22:13:20.123+00:00\n"
    )


def test_a_time_can_be_given_to_every_record(servers, one):
    moldau("produce", one, "-T", "2026-01-31T12:00Z", text="x\n", servers=servers)
    assert read(servers, one, "-F", "%T") == "1769860800000"


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (["-f", "1:3"], "b c"),
        (["-f", ":"], "a b c d e"),
        (["-f", "+1", "-u", "+2"], "b c"),
        (["-f", "@1001:@1003"], "b c"),
        (["-f", "-2:end"], "d e"),
        (["-f", "earliest", "-u", "2"], "a b"),
        (["-f", "4:2"], ""),
    ],
)
def test_a_span_is_read_and_nothing_else(servers, one, arguments, values):
    lines = "".join(f'{{"value":"{value}","timestamp_ms":{1000 + n}}}\n' for n, value in enumerate("abcde"))
    moldau("produce", one, "--json", text=lines, servers=servers)
    ended = moldau("consume", one, *arguments, servers=servers)
    assert (ended.code, ended.out.split()) == (0, values.split()), ended.err


def test_a_filter_prints_what_it_matches_and_says_how_many(servers, one):
    moldau("produce", one, text='{"n":1}\n{"n":2}\nnot json\n{"n":3}\n', servers=servers)
    ended = moldau("consume", one, "-f", ":end", "-w", "value.n >= 2", servers=servers)
    assert (ended.out, ended.err) == ('{"n":2}\n{"n":3}\n', "2 of 4 records\n")
    wrong = moldau("consume", one, "-w", "value.n ==", servers=servers)
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.splitlines()[:3] == [
        "error: filter, column 11: something is missing at the end",
        "  value.n ==",
        "            ^",
    ]


def test_several_topics_and_some_partitions_are_read_at_once(servers, topic):
    other = f"{topic}-2"
    moldau("topic", "create", topic, other, "-p", "2", servers=servers)
    for name in (topic, other):
        for partition in "01":
            moldau("produce", name, "-p", partition, text=f"{name}/{partition}\n", servers=servers)
    found = read(servers, f"{topic}:1", other).split()
    assert sorted(found) == [f"{topic}-2/0", f"{topic}-2/1", f"{topic}/1"]


def test_records_before_a_bad_line_are_delivered(servers, one):
    ended = moldau("produce", one, "-K", ":", text="a:1\nb\n", servers=servers)
    assert ended.code == 2
    assert "line 2" in ended.err
    assert read(servers, one) == "1\n"


@pytest.mark.parametrize(
    "arguments", [["-J", "-K", ":"], ["-J", "-k", "x"], ["-F", "%k %v", "-k", "x"], ["-F", "%v", "-K", ":"]]
)
def test_two_ways_to_read_a_line_are_one_too_many(servers, one, arguments):
    assert moldau("produce", one, *arguments, servers=servers).code == 2


def test_no_bar_is_left_before_a_record_at_a_terminal(servers, one):
    moldau("produce", one, text='{"n": 1}\n{"n": 2}\n', servers=servers)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "moldau", "consume", one, "-f", "earliest", "-e", "--filter", "value.n > 0"]
    with subprocess.Popen([*command, "-b", servers], stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # what the end of a terminal is called on Linux
            while piece := os.read(ours, 65536):
                shown += piece
        os.close(ours)
    assert process.returncode == 0
    assert b"scanning" in shown
    assert [line.rpartition(b"\x1b[K")[2] for line in shown.strip().split(b"\r\n")] == [
        b'{"n": 1}',
        b'{"n": 2}',
        b"2 of 2 records",
    ]


def test_a_topic_that_the_cluster_creates_by_itself_is_told(servers, topic):
    assert moldau("topic", "create", topic, servers=servers).code == 0
    first = moldau("produce", f"{topic}s", text="x\n", servers=servers)
    assert first.code == 0
    assert f"there was no topic {topic}s" in first.err
    assert "1 partition\n" in first.err
    assert f"did you mean {topic}?" in first.err
    assert "note:" not in moldau("produce", f"{topic}s", text="y\n", servers=servers).err


def test_no_create_refuses_a_topic_that_is_not_there_and_creates_none(servers, topic):
    refused = moldau("produce", topic, "--no-create", text="x\n", servers=servers)
    assert (refused.code, refused.out) == (1, "")
    assert f"there is no topic {topic}" in refused.err
    assert topic not in moldau("topic", "list", "-o", "name", servers=servers).out.split()
    assert moldau("topic", "create", topic, servers=servers).code == 0
    assert moldau("produce", topic, "--no-create", text="x\n", servers=servers).code == 0
