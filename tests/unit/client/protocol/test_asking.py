"""Threads that ask brokers: what they ask over which connection, and who is told what comes of it."""

from __future__ import annotations

import threading

import pytest
from tests.unit.client.fake_broker import HANG_UP, SAY_NOTHING, FakeBroker

from moldau.client.protocol.asking import ANYBODY, Asking, Question
from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.errors import ConnectionLostError, UnservedError
from moldau.client.protocol.questions import HEARTBEAT, LEAVE_GROUP

PATIENCE_S = 30.0
BEAT = {"group_id": "g", "generation_id": 1, "member_id": "m", "group_instance_id": None}


class Owner:
    """Asks for heartbeats, one after the other as told, and keeps what it is told."""

    def __init__(self, broker):
        self.wanted = []
        self.answers, self.failures, self.mistakes, self.lines = [], [], [], []
        self.asking = Asking(Brokers({"bootstrap.servers": broker.address}), "the owner", self._fail)
        self.asking.start("asker", self._look)

    def ask(self, address=ANYBODY, api_key=HEARTBEAT, **more):
        with self.asking.changed:
            self.wanted.append((address, api_key, more))
            self.asking.changed.notify_all()

    def wait_for(self, condition):
        with self.asking.changed:
            assert self.asking.changed.wait_for(condition, PATIENCE_S), (self.answers, self.failures, self.mistakes)

    def _look(self, now):
        if not self.wanted:
            return None
        address, api_key, more = self.wanted.pop(0)

        def ask(line):
            self.lines.append(line)
            return line.ask(api_key, lambda _: BEAT, PATIENCE_S)

        return Question("a beat", address, ask, self._answered, self._failed, **more)

    def _answered(self, answer, now):
        self.answers.append(int(answer.error_code))

    def _failed(self, failure, now, *, passes):
        self.failures.append((type(failure), passes))

    def _fail(self, error):
        with self.asking.changed:
            self.mistakes.append(error)
            self.asking.changed.notify_all()


def beat(*codes):
    """Answers to heartbeats, each once, the last for ever."""
    said = list(codes)

    def answer(api_key, version, request):
        code = said.pop(0) if len(said) > 1 else said[0]
        return {"throttle_time": 0, "error_code": code} if isinstance(code, int) else code

    return answer


@pytest.fixture
def broker():
    with FakeBroker(beat(0)) as made:
        yield made


@pytest.fixture
def owner(broker):
    made = Owner(broker)
    yield made
    made.asking.close()


def test_questions_are_asked_one_after_the_other_over_the_same_connection(owner):
    owner.ask()
    owner.ask()
    owner.wait_for(lambda: len(owner.answers) == 2)
    assert owner.lines[0] is owner.lines[1]
    assert owner.failures == []


def test_after_a_question_without_an_answer_another_connection_is_opened(broker, owner):
    broker.answers = beat(HANG_UP, 0)
    owner.ask()
    owner.ask()
    owner.wait_for(lambda: owner.answers)
    assert owner.failures == [(ConnectionLostError, True)]
    assert owner.lines[0] is not owner.lines[1]


def test_what_no_other_try_will_change_is_said_so(broker, owner):
    broker.versions = {LEAVE_GROUP: (90, 91)}
    owner.ask(api_key=LEAVE_GROUP)
    owner.wait_for(lambda: owner.failures)
    assert owner.failures == [(UnservedError, False)]


def test_whoever_has_moved_is_connected_to_again(broker, owner):
    with FakeBroker(beat(7)) as other:
        owner.ask(Address("127.0.0.1", broker.port))
        owner.ask(Address("127.0.0.1", other.port))
        owner.wait_for(lambda: len(owner.answers) == 2)
        assert owner.answers == [0, 7]


def test_a_thread_may_have_several_connections(broker, owner):
    with FakeBroker(beat(7)) as other:
        for port in (broker.port, other.port, broker.port):
            owner.ask(Address("127.0.0.1", port), line=port)
        owner.wait_for(lambda: len(owner.answers) == 3)
        assert owner.answers == [0, 7, 0]
        assert owner.lines[0] is owner.lines[2]


def test_a_connection_that_is_not_kept_is_ended(owner):
    owner.ask(keeps=False)
    owner.ask()
    owner.wait_for(lambda: len(owner.answers) == 2)
    assert owner.lines[0] is not owner.lines[1]


def test_a_mistake_in_an_answer_is_told(owner):
    owner._answered = None
    owner.ask()
    owner.wait_for(lambda: owner.mistakes)
    assert isinstance(owner.mistakes[0], TypeError)


def test_closing_ends_a_question_that_is_not_answered(broker, owner):
    asked = threading.Event()

    def answer(*_):
        asked.set()
        return SAY_NOTHING

    broker.answers = answer
    owner.ask()
    assert asked.wait(PATIENCE_S)
    owner.asking.close()
    assert not any(thread.is_alive() for thread in owner.asking.threads.values())
    assert owner.failures == [(ConnectionLostError, True)]


def test_nothing_is_begun_after_the_end(owner):
    owner.asking.close()
    owner.asking.start("another", lambda now: None)
    assert list(owner.asking.threads) == ["asker"]
