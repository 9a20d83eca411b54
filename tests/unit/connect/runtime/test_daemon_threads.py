"""Threads for calls that may take long, which nobody waits for at the end."""

import subprocess
import sys
import threading

import pytest

from moldau.connect.runtime.daemon_threads import DaemonThreads

WAIT_S = 30.0


def test_calls_are_made_by_so_many_threads_at_most_and_their_outcome_is_told():
    threads, barrier, seen = DaemonThreads(2, "t"), threading.Barrier(2), set()

    def meet(number):
        barrier.wait(WAIT_S)
        seen.add(threading.current_thread().name)
        return number

    assert [each.result(WAIT_S) for each in [threads.submit(meet, number) for number in range(6)]] == list(range(6))
    assert seen == {"t-1", "t-2"}

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        threads.submit(fail).result(WAIT_S)


def test_what_waits_is_cancelled_with_the_end_and_nothing_comes_after_it():
    threads, begun, may_end = DaemonThreads(1, "t"), threading.Event(), threading.Event()

    def wait():
        begun.set()
        return may_end.wait(WAIT_S)

    first, second = threads.submit(wait), threads.submit(wait)
    assert begun.wait(WAIT_S)
    threads.shutdown(cancel_futures=True)
    assert second.cancelled()
    with pytest.raises(RuntimeError):
        threads.submit(wait)
    may_end.set()
    assert first.result(WAIT_S)


def test_a_process_ends_while_a_call_is_being_made():
    program = (
        "import threading\n"
        "from moldau.connect.runtime.daemon_threads import DaemonThreads\n"
        "begun = threading.Event()\n"
        "DaemonThreads(1, 't').submit(lambda: (begun.set(), threading.Event().wait()))\n"
        "begun.wait()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=WAIT_S, check=False).returncode == 0
