"""What signals do to a process that is nothing but an application."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from moldau.streams.runtime import foreground
from moldau.streams.runtime.foreground import in_foreground
from moldau.streams.runtime.states import State

STUCK = """
import signal
import threading

from moldau.streams.runtime.foreground import in_foreground
from moldau.streams.runtime.states import State


class Stuck:
    state = State.PENDING_SHUTDOWN

    def close(self):
        print("closing", flush=True)
        threading.Event().wait()


signal.signal(signal.SIGINT, signal.default_int_handler)
with in_foreground(Stuck()):
    print("running", flush=True)
    # In turns: a signal that comes just before a wait begins does not interrupt it.
    while not threading.Event().wait(0.1):
        pass
"""


class Endless:
    """An application that nobody closes."""

    state = State.RUNNING

    def close(self):
        raise AssertionError("nobody has asked for it")


def test_the_second_interrupt_does_not_wait_for_a_close_that_takes_long():
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "closing\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize("left_alone", [signal.SIG_IGN, None])
def test_signals_that_are_ignored_or_not_pythons_are_left_alone(left_alone, monkeypatch):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        # None is what getsignal says of a handler that was not installed from Python; signal() does not take it back.
        asked = {signal.SIGTERM: left_alone, signal.SIGINT: signal.getsignal(signal.SIGINT)}
        monkeypatch.setattr(foreground.signal, "getsignal", asked.__getitem__)
        with in_foreground(Endless()):
            monkeypatch.undo()
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_close_that_takes_too_long_is_said_with_what_ends_it(caplog):
    over = threading.Event()

    class Slow:
        state = State.PENDING_SHUTDOWN

        def close(self):
            over.set()
            return False

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with in_foreground(Slow()):
            signal.raise_signal(signal.SIGINT)
            assert over.wait(30)
    finally:
        signal.signal(signal.SIGINT, before)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message == "the application is still PENDING_SHUTDOWN; another signal ends it without waiting"
