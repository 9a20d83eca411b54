"""Coordinators: machines that are spread over the partitions of an internal topic, each loaded when its partition is.

A group belongs to the partition of `__consumer_offsets`, a transactional id to the partition of `__transaction_state`
that its name hashes to, with Java's string hash: a client, a tool and a directory written by Apache Kafka all agree
about it. While a partition's records are replayed, what is in it is answered with COORDINATOR_LOAD_IN_PROGRESS.

What kind of coordinator it is comes in as a `Kind`; nothing here knows groups or transactions.

Source: Kafka's `CoordinatorRuntime` (release 4.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic

from moldau.control.placement.hashed import partition_for
from moldau.errors import ApiError, ErrorCode
from moldau.server.clock import Clock
from moldau.server.partition_log import PartitionLog
from moldau.server.runner import MachineRunner, MachineT, RecordCodec

logger: Final = logging.getLogger("moldau.server.coordinators")


@dataclass(frozen=True, slots=True)
class Kind(Generic[MachineT]):
    """One kind of coordinator."""

    topic: str
    codec: RecordCodec
    machine_of: Callable[[int], MachineT]
    """Makes the machine of a partition."""
    loaded: object
    """The request that tells a machine that it has seen its whole log."""
    work: Callable[[Any], None] | None = None
    """Does what the machines order; see `MachineRunner`."""
    retire: Callable[[MachineT], None] = lambda _machine: None
    """Is told of a machine that decides no more."""


class Coordinators(Generic[MachineT]):
    """Every coordinator of one kind on this node. All methods belong to the event loop's thread."""

    def __init__(self, kind: Kind[MachineT], log_of: Callable[[str, int], PartitionLog], clock: Clock) -> None:
        """`log_of` opens the log of a partition of the kind's topic."""
        self._kind = kind
        self._log_of = log_of
        self._clock = clock
        self._partition_count = 0
        self._runners: dict[int, MachineRunner[MachineT]] = {}
        self._loading: dict[int, asyncio.Task[None]] = {}

    @property
    def topic(self) -> str:
        """The internal topic."""
        return self._kind.topic

    @property
    def partition_count(self) -> int:
        """Partitions of the topic; 0 while it does not exist."""
        return self._partition_count

    @property
    def loading_count(self) -> int:
        """Partitions whose log is still being read."""
        return len(self._loading)

    def machines(self) -> list[MachineT]:
        """Every loaded machine, for those who watch."""
        return [runner.machine for runner in self._runners.values()]

    def partition_of(self, key: str) -> int:
        """The partition that keeps `key`, a group id or a transactional id.

        Raises:
            ApiError: NOT_COORDINATOR while the topic does not exist: FindCoordinator is what creates it.
        """
        if self._partition_count == 0:
            raise ApiError(ErrorCode.NOT_COORDINATOR, f"{self.topic} does not exist yet")
        return partition_for(key, self._partition_count)

    def runner_at(self, partition: int) -> MachineRunner[MachineT]:
        """The machine of a partition.

        Raises:
            ApiError: COORDINATOR_LOAD_IN_PROGRESS, or NOT_COORDINATOR.
        """
        runner = self._runners.get(partition)
        if runner is not None:
            return runner
        if partition in self._loading:
            raise ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        raise ApiError(ErrorCode.NOT_COORDINATOR)

    def runner_of(self, key: str) -> MachineRunner[MachineT]:
        """The machine that keeps `key`.

        Raises:
            ApiError: COORDINATOR_LOAD_IN_PROGRESS, or NOT_COORDINATOR.
        """
        return self.runner_at(self.partition_of(key))

    def run(self, key: str, request: Any, token: int | None = None) -> Coroutine[Any, Any, Any]:
        """Let the machine of `key` answer `request`.

        Raises:
            ApiError: what `runner_of` raises, at once; awaited, of a log that refuses records.
        """
        return self.runner_of(key).run(request, token)

    async def run_everywhere(self, request: Any) -> list[Any]:
        """The answers of every loaded machine to a request that is about no single key.

        Raises:
            ApiError: COORDINATOR_LOAD_IN_PROGRESS while any of them is being loaded.
        """
        if self._loading:
            raise ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return [await runner.run(request) for runner in list(self._runners.values())]

    def submit_everywhere(self, request: Any) -> None:
        """Let every loaded machine take note of something; nobody waits for it."""
        for runner in self._runners.values():
            runner.submit(request)

    def begin_leading(self, partitions: Iterable[int], partition_count: int) -> None:
        """The topic has `partition_count` partitions, and this node now leads `partitions` of them."""
        self._partition_count = partition_count
        for partition in partitions:
            if partition not in self._runners and partition not in self._loading:
                self._loading[partition] = asyncio.get_running_loop().create_task(self._load(partition))

    async def loaded(self) -> None:
        """Wait until nothing is being loaded."""
        while self._loading:
            await asyncio.wait(self._loading.values())

    def stop(self) -> None:
        """Stop every timer, answer every parked request, forget every machine: the node stops, or the topic is gone."""
        for task in self._loading.values():
            task.cancel()
        self._loading.clear()
        for runner in self._runners.values():
            runner.stop()
        self._runners.clear()
        self._partition_count = 0

    async def _load(self, partition: int) -> None:
        kind = self._kind
        try:
            log = self._log_of(kind.topic, partition)
            machine, name = kind.machine_of(partition), f"{kind.topic}-{partition}"
            retire = partial(kind.retire, machine)
            runner = MachineRunner(name, machine, log, kind.codec, self._clock, work=kind.work, retire=retire)
            if not log.is_empty():
                batches = log.batches()
                while (records := await asyncio.to_thread(next, batches, None)) is not None:
                    runner.replay(records)
            await runner.run(kind.loaded)
            self._runners[partition] = runner
        except Exception:
            # One unreadable partition must not take the others down; what is in it gets NOT_COORDINATOR.
            logger.exception("cannot load %s-%d; what it keeps has no coordinator", kind.topic, partition)
        finally:
            if self._loading.get(partition) is asyncio.current_task():
                del self._loading[partition]
