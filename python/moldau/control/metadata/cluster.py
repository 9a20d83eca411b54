"""What concerns the cluster as a whole: its first records, its feature levels, its producer ids.

Source: KIP-631, KIP-868 (bootstrap in a metadata transaction), KIP-584 and KIP-1022 (features), KIP-730 (producer ids).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from moldau.control.machine import Decision
from moldau.control.metadata.configs import MIN_ISR
from moldau.control.metadata.features import (
    ELIGIBLE_LEADER_REPLICAS_VERSION,
    FEATURES,
    METADATA_VERSION,
    METADATA_VERSION_NAMES,
    bootstrap_levels,
    downgrade_loses_metadata,
)
from moldau.control.metadata.image import BROKER_RESOURCE
from moldau.control.metadata.records import (
    AbortTransactionRecord,
    BeginTransactionRecord,
    ConfigRecord,
    Endpoint,
    EndTransactionRecord,
    FeatureLevelRecord,
    ProducerIdsRecord,
    RegisterControllerRecord,
    SupportedFeature,
)
from moldau.control.metadata.situation import Outcome, Situation, outcome_of
from moldau.control.schema import Message
from moldau.errors import ApiError, ErrorCode

PRODUCER_ID_BLOCK_SIZE: Final = 1000
PRODUCER_ID_MAX: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Activate:
    """This node begins to decide. In an empty log that writes the first records of the cluster."""


@dataclass(frozen=True, slots=True)
class RegisterController:
    """This node tells how it can be reached as a controller, and what it supports."""

    incarnation_id: UUID
    endpoints: tuple[Endpoint, ...]


class UpgradeType(enum.IntEnum):
    """How far a change of a feature level may go; the protocol's numbers."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


@dataclass(frozen=True, slots=True)
class FeatureUpdate:
    """A new level for one feature. `upgrade_type` may be a number that we do not know; that is answered."""

    name: str
    level: int
    upgrade_type: int


@dataclass(frozen=True, slots=True)
class UpdateFeatures:
    """Change feature levels; all of them or none."""

    updates: tuple[FeatureUpdate, ...]
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class AllocateProducerIds:
    """Give a broker a block of producer ids that nobody has had before."""

    broker_id: int
    broker_epoch: int


@dataclass(frozen=True, slots=True)
class ProducerIdBlock:
    """`size` ids from `first` on."""

    first: int
    size: int


def activate(situation: Situation, request: Activate) -> Decision[Message, None]:
    """Write the cluster's first records, or close what a crash has left open.

    The first records stand inside a metadata transaction, as Kafka writes them: half a bootstrap is none.
    """
    abort = (AbortTransactionRecord("controller failover"),) if situation.image.transaction is not None else ()
    if situation.image.metadata_version:
        return Decision(None, abort)
    levels = bootstrap_levels()
    records: list[Message] = [*abort, BeginTransactionRecord("Bootstrap records")]
    records.extend(FeatureLevelRecord(name, level) for name, level in levels)
    if dict(levels).get(ELIGIBLE_LEADER_REPLICAS_VERSION):
        # Which replicas may lead depends on this value, so it must be one and the same for all brokers.
        min_isr = situation.configs.broker_text(MIN_ISR)
        records.append(ConfigRecord(BROKER_RESOURCE, "", MIN_ISR, min_isr))
    records.append(EndTransactionRecord())
    return Decision(None, tuple(records))


def register_controller(situation: Situation, request: RegisterController) -> Decision[Message, None]:
    """Write down where this controller is and what it supports."""
    features = tuple(SupportedFeature(each.name, each.lowest, each.highest) for each in FEATURES.values())
    record = RegisterControllerRecord(
        controller_id=situation.settings.node_id,
        incarnation_id=request.incarnation_id,
        end_points=request.endpoints,
        features=features,
    )
    return Decision(None, (record,))


def update_features(
    situation: Situation, request: UpdateFeatures
) -> Decision[Message, tuple[tuple[str, Outcome], ...]]:
    """Decide about `request`; one outcome for each feature. One that is refused refuses them all.

    Raises:
        ApiError: INVALID_REQUEST, a feature is named twice.
    """
    names = [update.name for update in request.updates]
    if len(set(names)) != len(names):
        raise ApiError(ErrorCode.INVALID_REQUEST, "the request names a feature twice")
    proposed = {**situation.image.features, **{update.name: update.level for update in request.updates}}
    outcomes = [(update.name, outcome_of(_check_update, situation, update, proposed)) for update in request.updates]
    records: tuple[Message, ...] = tuple(
        FeatureLevelRecord(update.name, update.level)
        for update in request.updates
        if situation.image.features.get(update.name, 0) != update.level
    )
    refused = any(outcome.code for _, outcome in outcomes)
    return Decision(tuple(outcomes), () if refused or request.validate_only else records)


def _check_update(situation: Situation, update: FeatureUpdate, proposed: Mapping[str, int]) -> None:
    feature = FEATURES.get(update.name)
    current = situation.image.features.get(update.name, 0)
    problem = None
    if update.upgrade_type not in UpgradeType.__members__.values():
        problem = f"upgrade type {update.upgrade_type} is unknown"
    elif feature is None:
        problem = "this node does not know the feature"
    elif not feature.lowest <= update.level <= feature.highest:
        problem = f"this node supports levels {feature.lowest} to {feature.highest}"
    elif update.level < current and update.upgrade_type == UpgradeType.UPGRADE:
        problem = f"that would be a downgrade from level {current}, and an upgrade was asked for"
    elif update.level > current and update.upgrade_type != UpgradeType.UPGRADE:
        problem = f"that would be an upgrade from level {current}, and a downgrade was asked for"
    elif update.name == METADATA_VERSION and downgrade_loses_metadata(current, update.level):
        problem = (
            f"a cluster at {METADATA_VERSION_NAMES[update.level]} cannot read everything that is in the log "
            f"since {METADATA_VERSION_NAMES.get(current, current)}"
        )
    else:
        needed = feature.needs_metadata_version.get(update.level, 0)
        if needed and proposed.get(METADATA_VERSION, 0) < needed:
            problem = f"it needs {METADATA_VERSION} {METADATA_VERSION_NAMES[needed]}"
    problem = problem or _unsupported_by(situation, update)
    if problem is not None:
        raise ApiError(
            ErrorCode.INVALID_UPDATE_VERSION, f"feature {update.name} cannot be set to level {update.level}: {problem}"
        )


def _unsupported_by(situation: Situation, update: FeatureUpdate) -> str | None:
    for broker in situation.image.brokers.values():
        supported = {feature.name: feature for feature in broker.features}.get(update.name, SupportedFeature())
        if update.level and not supported.min_supported_version <= update.level <= supported.max_supported_version:
            return (
                f"broker {broker.id} supports levels {supported.min_supported_version} "
                f"to {supported.max_supported_version}"
            )
    return None


def allocate_producer_ids(situation: Situation, request: AllocateProducerIds) -> Decision[Message, ProducerIdBlock]:
    """Give the next block to the broker.

    Raises:
        ApiError: STALE_BROKER_EPOCH, BROKER_ID_NOT_REGISTERED, or UNKNOWN_SERVER_ERROR when all ids are gone.
    """
    broker = situation.image.brokers.get(request.broker_id)
    if broker is None:
        raise ApiError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"no broker {request.broker_id} is registered")
    if broker.epoch != request.broker_epoch:
        raise ApiError(ErrorCode.STALE_BROKER_EPOCH)
    first = situation.image.next_producer_id
    if first > PRODUCER_ID_MAX - PRODUCER_ID_BLOCK_SIZE:
        raise ApiError(ErrorCode.UNKNOWN_SERVER_ERROR, "every producer id there is has been given away")
    record = ProducerIdsRecord(broker.id, broker.epoch, first + PRODUCER_ID_BLOCK_SIZE)
    return Decision(ProducerIdBlock(first, PRODUCER_ID_BLOCK_SIZE), (record,))
