"""A coroutine is run at once as far as it comes; what waits goes on as a task."""

import asyncio

import pytest

from moldau.server.eager import Finished, Promise, Running, begin


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


class Kept:
    """A promise, who waits for it, and what became of that."""

    def __init__(self):
        self.promise = Promise(loop=asyncio.get_running_loop())
        self.journal = []

    async def waits(self):
        try:
            self.journal.append(await self.promise)
        except (asyncio.CancelledError, ValueError) as error:
            self.journal.append(type(error))
            if isinstance(error, asyncio.CancelledError):
                raise

    async def waits_again(self):
        await self.waits()
        await asyncio.sleep(0)
        self.journal.append("slept")


def test_who_waits_for_a_promise_is_no_task_and_goes_on_when_it_is_kept():
    async def scenario():
        running, kept = Running(), Kept()
        running.begin(kept.waits())
        assert len(asyncio.all_tasks()) == 1
        kept.promise.set_result("kept")
        assert kept.journal == []
        await asyncio.sleep(0)
        assert kept.journal == ["kept"]
        await running.drain(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1


def test_a_promise_that_is_broken_raises_where_it_is_waited_for():
    async def scenario():
        running, kept = Running(), Kept()
        running.begin(kept.waits())
        kept.promise.set_exception(ValueError())
        await asyncio.sleep(0)
        return kept.journal

    assert asyncio.run(scenario()) == [ValueError]


def test_who_waits_again_after_a_promise_goes_on_as_a_task():
    async def scenario():
        running, kept = Running(), Kept()
        running.begin(kept.waits_again())
        kept.promise.set_result("kept")
        await running.drain(5)
        return kept.journal

    assert asyncio.run(scenario()) == ["kept", "slept"]


@pytest.mark.parametrize("when", ["before", "during", "never"])
def test_a_drain_waits_for_promises_and_gives_up_those_that_nobody_keeps(when):
    async def scenario():
        running, kept = Running(), Kept()
        running.begin(kept.waits_again())
        if when == "before":
            kept.promise.set_result("kept")
        if when == "during":
            asyncio.get_running_loop().call_soon(kept.promise.set_result, "kept")
        await running.drain(0 if when == "never" else 5)
        for _ in range(3):
            await asyncio.sleep(0)
        return kept.journal

    assert asyncio.run(scenario()) == ([asyncio.CancelledError] if when == "never" else ["kept", "slept"])


def test_a_promise_that_is_cancelled_ends_who_waits_for_it(caplog):
    async def scenario():
        running, kept = Running(), Kept()
        running.begin(kept.waits())
        kept.promise.cancel()
        await asyncio.sleep(0)
        return kept.journal

    assert asyncio.run(scenario()) == [asyncio.CancelledError]
    assert not caplog.records


def test_a_promise_is_a_future_to_a_task():
    async def scenario():
        kept = Kept()
        task = asyncio.create_task(kept.waits())
        await asyncio.sleep(0)
        kept.promise.set_result("kept")
        await task
        return kept.journal

    assert asyncio.run(scenario()) == ["kept"]


def test_what_waits_for_something_else_is_a_task_from_the_first_wait_on():
    async def scenario():
        running, gate, journal = Running(), asyncio.Event(), []
        running.begin(after(gate, journal))
        assert len(asyncio.all_tasks()) == 2
        await running.drain(0)
        for _ in range(3):
            await asyncio.sleep(0)
        return journal

    assert asyncio.run(scenario()) == ["began", "cancelled"]
