"""The end of an instance: no cluster is asked."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.streams.cluster import eventually

from moldau.client.protocol.errors import SecuritySettingError
from moldau.streams import StreamsBuilder, StreamsError
from moldau.streams.runtime import KafkaStreams, State


@pytest.fixture
def make(tmp_path):
    """An instance that reads a topic of a cluster that is not there."""

    def make(**settings):
        builder = StreamsBuilder()
        builder.stream("in", key=str, value=str).to("out")
        where = {"bootstrap_servers": "127.0.0.1:1", "state_dir": str(tmp_path)}
        return KafkaStreams(builder.build(), application_id="ended-app", **where, **settings)

    return make


def test_what_was_closed_is_not_run_again(make):
    app = make()
    assert app.close()
    with pytest.raises(StreamsError, match="the application is NOT_RUNNING: it can be started once"):
        app.run()


def test_a_start_that_failed_is_what_a_run_after_it_failed_with(make):
    app = make(security_protocol="sasl_plaintext", sasl_mechanism="GSSAPI")
    with pytest.raises(SecuritySettingError) as refused:
        app.start()
    assert app.state is State.ERROR
    with pytest.raises(StreamsError, match=r"ended-app has failed: .*GSSAPI") as raised:
        app.run()
    assert raised.value.__cause__ is refused.value


def test_a_start_that_was_interrupted_is_not_run_again(make, monkeypatch):
    app = make()

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "_prepare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        app.run()
    with pytest.raises(StreamsError, match="the application is ERROR: it can be started once"):
        app.run()


def test_an_interrupted_block_waits_for_its_close_but_not_for_one_that_has_begun_already(make, monkeypatch):
    closes = []
    for state in (State.RUNNING, State.PENDING_SHUTDOWN):
        app = make()
        monkeypatch.setattr(app, "start", lambda app=app: app)
        monkeypatch.setattr(app, "close", lambda state=state: closes.append(state))
        monkeypatch.setattr(KafkaStreams, "state", state)
        with pytest.raises(KeyboardInterrupt), app:
            raise KeyboardInterrupt
    assert closes == [State.RUNNING]


def test_a_signal_that_does_not_interrupt_the_wait_of_the_main_thread_ends_it_too(make, monkeypatch):
    """One that another thread gets, or that comes just before the wait begins."""
    app = make()
    monkeypatch.setattr(app, "start", app._machine.begin)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def send():
        eventually(lambda: app.state is State.REBALANCING)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        try:
            return app.wait_until_stopped(20)
        finally:
            app.close()

    try:
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send)
            app.run()
            assert sending.result(), "it ran on"
    finally:
        signal.signal(signal.SIGTERM, before)
