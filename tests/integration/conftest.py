"""Brokers for tests, and the few things that every client test does."""

import time
from collections.abc import Callable

import pytest

import moldau


@pytest.fixture
def broker():
    with moldau.Broker() as running:
        yield running


@pytest.fixture(scope="session")
def shared_broker():
    """For tests that name their own topics and groups and leave the rest alone."""
    with moldau.Broker() as running:
        yield running


@pytest.fixture
def eventually():
    """Wait for a condition instead of for a time."""

    def wait_for(condition: Callable[[], object], within_s: float = 15):
        deadline = time.monotonic() + within_s
        while not (result := condition()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)
        return result

    return wait_for
