"""Several workers of one group: they share the work, answer for each other, and take over from one that is gone."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.connect.worker.conftest import Worker, eventually, settings_for

from moldau.connect.service import ConnectThread

sys.path.insert(0, str(Path(__file__).parent))

COUNTER = {"connector.class": "plugins_of_ours:Counter", "count": "100", "pause": "0.01"}


class Group:
    """Workers that can be added and closed."""

    def __init__(self, broker, name, stack) -> None:
        self._broker = broker
        self._name = name
        self._stack = stack
        self.threads: list[ConnectThread] = []

    def add(self) -> Worker:
        thread = ConnectThread(settings_for(self._broker, self._name, **{"session.timeout.ms": "6000"}))
        self._stack.enter_context(thread)
        self.threads.append(thread)
        return Worker(thread.url, self._broker.bootstrap_servers)


@pytest.fixture
def group(connect_broker, name) -> Iterator[Group]:
    with ExitStack() as stack:
        yield Group(connect_broker, name[:30], stack)


def owners(worker: Worker, name: str) -> list[str]:
    """Who runs the tasks of a connector."""
    answer = worker.http.get(f"/connectors/{name}/status")
    if answer.status_code != 200:
        return []
    return [task["worker_id"] for task in answer.json()["tasks"] if task["state"] == "RUNNING"]


def test_tasks_are_shared_and_a_worker_that_leaves_is_taken_over_from(group, name):
    first, second = group.add(), group.add()
    second.create(name, {**COUNTER, "topic": name, "tasks.max": "6"})
    eventually(lambda: owners(first, name), lambda found: len(found) == 6 and len(set(found)) == 2)

    group.threads[0].close()
    eventually(
        lambda: owners(second, name),
        lambda found: len(found) == 6 and set(found) == {second.url.removeprefix("http://")},
    )
    records = second.records(name, 600)
    for task in range(6):
        numbers = [int(each.value()) for each in records if each.key() == str(task).encode()]
        # At least once: after a move a task may begin again at what was kept last, and then goes on in order.
        assert sorted(set(numbers)) == list(range(100))


def test_every_worker_answers_for_the_group(group, name):
    workers = [group.add(), group.add()]
    for number, worker in enumerate(workers):
        other = workers[1 - number]
        mine = f"{name[:30]}-{number}"
        worker.create(mine, {**COUNTER, "topic": name, "tasks.max": "2"})
        eventually(lambda other=other, mine=mine: mine in other.ask("GET", "/connectors"))
        assert other.ask("GET", f"/connectors/{mine}/config")["topic"] == name
        for each in workers:
            each.wait(mine, tasks=["RUNNING", "RUNNING"])
        other.ask("POST", f"/connectors/{mine}/restart")
        for task in range(2):
            worker.ask("POST", f"/connectors/{mine}/tasks/{task}/restart")
        other.ask("PUT", f"/connectors/{mine}/stop")
        worker.wait(mine, "STOPPED", [])
        assert "reset successfully" in other.ask("DELETE", f"/connectors/{mine}/offsets")["message"]
        other.ask("DELETE", f"/connectors/{mine}")
        eventually(lambda worker=worker, mine=mine: mine not in worker.ask("GET", "/connectors"))


def test_a_worker_that_joins_takes_its_share_and_stops_nothing_else(group, name):
    first = group.add()
    first.create(name, {**COUNTER, "topic": name, "tasks.max": "8", "count": "100000"})
    eventually(lambda: owners(first, name), lambda found: len(found) == 8)

    group.add()
    eventually(lambda: owners(first, name), lambda found: len(found) == 8 and len(set(found)) == 2)
