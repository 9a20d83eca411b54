"""The committed offsets of every group of a partition, and what may be done with them.

`CommittedOffsets` is the durable part: it changes by `apply` alone. Offsets that came in a transaction are *pending*
until its marker is applied (`pending.py`). Beside them stands the count of offsets that are on their way to the log.
For both, a reader that asked for stable offsets is told to wait, and a group that is deleted takes them with it.

What a group has to say (may this member commit, is this topic in use, since when does an offset grow old) is asked
through `OffsetOwner`, so that groups of every protocol keep their offsets here.
Source: OffsetMetadataManager of Apache Kafka 4.3; KIP-211 (expiry), KIP-447 (stable offsets), KIP-848 (topic ids).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final, Protocol
from uuid import UUID

from moldau.control.groups.pending import PendingOffsets
from moldau.control.groups.records import OffsetCommitValue, OffsetRecord, PendingOffsetRecord
from moldau.control.groups.requests import (
    DeletedTopic,
    OffsetCommit,
    OffsetDelete,
    OffsetFetch,
    OffsetToCommit,
    TransactionalOffsetCommit,
)
from moldau.control.groups.responses import (
    FetchedOffset,
    OffsetCommitResponse,
    OffsetDeleteResponse,
    OffsetFetchResponse,
)
from moldau.control.groups.turn import Turn
from moldau.control.machine import TransactionMarker
from moldau.control.schema import ZERO_UUID
from moldau.errors import ErrorCode

NO_OFFSET: Final = -1
NO_EPOCH: Final = -1
NO_EXPIRY: Final = -1
DEFAULT_RETENTION: Final = -1
RETRY_MS: Final = 10_000
"""When offsets that could not be taken back are tried again."""


class OffsetOwner(Protocol):
    """What a group says about its offsets, whatever its protocol."""

    def check_offset_delete(self) -> ErrorCode: ...
    def is_subscribed_to(self, topic: str) -> bool: ...
    def retention_starts_ms(self, committed: OffsetCommitValue) -> int | None: ...


class CommittedOffsets:
    """Group to topic to partition to what was committed."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, dict[int, OffsetCommitValue]]] = {}
        self._groups_of: dict[str, set[str]] = {}
        """Topic to the groups that have committed something of it."""
        self._on_the_way: dict[str, dict[tuple[str, int], int]] = {}
        self._pending = PendingOffsets()

    def apply(self, record: OffsetRecord) -> None:
        if record.value is None:
            self._pending.forget(record.group, record.topic, record.partition)
        else:
            self._pending.overtaken(record.group, record.topic, record.partition)
        self._put(record)

    def apply_pending(self, record: PendingOffsetRecord) -> None:
        self._pending.add(record)

    def apply_marker(self, marker: TransactionMarker) -> tuple[OffsetRecord, ...]:
        """The transaction is decided: its offsets count now, or are gone. Returns those that count."""
        decided = tuple(self._pending.end(marker.producer_id, committed=marker.committed))
        for record in decided:
            self._put(record)
        return decided

    def _put(self, record: OffsetRecord) -> None:
        if record.value is not None:
            topics = self._groups.setdefault(record.group, {})
            topics.setdefault(record.topic, {})[record.partition] = record.value
            self._groups_of.setdefault(record.topic, set()).add(record.group)
            return
        topics = self._groups.get(record.group, {})
        partitions = topics.get(record.topic, {})
        partitions.pop(record.partition, None)
        if not partitions and topics.pop(record.topic, None) is not None:
            groups = self._groups_of[record.topic]
            groups.remove(record.group)
            if not groups:
                del self._groups_of[record.topic]
        if not topics:
            self._groups.pop(record.group, None)

    def get(self, group_id: str, topic: str, partition: int) -> OffsetCommitValue | None:
        return self._groups.get(group_id, {}).get(topic, {}).get(partition)

    def group_ids(self) -> Iterable[str]:
        return self._groups.keys()

    def of_group(self, group_id: str) -> Iterator[tuple[str, int, OffsetCommitValue]]:
        for topic, partitions in self._groups.get(group_id, {}).items():
            for partition, value in partitions.items():
                yield topic, partition, value

    def count_of(self, group_id: str) -> int:
        """Partitions of which the group has committed an offset."""
        return sum(map(len, self._groups.get(group_id, {}).values()))

    def everything(self) -> Iterator[tuple[str, str, int, OffsetCommitValue]]:
        """What is committed, and what is pending."""
        for group_id in self._groups:
            for topic, partition, value in self.of_group(group_id):
                yield group_id, topic, partition, value
        yield from self._pending.everything()

    def of_topics(self, names: Collection[str]) -> Iterator[tuple[str, str, int, OffsetCommitValue]]:
        """What is committed of these topics, or pending; groups that have nothing of them are not looked at."""
        for topic in names:
            for group_id in sorted(self._groups_of.get(topic, ())):
                for partition, value in self._groups[group_id][topic].items():
                    yield group_id, topic, partition, value
        yield from (one for one in self._pending.everything() if one[1] in names)

    # Commits between `decide` and `apply`

    def expect(self, record: OffsetRecord) -> None:
        coming = self._on_the_way.setdefault(record.group, {})
        key = (record.topic, record.partition)
        coming[key] = coming.get(key, 0) + 1

    def arrived(self, record: OffsetRecord) -> None:
        """The record was applied, or will never be. During recovery nothing is expected, and this does nothing."""
        coming = self._on_the_way.get(record.group, {})
        key = (record.topic, record.partition)
        if coming.get(key, 0) > 1:
            coming[key] -= 1
            return
        coming.pop(key, None)
        if not coming:
            self._on_the_way.pop(record.group, None)

    def is_coming(self, group_id: str, topic: str, partition: int) -> bool:
        key = (topic, partition)
        return key in self._on_the_way.get(group_id, {}) or key in self._pending.of_group(group_id)

    def has_coming(self, group_id: str) -> bool:
        return group_id in self._on_the_way or bool(self._pending.of_group(group_id))

    def has(self, group_id: str, topic: str, partition: int) -> bool:
        """Whether the partition has an offset or is about to have one."""
        return self.get(group_id, topic, partition) is not None or self.is_coming(group_id, topic, partition)

    def has_any(self, group_id: str) -> bool:
        return group_id in self._groups or self.has_coming(group_id)

    def keys(self, group_id: str) -> Iterator[tuple[str, int]]:
        """Every partition that has an offset or is about to have one; nothing may change before the last is taken."""
        for topic, partition, _ in self.of_group(group_id):
            yield topic, partition
        coming, pending = self._on_the_way.get(group_id, {}), self._pending.of_group(group_id)
        for topic, partition in coming:
            if self.get(group_id, topic, partition) is None:
                yield topic, partition
        for key in pending:
            if key not in coming and self.get(group_id, *key) is None:
                yield key


def commit(turn: Turn, request: OffsetCommit) -> OffsetCommitResponse:
    """Write the offsets whose metadata is not too long; the group has agreed before."""
    expires_ms = NO_EXPIRY if request.retention_ms == DEFAULT_RETENTION else turn.wall_ms + request.retention_ms
    records, errors = _records_of(turn, request, expires_ms)
    turn.records.extend(records)
    return OffsetCommitResponse(ErrorCode.NONE, errors)


def commit_in_transaction(turn: Turn, request: TransactionalOffsetCommit) -> OffsetCommitResponse:
    """Write the same, to count when the transaction is committed."""
    records, errors = _records_of(turn, request, NO_EXPIRY)
    turn.records.extend(PendingOffsetRecord(request.producer.producer_id, record) for record in records)
    turn.producer = request.producer
    return OffsetCommitResponse(ErrorCode.NONE, errors)


def _records_of(
    turn: Turn, request: OffsetCommit | TransactionalOffsetCommit, expires_ms: int
) -> tuple[list[OffsetRecord], tuple[tuple[str, int, ErrorCode], ...]]:
    records: list[OffsetRecord] = []
    errors: list[tuple[str, int, ErrorCode]] = []
    for offset in request.offsets:
        if _utf16_length(offset.metadata or "") > turn.settings.offset_metadata_max_bytes:
            errors.append((offset.topic, offset.partition, ErrorCode.OFFSET_METADATA_TOO_LARGE))
            continue
        errors.append((offset.topic, offset.partition, ErrorCode.NONE))
        value = _committed(offset, turn.wall_ms, expires_ms)
        records.append(OffsetRecord(request.group_id, offset.topic, offset.partition, value))
    return records, tuple(errors)


def fetch(offsets: CommittedOffsets, request: OffsetFetch) -> OffsetFetchResponse:
    """What is committed; a partition, a topic or a group that has nothing answers offset -1 and no error."""
    group_id, stable = request.group_id, request.require_stable
    fetched: list[FetchedOffset] = []
    if request.topics is None:
        for topic, partition, value in offsets.of_group(group_id):
            fetched.append(_fetched(offsets, group_id, topic, partition, value, stable=stable))
    for wanted in request.topics or ():
        for partition in wanted.partitions:
            found = offsets.get(group_id, wanted.topic, partition)
            if found is not None and _is_of_another_topic(found.topic_id, wanted.topic_id):
                found = None
            fetched.append(_fetched(offsets, group_id, wanted.topic, partition, found, stable=stable))
    return OffsetFetchResponse(ErrorCode.NONE, tuple(fetched))


def delete(turn: Turn, offsets: CommittedOffsets, owner: OffsetOwner, request: OffsetDelete) -> OffsetDeleteResponse:
    error = owner.check_offset_delete()
    if error is not ErrorCode.NONE:
        return OffsetDeleteResponse(error)
    results: list[tuple[str, int, ErrorCode]] = []
    for wanted in request.topics:
        in_use = owner.is_subscribed_to(wanted.topic)
        for partition in wanted.partitions:
            if in_use:
                results.append((wanted.topic, partition, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC))
                continue
            results.append((wanted.topic, partition, ErrorCode.NONE))
            if offsets.has(request.group_id, wanted.topic, partition):
                turn.write(OffsetRecord(request.group_id, wanted.topic, partition, None))
    return OffsetDeleteResponse(ErrorCode.NONE, tuple(results))


def delete_all(turn: Turn, offsets: CommittedOffsets, group_id: str) -> bool:
    """Take back all that a group has; False if the turn is full and another one has to follow."""
    for topic, partition in offsets.keys(group_id):
        if turn.is_full:
            return False
        turn.take_back(OffsetRecord(group_id, topic, partition, None))
    return True


def expire(turn: Turn, offsets: CommittedOffsets, group_id: str, owner: OffsetOwner) -> bool:
    """Take back what is older than the retention. True when the group has no offset left after that.

    A turn that becomes full takes back some of it, and says False.
    """
    all_gone = True
    for topic, partition, value in offsets.of_group(group_id):
        if turn.is_full:
            return False
        in_use = owner.is_subscribed_to(topic) or offsets.is_coming(group_id, topic, partition)
        if in_use or not _is_expired(turn, owner, value):
            all_gone = False
        else:
            turn.take_back(OffsetRecord(group_id, topic, partition, None))
    return all_gone and not offsets.has_coming(group_id)


def forget_topics(turn: Turn, offsets: CommittedOffsets, topics: tuple[DeletedTopic, ...]) -> None:
    """Take back the offsets of deleted topics, but not those of a new topic of the same name.

    A turn that becomes full takes back some of them.
    """
    deleted = {topic.name: topic.topic_id for topic in topics}
    for group_id, topic, partition, value in offsets.of_topics(deleted.keys()):
        if turn.is_full:
            return
        if not _is_of_another_topic(value.topic_id, deleted[topic]):
            turn.take_back(OffsetRecord(group_id, topic, partition, None))


def _committed(offset: OffsetToCommit, now_ms: int, expires_ms: int) -> OffsetCommitValue:
    return OffsetCommitValue(
        offset=offset.offset,
        leader_epoch=max(offset.leader_epoch, NO_EPOCH),
        metadata=offset.metadata or "",
        commit_timestamp=now_ms,
        expire_timestamp=expires_ms,
        topic_id=offset.topic_id,
    )


def _fetched(
    offsets: CommittedOffsets,
    group_id: str,
    topic: str,
    partition: int,
    value: OffsetCommitValue | None,
    *,
    stable: bool,
) -> FetchedOffset:
    if stable and offsets.is_coming(group_id, topic, partition):
        return FetchedOffset(topic, partition, NO_OFFSET, NO_EPOCH, "", ErrorCode.UNSTABLE_OFFSET_COMMIT)
    if value is None:
        return FetchedOffset(topic, partition, NO_OFFSET, NO_EPOCH, "")
    return FetchedOffset(topic, partition, value.offset, value.leader_epoch, value.metadata)


def _is_expired(turn: Turn, owner: OffsetOwner, value: OffsetCommitValue) -> bool:
    starts_ms = owner.retention_starts_ms(value)
    if starts_ms is None:
        return False
    if value.expire_timestamp != NO_EXPIRY:
        return turn.wall_ms >= value.expire_timestamp
    return turn.wall_ms - starts_ms >= turn.settings.offsets_retention_ms


def _is_of_another_topic(committed_for: UUID, wanted: UUID) -> bool:
    return ZERO_UUID not in (committed_for, wanted) and committed_for != wanted


def _utf16_length(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)
