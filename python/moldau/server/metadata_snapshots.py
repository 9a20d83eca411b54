"""Snapshots of the metadata log: the log does not grow for ever, and a start does not read all of it.

    at start   the newest whole snapshot, then the log from where it ends; one that is damaged gives way to an older
               one and more of the log
    in time    a new one after `metadata.log.max.record.bytes.between.snapshots`, or after
               `metadata.log.max.snapshot.interval.ms` if anything was written since
    at a stop  one that spares the next start more than it costs
    then       the oldest one, with the log before the one after it, as long as log and snapshots are more than
               `metadata.max.retention.bytes` and two stay, or it is older than `metadata.max.retention.ms`

The order of each step is such that a crash after it leaves a directory that opens: a snapshot is on the disk before
anything is removed for it, and what is older than a snapshot goes only when that one was read and found whole.
Source: KIP-630; `SnapshotGenerator`, `KafkaRaftLog` of Apache Kafka 4.3.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import Final

from moldau._core import Core
from moldau.config.settings import BrokerSettings
from moldau.control.metadata.machine import MetadataMachine
from moldau.control.metadata.snapshot import encode_for, records_of
from moldau.errors import ApiError
from moldau.server.clock import Clock
from moldau.server.metadata_log import METADATA_TOPIC, MetadataCodec
from moldau.server.snapshot_files import (
    SnapshotError,
    SnapshotFile,
    SnapshotWriter,
    is_whole,
    read_snapshot,
    remove_leftovers,
    snapshots_in,
)

logger: Final = logging.getLogger("moldau.server.snapshots")

LOOK_EVERY_MS: Final = 1_000
CLEAN_EVERY_MS: Final = 60_000
TRY_AGAIN_AFTER_MS: Final = 60_000
"""After a snapshot that could not be written."""
WORTH_BYTES: Final = 1 << 20
"""Of records: at a stop no snapshot is taken for less."""
SLICE: Final = 200
"""Records that are encoded in one go: some milliseconds, in which the event loop does nothing else."""


class MetadataSnapshots:
    """The snapshots of this node's metadata log. All methods but `clean` belong to the event loop's thread."""

    def __init__(
        self,
        core: Core,
        machine: MetadataMachine,
        codec: MetadataCodec,
        clock: Clock,
        settings: BrokerSettings,
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        """The log is open. `settled` returns when all that it holds is in the image, and raises if that cannot be."""
        directory = next(log.directory for log in core.logs() if log.topic == METADATA_TOPIC)
        self._folder = Path(directory) / f"{METADATA_TOPIC}-0"
        self._core = core
        self._machine = machine
        self._codec = codec
        self._clock = clock
        self._settled = settled
        self._durable = settings.flag("moldau.fsync.enable")
        self._bytes_between = settings.integer("metadata.log.max.record.bytes.between.snapshots")
        self._interval_ms = settings.integer("metadata.log.max.snapshot.interval.ms")
        self._retention_bytes = settings.integer("metadata.max.retention.bytes")
        self._retention_ms = settings.integer("metadata.max.retention.ms")
        self._begin_anew()
        self._not_before_ms = 0

    # Start

    def load(self) -> SnapshotFile | None:
        """Take the newest whole snapshot into the machine; the log is to be applied from its end on.

        Returns None when there is no snapshot, and the log is all there is.

        Raises:
            SnapshotError: what is left of the log does not follow on any whole snapshot.
            MoldauError: a record in a snapshot cannot be true.
        """
        begin, end = self._core.log_start_offset(METADATA_TOPIC, 0), self._core.log_end_offset(METADATA_TOPIC, 0)
        remove_leftovers(self._folder)
        found = snapshots_in(self._folder)
        for file in reversed(found):
            if file.end_offset < begin:
                break
            try:
                content = read_snapshot(file)
            except SnapshotError as error:
                logger.error("%s; an older one will do, if there is one, and more of the log", error)  # noqa: TRY400
                continue
            if file.end_offset > end:
                raise SnapshotError(
                    f"it ends at offset {end}, before the snapshot {file.path.name} does",
                    hint="a piece of the log is lost; remove the snapshot to go on without what was decided in it",
                )
            for stored in content.records:
                record = self._codec.decode(stored)
                if record is not None:
                    self._machine.apply(record)
            self._begin_anew()
            for older in found:
                if older.end_offset < begin:
                    older.path.unlink()
            return file
        if begin > 0:
            raise SnapshotError(
                f"it begins at offset {begin}, and no whole snapshot holds what was before",
                hint="restore the .checkpoint files of __cluster_metadata-0 from a copy of the directory",
            )
        return None

    # Life

    async def tend(self) -> None:
        """Take a snapshot if one is due.

        Raises:
            OSError: it cannot be written. The next attempt is after `TRY_AGAIN_AFTER_MS`.
        """
        if self._is_due() and self._clock.now().steady_ms >= self._not_before_ms:
            self._not_before_ms = self._clock.now().steady_ms + TRY_AGAIN_AFTER_MS
            await self.take()
            self._not_before_ms = 0

    async def take_before_a_stop(self) -> None:
        """Take a snapshot if as much was written since the last one as that one holds: it is soon worth its while.

        Every life of a node changes every partition twice: without this a start would read all of those changes. A node
        stops whatever becomes of it.
        """
        written = self._codec.bytes_seen - self._bytes_before
        if written < max(WORTH_BYTES, self._bytes_of_the_newest()):
            return
        try:
            await self.take()
        except (OSError, ApiError) as error:
            logger.warning("stopping without a snapshot of the metadata: %s", error)

    async def take(self) -> None:
        """Write a snapshot of the image as it is now.

        Raises:
            OSError: it cannot be written; nothing is left of it.
            ApiError: the machine was stopped. Its image lacks what the end of its log holds.
        """
        await self._settled()
        image, now_ms = self._machine.image, self._clock.now_ms()
        if image.transaction is not None:
            return
        end_offset = self._core.log_end_offset(METADATA_TOPIC, 0)
        epoch = self._core.latest_leader_epoch(METADATA_TOPIC, 0) or 0
        records, metadata_version = records_of(image), image.metadata_version
        quorum = dict(self._codec.quorum)
        bytes_seen, begun_ms = self._codec.bytes_seen, self._clock.now().steady_ms
        writer = SnapshotWriter(self._folder, end_offset, epoch, durable=self._durable)
        try:
            writer.begin(now_ms, quorum)
            while some := list(islice(records, SLICE)):
                values = [encode_for(record, metadata_version) for record in some]
                await asyncio.to_thread(writer.append, values, now_ms)
            file = await asyncio.to_thread(writer.finish, now_ms)
        except BaseException:
            writer.abandon()
            raise
        self._bytes_before, self._since_ms = bytes_seen, begun_ms
        logger.info("wrote the snapshot %s of the metadata", file.path.name)

    def clean(self) -> None:
        """Remove old snapshots, and the log before the oldest that stays. Blocks on the disk; for any thread."""
        files = snapshots_in(self._folder)
        while len(files) > 1 and (reason := self._why_not_keep(files)):
            oldest, following = files[0], files[1]
            if not is_whole(following):
                logger.error("%s is damaged: what is older stays", following.path)
                return
            self._core.delete_records(METADATA_TOPIC, 0, following.end_offset)
            oldest.path.unlink()
            logger.info("removed the metadata log before %s: %s", following.path.name, reason)
            files.pop(0)

    def _is_due(self) -> bool:
        written = self._codec.bytes_seen - self._bytes_before
        if written >= self._bytes_between:
            return True
        waited_ms = self._clock.now().steady_ms - self._since_ms
        return 0 < self._interval_ms <= waited_ms and written > 0

    def _bytes_of_the_newest(self) -> int:
        found = snapshots_in(self._folder)
        return found[-1].path.stat().st_size if found else 0

    def _begin_anew(self) -> None:
        self._bytes_before = self._codec.bytes_seen
        self._since_ms = self._clock.now().steady_ms

    def _why_not_keep(self, files: list[SnapshotFile]) -> str | None:
        """Why the oldest of these has to go."""
        # The segment in use counts, and stays whatever goes: a second snapshot is worth more than what it takes.
        if self._retention_bytes >= 0 and len(files) > 2:
            held = [*(file.path for file in files), *self._folder.glob("*.log")]
            size = sum(path.stat().st_size for path in held)
            if size > self._retention_bytes:
                return f"log and snapshots have {size} bytes"
        age_ms = int(time.time() * 1000 - files[0].path.stat().st_mtime * 1000)
        if 0 <= self._retention_ms < age_ms:
            return f"the snapshot before it is {age_ms} ms old"
        return None
