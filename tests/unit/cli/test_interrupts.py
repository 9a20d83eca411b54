"""Ctrl-C is Ctrl-C, also when an extension makes another error of it."""

import signal

import pytest

from moldau import cli
from moldau.cli.interrupts import INTERRUPTS
from moldau.cli.outcome import BUG, INTERRUPTED


@pytest.fixture(autouse=True)
def ctrl_c():
    """The handler of a program at a terminal: a test run in the background inherits that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def swallowing(*, interrupted: bool):
    """A command that answers an interrupt as confluent-kafka's constructors do."""

    def command():
        try:
            if interrupted:
                signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            pass
        raise TypeError("expected configuration property name as type unicode string")

    return command


@pytest.mark.parametrize(("interrupted", "code"), [(True, INTERRUPTED), (False, BUG)])
def test_an_interrupt_that_was_swallowed_is_no_bug(interrupted, code, monkeypatch, capsys):
    monkeypatch.setattr("moldau.cli.profile.list_profiles", swallowing(interrupted=interrupted))
    assert cli.run(["profile", "list"]) == code
    assert ("bug in moldau" in capsys.readouterr().err) == (not interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_handler_of_somebody_else_is_left_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with INTERRUPTS.noted():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
