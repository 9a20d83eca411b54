"""The group coordinators: one machine per partition of `__consumer_offsets`, loaded when the partition is.

A group belongs to the partition that its id hashes to, with Java's string hash: a client, a tool and a directory
written by Apache Kafka all agree about it. While a partition's records are replayed, its groups are answered with
COORDINATOR_LOAD_IN_PROGRESS. The topic itself is created when the first coordinator is asked for.

Source: Kafka's `GroupCoordinatorService`, `CoordinatorRuntime` (release 4.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from moldau.control.groups.coordinator import GroupCoordinator
from moldau.control.groups.placement import GROUP_METADATA_TOPIC, partition_for
from moldau.control.groups.records import CoordinatorRecord, decode_record, encode_record
from moldau.control.groups.requests import Loaded
from moldau.errors import ApiError, ErrorCode
from moldau.server.clock import Clock
from moldau.server.core_types import StoredRecord
from moldau.server.partition_log import PartitionLog
from moldau.server.runner import KeyAndValue, MachineRunner

logger: Final = logging.getLogger("moldau.server.coordinators")

OFFSETS_TOPIC: Final = GROUP_METADATA_TOPIC


class OffsetsCodec:
    """Between the group machine's records and the bytes of `__consumer_offsets`."""

    def encode(self, record: CoordinatorRecord) -> KeyAndValue:
        return encode_record(record)

    def decode(self, record: StoredRecord) -> CoordinatorRecord:
        return decode_record(record.key, record.value)


class GroupStanding(NamedTuple):
    """Where one group stands, for those who watch."""

    group_id: str
    members: int
    offsets: list[tuple[str, int, int]]
    """Topic, partition, committed offset."""


class GroupCoordinators:
    """Every group machine of this node. All methods belong to the event loop's thread."""

    def __init__(
        self,
        machine_of: Callable[[int], GroupCoordinator],
        log_of: Callable[[int], PartitionLog],
        clock: Clock,
    ) -> None:
        """`machine_of` and `log_of` make the machine and open the log of a partition of `__consumer_offsets`."""
        self._machine_of = machine_of
        self._log_of = log_of
        self._clock = clock
        self._partition_count = 0
        self._runners: dict[int, MachineRunner[GroupCoordinator]] = {}
        self._loading: dict[int, asyncio.Task[None]] = {}

    @property
    def partition_count(self) -> int:
        """Partitions of `__consumer_offsets`; 0 while it does not exist."""
        return self._partition_count

    @property
    def loading_count(self) -> int:
        """Partitions of `__consumer_offsets` that are being loaded."""
        return len(self._loading)

    def standings(self) -> list[GroupStanding]:
        """Every group of the loaded machines, and every name under which offsets were committed, in order."""
        found = []
        for runner in self._runners.values():
            machine = runner.machine
            for group_id in machine.groups.keys() | machine.consumer_groups.keys() | set(machine.offsets.group_ids()):
                group = machine.consumer_groups.get(group_id) or machine.groups.get(group_id)
                committed = [(topic, index, value.offset) for topic, index, value in machine.offsets.of_group(group_id)]
                found.append(GroupStanding(group_id, 0 if group is None else len(group.members), committed))
        return sorted(found)

    def partition_of(self, group_id: str) -> int:
        """The partition that keeps `group_id`.

        Raises:
            ApiError: COORDINATOR_NOT_AVAILABLE while `__consumer_offsets` does not exist.
        """
        if self._partition_count == 0:
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{OFFSETS_TOPIC} does not exist yet")
        return partition_for(group_id, self._partition_count)

    def runner_of(self, group_id: str) -> MachineRunner[GroupCoordinator]:
        """The machine that keeps `group_id`.

        Raises:
            ApiError: COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, or NOT_COORDINATOR.
        """
        partition = self.partition_of(group_id)
        runner = self._runners.get(partition)
        if runner is not None:
            return runner
        if partition in self._loading:
            raise ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        raise ApiError(ErrorCode.NOT_COORDINATOR)

    async def run(self, group_id: str, request: Any, token: int | None = None) -> Any:
        """Let the machine of `group_id` answer `request`.

        Raises:
            ApiError: what `runner_of` raises, or a log that refuses records.
        """
        return await self.runner_of(group_id).run(request, token)

    async def run_everywhere(self, request: Any) -> list[Any]:
        """The answers of every loaded machine to a request that is about no single group.

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
        """`__consumer_offsets` has `partition_count` partitions, and this node now leads `partitions` of them."""
        self._partition_count = partition_count
        for partition in partitions:
            if partition not in self._runners and partition not in self._loading:
                self._loading[partition] = asyncio.get_running_loop().create_task(self._load(partition))

    async def loaded(self) -> None:
        """Wait until nothing is being loaded."""
        while self._loading:
            await asyncio.wait(self._loading.values())

    def stop(self) -> None:
        """Stop every timer, answer every parked request, forget every machine."""
        for task in self._loading.values():
            task.cancel()
        for runner in self._runners.values():
            runner.stop()
        self._runners.clear()
        self._partition_count = 0

    async def _load(self, partition: int) -> None:
        try:
            log = self._log_of(partition)
            runner = MachineRunner(
                f"{OFFSETS_TOPIC}-{partition}", self._machine_of(partition), log, OffsetsCodec(), self._clock
            )
            if not log.is_empty():
                batches = log.batches()
                while (records := await asyncio.to_thread(next, batches, None)) is not None:
                    runner.replay(records)
            await runner.run(Loaded())
            self._runners[partition] = runner
        except Exception:
            # One unreadable partition must not take the other groups down; its groups get NOT_COORDINATOR.
            logger.exception("cannot load %s-%d; its groups have no coordinator", OFFSETS_TOPIC, partition)
        finally:
            del self._loading[partition]
