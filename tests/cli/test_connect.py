"""`moldau connect`: a worker as a process, and a worker asked with the commands."""

from __future__ import annotations

import json
import signal
import time
import uuid

import pytest
from tests.cli.conftest import moldau, moldau_process

from moldau.cli.connect_client import parse_commented
from moldau.cli.shapes import SHAPES, complaint
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.service import ConnectThread


@pytest.fixture(scope="module")
def url(servers):
    given = {"bootstrap.servers": servers, "listeners": "http://127.0.0.1:0", "offset.flush.interval.ms": "200"}
    with ConnectThread(WorkerSettings(given)) as running:
        yield running.url


@pytest.fixture
def connector(tmp_path):
    """The file of a source, with comments as people write them."""
    name = f"c-{uuid.uuid4().hex[:8]}"
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    file = tmp_path / "connector.json"
    file.write_text(f"""{{
      "name": "{name}", // its name
      "config": {{
        /* what it is */ "connector.class": "FileStreamSource",
        "file": "{tmp_path}/in.txt", "topic": "{name}", "tasks.max": 1,
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
      }}
    }}""")
    return name, str(file)


def run(url, *words):
    return moldau("connect", *words, "-u", url)


def wait(url, name, state):
    deadline = time.monotonic() + 30
    while not [
        each for each in run(url, "list", "-o", "json").json if each["connector"] == name and each["state"] == state
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_connector_is_created_from_a_commented_file_seen_changed_and_deleted(url, connector):
    name, file = connector
    assert run(url, "validate", "-f", file).code == 0
    created = run(url, "create", "-f", file, "-o", "json")
    assert (created.code, created.json["config"]["tasks.max"]) == (0, "1")
    assert complaint(created.json, SHAPES["connect create"]) is None
    wait(url, name, "RUNNING")
    again = run(url, "create", "-f", file)
    assert (again.code, "--replace" in again.err) == (1, True)

    changed = run(url, "config", name, "--set", "batch.size=10", "--unset", "tasks.max", "-o", "json").json
    settings = {each["setting"]: each["value"] for each in changed}
    assert (settings["batch.size"], "tasks.max" in settings) == ("10", False)
    for deed, state in (("pause", "PAUSED"), ("resume", "RUNNING"), ("stop", "STOPPED")):
        assert run(url, deed, name).code == 0
        wait(url, name, state)
    assert run(url, "offsets", name, "--reset", "--yes").code == 0
    assert run(url, "offsets", name, "-o", "json").json == []
    assert run(url, "delete", name, "--yes").code == 0
    assert name not in run(url, "list", "-o", "name").out.split()


def test_what_is_printed_for_programs_has_its_shape(url, connector):
    name, file = connector
    run(url, "create", "-f", file)
    wait(url, name, "RUNNING")
    for command in ("list", f"status {name}", f"config {name}", f"offsets {name}", "plugins --all", f"restart {name}"):
        words = command.split()
        ended = run(url, *words, "-o", "json")
        assert ended.code == 0, ended.err
        assert complaint(ended.json, SHAPES[f"connect {words[0]}"]) is None
    explained = run(url, "explain", "FileStreamSource", "-o", "json").json
    assert complaint(explained, SHAPES["connect explain"]) is None
    validated = run(url, "validate", "-f", file, "--all", "-o", "json").json
    assert complaint(validated, SHAPES["connect validate"]) is None


def test_validate_names_each_mistake_and_ends_with_one(url, tmp_path):
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps({"connector.class": "FileStreamSource", "tasks.max": "many"}))
    ended = run(url, "validate", "-f", str(file))

    assert ended.code == 1
    assert "tasks.max: Invalid value many for configuration tasks.max: Not a number of type INT" in ended.out
    assert 'topic: Missing required configuration "topic"' in ended.out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["status", "nobody"], 1, "No status found for connector nobody"),
        (["pause", "nobody"], 1, "Unknown connector nobody"),
        (["create", "-f", "/no/such.json"], 2, "cannot read /no/such.json"),
        (["delete"], 2, ""),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(url, words, code, told):
    ended = run(url, *words)

    assert (ended.code, told in ended.err) == (code, True), ended.err


def test_nobody_at_the_address_is_said_with_what_to_do():
    ended = run("http://127.0.0.1:1", "list")

    assert (ended.code, "moldau connect run" in ended.err) == (3, True)


def test_comments_are_no_part_of_texts():
    assert parse_commented('{"a": "http://x//y", // b\n "c": "/* no */", /* d \n */ "e": [1, ], }') == {
        "a": "http://x//y",
        "c": "/* no */",
        "e": [1],
    }


def test_a_standalone_worker_runs_the_connectors_of_its_files_and_keeps_its_offsets(servers, connector, tmp_path):
    name, file = connector
    worker = tmp_path / "worker.properties"
    worker.write_text(f"bootstrap.servers={servers}\noffset.flush.interval.ms=100\n")
    command = ("connect", str(worker), file, "--standalone", str(tmp_path / "offsets.dat"), "--port", "0")
    for lines in (2, 3):
        process = moldau_process(*command)
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1]
            deadline = time.monotonic() + 30
            while [each["offset"] for each in run(url, "offsets", name, "-o", "json").json] != [
                {"position": 4 * lines}
            ]:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            _out, err = process.communicate(timeout=60)
            assert (process.returncode, "Traceback" in err) == (0, False), err
        finally:
            process.kill()
            process.wait()
        with (tmp_path / "in.txt").open("a") as more:
            more.write("six\n")
    read = moldau("consume", name, "-f", "earliest", "-e", servers=servers)
    assert read.out.split() == ["one", "two", "six"]


STUBBORN = """
import threading
from moldau.connect.plugin import SinkConnector, SinkTask

class Stubborn(SinkConnector):
    def start(self, props): ...
    def task_class(self): return StubbornTask
    def task_configs(self, max_tasks): return [{}]

class StubbornTask(SinkTask):
    def start(self, props):
        threading.Thread(target=threading.Event().wait, daemon=False).start()
        print("begun", flush=True)
    def put(self, records): ...
    def stop(self):
        threading.Event().wait()
"""


def test_a_worker_whose_tasks_do_not_end_ends_all_the_same_and_with_success(servers, tmp_path):
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    connector = tmp_path / "connector.json"
    connector.write_text(json.dumps({"name": "s", "connector.class": "stubborn:Stubborn", "topics": "t-stubborn"}))
    worker = tmp_path / "worker.properties"
    settings = {"bootstrap.servers": servers, "plugin.path": tmp_path, "task.shutdown.graceful.timeout.ms": 200}
    worker.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    offsets = ("--standalone", str(tmp_path / "offsets.dat"))
    process = moldau_process("connect", str(worker), str(connector), *offsets, "--port", "0")
    try:
        assert process.stdout is not None
        assert "begun" in iter(lambda: process.stdout.readline().strip(), None)
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=30)
        assert (process.returncode, "Traceback" in err) == (0, False), err
        assert "is left to itself" in err
    finally:
        process.kill()
        process.wait()


CLINGING = """
import threading
from moldau.connect.plugin import SinkConnector, SinkTask

class Clinging(SinkConnector):
    def start(self, props): ...
    def task_class(self): return SinkTask
    def task_configs(self, max_tasks): return []
    def config(self):
        threading.Thread(target=threading.Event().wait, name="clinging", daemon=False).start()
        return super().config()
"""


def test_a_worker_that_ends_with_an_error_does_not_wait_for_the_threads_of_a_plugin(servers, tmp_path):
    (tmp_path / "clinging.py").write_text(CLINGING)
    files = []
    for name, each in (("good", "clinging:Clinging"), ("bad", "clinging:Missing")):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps({"name": name, "connector.class": each, "topics": "t-clinging"}))
    worker = tmp_path / "worker.properties"
    worker.write_text(f"bootstrap.servers={servers}\nplugin.path={tmp_path}\n")
    offsets = ("--standalone", str(tmp_path / "offsets.dat"))
    process = moldau_process("connect", str(worker), *map(str, files), *offsets, "--port", "0")
    try:
        _out, err = process.communicate(timeout=60)
        assert process.returncode == 1, err
        assert "clinging:Missing" in err
        assert "the worker ends while threads of its plugins still run: clinging" in err
    finally:
        process.kill()
        process.wait()
