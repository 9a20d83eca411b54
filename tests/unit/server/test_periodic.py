import asyncio

from moldau.server.periodic import PeriodicWork


def test_work_is_done_again_and_again_even_after_it_failed(caplog):
    done = []
    thrice = asyncio.Event()

    async def work():
        done.append(len(done))
        if len(done) == 1:
            raise OSError("the first time is hard")
        if len(done) == 3:
            thrice.set()

    async def scenario():
        periodic = PeriodicWork()
        periodic.every(1, "the work", work)
        await thrice.wait()
        await periodic.stop()

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert "the first time is hard" in caplog.text


def test_stopping_waits_for_what_runs_and_begins_nothing_new():
    begun, ended = asyncio.Event(), []

    async def work():
        begun.set()
        await asyncio.sleep(0.01)
        ended.append(True)

    async def scenario():
        periodic = PeriodicWork()
        periodic.every(1, "the work", work)
        periodic.every(3_600_000, "work that is far away", work)
        await begun.wait()
        await periodic.stop()

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert ended == [True]


def test_an_interval_of_nothing_leaves_time_for_others():
    done = []

    async def work():
        done.append(True)

    async def scenario():
        periodic = PeriodicWork()
        periodic.every(0, "the work", work)
        await asyncio.sleep(0.05)
        await periodic.stop()

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert len(done) <= 1
