"""Feature levels: what a cluster has agreed on, and what follows from it for the records we write.

A cluster starts with the levels that Apache Kafka 4.3 gives a new cluster, so that either of the two can open the
other's directory. A level in the log is an agreement about data; it does not say that this node already serves the
clients' half of it. Clients are therefore told the lower of the two, `Feature.served`: a Java producer, for one, speaks
the second transaction protocol as soon as it is told `transaction.version` 2.

`kraft.version` belongs to the quorum and never stands in a metadata record, so it is not in this table.

Source: KIP-584 (feature versioning), KIP-778 (metadata.version), KIP-1022 (formatting and updating features).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from moldau.control.metadata.records import (
    BrokerRegistrationChangeRecord,
    PartitionChangeRecord,
    PartitionRecord,
    RegisterBrokerRecord,
)
from moldau.control.schema import Message

METADATA_VERSION: Final = "metadata.version"
TRANSACTION_VERSION: Final = "transaction.version"
ELIGIBLE_LEADER_REPLICAS_VERSION: Final = "eligible.leader.replicas.version"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. Levels from `lowest` to `highest` can be finalized; `served` is the highest a client is told."""

    name: str
    lowest: int
    highest: int
    served: int
    needs_metadata_version: Mapping[int, int]
    """The `metadata.version` that a level asks for."""


FEATURES: Final[Mapping[str, Feature]] = {
    feature.name: feature
    for feature in (
        Feature(METADATA_VERSION, 7, 30, 30, {}),
        Feature("group.version", 0, 1, 1, {}),
        Feature(TRANSACTION_VERSION, 0, 2, 2, {}),
        Feature(ELIGIBLE_LEADER_REPLICAS_VERSION, 0, 1, 1, {1: 23}),
        Feature("share.version", 0, 1, 0, {}),
        Feature("streams.version", 0, 1, 0, {}),
    )
}

METADATA_VERSION_NAMES: Final[Mapping[int, str]] = {
    7: "3.3-IV3",
    8: "3.4-IV0",
    9: "3.5-IV0",
    10: "3.5-IV1",
    11: "3.5-IV2",
    12: "3.6-IV0",
    13: "3.6-IV1",
    14: "3.6-IV2",
    15: "3.7-IV0",
    16: "3.7-IV1",
    17: "3.7-IV2",
    18: "3.7-IV3",
    19: "3.7-IV4",
    20: "3.8-IV0",
    21: "3.9-IV0",
    22: "4.0-IV0",
    23: "4.0-IV1",
    24: "4.0-IV2",
    25: "4.0-IV3",
    26: "4.1-IV0",
    27: "4.1-IV1",
    28: "4.2-IV0",
    29: "4.2-IV1",
    30: "4.3-IV0",
}

_LEVELS_THAT_CHANGED_RECORDS: Final = frozenset({7, 8, 11, 13, 14, 15, 17, 23, 30})
DIRECTORIES_SINCE: Final = 17
"""Before this `metadata.version` no record says in which directory a replica lives, so no image may know it."""
_ELIGIBLE_LEADER_REPLICAS_SINCE: Final = 23
_CORDONED_DIRECTORIES_SINCE: Final = 30
TRANSACTIONS_SINCE: Final = 13


def bootstrap_levels() -> tuple[tuple[str, int], ...]:
    """The levels of a new cluster, in the order in which Kafka's formatter writes them: metadata.version, then by
    name.
    """
    others = sorted(name for name in FEATURES if name != METADATA_VERSION)
    return tuple((name, FEATURES[name].highest) for name in (METADATA_VERSION, *others))


def told_levels(finalized: Mapping[str, int]) -> dict[str, int]:
    """What ApiVersions may say about the finalized levels: never more than this node serves, and no zeros."""
    told = {name: min(level, FEATURES[name].served) for name, level in finalized.items() if name in FEATURES}
    return {name: level for name, level in told.items() if level > 0}


def record_version(record: Message, metadata_version: int) -> int:
    """The version in which `record` is written in a cluster of that `metadata.version`."""
    match record:
        case RegisterBrokerRecord():
            if metadata_version >= _CORDONED_DIRECTORIES_SINCE:
                return 4
            if metadata_version >= DIRECTORIES_SINCE:
                return 3
            return 2 if metadata_version >= 8 else 1
        case PartitionRecord() | PartitionChangeRecord():
            if metadata_version >= _ELIGIBLE_LEADER_REPLICAS_SINCE:
                return 2
            return 1 if metadata_version >= DIRECTORIES_SINCE else 0
        case BrokerRegistrationChangeRecord():
            # The lowest version that can carry what the record says, as Kafka writes it.
            if record.cordoned_log_dirs is not None:
                return 3
            if record.log_dirs:
                return 2
            return 1 if record.in_controlled_shutdown else 0
        case _:
            return type(record).highest_version


def downgrade_loses_metadata(current: int, target: int) -> bool:
    """Whether records written at `current` may say something that a cluster at `target` cannot read."""
    return any(target < level <= current for level in _LEVELS_THAT_CHANGED_RECORDS)
