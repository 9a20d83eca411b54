"""Sources that write in transactions (KIP-618): what readers of committed records see, and who is shut out."""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.connect.worker.conftest import WAIT_S, Worker, eventually, settings_for

import moldau
from moldau.client import TopicPartition
from moldau.connect.errors import ConnectError
from moldau.connect.runtime.leader_requests import LeaderRequests
from moldau.connect.runtime.membership import Alone
from moldau.connect.runtime.session_keys import new_key
from moldau.connect.service import ConnectThread

sys.path.insert(0, str(Path(__file__).parent))

from plugins_of_ours import PagesTask

COUNTER = {"connector.class": "plugins_of_ours:Counter", "count": "300"}
PAGES = {"connector.class": "plugins_of_ours:Pages", "count": "100"}
ENABLED = {"exactly.once.source.support": "enabled", "session.timeout.ms": "6000"}


@pytest.fixture
def worker(connect_broker, name) -> Iterator[Worker]:
    thread = ConnectThread(settings_for(connect_broker, f"eos-{name[:40]}", **ENABLED))
    with thread:
        yield Worker(thread.url, connect_broker.bootstrap_servers)


def read(broker, topic: str, isolation: str = "read_committed") -> list:
    """All records that a topic has now, in their order within partitions; it may grow meanwhile."""
    consumer = moldau.Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": f"judge-{time.monotonic_ns()}",
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = consumer.list_topics(topic, WAIT_S).topics[topic].partitions
        ends = {each: consumer.get_watermark_offsets(TopicPartition(topic, each), WAIT_S)[1] for each in partitions}
        consumer.assign([TopicPartition(topic, each, 0) for each in partitions])
        found, ended = [], set()
        while len(ended) < len(partitions):
            message = consumer.poll(WAIT_S)
            assert message is not None, f"{topic} does not end"
            if message.error() is not None:
                ended.add(message.partition())
                continue
            # Of a topic that grows faster than a fetch waits, the client never says that it is at the end.
            end = ends[message.partition()]
            if message.offset() < end:
                found.append(message)
            if message.offset() >= end - 1:
                ended.add(message.partition())
        return found
    finally:
        consumer.close()


def values(broker, topic: str, isolation: str = "read_committed") -> list[str]:
    return [each.value().decode() for each in read(broker, topic, isolation)]


def wait_for_more(broker, topic: str, most: int | None = None) -> None:
    """Until more is committed than there is now, or all."""
    seen = len(values(broker, topic))
    eventually(lambda: len(values(broker, topic)), lambda found: found > seen or found == most)


def check_counted(broker, topic: str, tasks: int, count: int) -> None:
    """Each task's numbers are there once and in order, when all of them are."""
    eventually(lambda: len(values(broker, topic)), lambda found: found >= tasks * count)
    found = read(broker, topic)
    for task in range(tasks):
        assert [int(each.value()) for each in found if each.key() == str(task).encode()] == list(range(count))
    assert len(found) == tasks * count


def offsets_in(broker, topic: str) -> dict[str, dict]:
    return {each.key().decode(): json.loads(each.value()) for each in read(broker, topic)}


def test_records_and_offsets_are_there_together_and_the_connector_hears_of_it_afterwards(worker, connect_broker, name):
    PagesTask.told.clear()
    worker.create(name, {**PAGES, "topic": name, "exactly.once.support": "required"})
    numbers = [str(each) for each in range(100)]
    eventually(lambda: values(connect_broker, name), lambda found: found == numbers)

    kept = offsets_in(connect_broker, f"eos-{name[:40]}-offsets")
    assert kept == {f'["{name}",{{"of":"pages"}}]': {"n": 99}}
    assert worker.ask("GET", f"/connectors/{name}/offsets") == {
        "offsets": [{"partition": {"of": "pages"}, "offset": {"n": 99}}]
    }
    told = list(PagesTask.told)
    assert [each.split()[0] for each in told if each != "commit"] == numbers
    assert told[10] == "commit"
    # A transaction for each page: its marker takes an offset behind its records.
    positions = [each.offset() for each in read(connect_broker, name)]
    assert positions[:11] == [*range(10), 11]


def test_a_restart_repeats_nothing_and_leaves_nothing_out(worker, connect_broker, name):
    worker.create(name, {**COUNTER, "topic": name, "tasks.max": "2", "count": "1000", "pause": "0.1"})
    for _ in range(4):
        wait_for_more(connect_broker, name, 2000)
        worker.ask("POST", f"/connectors/{name}/restart?includeTasks=true")
    check_counted(connect_broker, name, 2, 1000)


def test_another_number_of_tasks_begins_when_the_older_ones_are_shut_out(worker, connect_broker, name):
    counts = (3, 1, 1, 2)
    for turn, count in enumerate(counts):
        config = {**COUNTER, "topic": name, "count": "1000", "pause": "0.1", "turn": str(turn)}
        worker.ask("PUT", f"/connectors/{name}/config", {**config, "tasks.max": str(count)})
        worker.wait(name, tasks=["RUNNING"] * count)
        if turn == 0:
            eventually(lambda: {each.key() for each in read(connect_broker, name)} == {b"0", b"1", b"2"})
        wait_for_more(connect_broker, name, 3000)

    written = read(connect_broker, f"eos-{name[:40]}-configs")
    fencing = [json.loads(each.value()) for each in written if each.key() == f"tasks-fencing-{name}".encode()]
    assert fencing == [{"task-count": count} for count in counts]
    found = read(connect_broker, name)
    for task in (b"0", b"1", b"2"):
        numbers = [int(each.value()) for each in found if each.key() == task]
        assert numbers == list(range(len(numbers)))


def test_who_has_been_taken_over_from_fails_and_says_so_and_a_restart_goes_on(worker, connect_broker, name):
    worker.create(name, {**COUNTER, "topic": name, "count": "1000000", "pause": "0.2"})
    wait_for_more(connect_broker, name)
    taken_over = moldau.Producer(
        {
            "bootstrap.servers": connect_broker.bootstrap_servers,
            "transactional.id": f"eos-{name[:40]}-{name}-0",
        }
    )
    taken_over.init_transactions(WAIT_S)
    worker.wait(name, tasks=["FAILED"])
    assert f"another one has taken over the work of task {name}-0, which writes no more" in worker.trace(name)

    worker.ask("POST", f"/connectors/{name}/tasks/0/restart")
    wait_for_more(connect_broker, name)
    worker.ask("DELETE", f"/connectors/{name}")
    found = [int(each) for each in values(connect_broker, name)]
    assert found == list(range(len(found)))


def test_a_connector_says_itself_where_transactions_end_and_what_is_dropped(worker, connect_broker, name):
    PagesTask.told.clear()
    worker.create(name, {**PAGES, "topic": name, "transaction.boundary": "connector", "dropped": "3"})
    wanted = [str(each) for each in range(100) if each // 10 != 3]
    eventually(lambda: values(connect_broker, name), lambda found: found == wanted)

    # What was dropped is done with all the same.
    assert {each for each in PagesTask.told if each.startswith("3") and len(each.split()[0]) == 2} == {
        f"{each} left out" for each in range(30, 40)
    }
    worker.ask("POST", f"/connectors/{name}/restart?includeTasks=true")
    worker.wait(name)
    assert values(connect_broker, name) == wanted


def test_what_a_connector_has_not_committed_is_not_there_and_comes_again(worker, connect_broker, name):
    config = {**PAGES, "topic": name, "transaction.boundary": "connector", "commits": "never"}
    worker.create(name, config)
    eventually(lambda: len(values(connect_broker, name, "read_uncommitted")), lambda found: found == 100)
    assert values(connect_broker, name) == []

    worker.ask("PUT", f"/connectors/{name}/config", {**config, "commits": "each"})
    eventually(lambda: values(connect_broker, name), lambda found: found == [str(each) for each in range(100)])


def test_an_interval_collects_batches_and_a_pause_ends_it(worker, connect_broker, name):
    config = {**PAGES, "topic": name, "transaction.boundary": "interval", "transaction.boundary.interval.ms": "3600000"}
    worker.create(name, {**config, "producer.override.transaction.timeout.ms": "600000"})
    eventually(lambda: len(values(connect_broker, name, "read_uncommitted")), lambda found: found == 100)
    assert values(connect_broker, name) == []

    worker.ask("PUT", f"/connectors/{name}/pause")
    eventually(lambda: len(values(connect_broker, name)), lambda found: found == 100)


def test_offsets_may_have_a_topic_of_their_own_and_come_back_from_the_workers(worker, connect_broker, name):
    config = {**COUNTER, "topic": name, "count": "100"}
    worker.create(name, config)
    eventually(lambda: len(values(connect_broker, name)), lambda found: found == 100)
    own = f"{name}-mine"
    worker.ask("PUT", f"/connectors/{name}/config", {**config, "count": "200", "offsets.storage.topic": own})
    eventually(lambda: len(values(connect_broker, name)), lambda found: found == 200)

    key = f'["{name}",{{"task":"0"}}]'
    assert offsets_in(connect_broker, own) == {key: {"n": 199}}
    eventually(lambda: offsets_in(connect_broker, f"eos-{name[:40]}-offsets")[key], lambda found: found == {"n": 199})
    # A reset is one of both, and the source begins anew.
    worker.ask("PUT", f"/connectors/{name}/stop")
    worker.wait(name, "STOPPED", [])
    worker.ask("DELETE", f"/connectors/{name}/offsets")
    assert worker.ask("GET", f"/connectors/{name}/offsets") == {"offsets": []}
    worker.ask("PUT", f"/connectors/{name}/resume")
    eventually(lambda: len(values(connect_broker, name)), lambda found: found == 400)


def test_another_spelling_of_the_workers_cluster_is_no_other_cluster(worker, connect_broker, name):
    host, port = connect_broker.bootstrap_servers.split(":")
    spelled = f"{'127.0.0.1' if host == 'localhost' else 'localhost'}:{port}"
    worker.create(name, {**PAGES, "topic": name, "count": "10", "producer.override.bootstrap.servers": spelled})
    eventually(lambda: len(values(connect_broker, name)), lambda found: found == 10)
    worker.ask("PUT", f"/connectors/{name}/stop")
    worker.wait(name, "STOPPED", [])
    # The offset was written with the records, and not once more behind the transaction.
    written = read(connect_broker, f"eos-{name[:40]}-offsets", "read_uncommitted")
    assert [json.loads(each.value()) for each in written] == [{"n": 9}]


def test_a_task_that_writes_into_its_own_offsets_topic_fails(worker, name):
    worker.create(name, {**PAGES, "topic": "of-both", "offsets.storage.topic": "of-both"})
    worker.wait(name, tasks=["FAILED"])

    assert "Source tasks may not produce to their own offsets topics" in worker.trace(name)


def test_offsets_of_a_stopped_source_are_changed_in_a_transaction(worker, connect_broker, name):
    worker.create(name, {**COUNTER, "topic": name, "count": "100"})
    eventually(lambda: len(values(connect_broker, name)), lambda found: found == 100)
    worker.ask("PUT", f"/connectors/{name}/stop")
    worker.wait(name, "STOPPED", [])
    entries = [{"partition": {"task": "0"}, "offset": {"n": 89}}]
    worker.ask("PATCH", f"/connectors/{name}/offsets", {"offsets": entries})
    assert worker.ask("GET", f"/connectors/{name}/offsets") == {"offsets": entries}

    worker.ask("PUT", f"/connectors/{name}/resume")
    eventually(lambda: values(connect_broker, name)[100:], lambda found: found == [str(n) for n in range(90, 100)])


@pytest.mark.parametrize(
    ("setting", "given", "said"),
    [
        (
            "exactly.once.support",
            {"support": "null"},
            ["The connector does not implement the API required for preflight"],
        ),
        ("exactly.once.support", {"support": "UNSUPPORTED"}, ["The connector does not support exactly-once semantics"]),
        (
            "exactly.once.support",
            {"support": "raises"},
            ["An unexpected error occurred during validation: the moon is wrong"],
        ),
        ("exactly.once.support", {}, []),
        ("transaction.boundary", {"boundaries": "null"}, ["This connector has returned a null value from its"]),
        (
            "transaction.boundary",
            {"boundaries": "UNSUPPORTED"},
            ["The connector does not support connector-defined transaction boundaries with the given configuration."],
        ),
        ("transaction.boundary", {}, []),
        (
            "transaction.boundary.interval.ms",
            {"transaction.boundary.interval.ms": "-1"},
            [
                "Invalid value -1 for configuration transaction.boundary.interval.ms: Value must be at least 0",
            ],
        ),
    ],
)
def test_a_configuration_is_judged_in_kafkas_words(connect_broker, setting, given, said):
    with ConnectThread(settings_for(connect_broker, "eos-judged", **ENABLED)) as thread:
        worker = Worker(thread.url, connect_broker.bootstrap_servers)
        config = {
            **PAGES,
            "name": "judged",
            "topic": "t",
            "exactly.once.support": "required",
            "transaction.boundary": "connector",
            **given,
        }
        answer = worker.ask("PUT", "/connector-plugins/plugins_of_ours:Pages/config/validate", config)
        errors = {each["value"]["name"]: each["value"]["errors"] for each in answer["configs"]}[setting]
        assert [error[: len(start)] for error, start in itertools.zip_longest(errors, said, fillvalue="")] == said


def test_workers_share_tasks_and_each_record_is_there_once_when_one_leaves(connect_broker, name):
    group = f"eos-{name[:40]}"
    with ExitStack() as stack:
        threads = [ConnectThread(settings_for(connect_broker, group, **ENABLED)) for _ in range(2)]
        first, second = (
            Worker(stack.enter_context(thread).url, connect_broker.bootstrap_servers) for thread in threads
        )
        second.create(name, {**COUNTER, "topic": name, "tasks.max": "4", "count": "1000", "pause": "0.1"})
        first.wait(name, tasks=["RUNNING"] * 4)
        wait_for_more(connect_broker, name, 4000)
        threads[0].close()
        check_counted(connect_broker, name, 4, 1000)


def test_only_workers_of_the_group_may_write_tasks_and_shut_out(worker, name):
    worker.create(name, {**PAGES, "topic": name})
    worker.wait(name)
    for method, what in (("POST", "tasks"), ("PUT", "fence")):
        answer = worker.http.request(method, f"/connectors/{name}/{what}", json=[])
        assert (answer.status_code, answer.json()["message"]) == (400, "Internal request missing required signature")
    stranger = LeaderRequests(Alone(worker.url), lambda: new_key(0, bytes(32)))
    with pytest.raises(ConnectError, match="Internal request contained invalid signature"):
        stranger.fence(name)
