"""The states of an application: which may follow which, who hears of it, who waits for it."""

from __future__ import annotations

import pytest

from moldau.streams import StreamsError
from moldau.streams.runtime.states import State, StateMachine


def test_an_application_is_started_once():
    machine = StateMachine()
    machine.begin()
    with pytest.raises(StreamsError, match="the application is REBALANCING: it can be started once"):
        machine.begin()


def test_an_end_is_an_end():
    machine = StateMachine()
    for state in (State.REBALANCING, State.PENDING_SHUTDOWN, State.NOT_RUNNING):
        assert machine.move(state)
    assert not any(machine.move(state) for state in State)
    assert machine.state is State.NOT_RUNNING


def test_a_listener_that_raises_changes_nothing_and_is_logged(caplog):
    machine = StateMachine()
    heard = []

    def listener(new, old):
        heard.append((new, old))
        raise ArithmeticError("not my day")

    machine.listener = listener
    machine.begin()
    assert machine.settle(lambda: State.RUNNING)
    assert heard == [(State.REBALANCING, State.CREATED), (State.RUNNING, State.REBALANCING)]
    assert "the state listener has failed at RUNNING after REBALANCING" in caplog.text
    assert "not my day" in caplog.text
