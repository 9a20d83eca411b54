"""An application that is all that its process does: `run()`."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest
from tests.integration.streams.cluster import eventually
from tests.integration.streams.topologies import T0, doubled

from moldau.collector import COLLECT_AFTER
from moldau.streams import StreamsBuilder
from moldau.streams.errors import StreamsError
from moldau.streams.runtime import State
from moldau.streams.runtime.layout import MissingTopicsError


@pytest.fixture(autouse=True)
def as_it_was():
    """Whatever `run()` does to the process, nothing of it stays."""

    def now():
        return gc.get_threshold(), [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]

    before = now()
    yield
    assert now() == before


def once_running(app, then):
    """Call `then` from another thread when the application works."""

    def wait():
        app.wait_until_running()
        then()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


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

    thread = once_running(app, worked)
    app.run()
    thread.join()
    assert app.state is State.NOT_RUNNING
    assert thresholds == [COLLECT_AFTER]


def test_what_was_started_before_goes_on_and_thresholds_of_ones_own_are_kept(cluster):
    cluster.create(1, "started", "started-out")
    app = cluster.app(doubled("started", "started-out"), "app-started").start().wait_until_running()
    before, seen = gc.get_threshold(), []
    gc.set_threshold(COLLECT_AFTER * 2, 5, 5)
    try:
        once_running(app, lambda: (seen.append(gc.get_threshold()), app.close()))
        app.run()
        assert seen == [gc.get_threshold()] == [(COLLECT_AFTER * 2, 5, 5)]
    finally:
        gc.set_threshold(*before)


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
