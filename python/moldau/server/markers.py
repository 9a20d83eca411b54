"""Transaction markers: telling partitions how a transaction ended.

A marker into `__consumer_offsets` goes by the group coordinator, so that offsets become visible with it; any other is
appended to the partition. On one node nothing travels: what WriteTxnMarkers does for another broker, or for an
administrator who ends a transaction that hangs, is the same call.

Source: Kafka's `KafkaApis.handleWriteTxnMarkersRequest`, `TransactionMarkerChannelManager` (release 4.3).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from moldau.control.groups.requests import CompleteTransaction
from moldau.control.machine import TransactionMarker
from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ApiError, ErrorCode
from moldau.server.partition_log import CommitWaiter, PartitionLog
from moldau.server.topic_creation import OFFSETS_TOPIC

if TYPE_CHECKING:
    from moldau.server.shell import Shell

logger: Final = logging.getLogger("moldau.server.markers")

RETRY_S: Final = 0.1
RETRY_MAX_S: Final = 10.0
NOBODY_WAITS: Final = frozenset({ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.TRANSACTION_COORDINATOR_FENCED})
"""A newer producer or coordinator has been in the partition: whatever this marker was to end is over."""
NOT_READY: Final = frozenset(
    {ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR}
)


class MarkerWriter:
    """Writes markers into partitions of this node."""

    def __init__(self, commits: CommitWaiter) -> None:
        self._commits = commits

    async def write(self, shell: Shell, marker: TransactionMarker, at: TopicPartition) -> ErrorCode:
        """Write one marker and wait until it is committed; NONE, or why it is not there."""
        if not _exists(shell, at):
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        try:
            if at.topic == OFFSETS_TOPIC:
                answer = await shell.groups.runner_at(at.partition).run(CompleteTransaction(marker))
                error: ErrorCode = answer.error
            else:
                log = PartitionLog(shell.core, self._commits, at.topic, at.partition, "coordinator", flushed=False)
                await log.append_marker(marker, shell.clock.now_ms())
                error = ErrorCode.NONE
        except ApiError as refusal:
            error = refusal.code
        return ErrorCode.NOT_LEADER_OR_FOLLOWER if error in NOT_READY else error

    async def write_until_done(self, shell: Shell, marker: TransactionMarker, partitions: set[TopicPartition]) -> None:
        """Write a marker into every partition, again and again until each has it or cannot have it any more."""
        pause_s = RETRY_S
        while True:
            left = set()
            for at in sorted(partitions):
                error = await self.write(shell, marker, at)
                if not _is_settled(shell, marker, at, error):
                    left.add(at)
            if not left:
                return
            partitions = left
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_MAX_S)


def _exists(shell: Shell, at: TopicPartition) -> bool:
    topic = shell.metadata.machine.image.topics.get(at.topic)
    return topic is not None and at.partition in topic.partitions


def _is_settled(shell: Shell, marker: TransactionMarker, at: TopicPartition, error: ErrorCode) -> bool:
    if error is ErrorCode.NONE:
        return True
    if error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and not _exists(shell, at):
        # Its topic was deleted, and the records with it. One of the same name may be there, with fewer partitions.
        return True
    if error in NOBODY_WAITS:
        logger.warning("%s-%d refuses %s: %s", at.topic, at.partition, marker, error.name)
        return True
    logger.info("%s-%d does not take %s now: %s", at.topic, at.partition, marker, error.name)
    return False
