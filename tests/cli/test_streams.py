"""`moldau streams`: a topology is run, seen, measured and reset from the command line."""

import signal
import struct
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.cli.conftest import moldau, moldau_process
from tests.integration.streams.cluster import eventually

from moldau.streams.runtime.directory import StateDirectory

HERE = Path(__file__).parent
PROGRAM = f"{HERE / 'revenue.py'}:topology"


def totals(servers):
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "nobody", "isolation.level": "read_committed"})
    consumer.assign([TopicPartition("totals", 0, 0)])
    try:
        end = consumer.get_watermark_offsets(TopicPartition("totals", 0), timeout=30)[1]
        if end == 0:
            return {}
        messages = consumer.consume(end, 2)
        return {one.key().decode(): struct.unpack(">q", one.value())[0] for one in messages if one.error() is None}
    finally:
        consumer.close()


def test_an_application_is_run_described_measured_and_reset(servers, tmp_path):
    for topic in ("orders", "totals"):
        moldau("topic", "create", topic, "-p", "1", "--if-absent", servers=servers)
    moldau("topic", "trim", "orders", "--before", "latest", "--execute", servers=servers)
    moldau("produce", "orders", "-K", ":", text='ann:{"amount": 12}\nbob:{"amount": 3}\n', servers=servers)
    running = moldau_process(
        *("streams", "run", PROGRAM, "-a", "revenue", "-b", servers, "--exactly-once", "--http", "127.0.0.1:0"),
        *("--state-dir", str(tmp_path), "-c", "commit.interval.ms=50"),
    )
    try:
        assert running.stdout.readline() == "streams  revenue\n"
        eventually(lambda: totals(servers) == {"ann": 12, "bob": 3})
        seen = moldau("streams", "describe", "revenue", "-o", "json", servers=servers).json
        assert (seen["application"], seen["state"], seen["lag"]) == ("revenue", "stable", 0)
        assert [one["partitions"] for one in seen["members"]] == [1]
        assert seen["members"][0]["http"].startswith("127.0.0.1:")
        assert seen["internal_topics"] == [{"topic": "revenue-totals-changelog", "kind": "changelog", "partitions": 1}]
        lag = moldau("streams", "lag", "revenue", "--over", "0", "-o", "json", servers=servers).json
        assert [(one["group"], one["topic"], one["lag"]) for one in lag] == [("revenue", "orders", 0)]
        refused = moldau("streams", "reset", "revenue", "--input-topics", "orders", "--execute", servers=servers)
        assert refused.code == 1
        assert "revenue is running: 1 members" in refused.err
    finally:
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 0, err
    reset = ("streams", "reset", "revenue", "--input-topics", "orders", "--state-dir", str(tmp_path), "-o", "json")
    dry = moldau(*reset, servers=servers)
    assert dry.json["internal_topics"] == [
        {"topic": "revenue-totals-changelog", "kind": "changelog", "result": "would be deleted"}
    ]
    assert "nothing was changed; --execute does it" in dry.err
    assert (tmp_path / "revenue" / "0_0").is_dir()
    held = StateDirectory(tmp_path / "revenue", needed=True)
    assert moldau(*reset, "--execute", servers=servers).code == 1
    held.close()
    done = moldau(*reset, "--execute", servers=servers)
    assert done.code == 0, done.err
    (move,) = done.json["offsets"]
    assert (move["topic"], move["from"] - move["to"]) == ("orders", 2)
    assert done.json["internal_topics"][0]["result"] == "deleted"
    assert not (tmp_path / "revenue").exists()
    assert "revenue-totals-changelog" not in moldau("topic", "list", "-o", "name", servers=servers).out.split()
    again = moldau("streams", "describe", "revenue", "-o", "json", servers=servers).json
    assert (again["state"], again["lag"], again["internal_topics"]) == ("empty", 2, [])


def test_a_topology_is_shown_in_the_words_of_kafka_and_for_programs():
    shown = moldau("streams", "topology", PROGRAM)
    assert shown.out.splitlines()[:2] == ["Topologies:", "   Sub-topology: 0"]
    assert "    Source: KSTREAM-SOURCE-0000000000 (topics: [orders])" in shown.out
    (part,) = moldau("streams", "topology", PROGRAM, "-o", "json").json
    assert [node["kind"] for node in part["nodes"]] == ["source", "processor", "processor", "sink"]
    assert moldau("streams", "topology", f"{HERE / 'revenue.py'}:builder").out == shown.out
    assert moldau("streams", "topology", "tests.cli.revenue:topology").out == shown.out


def test_a_topology_is_drawn_into_a_file(tmp_path):
    drawn = moldau("streams", "topology", PROGRAM, "--svg", str(tmp_path / "revenue.svg"))
    assert drawn.out == ""
    assert "revenue.svg: 1 sub-topologies" in drawn.err
    assert (tmp_path / "revenue.svg").read_text().startswith("<svg ")
    refused = moldau("streams", "topology", PROGRAM, "--svg", str(tmp_path / "no" / "x.svg"))
    assert refused.code == 2
    assert "x.svg cannot be written: No such file or directory" in refused.err


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("revenue", "'revenue' names no topology"),
        ("no.such.module:topology", "there is no module no.such.module"),
        ("nowhere.py:topology", "there is no file nowhere.py"),
        (f"{HERE / 'revenue.py'}:missing", "there is no missing in"),
        (f"{HERE / 'revenue.py'}:nothing", "is of type int and no topology"),
    ],
)
def test_a_program_without_a_topology_is_refused(program, complaint):
    ended = moldau("streams", "topology", program)
    assert ended.code == 2
    assert complaint in ended.err


@pytest.mark.parametrize("program", ["1 / 0\n", "def topology():\n    return 1 / 0\n", "import not_there\n"])
def test_a_program_that_fails_is_said_with_its_line_and_is_no_bug_of_ours(tmp_path, program):
    file = tmp_path / f"failing_{len(program)}.py"
    file.write_text(program)
    ended = moldau("streams", "topology", f"{file}:topology")
    assert ended.code == 1
    assert "cannot be loaded: " in ended.err
    assert f"hint: it was raised in {file}:{program.count(chr(10))}\n" in ended.err
    assert "bug" not in ended.err


def test_an_application_that_cannot_start_says_why(servers, tmp_path):
    (tmp_path / "lost.py").write_text(
        "from moldau.streams import StreamsBuilder\n"
        "builder = StreamsBuilder()\n"
        "builder.stream('not-there', key=str, value=str).to('out')\n"
    )
    ended = moldau("streams", "run", f"{tmp_path / 'lost.py'}:builder", servers=servers)
    assert ended.code == 1
    assert "error: there is no topic not-there\nhint: create what the application reads before it starts" in ended.err


def test_settings_that_cannot_be_used_are_all_said(servers):
    ended = moldau("streams", "run", PROGRAM, "-c", "num.standby.replicas=-1", "-c", "no.such=1", servers=servers)
    assert ended.code == 1
    assert "num.standby.replicas: must be a whole number of at least 0, not '-1'" in ended.err
    assert "no.such: there is no such setting" in ended.err


def test_an_application_that_nobody_knows_has_nothing_to_reset(servers):
    ended = moldau("streams", "reset", "nobody-at-all", servers=servers)
    assert ended.code == 2
    assert "nobody-at-all has nothing to reset" in ended.err


def test_topics_of_a_foreign_key_join_are_internal_and_those_of_others_are_not():
    from moldau.cli.streams import internal_topics

    own = {
        "app-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-topic",
        "app-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-0000000014-topic",
        "app-counts-changelog",
        "app-counts-repartition",
    }
    assert internal_topics("app", {*own, "app-orders", "other-counts-changelog", "apple-changelog"}) == sorted(own)
