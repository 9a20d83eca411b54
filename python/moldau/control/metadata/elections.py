"""Leader elections and reassignments that an operator asks for.

An election by hand either brings a partition back to its first replica, or gives a partition without a leader one
that may lack records. A reassignment moves replicas in steps: the new ones are added beside the old, and once all of
them are in sync (`leadership`), the old ones go. While there is one node, a partition can only be assigned to where
it is, and both kinds of requests answer accordingly.

Source: KIP-183 and KIP-460 (elections), KIP-455 (reassignments), KIP-860 (replication factor).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from moldau.control.machine import Decision
from moldau.control.metadata.image import Partition, Topic
from moldau.control.metadata.leadership import Election, Target, change_of, without
from moldau.control.metadata.records import PartitionChangeRecord
from moldau.control.metadata.situation import Outcome, Situation, check_request_size, outcome_of
from moldau.control.metadata.topics import check_assignment
from moldau.control.schema import Message
from moldau.errors import ApiError, ErrorCode, UnknownPartitionError

PartitionName = tuple[str, int]
Outcomes = tuple[tuple[PartitionName, Outcome], ...]


class ElectionType(enum.IntEnum):
    """The protocol's numbers."""

    PREFERRED = 0
    UNCLEAN = 1


@dataclass(frozen=True, slots=True)
class ElectLeaders:
    """Elect leaders for `partitions`, or for every partition that needs it (`None`)."""

    election_type: int
    partitions: tuple[PartitionName, ...] | None


@dataclass(frozen=True, slots=True)
class Reassignment:
    """New replicas for one partition; `None` takes back a reassignment that is going on."""

    partition: PartitionName
    replicas: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class AlterReassignments:
    """Begin, change or take back reassignments."""

    reassignments: tuple[Reassignment, ...]
    allow_replication_factor_change: bool = True


_ELECTIONS: Final = {ElectionType.PREFERRED: Election.PREFERRED, ElectionType.UNCLEAN: Election.UNCLEAN}
_NOBODY: Final = {
    ElectionType.PREFERRED: ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
    ElectionType.UNCLEAN: ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
}


def elect_leaders(situation: Situation, request: ElectLeaders) -> Decision[Message, Outcomes]:
    """Decide about `request`. When everything was asked for, partitions that need no election are not answered.

    Raises:
        ApiError: INVALID_REQUEST, an election type that does not exist, or POLICY_VIOLATION, too many elections.
    """
    if request.election_type not in ElectionType.__members__.values():
        raise ApiError(ErrorCode.INVALID_REQUEST, f"election type {request.election_type} is unknown")
    election_type = ElectionType(request.election_type)
    everything = request.partitions is None
    check_request_size(len(request.partitions or ()), "elections")
    names = request.partitions if request.partitions is not None else tuple(_every_partition(situation))
    records: list[Message] = []
    outcomes = []

    def attempt(name: PartitionName) -> None:
        records.append(_elected(situation, name, election_type))

    for name in names:
        outcome = outcome_of(attempt, name)
        if not everything or outcome.code is not ErrorCode.ELECTION_NOT_NEEDED:
            outcomes.append((name, outcome))
    return Decision(tuple(outcomes), tuple(records))


def _every_partition(situation: Situation) -> Iterator[PartitionName]:
    for topic in situation.image.topics.values():
        for index in topic.partitions:
            yield topic.name, index


def _elected(situation: Situation, name: PartitionName, election_type: ElectionType) -> PartitionChangeRecord:
    topic, partition = _find(situation, name)
    preferred = election_type is ElectionType.PREFERRED
    if partition.leader == partition.replicas[0] if preferred else partition.leader >= 0:
        raise ApiError(ErrorCode.ELECTION_NOT_NEEDED)
    rules = situation.rules(topic, election=_ELECTIONS[election_type])
    record = change_of(topic.id, name[1], partition, rules)
    if record is None:
        raise ApiError(_NOBODY[election_type])
    return record


def _find(situation: Situation, name: PartitionName) -> tuple[Topic, Partition]:
    topic = situation.topic(name[0])
    partition = topic.partitions.get(name[1])
    if partition is None:
        raise UnknownPartitionError(*name)
    return topic, partition


def alter_reassignments(situation: Situation, request: AlterReassignments) -> Decision[Message, Outcomes]:
    """Decide about `request`; one outcome for each partition, in order.

    Raises:
        ApiError: POLICY_VIOLATION, too many reassignments in one request.
    """
    check_request_size(len(request.reassignments), "reassignments")
    records: list[Message] = []

    def attempt(reassignment: Reassignment) -> None:
        if reassignment.replicas is None:
            record = _cancelled(situation, reassignment.partition)
        else:
            allowed = request.allow_replication_factor_change
            record = _reassigned(situation, reassignment.partition, reassignment.replicas, allowed=allowed)
        if record is not None:
            records.append(record)

    outcomes = tuple(
        (reassignment.partition, outcome_of(attempt, reassignment)) for reassignment in request.reassignments
    )
    return Decision(outcomes, tuple(records))


def _reassigned(
    situation: Situation, name: PartitionName, replicas: tuple[int, ...], *, allowed: bool
) -> PartitionChangeRecord | None:
    topic, partition = _find(situation, name)
    check_assignment(situation, replicas, None)
    # Replicas that an earlier reassignment was adding do not count as the partition's own yet.
    present = without(partition.replicas, *partition.adding_replicas)
    if not allowed and len(replicas) != len(present):
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"the partition has {len(present)} replicas and the request would give it {len(replicas)}",
        )
    removing = tuple(sorted(set(partition.replicas) - set(replicas)))
    target = replace(
        Target.as_is(partition),
        replicas=(*replicas, *removing),
        removing=removing,
        adding=tuple(sorted(set(replicas) - set(partition.replicas))),
    )
    return change_of(topic.id, name[1], partition, situation.rules(topic, election=Election.ONLINE), target)


def _cancelled(situation: Situation, name: PartitionName) -> PartitionChangeRecord | None:
    topic, partition = _find(situation, name)
    if not partition.reassigning:
        raise ApiError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    isr = without(partition.isr, *partition.adding_replicas)
    rules = situation.rules(topic)
    if not isr and rules.election is not Election.UNCLEAN:
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "only new replicas are in sync; going back would lose records"
        )
    target = replace(
        Target.as_is(partition),
        isr=isr,
        replicas=without(partition.replicas, *partition.adding_replicas),
        removing=(),
        adding=(),
    )
    return change_of(topic.id, name[1], partition, rules, target)


def ongoing_reassignments(
    situation: Situation, asked: dict[str, tuple[int, ...]] | None
) -> dict[str, dict[int, Partition]]:
    """The partitions that are being moved, by topic: of those that were asked for, or of all (`None`)."""
    found: dict[str, dict[int, Partition]] = {}
    for name in situation.image.topics if asked is None else asked:
        topic = situation.image.topics.get(name)
        if topic is None:
            continue
        indexes = topic.partitions if asked is None else asked[name]
        moving = {
            index: partition
            for index in indexes
            if (partition := topic.partitions.get(index)) is not None and partition.reassigning
        }
        if moving:
            found[name] = moving
    return found
