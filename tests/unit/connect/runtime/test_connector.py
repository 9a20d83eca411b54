"""The life of a connector in its thread."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from moldau.connect.runtime.connector import WorkerConnector
from moldau.connect.runtime.names import TargetState

WAIT_S = 30.0


class HalfOpen:
    """Its `start` opens something and fails."""

    def __init__(self) -> None:
        self.stops = 0

    def initialize(self, context): ...

    def start(self, props):
        raise ValueError("half open")

    def stop(self):
        self.stops += 1


def test_a_connector_whose_start_fails_is_stopped_so_that_it_lets_go_of_what_it_has_opened():
    heard, failed = [], threading.Event()

    def on_failure(_name, error):
        heard.append(str(error))
        failed.set()

    listener = SimpleNamespace(
        on_connector_failure=on_failure, on_connector_shutdown=lambda name: heard.append(f"{name} has ended")
    )
    connector = HalfOpen()
    runner = WorkerConnector("c", connector, {}, TargetState.STARTED, listener)
    runner.start(None)
    assert failed.wait(WAIT_S)
    runner.stop()
    assert runner.wait(WAIT_S)
    assert (connector.stops, heard) == (1, ["half open", "c has ended"])
