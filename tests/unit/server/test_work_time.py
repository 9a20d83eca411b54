import asyncio
import time

import pytest

from moldau.server.work_time import WorkTime


def work(milliseconds):
    until = time.perf_counter_ns() + milliseconds * 1_000_000
    while time.perf_counter_ns() < until:
        pass


def test_waiting_is_not_work():
    async def request():
        work(5)
        await asyncio.sleep(0.3)
        work(5)
        return "answer"

    measured = WorkTime()
    begun = time.perf_counter_ns()
    assert asyncio.run(_run(measured, request())) == "answer"
    passed_ns = time.perf_counter_ns() - begun
    assert 10_000_000 <= measured.busy_ns < passed_ns - 290_000_000


def test_an_error_comes_out_and_the_work_before_it_counts():
    async def request():
        work(5)
        raise ValueError("no")

    measured = WorkTime()
    with pytest.raises(ValueError, match="no"):
        asyncio.run(_run(measured, request()))
    assert measured.busy_ns >= 5_000_000


def test_a_cancelled_request_can_still_clean_up():
    cleaned = []

    async def request():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def scenario():
        task = asyncio.create_task(_run(WorkTime(), request()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert cleaned == [True]


async def _run(measured, coroutine):
    return await measured.measure(coroutine)
