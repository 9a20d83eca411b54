"""Producer ids, one at a time, from the blocks that the metadata machine hands out.

A block is fetched when the one at hand is used up. What is left of a block when the node stops is never used: an id
that may have been given away once must not be given away again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from moldau.control.metadata.cluster import AllocateProducerIds, ProducerIdBlock

if TYPE_CHECKING:
    from moldau.server.shell import Shell


class ProducerIds:
    """This node's share of the producer ids."""

    def __init__(self) -> None:
        self._next = 0
        self._end = 0
        self._refill = asyncio.Lock()

    async def take(self, shell: Shell) -> int:
        """A producer id that nobody has.

        Raises:
            ApiError: no block could be allocated.
        """
        async with self._refill:
            if self._next == self._end:
                broker = shell.metadata.machine.image.brokers.get(shell.node_id)
                epoch = -1 if broker is None else broker.epoch
                block: ProducerIdBlock = await shell.metadata.run(AllocateProducerIds(shell.node_id, epoch))
                self._next, self._end = block.first, block.first + block.size
            self._next += 1
            return self._next - 1
