"""An application that is all that its process does: `run()`."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.streams.cluster import WITHIN_S, eventually
from tests.integration.streams.topologies import T0, doubled

from moldau.collector import COLLECT_AFTER
from moldau.streams import StreamsBuilder
from moldau.streams.errors import StreamsError
from moldau.streams.runtime import State
from moldau.streams.runtime.layout import MissingTopicsError

STUCK = """
import signal
import sys
import threading

from moldau.streams import KafkaStreams, StreamsBuilder


def stuck(_):
    print("at work", flush=True)
    threading.Event().wait()


bootstrap, state_dir, how = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)
builder = StreamsBuilder()
builder.stream(f"stuck-{how}", key=str, value=str).for_each(stuck)
app = KafkaStreams(
    builder.build(), application_id=f"app-stuck-{how}", bootstrap_servers=bootstrap, state_dir=state_dir
)
app.set_state_listener(lambda new, old: print(new.value, flush=True))
if how == "block":
    with app:
        app.run()
else:
    app.run()
"""


@pytest.fixture(autouse=True)
def as_it_was():
    """Whatever `run()` does to the process, nothing of it stays.

    The handlers are those of a program at a terminal: tests in the background inherit that SIGINT is ignored.
    """
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    of_the_tests = {one: signal.signal(one, handler) for one, handler in defaults.items()}
    thresholds = gc.get_threshold()
    yield
    left = {one: signal.signal(one, handler) for one, handler in of_the_tests.items()}
    assert (gc.get_threshold(), left) == (thresholds, defaults)


def run_until(app, then):
    """Run it, and when it works call `then`, which ends it, in another thread. What that raises comes out."""

    def work():
        try:
            app.wait_until_running()
            then()
            assert app.wait_until_stopped(WITHIN_S)
        finally:
            # Whatever became of it, `run()` comes back.
            app.close()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        app.run()
        working.result()


@pytest.mark.parametrize("one", [signal.SIGINT, signal.SIGTERM])
def test_it_works_until_a_signal_and_is_closed_then(cluster, one):
    source, sink = f"until-{one.name}", f"until-{one.name}-out"
    cluster.create(1, source, sink)
    cluster.write(source, [(b"k", bytes(8), T0)])
    app = cluster.app(doubled(source, sink), f"app-until-{one.name}")
    thresholds = []

    def worked():
        eventually(lambda: cluster.read(sink))
        thresholds.append(gc.get_threshold()[0])
        os.kill(os.getpid(), one)

    run_until(app, worked)
    assert app.state is State.NOT_RUNNING
    assert thresholds == [COLLECT_AFTER]


def test_what_was_started_before_goes_on_and_thresholds_of_ones_own_are_kept(cluster):
    cluster.create(1, "started", "started-out")
    app = cluster.app(doubled("started", "started-out"), "app-started").start().wait_until_running()
    before, seen = gc.get_threshold(), []
    gc.set_threshold(COLLECT_AFTER * 2, 5, 5)

    def close():
        eventually(lambda: signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
        seen.append(gc.get_threshold())
        app.close()

    try:
        run_until(app, close)
        assert seen == [gc.get_threshold()] == [(COLLECT_AFTER * 2, 5, 5)]
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("how", ["alone", "block"])
def test_the_second_interrupt_waits_for_no_callback_that_is_stuck(cluster, tmp_path, how):
    cluster.create(1, f"stuck-{how}")
    cluster.write(f"stuck-{how}", [(b"k", b"1", T0)])
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, cluster.bootstrap, str(tmp_path / how), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for wanted in ("at work\n", "PENDING_SHUTDOWN\n"):
            assert wanted in iter(process.stdout.readline, "")
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
        process.communicate()
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert process.returncode == -signal.SIGINT


def test_another_thread_has_no_signals_and_runs_until_it_is_closed(cluster):
    cluster.create(1, "elsewhere", "elsewhere-out")
    app = cluster.app(doubled("elsewhere", "elsewhere-out"), "app-elsewhere")
    thread = threading.Thread(target=app.run)
    thread.start()
    app.wait_until_running()
    app.close()
    thread.join(30)
    assert not thread.is_alive()


def test_what_it_failed_of_comes_out(cluster):
    with pytest.raises(MissingTopicsError):
        cluster.app(doubled("not-there", "nowhere"), "app-missing").run()
    cluster.create(1, "bad")
    cluster.write("bad", [(b"k", b"1", T0)])
    builder = StreamsBuilder()
    builder.stream("bad", value=str).for_each(lambda _: 1 / 0)
    with pytest.raises(StreamsError, match="app-bad has failed") as raised:
        cluster.app(builder.build(), "app-bad").run()
    assert raised.value.__cause__ is not None
