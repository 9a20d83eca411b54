"""The transaction coordinators of a node, and what they order from it: producer ids and markers.

A decision is answered before its markers are written, so markers are written by tasks of their own. A node that stops
in between finds the decision again and writes them then.

Source: Kafka's `TransactionCoordinator`, `TransactionMarkerChannelManager`, `AddPartitionsToTxnManager` (release 4.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from moldau.control.machine import TransactionMarker
from moldau.control.transactions.coordinator import TransactionCoordinator
from moldau.control.transactions.requests import (
    AddPartitions,
    Loaded,
    MarkersWritten,
    RunWithProducerId,
    VerifyPartitions,
    WriteMarkers,
)
from moldau.control.transactions.responses import NEEDS_PRODUCER_ID, Answer, Verified
from moldau.control.transactions.transaction import BUMPS_EPOCH_SINCE, TopicPartition
from moldau.errors import ApiError, ErrorCode
from moldau.server.clock import Clock
from moldau.server.coordinator_codecs import TransactionsCodec
from moldau.server.coordinators import Coordinators, Kind
from moldau.server.markers import MarkerWriter
from moldau.server.partition_log import PartitionLog
from moldau.server.topic_creation import TRANSACTIONS_TOPIC

if TYPE_CHECKING:
    from moldau.server.shell import Shell

logger: Final = logging.getLogger("moldau.server.transactions")


class TransactionCoordinators:
    """Every transaction machine of this node. All methods belong to the event loop's thread."""

    def __init__(
        self,
        machine_of: Callable[[int], TransactionCoordinator],
        log_of: Callable[[str, int], PartitionLog],
        clock: Clock,
        transaction_version: int,
        markers: MarkerWriter,
    ) -> None:
        codec = TransactionsCodec(transaction_version)
        kind = Kind(TRANSACTIONS_TOPIC, codec, machine_of, Loaded(), self._work)
        self.coordinators = Coordinators(kind, log_of, clock)
        self.markers = markers
        self._shell: Shell | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, shell: Shell) -> None:
        """From here on there is a shell to take producer ids from and to write markers with."""
        self._shell = shell

    async def run(self, transactional_id: str, request: Any) -> Any:
        """Let the machine of `transactional_id` answer `request`, with a fresh producer id if it takes one.

        Raises:
            ApiError: no coordinator now, a log that refuses records, or no producer id.
        """
        response = await self.coordinators.run(transactional_id, request)
        if response is NEEDS_PRODUCER_ID:
            response = await self.coordinators.run(transactional_id, await self._with_producer_id(request))
        return response

    async def admit(
        self, transactional_id: str, producer: tuple[int, int], partition: TopicPartition, *, adds: bool
    ) -> ErrorCode:
        """Whether the open transaction of `producer` (id, epoch) includes `partition`; `adds` makes it so."""
        producer_id, producer_epoch = producer
        wanted = frozenset({partition})
        if adds:
            version = BUMPS_EPOCH_SINCE
            request = AddPartitions(transactional_id, producer_id, producer_epoch, wanted, version)
            answer: Answer = await self.run(transactional_id, request)
            return answer.error
        verify = VerifyPartitions(transactional_id, producer_id, producer_epoch, wanted)
        verified: Verified = await self.run(transactional_id, verify)
        return ErrorCode.TRANSACTION_ABORTABLE if verified.missing else verified.error

    def stop(self) -> None:
        """Write no more markers and stop every machine."""
        for task in self._tasks:
            task.cancel()
        self.coordinators.stop()

    # What the machines order

    def _work(self, work: object) -> None:
        match work:
            case WriteMarkers():
                self._begin(self._write_markers(work))
            case RunWithProducerId(request):
                self._begin(self._run_with_producer_id(request))
            case _:
                raise TypeError(f"nobody knows how to do {work!r}")

    def _begin(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("work for a transaction failed; a restart does it again", exc_info=error)

    async def _write_markers(self, order: WriteMarkers) -> None:
        shell = self._require_shell()
        # The machine's own partition may still be loading: this order may be the first thing that it says.
        await self.coordinators.loaded()
        image = shell.metadata.machine.image
        partition = self.coordinators.partition_of(order.transactional_id)
        marker = TransactionMarker(
            order.producer_id,
            order.producer_epoch,
            image.topics[TRANSACTIONS_TOPIC].partitions[partition].leader_epoch,
            order.commit,
            order.transaction_version,
        )
        await self.markers.write_until_done(shell, marker, set(order.partitions))
        written = MarkersWritten(order.transactional_id, order.producer_id, order.producer_epoch)
        await self.coordinators.run(order.transactional_id, written)

    async def _run_with_producer_id(self, request: Any) -> None:
        again = await self._with_producer_id(request)
        await self.coordinators.run(request.transactional_id, again)

    async def _with_producer_id(self, request: Any) -> Any:
        shell = self._require_shell()
        return replace(request, spare_producer_id=await shell.producer_ids.take(shell))

    def _require_shell(self) -> Shell:
        if self._shell is None:
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, "the node is still starting")
        return self._shell
