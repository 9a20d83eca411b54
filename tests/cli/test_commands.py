"""Commands about a cluster: what they print for programs, how they end, and what they say when they cannot."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.cli.conftest import moldau, moldau_process

from moldau.cli import EXIT_CODES, main, outcome


def test_a_topic_lives_from_create_to_delete(servers, topic):
    created = moldau("topic", "create", topic, "-p", "3", "-c", "retention.ms=60000", "-o", "json", servers=servers)
    assert created.json == [{"topic": topic, "result": "created"}]
    listed = {one["topic"]: one for one in moldau("topic", "list", "-o", "json", servers=servers).json}
    assert listed[topic] == {"topic": topic, "partitions": 3, "replicas": 1, "internal": False}

    described = moldau("topic", "describe", topic, "-o", "json", servers=servers).json
    assert set(described) == {"topic", "topic_id", "internal", "partitions", "settings"}
    assert len(described["topic_id"]) == 22
    assert described["partitions"][2] == {
        "partition": 2,
        "leader": 1,
        "replicas": [1],
        "in_sync_replicas": [1],
        "start_offset": 0,
        "end_offset": 0,
    }
    assert described["settings"] == [{"setting": "retention.ms", "value": "60000", "source": "topic", "default": False}]

    assert moldau("topic", "grow", topic, "5", servers=servers).code == 0
    assert moldau("topic", "config", topic, "-s", "segment.ms=1000", "-u", "retention.ms", servers=servers).code == 0
    described = moldau("topic", "describe", topic, "-o", "json", servers=servers).json
    assert len(described["partitions"]) == 5
    assert [one["setting"] for one in described["settings"]] == ["segment.ms"]

    assert moldau("topic", "delete", topic, "--yes", servers=servers).code == 0
    gone = moldau("topic", "describe", topic, servers=servers)
    assert gone.code == 1
    assert "UNKNOWN_TOPIC_OR_PART" in gone.err


def test_some_of_several_topics_may_fail(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    ended = moldau("topic", "create", topic, f"{topic}-2", "-o", "jsonl", servers=servers)
    assert ended.code == 5
    assert ended.lines[1] == {"topic": f"{topic}-2", "result": "created"}
    assert "TOPIC_ALREADY_EXISTS" in ended.lines[0]["result"]
    assert "1 of 2" in ended.err


def test_a_setting_that_was_misspelt_is_refused_with_a_guess(servers, topic):
    ended = moldau("topic", "create", topic, "-c", "retention.m=1", servers=servers)
    assert ended.code == 1
    assert "did you mean retention.ms?" in ended.err
    assert "INVALID_CONFIG" in ended.err


def test_nothing_is_deleted_when_nobody_can_be_asked(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    ended = moldau("topic", "delete", topic, servers=servers)
    assert ended.code == 2
    assert "--yes" in ended.err
    assert moldau("topic", "describe", topic, servers=servers).code == 0


def test_records_go_in_and_come_out_as_they_were(servers, topic):
    moldau("topic", "create", topic, "-p", "2", servers=servers)
    sent = (
        '{"key":"a","value":{"big":9007199254740993},"headers":[{"name":"h","value":"x"}],"partition":1,'
        '"timestamp_ms":1700000000123}\n'
        '{"key_base64":"/w==","value":null,"partition":1,"timestamp_ms":1700000000124}\n'
    )
    produced = moldau("produce", topic, "--json", "-o", "json", text=sent, servers=servers)
    assert produced.json == {
        "topic": topic,
        "sent": 2,
        "delivered": 2,
        "partitions": [{"partition": 1, "records": 2}],
    }
    first, second = moldau("consume", topic, "-f", "earliest", "-e", "-o", "jsonl", servers=servers).lines
    assert first == {
        "topic": topic,
        "partition": 1,
        "offset": 0,
        "timestamp_ms": 1700000000123,
        "timestamp_type": "CreateTime",
        "key": "a",
        "value": '{"big":9007199254740993}',
        "headers": [{"name": "h", "value": "x"}],
    }
    assert (second["key_base64"], second["value"]) == ("/w==", None)


@pytest.mark.parametrize(
    ("where", "values"),
    [
        (["-f", "earliest"], "1 2 3 4 5"),
        (["-f", "3"], "4 5"),
        (["-f", "-2"], "4 5"),
        (["-f", "-99"], "1 2 3 4 5"),
        (["-f", "latest"], ""),
        (["-f", "@0"], "1 2 3 4 5"),
        (["-f", "2999-01-01"], ""),
        (["-f", "earliest", "-c", "2"], "1 2"),
        (["-f", "earliest", "-p", "0"], "1 2 3 4 5"),
    ],
)
def test_reading_begins_and_ends_where_it_was_told(servers, topic, where, values):
    moldau("topic", "create", topic, servers=servers)
    moldau("produce", topic, text="1\n2\n3\n4\n5\n", servers=servers)
    assert moldau("consume", topic, "-e", *where, servers=servers).out.split() == values.split()


def test_a_format_says_what_is_printed_of_a_record(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    moldau("produce", topic, "-K", ":", "-H", "h=x", text="k:v\n", servers=servers)
    ended = moldau("consume", topic, "-f", "earliest", "-e", "-F", "%t %p %o %k=%v %h%%\\n", servers=servers)
    assert ended.out == f"{topic} 0 0 k=v h=x%\n"
    assert moldau("consume", topic, "-F", "%z", servers=servers).code == 2


def test_a_group_reads_on_where_it_stopped_and_can_be_moved(servers, topic):
    group = f"{topic}-group"
    moldau("topic", "create", topic, servers=servers)
    moldau("produce", topic, text="1\n2\n3\n4\n", servers=servers)
    for expected in ("1 2", "3 4"):
        ended = moldau("consume", topic, "-g", group, "-f", "earliest", "-c", "2", servers=servers)
        assert ended.out.split() == expected.split()

    listed = {one["group"]: one for one in moldau("group", "list", "-o", "json", servers=servers).json}
    assert listed[group] == {
        "group": group,
        "state": "empty",
        "protocol": "classic",
        "simple": False,
        "internal": False,
    }
    described = moldau("group", "describe", group, "-o", "json", servers=servers).json
    assert set(described) == {
        "group", "state", "protocol", "assignor", "epoch", "assignment_epoch", "coordinator", "lag", "members",
        "partitions",
    }  # fmt: skip
    assert described["partitions"] == [
        {"topic": topic, "partition": 0, "committed": 4, "end_offset": 4, "lag": 0, "member_id": None}
    ]

    dry = moldau("group", "seek", group, "--to", "-1", "-o", "json", servers=servers)
    assert dry.json == [{"topic": topic, "partition": 0, "from": 4, "to": 3}]
    assert "nothing was moved" in dry.err
    assert moldau("group", "describe", group, "-o", "json", servers=servers).json["lag"] == 0
    assert moldau("group", "seek", group, "--to", "earliest", "--execute", servers=servers).code == 0
    assert moldau("group", "describe", group, "-o", "json", servers=servers).json["lag"] == 4

    assert moldau("group", "delete", group, "--yes", servers=servers).code == 0
    assert moldau("group", "describe", group, servers=servers).code == 1


@pytest.mark.parametrize("place", ["noon", "", "1.5", "+x"])
def test_a_place_that_is_none_is_wrong_usage(servers, topic, place):
    moldau("topic", "create", topic, servers=servers)
    ended = moldau("group", "seek", "anybody", "--to", place, "-t", topic, servers=servers)
    assert ended.code == 2
    assert "hint: " in ended.err


def test_a_cluster_says_who_it_is(servers):
    record = moldau("cluster", "describe", "-o", "json", servers=servers).json
    assert set(record) == {"cluster_id", "controller", "brokers"}
    assert len(record["cluster_id"]) == 22
    host, port = servers.split(":")
    assert record["brokers"][0]["port"] == int(port)
    assert set(record["brokers"][0]) == {"broker", "host", "port", "rack", "controller"}
    assert host in ("localhost", "127.0.0.1")


def test_api_versions_come_from_bare_frames(servers):
    rows = {row["key"]: row for row in moldau("api-versions", "-o", "json", servers=servers).json}
    # KAFKA-18659: Produce says that it begins at 0, or librdkafka would not use its newer versions.
    assert rows[0] == {"key": 0, "name": "Produce", "lowest": 0, "highest": rows[0]["highest"]}
    assert rows[18]["name"] == "ApiVersions"
    assert set(rows) >= {0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 22, 32, 33, 37, 42, 44, 60}


def test_nobody_at_the_address_is_no_connection():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    for command in (["topic", "list"], ["api-versions"], ["consume", "t"], ["group", "list"]):
        ended = moldau(*command, "-b", address)
        assert (ended.code, ended.out) == (3, "")
        assert ended.err.startswith(f"error: nobody answers at {address}")
        assert "hint: " in ended.err


def test_somebody_who_never_answers_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for command in (["topic", "list"], ["api-versions"]):
            assert moldau(*command, "-b", address, "--timeout", "1").code == 4


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x7f\xff\xff\xff", b"\0\0\0\6\0\0\0\x09zz", b""]
)
def test_somebody_who_is_no_broker_is_refused(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=reply, daemon=True)
        thread.start()
        ended = moldau("api-versions", "-b", f"127.0.0.1:{server.getsockname()[1]}", "--timeout", "5")
    assert ended.code == 1
    assert ended.err.startswith("error: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["topic", "nonsense"],
        ["topic", "grow", "t", "many"],
        ["topic", "list", "-o", "xml"],
        ["topic", "list", "--no-such-flag"],
        ["topic", "create"],
        ["topic", "list", "-b", "host:port:x"],
        ["topic", "list", "-b", "localhost:99999"],
        ["topic", "list", "-X", "nothing"],
        ["topic", "list", "-X", "no.such.setting=1"],
        ["consume", "t", "-g", "g", "-X", "security.protocol=nonsense"],
        ["produce", "t", "/no/such/file"],
        ["consume", "t", "-c", "0"],
        ["consume", "t", "-g", "g", "-e"],
        ["storage", "format"],
    ],
)
def test_wrong_usage_ends_with_2_and_says_so_on_stderr(servers, arguments):
    ended = moldau(*arguments, servers=servers)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")


def test_tables_are_plain_text_where_nobody_watches(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    ended = moldau("topic", "list", servers=servers)
    assert ended.out.splitlines()[0].split() == ["topic", "partitions", "replicas"]
    assert "\033" not in ended.out + ended.err
    coloured = moldau("topic", "list", servers=servers, FORCE_COLOR="1")
    assert "\033[1m" in coloured.out
    assert "\033" not in moldau("topic", "list", servers=servers, FORCE_COLOR="1", NO_COLOR="1").out


def test_an_interrupt_ends_with_130_and_leaves_what_was_printed(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    moldau("produce", topic, text="before\n", servers=servers)
    process = moldau_process("consume", topic, "-f", "earliest", "-b", servers)
    assert process.stdout.readline() == "before\n"
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_reader_who_has_seen_enough_is_no_error(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    moldau("produce", topic, text="x\n" * 20_000, servers=servers)
    command = f"{sys.executable} -m moldau consume {topic} -f earliest -e -b {servers} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "x\n", "")


def test_help_and_version_need_no_broker():
    assert moldau("--version").out.strip() == "0.1.0"
    for command in ([], ["topic"], ["group"], ["storage"], ["produce"], ["up"]):
        ended = moldau(*command, "--help")
        assert (ended.code, ended.err) == (0, "")
        assert "Usage: moldau" in ended.out


def test_a_client_command_imports_no_server():
    code = (
        "import sys; from moldau.cli import run; run(['topic', 'list', '-b', '127.0.0.1:1']);"
        "print(*sorted(set(sys.modules) & {'kio', 'moldau._core', 'moldau.server.boot', 'confluent_kafka'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ, check=True
    )
    assert done.stdout.split() == []


def test_commands_about_a_topic_that_grows_do_not_wait_for_more(servers, topic):
    """`--end` is the end at the start: a producer that goes on does not keep the command."""
    moldau("topic", "create", topic, servers=servers)
    moldau("produce", topic, text="1\n2\n", servers=servers)
    started = time.monotonic()
    assert moldau("consume", topic, "-f", "earliest", "-e", servers=servers).out.split() == ["1", "2"]
    assert time.monotonic() - started < 60


def test_garbage_is_collected_again_when_a_command_begins(monkeypatch):
    seen = []
    monkeypatch.setattr("moldau.cli.profile.list_profiles", lambda: seen.append(gc.isenabled()))
    try:
        with pytest.raises(SystemExit) as ended:
            main(["profile", "list"])
        assert (ended.value.code, seen, gc.isenabled()) == (0, [True], True)
        with pytest.raises(SystemExit):
            main(["--version"])
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_a_refusal_of_the_broker_comes_with_the_next_step(servers, topic):
    assert moldau("topic", "create", topic, servers=servers).code == 0
    for words, hint in (
        (("topic", "describe", f"{topic}-not"), "hint: `moldau topic list`"),
        (("topic", "create", topic), "hint: --if-absent"),
    ):
        refused = moldau(*words, servers=servers)
        assert (refused.code, hint in refused.err) == (1, True), refused.err


def test_help_and_the_guide_name_every_exit_code_that_there_is():
    kinds = [each for each in vars(outcome).values() if isinstance(each, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, outcome.CommandError)}
    codes |= {outcome.DONE, outcome.BUG, outcome.INTERRUPTED}
    guide = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "command-line.md").read_text()
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", guide, re.MULTILINE)} == codes
    assert {int(code) for code in re.findall(r"\d+", EXIT_CODES)} == codes
