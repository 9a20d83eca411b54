"""Keeps what `flush.ms` promises: a record is on the disk that long after it was written, at the latest.

Apache Kafka looks at `log.flush.interval.ms` only every `log.flush.scheduler.interval.ms`, which is never unless it is
set too. Here the shorter of both counts: whoever sets the one means it. `flush.messages` needs nobody who looks, the
append itself waits for the disk.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from moldau._core import Core
from moldau.config.words import LONG_MAX
from moldau.control.metadata.effective import Configs
from moldau.control.metadata.image import TOPIC_RESOURCE
from moldau.server.clock import Clock

LOOK_EVERY_MS: Final = 1_000
"""How soon a change of flush.ms is noticed."""


class FlushByAge:
    """Periodic work: what is due is forced to disk. It belongs to the event loop's thread."""

    def __init__(self, core: Core, configs: Configs, clock: Clock) -> None:
        self._core = core
        self._configs = configs
        self._clock = clock

    def pause_ms(self) -> int:
        """Until the next look: short enough that nothing waits for half as long again as it may."""
        scheduled = self._configs.broker_int("log.flush.scheduler.interval.ms")
        return min(max(self.shortest_ms() // 2, 1), scheduled, LOOK_EVERY_MS)

    def shortest_ms(self) -> int:
        """The smallest flush.ms of all topics; the largest number that there is when nobody wants any."""
        default = cast("int", self._configs.values_with({})["flush.ms"])
        own = [
            int(values["flush.ms"])
            for resource, values in self._configs.image.configs.items()
            if resource.type == TOPIC_RESOURCE and "flush.ms" in values
        ]
        return min([default, *own])

    async def flush(self) -> None:
        """Force to disk what is due."""
        if self.shortest_ms() < LONG_MAX:
            await asyncio.to_thread(self._core.flush_due, self._clock.now_ms())
