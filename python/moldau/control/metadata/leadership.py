"""Who leads a partition, and who may, after something has happened to its replicas.

`change_of` takes a partition as it is and what shall be true of it, and gives the one `PartitionChangeRecord` that
says the difference, or `None` when there is none. It never looks at the cluster: which brokers may lead is a question
it asks the caller.

Two sets can produce a leader without losing a record. The ISR: all of it has everything up to the high watermark.
And, with eligible leader replicas (KIP-966), the ELR: replicas that left the ISR after it had already shrunk below
`min.insync.replicas`, when the high watermark could no longer move; nobody has acknowledged anything they lack. A
broker that crashed leaves both, because what it acknowledged may not have reached its disk. When both are empty, the
last leader is remembered in `last_known_elr` and may come back, marked as recovering: that loses less than waiting
for nobody. Anything beyond that is an unclean election and must be allowed by the topic.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from moldau.control.light import light_dataclass
from moldau.control.metadata.image import NO_LEADER, RECOVERING, Partition
from moldau.control.metadata.records import LEADER_UNCHANGED, PartitionChangeRecord

T = TypeVar("T")


class Election(enum.Enum):
    """How far an election may go."""

    PREFERRED = "the first replica, if it is in sync"
    ONLINE = "any replica that has everything"
    UNCLEAN = "any replica that is alive"


@light_dataclass(frozen=True, slots=True)
class Target:
    """What a partition's replicas shall be."""

    isr: tuple[int, ...]
    replicas: tuple[int, ...]
    removing: tuple[int, ...]
    adding: tuple[int, ...]
    eligible: tuple[int, ...]

    @classmethod
    def as_is(cls, partition: Partition) -> Target:
        """Nothing changes."""
        return cls(
            partition.isr,
            partition.replicas,
            partition.removing_replicas,
            partition.adding_replicas,
            partition.eligible_leader_replicas,
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What an election must know about the cluster and the topic."""

    may_lead: Callable[[int], bool]
    min_isr: int
    """min.insync.replicas, but never more than the partition has replicas."""
    eligible_leader_replicas: bool
    """Whether KIP-966 is in force."""
    default_directory: Callable[[int], UUID]
    """Where a broker puts a replica it gets anew."""
    election: Election = Election.ONLINE


def without(replicas: Sequence[int], *gone: int) -> tuple[int, ...]:
    """`replicas` in their order, without those that are gone."""
    return tuple(replica for replica in replicas if replica not in gone)


def change_of(
    topic_id: UUID,
    index: int,
    partition: Partition,
    rules: Rules,
    target: Target | None = None,
    crashed: Collection[int] = (),
) -> PartitionChangeRecord | None:
    """The record that turns `partition` into `target`, electing a leader where one is needed.

    Args:
        target: what shall be; without it only the leader is looked at.
        crashed: replicas whose brokers went down uncleanly; they are in no set that promises completeness.
    """
    target = _complete_reassignment(target or Target.as_is(partition))
    if rules.eligible_leader_replicas:
        target = replace(target, eligible=_eligible(partition, target, rules, crashed))
    leader, unclean = _elect(partition, target, rules)
    names_leader = leader != partition.leader
    unclean = unclean and names_leader
    if names_leader and leader in target.eligible:
        target = replace(target, isr=(leader,), eligible=without(target.eligible, leader))
    if unclean:
        target = replace(target, isr=(leader,))
    if unclean or not rules.eligible_leader_replicas:
        target = replace(target, eligible=())
    if not target.isr and not rules.eligible_leader_replicas:
        # Without KIP-966 the last member stays in the ISR, so that somebody is known to have everything.
        target = replace(target, isr=partition.isr)
    if target.replicas != partition.replicas and set(partition.replicas) - set(target.replicas):
        # Whoever leaves must notice: a new epoch refuses its fetches and its appends.
        names_leader = True
    record = PartitionChangeRecord(
        partition_id=index,
        topic_id=topic_id,
        isr=_if_new(target.isr, partition.isr),
        leader=leader if names_leader else LEADER_UNCHANGED,
        replicas=_if_new(target.replicas, partition.replicas),
        removing_replicas=_if_new(target.removing, partition.removing_replicas),
        adding_replicas=_if_new(target.adding, partition.adding_replicas),
        leader_recovery_state=RECOVERING if unclean and partition.leader_recovery_state != RECOVERING else -1,
        directories=_if_new(_directories(partition, target, rules), partition.directories),
        eligible_leader_replicas=_if_new(target.eligible, partition.eligible_leader_replicas),
        last_known_elr=_last_known(partition, rules, leader if names_leader else LEADER_UNCHANGED),
    )
    return None if record == PartitionChangeRecord(partition_id=index, topic_id=topic_id) else record


def _if_new(value: tuple[T, ...], old: tuple[T, ...]) -> tuple[T, ...] | None:
    return None if value == old else value


def _elect(partition: Partition, target: Target, rules: Rules) -> tuple[int, bool]:
    """The leader, and whether choosing it may lose records."""

    def complete(replica: int) -> bool:
        known = target.isr or target.eligible
        return replica in known and rules.may_lead(replica)

    preferred = target.replicas[0] if rules.election is Election.PREFERRED else partition.leader
    for replica in (preferred, partition.leader, *target.replicas):
        if complete(replica):
            return replica, False
    last_known = partition.last_known_elr
    if (
        rules.eligible_leader_replicas
        and not target.eligible
        and not target.isr
        and len(last_known) == 1
        and rules.may_lead(last_known[0])
    ):
        return last_known[0], True
    if rules.election is Election.UNCLEAN:
        alive = next((replica for replica in target.replicas if rules.may_lead(replica)), None)
        if alive is not None:
            return alive, True
    return NO_LEADER, False


def _eligible(partition: Partition, target: Target, rules: Rules, crashed: Collection[int]) -> tuple[int, ...]:
    if len(target.isr) >= rules.min_isr:
        return ()
    candidates = sorted({*partition.eligible_leader_replicas, *partition.isr})
    return tuple(replica for replica in candidates if replica not in target.isr and replica not in crashed)


def _last_known(partition: Partition, rules: Rules, new_leader: int) -> tuple[int, ...] | None:
    if not rules.eligible_leader_replicas:
        return None
    if new_leader == NO_LEADER and not partition.last_known_elr:
        return (partition.leader,)
    if new_leader >= 0 and partition.last_known_elr:
        return ()
    return None


def _directories(partition: Partition, target: Target, rules: Rules) -> tuple[UUID, ...]:
    if target.replicas == partition.replicas:
        return partition.directories
    known = dict(zip(partition.replicas, partition.directories, strict=True))
    return tuple(known.get(replica) or rules.default_directory(replica) for replica in target.replicas)


def _complete_reassignment(target: Target) -> Target:
    """End a reassignment whose new replicas have all caught up; otherwise give `target` back."""
    if not target.adding and not target.removing:
        return target
    isr = without(target.isr, *target.removing)
    replicas = without(target.replicas, *target.removing)
    if not isr or not replicas or not set(target.adding) <= set(isr):
        return target
    if len(target.adding) < len(target.removing) and not set(replicas) <= set(isr):
        # Fewer copies than before: wait until every one of them is in sync, or the ISR would shrink for nothing.
        return target
    return replace(target, isr=isr, replicas=replicas, removing=(), adding=())
