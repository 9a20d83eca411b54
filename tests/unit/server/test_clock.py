"""What times out does so by the steady time; what is written has the time of day."""

import asyncio
import time

from moldau.server.clock import SystemClock


def test_a_timer_is_due_in_its_time_however_the_clock_is_set(monkeypatch):
    async def wait_over_a_jump(hours: int) -> tuple[int, int, int]:
        clock = SystemClock(asyncio.get_running_loop())
        before = clock.now()
        fired = asyncio.Event()
        clock.call_at(before.steady_ms + 50, fired.set)
        set_by_hand = time.time_ns() + hours * 3_600 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda: set_by_hand)
        await asyncio.wait_for(fired.wait(), 30)
        monkeypatch.undo()
        after = clock.now()
        return before.steady_ms, after.steady_ms, clock.now_ms() - before.wall_ms

    for hours in (-24, 24):
        before_ms, after_ms, wall_ms = asyncio.run(wait_over_a_jump(hours))
        assert 50 <= after_ms - before_ms < 30_000
        assert wall_ms < 3_600_000
