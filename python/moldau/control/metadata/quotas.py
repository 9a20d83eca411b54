"""Client quotas: who may produce, fetch, occupy the node, change topics and connect, and how much of it.

An entity is a user, a client id, both together, or an address; a null name stands for everybody of that type who has
no quota of their own. This module decides what may be written and finds what was; which quota counts for a client,
and what it costs, is decided where the bytes are (`moldau-server`, `quotas.rs`).

Source: KIP-13, KIP-124 (request percentage), KIP-546 (these requests), KIP-599 (controller mutations), KIP-612
(connections), Kafka's `ClientQuotaControlManager` and `ClientQuotasImage`.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from moldau.control.machine import Decision
from moldau.control.metadata.image import QuotaKey
from moldau.control.metadata.records import ClientQuotaRecord, QuotaEntity
from moldau.control.metadata.situation import Outcome, Situation, check_request_size, outcome_of
from moldau.control.schema import Message
from moldau.errors import ApiError, ErrorCode

USER: Final = "user"
CLIENT_ID: Final = "client-id"
IP: Final = "ip"
ENTITY_TYPES: Final = (USER, CLIENT_ID, IP)

PRODUCER_BYTE_RATE: Final = "producer_byte_rate"
CONSUMER_BYTE_RATE: Final = "consumer_byte_rate"
REQUEST_PERCENTAGE: Final = "request_percentage"
CONTROLLER_MUTATION_RATE: Final = "controller_mutation_rate"
CONNECTION_CREATION_RATE: Final = "connection_creation_rate"

_ANY_NUMBER: Final = None
CLIENT_KEYS: Final[Mapping[str, int | None]] = {
    PRODUCER_BYTE_RATE: 2**63 - 1,
    CONSUMER_BYTE_RATE: 2**63 - 1,
    REQUEST_PERCENTAGE: _ANY_NUMBER,
    CONTROLLER_MUTATION_RATE: _ANY_NUMBER,
}
"""What a user or a client may be limited in, with the highest whole number, or None where fractions are meant."""
ADDRESS_KEYS: Final[Mapping[str, int | None]] = {CONNECTION_CREATION_RATE: 2**31 - 1}

WHOLE_ENOUGH: Final = 1e-6
"""Numbers arrive as doubles; one that is so near to a whole number is taken for it."""

Entity = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class QuotaChange:
    """One quota of an entity: a new value, or None to take it away."""

    key: str
    value: float | None


@dataclass(frozen=True, slots=True)
class AlterQuotas:
    """Change quotas; an entity changes as a whole or not at all. Answered by an outcome for each, in order."""

    entries: tuple[tuple[QuotaKey, tuple[QuotaChange, ...]], ...]
    validate_only: bool = False
    hosts: frozenset[str] = frozenset()
    """Names among the addresses that were found to have an address: a decision cannot look them up."""


class Match(enum.IntEnum):
    """How an entity's name is compared; the numbers are the protocol's."""

    EXACT = 0
    DEFAULT = 1
    SPECIFIED = 2


@dataclass(frozen=True, slots=True)
class QuotaFilter:
    """One part of the entities that are asked for. `match` may be a number that we do not know; that is refused."""

    entity_type: str
    match: int
    name: str | None


def alter_quotas(situation: Situation, request: AlterQuotas) -> Decision[Message, tuple[tuple[QuotaKey, Outcome], ...]]:
    """Decide about `request`.

    Raises:
        ApiError: POLICY_VIOLATION, too many changes in one request.
    """
    check_request_size(sum(len(changes) for _, changes in request.entries), "changes")
    outcomes: list[tuple[QuotaKey, Outcome]] = []
    records: dict[QuotaKey, list[Message]] = {}
    times = [entity for entity, _ in request.entries]
    for entity, changes in request.entries:
        if any(entity == before for before, _ in outcomes):
            continue
        outcome = outcome_of(_check_entry, entity, changes, request.hosts, times.count(entity))
        outcomes.append((entity, outcome))
        if not outcome.code:
            records[entity] = list(_records(situation.image.client_quotas.get(entity, {}), entity, changes))
    written = () if request.validate_only else tuple(record for each in records.values() for record in each)
    return Decision(tuple(outcomes), written)


def _records(current: Mapping[str, float], entity: QuotaKey, changes: Collection[QuotaChange]) -> Iterator[Message]:
    parts = tuple(QuotaEntity(entity_type, name) for entity_type, name in entity.entity)
    for change in changes:
        if change.value is None:
            if change.key in current:
                yield ClientQuotaRecord(parts, change.key, 0.0, remove=True)
        elif current.get(change.key) != change.value:
            yield ClientQuotaRecord(parts, change.key, change.value, remove=False)


def _check_entry(key: QuotaKey, changes: Collection[QuotaChange], hosts: Collection[str], times: int) -> None:
    entity = dict(key.entity)
    names = [change.key for change in changes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"the request names the quota {twice} of one entity twice")
    if times > 1:
        raise ApiError(ErrorCode.INVALID_REQUEST, "the request names one entity twice")
    limits = _keys_of(entity, hosts)
    for change in changes:
        if change.value is not None:
            _check_value(change.key, change.value, limits)


def _keys_of(entity: Entity, hosts: Collection[str]) -> Mapping[str, int | None]:
    """The quotas that the entity can have.

    Raises:
        ApiError: INVALID_REQUEST, there is no such entity.
    """
    problem = None
    if not entity:
        problem = "a quota needs an entity: a user, a client-id or an ip"
    for entity_type, name in entity.items():
        if entity_type not in ENTITY_TYPES:
            problem = f"there are no quotas for entities of type {entity_type!r}, only for {', '.join(ENTITY_TYPES)}"
        elif name == "":
            problem = f"the {entity_type} of a quota has no name; a null name is the default of all"
    if problem is None and IP in entity and len(entity) > 1:
        problem = "an ip cannot be combined with a user or a client-id"
    if problem is None and IP in entity and not _is_address(entity[IP], hosts):
        problem = f"{entity[IP]!r} is neither an address nor a host name that has one"
    if problem is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, problem)
    return ADDRESS_KEYS if IP in entity else CLIENT_KEYS


def _is_address(name: str | None, hosts: Collection[str]) -> bool:
    return name is None or name in hosts or is_literal_address(name)


def is_literal_address(name: str) -> bool:
    """Whether `name` is an address itself, so that nobody has to be asked for it."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _check_value(key: str, value: float, limits: Mapping[str, int | None]) -> None:
    problem = None
    if key not in limits:
        problem = f"the entity has no quota {key!r}; it can have {', '.join(limits)}"
    elif value <= 0:
        problem = f"{key} must be greater than 0, not {value}"
    elif (highest := limits[key]) is not None:
        if value > highest:
            problem = f"{key} must be at most {highest}, not {value}"
        elif value % 1 > WHOLE_ENOUGH:
            problem = f"{key} must be a whole number, not {value}"
    if problem is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, problem)


def describe_quotas(
    situation: Situation, filters: Collection[QuotaFilter], *, strict: bool
) -> list[tuple[QuotaKey, Mapping[str, float]]]:
    """The quotas of the entities that every filter matches; `strict`: and that have no part without a filter.

    Raises:
        ApiError: INVALID_REQUEST or UNSUPPORTED_VERSION, the filters make no sense.
    """
    for each in filters:
        _check_filter(each)
    types = [each.entity_type for each in filters]
    if len(set(types)) < len(types):
        raise ApiError(ErrorCode.INVALID_REQUEST, "the filter names a type of entity twice")
    if IP in types and len(types) > 1:
        raise ApiError(ErrorCode.INVALID_REQUEST, "no entity is an ip together with a user or a client-id")
    found: list[tuple[QuotaKey, Mapping[str, float]]] = []
    for key, quotas in situation.image.client_quotas.items():
        entity = dict(key.entity)
        if strict and len(entity) != len(types):
            continue
        if all(_matches(each, entity) for each in filters):
            found.append((key, quotas))
    return found


def _check_filter(asked: QuotaFilter) -> None:
    if not asked.entity_type:
        raise ApiError(ErrorCode.INVALID_REQUEST, "a filter has no type of entity")
    if asked.entity_type not in ENTITY_TYPES:
        raise ApiError(ErrorCode.UNSUPPORTED_VERSION, f"there are no quotas for entities of type {asked.entity_type!r}")
    if asked.match not in Match.__members__.values():
        raise ApiError(ErrorCode.INVALID_REQUEST, f"a filter matches in an unknown way: {asked.match}")
    if (asked.match == Match.EXACT) is (asked.name is None):
        raise ApiError(ErrorCode.INVALID_REQUEST, "an exact match needs a name, and no other match can have one")


def _matches(asked: QuotaFilter, entity: Entity) -> bool:
    if asked.entity_type not in entity:
        return False
    return asked.match == Match.SPECIFIED or entity[asked.entity_type] == asked.name
