"""`moldau up`, `moldau broker` and `moldau storage`: a node from files and flags, in a process of its own."""

import contextlib
import gc
import signal
import socket
from pathlib import Path

import pytest
from tests.cli.conftest import moldau, moldau_process
from tests.unit.config.test_settings import GUIDE_COMBINED_NODE, GUIDE_TUNING, KAFKA_SAMPLE

from moldau.cli.serve import broker
from moldau.collector import COLLECT_AFTER
from moldau.server import run as running_server


@contextlib.contextmanager
def running(*arguments, **environment):
    """A node, and the address that it printed."""
    process = moldau_process(*arguments, **environment)
    try:
        line = process.stdout.readline()
        assert line.startswith("kafka "), line or process.stderr.read()
        yield process, line.split()[1]
    finally:
        process.kill()
        process.wait()


def stop(process):
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=60)
    return process.returncode, err


def properties(folder: Path, **more: str) -> Path:
    file = folder / "server.properties"
    lines = {
        "process.roles": "broker,controller",
        "node.id": "7",
        "listeners": "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(folder / "data"),
        **more,
    }
    file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return file


def test_up_needs_nothing_and_forgets_everything():
    with running("up", "--port", "0") as (process, servers):
        assert servers.startswith("127.0.0.1:")
        created = moldau("topic", "create", "t", "-r", "3", "-b", servers)
        assert (created.code, created.err) == (0, "note: t has 1 replicas, not 3: there are no more nodes\n")
        code, err = stop(process)
    assert code == 0
    folder = Path(err.split("data")[1].split()[0])
    assert not folder.exists()
    assert "--data DIR keeps it" in err


def test_up_keeps_what_is_in_its_data_directory(tmp_path):
    for expected in ([], ["kept"]):
        with running("up", "--port", "0", "--no-registry", "--no-connect", "--data", str(tmp_path / "data")) as (
            process,
            servers,
        ):
            listed = moldau("topic", "list", "-o", "json", "-b", servers).json
            assert [one["topic"] for one in listed] == expected
            moldau("topic", "create", "kept", "-b", servers)
            assert stop(process)[0] == 0


def test_the_collector_looks_seldom_and_never_at_what_the_start_has_made(tmp_path, monkeypatch):
    class NotANodeError(Exception):
        """What announces a node has got one that is none."""

    class NoNode:
        def __getattr__(self, name):
            raise NotANodeError(name)

    thresholds = []

    def serve(_settings, _options, ready, _leaving):
        thresholds.append(gc.get_threshold()[0])
        ready(NoNode())

    monkeypatch.setattr(running_server, "serve", serve)
    before = gc.get_threshold()
    assert gc.get_freeze_count() == 0
    try:
        with pytest.raises(NotANodeError):
            broker(properties(tmp_path))
        assert thresholds == [COLLECT_AFTER]
        assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_a_data_directory_serves_one_node_at_a_time(tmp_path):
    with running("up", "--port", "0", "--data", str(tmp_path)) as (_process, _servers):
        second = moldau("up", "--port", "0", "--data", str(tmp_path))
    assert second.code == 1
    assert second.err.startswith("error: ")
    assert str(tmp_path) in second.err


def test_metrics_that_nobody_asked_for_give_way_to_another_node():
    with contextlib.ExitStack() as stack:
        # Held by us, or by another node on this machine.
        with contextlib.suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", 9644)))
        with running("up", "--port", "0", "--no-registry") as (process, _servers):
            line = next(line for line in process.stderr if line.startswith("metrics"))
            assert ":9644/" not in line
        asked_for = moldau("up", "--port", "0", "--no-registry", "--override", "moldau.http.listener=localhost:9644")
    assert (asked_for.code, "9644" in asked_for.err) == (1, True)


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = moldau("up", "--port", str(port))
    assert ended.code == 1
    assert str(port) in ended.err


def test_the_environment_counts_for_up_unless_a_flag_says_otherwise():
    with running("up", KAFKA_LISTENERS="PLAINTEXT://127.0.0.1:0", KAFKA_NUM_PARTITIONS="5") as (_process, servers):
        moldau("topic", "create", "t", "-b", servers)
        (topic,) = moldau("topic", "list", "-o", "json", "-b", servers).json
    assert topic["partitions"] == 5


def test_a_broker_is_formatted_and_then_started(tmp_path):
    file = properties(tmp_path)
    refused = moldau("broker", str(file))
    assert refused.code == 1
    assert "moldau storage format" in refused.err

    cluster_id = moldau("storage", "random-uuid").out.strip()
    formatted = moldau("storage", "format", "-t", cluster_id, "-c", str(file), "--standalone", "-o", "json")
    assert formatted.json == [
        {"directory": str(tmp_path / "data"), "result": "formatted", "cluster_id": cluster_id, "node_id": 7}
    ]
    assert moldau("storage", "format", "-t", cluster_id, "-c", str(file)).code == 1
    again = moldau("storage", "format", "-t", cluster_id, "-c", str(file), "-g", "-o", "json")
    assert again.json[0]["result"] == "was formatted already"
    shown = moldau("storage", "info", "-c", str(file), "-o", "json").json[0]
    assert (shown["formatted"], shown["cluster_id"], shown["node_id"]) == (True, cluster_id, 7)

    with running("broker", str(file), "--override", "num.partitions=4", KAFKA_NUM_PARTITIONS="3") as (process, servers):
        assert moldau("cluster", "describe", "-o", "json", "-b", servers).json["cluster_id"] == cluster_id
        moldau("topic", "create", "t", "-b", servers)
        assert moldau("topic", "list", "-o", "json", "-b", servers).json[0]["partitions"] == 4
        # Three replicas on one node: refused, as Kafka does.
        assert "INVALID_REPLICATION_FACTOR" in moldau("topic", "create", "u", "-r", "3", "-b", servers).err
        assert stop(process)[0] == 0


def test_the_id_of_the_cluster_may_come_from_its_variable(tmp_path):
    file = properties(tmp_path)
    cluster_id = moldau("storage", "random-uuid").out.strip()
    assert moldau("storage", "format", "-c", str(file), CLUSTER_ID=cluster_id).code == 0
    assert moldau("storage", "info", "-c", str(file), "-o", "json").json[0]["cluster_id"] == cluster_id


@pytest.mark.parametrize("cluster_id", ["", "not a uuid", "AAAA"])
def test_an_id_that_is_none_is_refused(tmp_path, cluster_id):
    ended = moldau("storage", "format", "-c", str(properties(tmp_path)), "-t", cluster_id)
    assert ended.code == 2
    assert not (tmp_path / "data").exists()


def test_directories_that_are_not_formatted_are_told(tmp_path):
    ended = moldau("storage", "info", "-c", str(properties(tmp_path)), "-o", "json")
    assert ended.code == 1
    assert ended.json[0]["formatted"] is False


def test_everything_wrong_with_a_file_is_told_at_once_and_nothing_starts(tmp_path):
    file = properties(tmp_path, **{"num.partitons": "3", "log.retention.ms": "x"})
    ended = moldau("broker", str(file))
    assert ended.code == 2
    assert "2 settings are wrong" in ended.err
    assert f"{file}:6: num.partitons is no setting of Kafka; did you mean num.partitions?" in ended.err
    assert f"{file}:7: Invalid value x for configuration log.retention.ms" in ended.err


def test_a_file_that_is_not_there_is_told():
    ended = moldau("broker", "/no/such/server.properties")
    assert (ended.code, ended.err) == (2, "error: cannot read /no/such/server.properties: No such file or directory\n")


def test_settings_without_effect_are_told_in_one_warning(tmp_path):
    file = properties(tmp_path, **{"num.network.threads": "8", "num.replica.fetchers": "4"})
    moldau("storage", "format", "-t", moldau("storage", "random-uuid").out.strip(), "-c", str(file))
    with running("broker", str(file)) as (process, _servers):
        _code, err = stop(process)
    assert err.count("warning: ") == 1
    assert "num.network.threads" in err
    assert "num.replica.fetchers" in err


def test_a_node_that_everybody_can_reach_says_so():
    with running("up", "--port", "0", "--host", "0.0.0.0") as (process, _servers):
        _code, err = stop(process)
    assert "everybody who can reach this address" in err


def test_an_advertised_address_that_cannot_be_reached_is_named_with_the_setting_to_change():
    with running("up", "--port", "0", "--override", "advertised.listeners=PLAINTEXT://127.0.0.1:1") as (_node, servers):
        for command in (
            ["group", "list"],
            ["topic", "create", "t"],
            ["cluster", "describe"],
            # It asks for the topic, so the node creates it.
            ["produce", "t"],
            ["consume", "t"],
            ["consume", "t", "-g", "g"],
        ):
            ended = moldau(*command, "-b", servers, "--timeout", "4", text="1\n")
            assert ended.code == 3, ended.err
            assert ended.err.startswith("error: cannot connect to 127.0.0.1:1\nhint: ")
            assert "advertised.listeners" in ended.err


@pytest.mark.parametrize("text", [GUIDE_COMBINED_NODE, GUIDE_TUNING, KAFKA_SAMPLE], ids=["node", "tuning", "sample"])
def test_a_broker_starts_from_the_files_of_the_guide_and_of_kafka(tmp_path, text):
    file = tmp_path / "server.properties"
    # Folders and ports are other ones here, and nobody is sent to port 9092; everything else is as it stands.
    ours = f"listeners=PLAINTEXT://127.0.0.1:0\nlog.dirs={tmp_path}/a,{tmp_path}/b\n"
    file.write_text(text.replace("advertised.listeners=", "# ") + ours)
    cluster_id = moldau("storage", "random-uuid").out.strip()
    assert moldau("storage", "format", "-t", cluster_id, "-c", str(file)).code == 0
    with running("broker", str(file)) as (process, servers):
        created = moldau("topic", "create", "t", "-p", "2", "-r", "1", "-b", servers)
        assert created.code == 0, created.err
        produced = moldau("produce", "t", "-b", servers, text="1\n2\n")
        assert produced.code == 0, produced.err
        assert moldau("consume", "t", "-g", "g", "-f", "earliest", "-c", "2", "-b", servers).code == 0
        code, err = stop(process)
    assert code == 0
    assert "Traceback" not in err
