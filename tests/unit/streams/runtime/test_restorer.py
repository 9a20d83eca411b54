"""How far stores are: what a task's leader is told while it is restored."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from moldau.streams.runtime.layout import TaskId
from moldau.streams.runtime.restorer import Changelog, Restorer

TASK = TaskId(0, 0)
ENDS = {"large": 100, "small": 3, "input": 50}


class FakeConsumer:
    """Gives what it is told to."""

    def __init__(self):
        self.messages = []

    def incremental_assign(self, partitions):
        pass

    incremental_unassign = incremental_assign

    def consume(self, number, timeout):
        taken, self.messages = self.messages, []
        return taken


class FakeAdmin:
    """Topics that end at `ENDS`."""

    def list_offsets(self, request, **options):
        found = {}
        for place in request:
            found[place] = Future()
            found[place].set_result(SimpleNamespace(offset=ENDS[place.topic]))
        return found


class Store:
    """Takes everything."""

    def restore(self, key, value, timestamp):
        pass


class Record:
    """What confluent-kafka gives."""

    def __init__(self, topic, offset):
        self.topic = lambda: topic
        self.partition = lambda: 0
        self.offset = lambda: offset
        self.key = lambda: b"k"
        self.value = lambda: b"v"
        self.timestamp = lambda: (1, 1000)
        self.error = lambda: None


@pytest.fixture
def consumer():
    return FakeConsumer()


@pytest.fixture
def restorer(consumer):
    return Restorer(consumer, FakeAdmin())


def of(topic, position=None, **more):
    return Changelog(TASK, topic, Store(), topic, 0, position, **more)


def test_stores_that_are_read_to_their_end_count_while_others_are_not(restorer, consumer):
    restorer.add([of("large"), of("small")])
    consumer.messages = [Record("small", offset) for offset in range(3)] + [Record("large", 0)]
    restorer.step(0)
    assert restorer.remaining() == {"0_0 large": 99}
    assert restorer.contained(TASK) == 4


def test_a_store_of_which_nothing_has_to_be_read_counts(restorer):
    restorer.add([of("large", 100), of("small")])
    assert restorer.waiting_for() == {TASK}
    assert restorer.contained(TASK) == 100


def test_a_copy_that_becomes_the_task_counts_what_it_has(restorer, consumer):
    restorer.add([of("large", standby=True), of("small", standby=True)])
    consumer.messages = [Record("small", offset) for offset in range(3)]
    restorer.step(0)
    assert restorer.contained(TASK) == 3
    restorer.promote(TASK)
    assert restorer.contained(TASK) == 3


def test_an_input_that_a_table_comes_back_from_is_no_changelog(restorer, consumer):
    restorer.add([of("input", limit=10), of("small")])
    consumer.messages = [Record("input", offset) for offset in range(10)]
    restorer.step(0)
    assert restorer.contained(TASK) == 0


def test_what_a_task_had_that_went_is_forgotten(restorer):
    restorer.add([of("large", 100), of("small")])
    restorer.remove(TASK)
    restorer.add([of("small")])
    assert restorer.contained(TASK) == 0
