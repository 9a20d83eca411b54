"""Which brokers hold the replicas of new partitions.

Replicas are dealt like cards: racks in turn, and within a rack its brokers in turn, so that the leaders spread over
all brokers and the copies of one partition over all racks. Three rules stand above the dealing:

- the first replica leads, so it is never a broker that is fenced;
- a fenced broker is used only when its rack has no other left for this partition;
- where the dealing starts is drawn at random, and after one full round everything is shuffled, so that the second
  round does not repeat the first and two small topics do not land on the same broker.

The random numbers come from the caller's `random.Random`: a seed gives the same placement again.

Source: the behaviour of Kafka's striped placement (KIP-631), which tools and operators know.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from moldau.errors import ApiError, ErrorCode


@dataclass(frozen=True, slots=True)
class UsableBroker:
    """A broker that may hold replicas."""

    id: int
    rack: str | None
    fenced: bool


class _Ring:
    """Brokers dealt in turn. Each new partition starts one further, and deals each broker at most once."""

    def __init__(self, brokers: Iterable[int], chance: random.Random) -> None:
        self.brokers = sorted(brokers)
        self._start = chance.randrange(len(self.brokers)) if self.brokers else 0
        self._dealt = 0
        self._partition = 0

    def deal(self, partition: int) -> int | None:
        if not self.brokers:
            return None
        if partition != self._partition:
            self._partition = partition
            self._dealt = 0
            self._start = (self._start + 1) % len(self.brokers)
        if self._dealt == len(self.brokers):
            return None
        broker = self.brokers[(self._start + self._dealt) % len(self.brokers)]
        self._dealt += 1
        return broker


class _Rack:
    def __init__(self, brokers: list[UsableBroker], chance: random.Random) -> None:
        self.fenced = _Ring((broker.id for broker in brokers if broker.fenced), chance)
        self.unfenced = _Ring((broker.id for broker in brokers if not broker.fenced), chance)

    def deal(self, partition: int) -> int | None:
        broker = self.unfenced.deal(partition)
        return self.fenced.deal(partition) if broker is None else broker


class _Table:
    """The racks around which one topic's partitions are dealt."""

    def __init__(self, brokers: list[UsableBroker], chance: random.Random) -> None:
        names = sorted({broker.rack for broker in brokers}, key=lambda rack: (rack is not None, rack or ""))
        self._chance = chance
        self._racks = [_Rack([broker for broker in brokers if broker.rack == name], chance) for name in names]
        self._unfenced_count = sum(not broker.fenced for broker in brokers)
        self._start = chance.randrange(len(self._racks))
        self._partition = 0

    def deal(self, replication_factor: int) -> tuple[int, ...]:
        if self._partition == self._unfenced_count and self._unfenced_count > 1:
            self._shuffle()
        leader_rack, leader = self._deal_leader()
        replicas = [leader]
        rack = self._start
        skip_leader_rack_once = True
        while len(replicas) < replication_factor:
            if rack == leader_rack and skip_leader_rack_once:
                skip_leader_rack_once = False
            else:
                broker = self._racks[rack].deal(self._partition)
                if broker is not None:
                    replicas.append(broker)
            rack = (rack + 1) % len(self._racks)
        self._partition += 1
        self._start = (self._start + 1) % len(self._racks)
        return tuple(replicas)

    def _deal_leader(self) -> tuple[int, int]:
        rack = self._start
        while True:
            broker = self._racks[rack].unfenced.deal(self._partition)
            if broker is not None:
                return rack, broker
            rack = (rack + 1) % len(self._racks)

    def _shuffle(self) -> None:
        self._chance.shuffle(self._racks)
        for rack in self._racks:
            self._chance.shuffle(rack.unfenced.brokers)
            self._chance.shuffle(rack.fenced.brokers)
        self._partition = 0


def place(
    partition_count: int, replication_factor: int, brokers: Iterable[UsableBroker], chance: random.Random
) -> list[tuple[int, ...]]:
    """The replicas of each of `partition_count` new partitions, the preferred leader first.

    Raises:
        ApiError: INVALID_REPLICATION_FACTOR when the brokers cannot carry that many copies.
    """
    usable = list(brokers)
    if replication_factor <= 0:
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR, f"replication factor {replication_factor} is not above zero"
        )
    if all(broker.fenced for broker in usable):
        raise ApiError(ErrorCode.INVALID_REPLICATION_FACTOR, "no broker is ready to hold a replica: all are fenced")
    if replication_factor > len(usable):
        raise ApiError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"replication factor {replication_factor} needs as many brokers, and {len(usable)} can hold replicas",
        )
    table = _Table(usable, chance)
    return [table.deal(replication_factor) for _ in range(partition_count)]
