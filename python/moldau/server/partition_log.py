"""A machine's partition, as its runner wants it: append one batch, come back when it is committed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from moldau._core import Core, CoreError
from moldau.control.machine import Producer, TransactionMarker
from moldau.errors import ApiError, ErrorCode
from moldau.server.core_types import AppendOrigin, StoredRecord
from moldau.server.runner import KeyAndValue

REPLAY_BYTES: Final = 1 << 20


class CommitWaiter:
    """Futures for offsets that are not committed yet; the core names them by token when they are."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tokens = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def wait(self, topic: str, partition: int, offset: int) -> None:
        """Return once the high watermark of the partition is above `offset`."""
        if self._core.high_watermark(topic, partition) > offset:
            return
        token = next(self._tokens)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        try:
            self._core.when_committed(topic, partition, offset, token)
            await future
        finally:
            del self._waiting[token]

    def committed(self, token: int) -> None:
        """What `Core.poll_committed` reported."""
        future = self._waiting.get(token)
        if future is not None and not future.done():
            future.set_result(None)


class PartitionLog:
    """One internal partition. `flushed` forces every batch to the disk before it counts as committed."""

    def __init__(
        self, core: Core, commits: CommitWaiter, topic: str, partition: int, origin: AppendOrigin, *, flushed: bool
    ) -> None:
        self._core = core
        self._commits = commits
        self._topic = topic
        self._partition = partition
        self._origin: AppendOrigin = origin
        self._flushed = flushed

    async def append(self, records: Sequence[KeyAndValue], now_ms: int, producer: Producer | None = None) -> int:
        """Append `records` as one batch and wait until they are committed; returns the last offset.

        With `producer` they are part of its transaction, which must not be over.

        Raises:
            ApiError: nothing was appended.
            CoreError: the batch was appended, but the disk refused to keep it.
        """
        whose = None if producer is None else (producer.producer_id, producer.producer_epoch, producer.guard)
        try:
            offset = self._core.append(self._topic, self._partition, records, now_ms, self._origin, whose)
        except CoreError as error:
            raise ApiError(ErrorCode(error.code), error.message) from error
        if not self._flushed and self._core.high_watermark(self._topic, self._partition) > offset:
            return offset
        return await self._committed(offset)

    async def append_marker(self, marker: TransactionMarker, now_ms: int) -> int:
        """End a producer's transaction in this partition and wait until that is committed; returns the offset.

        Raises:
            ApiError: nothing was appended.
            CoreError: the batch was appended, but the disk refused to keep it.
        """
        try:
            offset = self._core.append_marker(
                self._topic,
                self._partition,
                (marker.producer_id, marker.producer_epoch),
                marker.coordinator_epoch,
                marker.committed,
                marker.transaction_version,
                now_ms,
            )
        except CoreError as error:
            raise ApiError(ErrorCode(error.code), error.message) from error
        return await self._committed(offset)

    async def _committed(self, offset: int) -> int:
        if self._flushed:
            await asyncio.to_thread(self._core.flush, self._topic, self._partition)
        await self._commits.wait(self._topic, self._partition, offset)
        return offset

    def is_empty(self) -> bool:
        """Whether there is nothing to read; needs no disk."""
        log_start_offset = self._core.log_start_offset(self._topic, self._partition)
        return self._core.high_watermark(self._topic, self._partition) == log_start_offset

    def batches(self, begin: int | None = None) -> Iterator[list[StoredRecord]]:
        """What is committed, from `begin` or the start of the log on, a megabyte at a time. Blocks on the disk."""
        position = self._core.log_start_offset(self._topic, self._partition) if begin is None else begin
        while records := self._core.read(self._topic, self._partition, position, REPLAY_BYTES):
            yield records
            position = records[-1].offset + 1
