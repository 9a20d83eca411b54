"""Kafka's command lines: what they become, and that they do what their users expect."""

import json
import subprocess

import pytest
from tests.cli.conftest import moldau

from moldau.cli.habits import TOOLS, name_of, translate


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("kafka-topics --bootstrap-server h:1 --list", ["topic list -o name --internal -b h:1"]),
        ("kafka-topics --list --exclude-internal", ["topic list -o name"]),
        (
            "kafka-topics --create --topic t --partitions 3 --replication-factor 1 --config a=b --if-not-exists",
            ["topic create t -p 3 -r 1 -c a=b --if-absent"],
        ),
        ("kafka-topics --describe --topic=t", ["topic describe t"]),
        ("kafka-topics --alter --topic t --partitions 9", ["topic grow t 9"]),
        ("kafka-topics --delete --topic t", ["topic delete t --yes"]),
        ("kafka-consumer-groups --list", ["group list -o name --internal"]),
        ("kafka-consumer-groups --describe --group g", ["group describe g"]),
        (
            "kafka-consumer-groups --reset-offsets --group g --topic t:0,1 --shift-by -5 --execute",
            ["group seek g --to -5 -t t:0,1 --execute"],
        ),
        ("kafka-consumer-groups --reset-offsets --group g --all-topics --to-earliest", ["group seek g --to earliest"]),
        (
            "kafka-consumer-groups --reset-offsets --group g --all-topics --by-duration P1DT2H",
            ["group seek g --to @-1d2h"],
        ),
        ("kafka-consumer-groups --delete-offsets --group g --topic t", ["group delete-offsets g -t t --yes"]),
        ("kafka-configs --entity-type topics --entity-name t --describe --all", ["config show topic t --all"]),
        (
            "kafka-configs --alter --topic t --add-config a=1,cleanup.policy=[compact,delete] --delete-config b,c",
            ["config set topic t a=1 cleanup.policy=compact,delete", "config unset topic t b c"],
        ),
        (
            "kafka-configs --alter --entity-type brokers --entity-default --add-config a=1",
            ["config set broker default a=1"],
        ),
        ("kafka-get-offsets --topic t --time -2", ["topic offsets t --at earliest"]),
        ("kafka-dump-log --files a,b --print-data-log", ["log dump a b --records"]),
        ("kafka-storage format -t x -c y", ["storage format -t x -c y"]),
        ("kafka-server-start server.properties --override a=b", ["broker server.properties --override a=b"]),
        ("kafka-metadata-quorum --bootstrap-server h:1 describe --status", ["cluster quorum -b h:1"]),
    ],
)
def test_a_command_line_of_kafka_becomes_ours(line, ours):
    tool, *arguments = line.split()
    assert [" ".join(words) for words in translate(tool, arguments)] == ours


def test_what_is_unknown_missing_or_not_said_is_wrong_usage():
    for line in ("--list --nonsense", "--create", "", "--topic", "--alter --topic t"):
        ended = moldau("kafka-topics", *line.split())
        assert ended.code == 2
        assert ended.err.startswith("error: ")
    assert moldau("kafka-consumer-groups", "--describe").code == 2


def test_help_is_that_of_our_command():
    assert "moldau topic" in moldau("kafka-topics", "--help").out


def test_a_day_with_the_old_tools(servers, topic, tmp_path):
    there = ("--bootstrap-server", servers)
    created = moldau("kafka-topics", *there, "--create", "--topic", topic, "--partitions", "1")
    assert created.code == 0, created.err
    assert topic in moldau("kafka-topics", *there, "--list").out.splitlines()
    produced = moldau(
        "kafka-console-producer", *there, "--topic", topic, "--property", "parse.key=true", text="k1\tv1\nk2\tv2\n"
    )
    assert produced.code == 0, produced.err
    read = moldau(
        "kafka-console-consumer", *there, "--topic", topic, "--from-beginning", "--max-messages", "2",
        "--property", "print.key=true", "--property", "print.offset=true",
    )  # fmt: skip
    assert read.out == "Offset:0\tk1\tv1\nOffset:1\tk2\tv2\n"
    file = tmp_path / "records.json"
    wanted = {"topic": topic, "partition": 0, "offset": 1}
    file.write_text(json.dumps({"partitions": [wanted], "version": 1}))
    assert moldau("kafka-delete-records", *there, "--offset-json-file", str(file)).code == 0
    idle = moldau("kafka-console-consumer", *there, "--topic", topic, "--from-beginning", "--timeout-ms", "1500")
    assert (idle.code, idle.out) == (0, "v2\n")


def test_a_properties_file_gives_its_settings(servers, tmp_path):
    file = tmp_path / "client.properties"
    file.write_text("security.protocol=nonsense\n")
    ended = moldau("kafka-topics", "--bootstrap-server", servers, "--command-config", str(file), "--list")
    assert ended.code != 0
    file.write_text("security.protocol=PLAINTEXT\n")
    assert moldau("kafka-topics", "--bootstrap-server", servers, "--command-config", str(file), "--list").code == 0


def test_executables_of_the_old_names_work(servers, topic, tmp_path):
    moldau("topic", "create", topic, servers=servers)
    (tmp_path / "kafka-configs").write_text("mine")
    made = moldau("habits", str(tmp_path))
    assert made.code == 0
    assert "is there already" in made.err
    assert (tmp_path / "kafka-configs").read_text() == "mine"
    done = subprocess.run(
        [tmp_path / "kafka-topics", "--bootstrap-server", servers, "--list"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert topic in done.stdout.split()


@pytest.mark.parametrize(("program", "name"), [("/opt/kafka/bin/kafka-topics.sh", "kafka-topics"), ("moldau", None)])
def test_a_program_is_known_by_its_name(program, name):
    assert name_of(program) == name


def test_no_flag_of_a_tool_is_both_with_and_without_a_value():
    for tool in TOOLS.values():
        assert not set(tool.values) & set(tool.switches)
