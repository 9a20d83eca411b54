"""Records through a worker and a node: from a source, to a sink, and what happens when something of it fails."""

import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import NewTopic

import moldau

sys.path.insert(0, str(Path(__file__).parent))

from plugins_of_ours import CounterTask, KeeperTask, LedgerTask, Silent
from tests.integration.connect.worker.conftest import eventually

from moldau.connect.runtime import offset_requests
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

OURS = "plugins_of_ours"


def counter(name, **more):
    return {"connector.class": f"{OURS}:Counter", "topic": name, "count": "120", **more}


def keeper(name, **more):
    return {"connector.class": f"{OURS}:Keeper", "topics": name, **more}


def kept(name, count):
    return eventually(lambda: KeeperTask.kept.get(name, []), lambda found: len(found) >= count)


def test_lines_of_a_file_arrive_in_another(connect, name, tmp_path):
    lines, copy = tmp_path / "in.txt", tmp_path / "out.txt"
    lines.write_text("one\ntwö\r\nthree\rfour\nhalf")
    connect.create(f"{name}-in", {"connector.class": "FileStreamSource", "file": str(lines), "topic": name})
    connect.create(f"{name}-out", {"connector.class": "FileStreamSink", "file": str(copy), "topics": name})
    eventually(lambda: copy.exists() and copy.read_text(), lambda text: text == "one\ntwö\nthree\nfour\n")

    with lines.open("a") as file:
        file.write(" a line\n")
    eventually(copy.read_text, lambda text: text.endswith("half a line\n"))


def test_a_connector_of_ones_own_is_named_by_module_and_class(connect, name):
    connect.create(name, counter(name, **{"tasks.max": "2"}))
    connect.wait(name, tasks=["RUNNING", "RUNNING"])

    records = connect.records(name, 240)
    for task in (b"0", b"1"):
        numbers = [int(each.value()) for each in records if each.key() == task]
        assert numbers == list(range(120))


def test_offsets_are_kept_after_acknowledgement_and_every_record_is_told(connect, name):
    connect.create(name, counter(name, count="77"))
    eventually(
        lambda: connect.ask("GET", f"/connectors/{name}/offsets")["offsets"],
        lambda found: found == [{"partition": {"task": "0"}, "offset": {"n": 76}}],
    )

    told = [number for number, offset in CounterTask.acknowledged if offset is not None]
    assert set(range(77)) <= set(told)


def test_a_restarted_connector_goes_on_where_it_was(connect, name):
    connect.create(name, counter(name))
    eventually(
        lambda: connect.ask("GET", f"/connectors/{name}/offsets")["offsets"],
        lambda found: found == [{"partition": {"task": "0"}, "offset": {"n": 119}}],
    )
    connect.ask("PUT", f"/connectors/{name}/config", counter(name, count="200"))

    assert [int(each.value()) for each in connect.records(name, 200)] == list(range(200))


def test_a_paused_source_sends_nothing_until_it_goes_on(connect, name):
    connect.create(name, counter(name, count="20"), initial_state="PAUSED")
    connect.wait(name, "PAUSED", [])
    connect.ask("PUT", f"/connectors/{name}/resume")

    assert len(connect.records(name, 20)) == 20


def test_a_record_that_a_transform_refuses_ends_the_task_with_its_reason(connect, name):
    connect.create(name, counter(name, **{"transforms": "odd", "transforms.odd.type": f"{OURS}:FailsOnOdd"}))
    connect.wait(name, tasks=["FAILED"])

    assert "Tolerance exceeded in error handler" in connect.trace(name)
    assert "1 is odd" in connect.trace(name)


def test_what_has_failed_is_begun_again_each_time_that_is_asked_for(connect, name):
    connect.create(name, counter(name, **{"transforms": "odd", "transforms.odd.type": f"{OURS}:FailsOnOdd"}))
    for _ in range(5):
        connect.wait(name, tasks=["FAILED"])
        marked = connect.ask("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")
        assert [task["state"] for task in marked["tasks"]] == ["RESTARTING"]
    connect.wait(name, tasks=["FAILED"])


def test_a_tolerated_record_is_left_out_and_the_others_go_on(connect, name):
    odd = {"transforms": "odd", "transforms.odd.type": f"{OURS}:FailsOnOdd", "errors.tolerance": "all"}
    connect.create(name, counter(name, **odd))

    assert [int(each.value()) for each in connect.records(name, 60)] == list(range(0, 120, 2))


def test_a_sink_gets_every_record_and_commits_what_it_has_flushed(connect, name):
    connect.send(name, *map(str, range(30)))
    connect.create(name, keeper(name))

    assert kept(name, 30) == [str(each) for each in range(30)]
    eventually(
        lambda: connect.ask("GET", f"/connectors/{name}/offsets")["offsets"],
        lambda found: [each["offset"] for each in found] == [{"kafka_offset": 30}],
    )


def test_records_that_could_not_be_taken_are_put_again_in_their_order(connect, name):
    connect.send(name, *map(str, range(10)))
    connect.create(name, keeper(name, failures="3"))

    assert kept(name, 10) == [str(each) for each in range(10)]


def test_a_flush_that_fails_gives_the_records_again(connect, name):
    connect.send(name, *map(str, range(5)))
    connect.create(name, keeper(name, **{"flush.failures": "1"}))

    assert kept(name, 10) == [*map(str, range(5)), *map(str, range(5))]
    eventually(
        lambda: connect.ask("GET", f"/connectors/{name}/offsets")["offsets"],
        lambda found: [each["offset"] for each in found] == [{"kafka_offset": 5}],
    )


def test_a_sink_that_cannot_take_a_record_fails_and_a_restart_begins_at_the_last_commit(connect, name):
    connect.send(name, "a", "poison", "b")
    connect.create(name, keeper(name, poison="poison"))
    connect.wait(name, tasks=["FAILED"])
    assert "cannot take poison" in connect.trace(name)

    connect.ask("PUT", f"/connectors/{name}/config", {**keeper(name), "name": name})
    eventually(lambda: KeeperTask.kept.get(name, []), lambda found: found[-3:] == ["a", "poison", "b"])


QUEUE = {
    "errors.tolerance": "all",
    "errors.deadletterqueue.topic.replication.factor": "1",
    "errors.deadletterqueue.context.headers.enable": "true",
}


def test_what_cannot_be_read_goes_to_the_dead_letter_queue_with_its_reason(connect, name):
    connect.send(name, '{"schema": null, "payload": 1}', b"{torn", '{"schema": null, "payload": 2}')
    config = {
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "errors.deadletterqueue.topic.name": f"{name}-dlq",
    }
    connect.create(name, keeper(name, **QUEUE, **config))
    assert kept(name, 2) == [1, 2]

    (letter,) = connect.records(f"{name}-dlq", 1)
    headers = {key.removeprefix("__connect.errors."): value.decode() for key, value in letter.headers()}
    assert letter.value() == b"{torn"
    assert {key: headers[key] for key in ("topic", "partition", "offset", "connector.name", "task.id", "stage")} == {
        "topic": name,
        "partition": "0",
        "offset": "1",
        "connector.name": name,
        "task.id": "0",
        "stage": "VALUE_CONVERTER",
    }
    assert headers["class.name"] == "org.apache.kafka.connect.json.JsonConverter"
    assert headers["exception.class.name"] == "org.apache.kafka.connect.errors.DataException"
    assert "Traceback" in headers["exception.stacktrace"]


def test_what_a_sink_reports_goes_to_the_dead_letter_queue(connect, name):
    connect.send(name, "a", "poison", "b")
    config = {"poison": "poison", "errors.deadletterqueue.topic.name": f"{name}-dlq"}
    connect.create(name, keeper(name, **QUEUE, **config))
    assert kept(name, 2) == ["a", "b"]

    (letter,) = connect.records(f"{name}-dlq", 1)
    assert letter.value() == b"poison"
    assert dict(letter.headers())["__connect.errors.stage"] == b"TASK_PUT"


def test_secrets_reach_the_task_and_are_neither_stored_nor_shown(connect, name, tmp_path):
    (tmp_path / "secrets.properties").write_text("password=hunter2\n")
    written = f"${{file:{tmp_path}/secrets.properties:password}}"
    connect.send(name, "a")
    connect.create(name, keeper(name, secret=written))
    kept(name, 1)

    assert KeeperTask.secrets[name] == "hunter2"
    everything = [connect.ask("GET", f"/connectors/{name}{path}") for path in ("", "/config", "/tasks")]
    assert "hunter2" not in str(everything)
    assert connect.ask("GET", f"/connectors/{name}/tasks")[0]["config"]["secret"] == written
    stored = [bytes(each.value() or b"") for each in connect.records("shared-configs", 3)]
    assert not any(b"hunter2" in each for each in stored)


def test_a_topic_is_created_by_the_group_that_takes_it(connect, name):
    creation = {
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "4",
        "topic.creation.default.cleanup.policy": "compact",
    }
    connect.create(name, counter(name, count="1", **creation))
    connect.records(name, 1)

    admin = __import__("moldau").AdminClient({"bootstrap.servers": connect.bootstrap_servers})
    assert len(admin.list_topics(name, 10).topics[name].partitions) == 4


def test_a_client_setting_of_a_connector_reaches_its_client_and_a_wrong_one_is_named(connect, name):
    connect.create(name, counter(name, count="1", **{"producer.override.linger.ms": "soon"}))
    connect.wait(name, tasks=["FAILED"])

    assert "_INVALID_ARG" in connect.trace(name)


def test_a_sink_that_knows_how_far_it_has_come_is_given_nothing_from_before_that(connect, name):
    connect.send(name, *"abcde")
    connect.create(name, keeper(name, begins="3"))
    kept(name, 2)
    connect.send(name, "f")

    assert kept(name, 3) == ["d", "e", "f"]


def test_a_task_that_hangs_when_it_is_stopped_is_left_to_itself(connect_broker, name, caplog):
    from tests.integration.connect.worker.conftest import Worker, settings_for

    from moldau.connect.service import ConnectThread

    settings = settings_for(connect_broker, name[:30], **{"task.shutdown.graceful.timeout.ms": "300"})
    with ConnectThread(settings) as running:
        worker = Worker(running.url, connect_broker.bootstrap_servers)
        worker.send(name, "a")
        worker.create(name, keeper(name, hangs="true"))
        kept(name, 1)
        worker.ask("DELETE", f"/connectors/{name}")
        eventually(lambda: "task.shutdown.graceful.timeout.ms" in caplog.text)


def test_fewer_tasks_leave_no_status_behind(connect, name):
    connect.create(name, counter(name, count="1", **{"tasks.max": "3"}))
    connect.wait(name, tasks=["RUNNING"] * 3)
    connect.ask("PUT", f"/connectors/{name}/config", counter(name, count="1", **{"tasks.max": "1"}))

    connect.wait(name, tasks=["RUNNING"])


@pytest.mark.parametrize("given", ["FileStreamSuorce", "org.apache.kafka.connect.file.FileStreamSourcConnector"])
def test_a_class_that_is_almost_right_is_answered_with_the_right_one(connect, given):
    answer = connect.http.post("/connectors", json={"name": "x", "config": {"connector.class": given}})

    assert answer.status_code == 400
    assert "FileStreamSourceConnector" in answer.json()["message"]


def test_a_setting_that_is_almost_right_is_shown_with_the_right_one(connect, tmp_path):
    config = {"name": "x", "connector.class": "FileStreamSource", "topic": "t", "fil": "/x"}
    found = connect.ask("PUT", "/connector-plugins/FileStreamSource/config/validate", config)

    assert found["error_count"] == 0
    unknown = [each for each in found["configs"] if each["definition"] is None]
    assert [(each["value"]["name"], each["value"]["recommended_values"]) for each in unknown] == [("fil", ["file"])]


def test_lines_go_through_avro_and_a_registry(connect, connect_broker, name, tmp_path):
    lines, copy = tmp_path / "in.txt", tmp_path / "out.txt"
    lines.write_text("one\ntwo\n")
    with RegistryThread(RegistrySettings(connect_broker.bootstrap_servers, port=0)) as registry:
        avro = {"value.converter": "AvroConverter", "value.converter.schema.registry.url": registry.url}
        source = {"connector.class": "FileStreamSource", "file": str(lines), "topic": name}
        connect.create(f"{name}-in", source | avro)
        connect.create(f"{name}-out", {"connector.class": "FileStreamSink", "file": str(copy), "topics": name} | avro)
        eventually(lambda: copy.exists() and copy.read_text(), lambda text: text == "one\ntwo\n")
        assert all(record.value()[:1] == b"\0" for record in connect.records(name, 2))
        settings = connect.ask("GET", "/connector-plugins/AvroConverter/config")
        assert "schema.registry.url" in [each["name"] for each in settings]
        for each in (f"{name}-in", f"{name}-out"):
            connect.ask("DELETE", f"/connectors/{each}")


def test_a_sink_that_knows_how_far_it_has_come_gets_each_record_once_over_rebalances(connect, name):
    partitions = 6
    admin = moldau.AdminClient({"bootstrap.servers": connect.bootstrap_servers})
    admin.create_topics([NewTopic(name, partitions)])[name].result(30)
    sent = 0
    for tasks in (1, 3, 2, 6, 1, 4):
        config = {"connector.class": f"{OURS}:Ledger", "topics": name, "tasks.max": str(tasks)}
        connect.ask("PUT", f"/connectors/{name}/config", config)
        # Not waited for: records come before, in and after the rebalance.
        connect.send(name, *(str(number) for number in range(sent, sent + 120)))
        sent += 120
        connect.wait(name, tasks=["RUNNING"] * tasks)
        eventually(lambda wanted=sent: written(name) >= wanted)

    for place, offsets in LedgerTask.written.items():
        if place[0] == name:
            assert offsets == list(range(len(offsets))), place
    assert written(name) == sent


def test_a_connector_that_does_not_say_whether_it_agrees_to_offsets_goes_on_from_where_it_was(
    connect, name, monkeypatch
):
    monkeypatch.setattr(offset_requests, "TIMEOUT_S", 1.0)
    connect.create(name, counter(name, count="20", **{"connector.class": f"{OURS}:Silent"}))
    connect.wait(name)
    assert len(connect.records(name, 20)) == 20
    connect.ask("PUT", f"/connectors/{name}/stop")
    connect.wait(name, "STOPPED", [])
    asked = {"offsets": [{"partition": {"task": "0"}, "offset": {"n": 3}}]}
    answer = connect.http.patch(f"/connectors/{name}/offsets", json=asked)
    try:
        assert answer.status_code == 500
        assert "Silent.alter_offsets" in answer.json()["message"]
        connect.ask("PUT", f"/connectors/{name}/resume")
        connect.wait(name)
    finally:
        Silent.may_answer.set()
    offsets = connect.ask("GET", f"/connectors/{name}/offsets")["offsets"]
    assert [each["offset"] for each in offsets] == [{"n": 19}]


def written(topic):
    return sum(len(offsets) for place, offsets in list(LedgerTask.written.items()) if place[0] == topic)
