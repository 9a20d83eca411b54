"""A coroutine is run at once as far as it comes; what waits goes on as a task."""

import asyncio

import pytest

from moldau.server.eager import Finished, begin


async def at_once(journal):
    journal.append("ran")
    return 7


async def after(gate, journal):
    journal.append("began")
    try:
        for _ in range(2):
            await gate.wait()
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        journal.append("cancelled")
        raise
    journal.append("ended")
    return 8


def test_what_does_not_wait_is_done_before_the_caller_goes_on():
    async def scenario():
        journal = []
        begun = begin(at_once(journal))
        assert journal == ["ran"]
        return begun

    assert asyncio.run(scenario()) == Finished(7)


def test_what_waits_has_begun_and_ends_as_a_task():
    async def scenario():
        gate, journal = asyncio.Event(), []
        begun = begin(after(gate, journal))
        assert isinstance(begun, asyncio.Task)
        assert journal == ["began"]
        gate.set()
        assert await begun == 8
        return journal

    assert asyncio.run(scenario()) == ["began", "ended"]


def test_a_cancellation_reaches_what_waits():
    async def scenario():
        journal = []
        begun = begin(after(asyncio.Event(), journal))
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
        return journal

    assert asyncio.run(scenario()) == ["began", "cancelled"]


def test_an_error_before_the_first_wait_is_the_callers():
    async def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin(fails())


def test_an_error_that_is_awaited_reaches_the_coroutine():
    async def waits(future):
        try:
            await future
        except ValueError:
            return "caught"

    async def scenario():
        future = asyncio.get_running_loop().create_future()
        begun = begin(waits(future))
        future.set_exception(ValueError())
        return await begun

    assert asyncio.run(scenario()) == "caught"
