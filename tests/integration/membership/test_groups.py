"""Members of our own in a group of a real node: coming, going, killed, back under their names."""

import json
import subprocess
import sys
import threading
import time
import uuid

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tests.integration.membership.member_process import NUMBERS, Dealer, settings_of

import moldau
from moldau.client.membership import (
    Brokers,
    Commit,
    CommitRefusedError,
    FencedMemberError,
    GroupMember,
)
from moldau.client.producing import AbortableError, RecordProducer, produce_settings
from moldau.errors import MoldauError

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def broker():
    with moldau.Broker(group_initial_rebalance_delay_ms=0) as running:
        yield running


@pytest.fixture
def group():
    return f"g-{uuid.uuid4()}"


class Running:
    """A member with a thread that polls it."""

    def __init__(self, broker, group, name, instance_id=None):
        self.said = []
        self.dealer = Dealer(name, self.said.append)
        self.failure = None
        self.member = GroupMember(
            Brokers({"bootstrap.servers": broker.bootstrap_servers}), settings_of(group, instance_id), self.dealer
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self):
        try:
            while not self._stop.is_set():
                self.member.poll(0.05)
        except MoldauError as error:
            self.failure = error

    def close(self):
        self._stop.set()
        self._thread.join()
        self.member.close()

    def generations(self):
        return [one["generation"] for one in self.said if "generation" in one]


@pytest.fixture
def start(broker, group):
    running = []

    def begin(name, instance_id=None):
        running.append(Running(broker, group, name, instance_id))
        return running[-1]

    yield begin
    for one in running:
        one.close()


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def dealt(*members):
    """Whether every number is with exactly one of these members."""
    held = [number for one in members for number in one.dealer.has or ()]
    return sorted(held) == list(range(NUMBERS)) and len({one.generations()[-1] for one in members}) == 1


def test_work_is_divided_again_when_members_come_and_go(start):
    first = start("a")
    wait_until(lambda: dealt(first), "the first alone")
    second, third = start("b"), start("c")
    wait_until(lambda: all(one.dealer.has for one in (second, third)) and dealt(first, second, third), "all three")
    second.close()
    wait_until(lambda: dealt(first, third), "two are left")
    assert not [one for one in first.said if "lost" in one]


def test_the_work_of_a_member_that_is_killed_is_given_to_the_others(start, broker, group):
    first = start("a")
    wait_until(lambda: dealt(first), "the first alone")
    command = [sys.executable, "-m", "tests.integration.membership.member_process"]
    process = subprocess.Popen([*command, broker.bootstrap_servers, group, "b", "-"], stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(process.stdout.readline())["has"] == list(range(1, NUMBERS, 2))
        wait_until(lambda: first.dealer.has == list(range(0, NUMBERS, 2)), "half of it")
    finally:
        process.kill()
        process.communicate()
    wait_until(lambda: dealt(first), "everything again, after the session timeout")


def test_a_static_member_that_is_back_in_time_moves_nothing(start):
    first, second = start("a", "i-a"), start("b", "i-b")
    wait_until(lambda: first.dealer.has and second.dealer.has and dealt(first, second), "both")
    before = first.generations()
    second.close()
    again = start("b", "i-b")
    wait_until(lambda: again.dealer.has is not None, "the second is back")
    assert again.dealer.has == second.dealer.has
    assert again.generations()[-1] == before[-1]
    assert first.generations() == before


def test_members_are_replaced_one_after_the_other(start):
    members = {name: start(name) for name in "abc"}
    wait_until(lambda: all(one.dealer.has for one in members.values()) and dealt(*members.values()), "all three")
    for name in "abc":
        members[name].close()
        members[name] = start(name)
        wait_until(
            lambda: all(one.dealer.has for one in members.values()) and dealt(*members.values()), f"{name} is back"
        )
    assert not [one for member in members.values() for one in member.said if "lost" in one]


def test_a_second_process_with_the_same_name_fences_the_first(start):
    first = start("a", "i-a")
    wait_until(lambda: dealt(first), "the first")
    second = start("a", "i-a")
    wait_until(lambda: first.failure is not None and second.dealer.has, "the first is fenced")
    assert isinstance(first.failure, FencedMemberError)


def test_a_node_that_is_started_again_finds_its_members(tmp_path, group):
    with moldau.Broker(tmp_path, group_initial_rebalance_delay_ms=0) as broker:
        first = Running(broker, group, "a")
        try:
            wait_until(lambda: dealt(first), "the first alone")
            broker.restart()
            second = Running(broker, group, "b")
            try:
                wait_until(lambda: second.dealer.has and dealt(first, second), "both, after the restart")
            finally:
                second.close()
        finally:
            first.close()


@pytest.fixture
def topic(broker):
    name = f"t-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(name, 1)])[name].result(30)
    return name


def test_commits_count_for_members_and_for_nobody_else(start, broker, group, topic):
    first = start("a")
    wait_until(lambda: dealt(first), "the first alone")
    first.member.commit({(topic, 0): Commit(2**40, "so far")}, PATIENCE_S)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group})
    (found,) = consumer.committed([TopicPartition(topic, 0)], PATIENCE_S)
    consumer.close()
    assert (found.offset, found.metadata) == (2**40, "so far")
    first.close()
    with pytest.raises(CommitRefusedError):
        first.member.commit({(topic, 0): Commit(1)}, PATIENCE_S)


def test_a_transaction_of_a_generation_that_is_over_cannot_commit_offsets(start, broker, group, topic):
    first = start("a")
    wait_until(lambda: dealt(first), "the first alone")
    native = {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": f"tx-{group}"}
    producer = RecordProducer(Brokers(native), produce_settings(native))
    producer.init_transactions(PATIENCE_S)
    old = first.member.group_metadata()

    def commit(offset, member):
        producer.begin_transaction()
        producer.send_offsets_to_transaction({(topic, 0): Commit(offset)}, member, PATIENCE_S)
        producer.commit_transaction(PATIENCE_S)

    commit(7, old)
    second = start("b")
    wait_until(lambda: second.dealer.has and dealt(first, second), "both")
    with pytest.raises(AbortableError, match="ILLEGAL_GENERATION"):
        commit(8, old)
    producer.abort_transaction(PATIENCE_S)
    commit(9, first.member.group_metadata())
    producer.close()
    assert first.member.committed([(topic, 0)], PATIENCE_S)[topic, 0].offset == 9
