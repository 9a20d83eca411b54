"""Work that nobody asks for: retention, checkpoints, and a look at the health of the directories."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

logger: Final = logging.getLogger("moldau.server.periodic")

SHORTEST_INTERVAL_MS: Final = 100
"""Some of Kafka's intervals may be 0; work without a pause between would leave nothing for anybody else."""

FIRST_DELAY_MS: Final = 30_000
"""A node that has just started has better things to do (Kafka waits as long)."""


class PeriodicWork:
    """Runs each piece of work again and again until it is stopped. A failure is logged, and the next turn comes."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def every(self, interval_ms: int | Callable[[], int], name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` every `interval_ms`, for the first time after `FIRST_DELAY_MS` or one interval, if that is less.

        An interval that may change is a function, asked after every turn.
        """
        ask = interval_ms if callable(interval_ms) else lambda: interval_ms
        self._tasks.append(asyncio.get_running_loop().create_task(self._repeat(ask, name, work)))

    async def stop(self) -> None:
        """Let nothing begin any more, and wait for what runs."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def _repeat(self, interval_ms: Callable[[], int], name: str, work: Callable[[], Awaitable[None]]) -> None:
        delay_ms = min(max(interval_ms(), SHORTEST_INTERVAL_MS), FIRST_DELAY_MS)
        while not await self._stopped_within(delay_ms):
            delay_ms = max(interval_ms(), SHORTEST_INTERVAL_MS)
            try:
                await work()
            except Exception:
                # Retention that fails once must not be retention that never runs again.
                logger.exception("%s failed", name)

    async def _stopped_within(self, delay_ms: int) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_ms / 1000)
        except TimeoutError:
            return False
        return True
