"""Changing configs of topics, brokers, groups and client-metrics subscriptions.

A request names resources; for each of them either every change is written or none is. The checks look at the resource
as it would be afterwards, defaults included, because two values can be right alone and wrong together. A value that
is set to what it is already leaves no record, except for a broker, which reads its files (keys, certificates) again
when it sees one.

The metadata log holds `min.insync.replicas` for the whole cluster while eligible leader replicas are in force; the
set of replicas that may lead depends on it, so a single broker may not have another value, and a change forgets what
was eligible under the old one (KIP-966).

Source: KIP-133, KIP-226, KIP-339 (incremental), KIP-714, Kafka's `ConfigurationControlManager`, `ConfigAdminManager`.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from moldau.config import ConfigError, ConfigKey, ConfigType, Dynamic, conflicts, nearest, parse
from moldau.control.machine import Decision
from moldau.control.metadata.effective import SCOPES, find_key
from moldau.control.metadata.image import (
    BROKER_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    ConfigResource,
)
from moldau.control.metadata.records import ClearElrRecord, ConfigRecord
from moldau.control.metadata.situation import Outcome, Situation, check_request_size, outcome_of
from moldau.control.metadata.topic_names import check_name
from moldau.control.schema import Message
from moldau.errors import ApiError, ErrorCode, InvalidConfigError

VALUE_LENGTH_MAX: Final = 32767
MIN_ISR: Final = "min.insync.replicas"


class Operation(enum.IntEnum):
    """What to do with one key; the numbers are the protocol's."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One key of one resource. `operation` may be a number that we do not know; that is answered, not raised."""

    name: str
    operation: int
    value: str | None


@dataclass(frozen=True, slots=True)
class AlterConfigs:
    """Change some keys of resources, leaving the others as they are. Answered by an outcome for each, in order."""

    resources: tuple[tuple[ConfigResource, tuple[ConfigChange, ...]], ...]
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class ReplaceConfigs:
    """Set all keys of resources at once: a key that is not named goes back to its default."""

    resources: tuple[tuple[ConfigResource, tuple[tuple[str, str | None], ...]], ...]
    validate_only: bool = False


Outcomes = tuple[tuple[ConfigResource, Outcome], ...]


def alter_configs(situation: Situation, request: AlterConfigs) -> Decision[Message, Outcomes]:
    """Decide about `request`.

    Raises:
        ApiError: POLICY_VIOLATION, too many changes in one request.
    """
    check_request_size(sum(1 + len(changes) for _, changes in request.resources), "changes")
    return _each(situation, request.resources, _altered, validate_only=request.validate_only)


def replace_configs(situation: Situation, request: ReplaceConfigs) -> Decision[Message, Outcomes]:
    """Decide about `request`.

    Raises:
        ApiError: POLICY_VIOLATION, too many changes in one request.
    """
    check_request_size(sum(1 + len(values) for _, values in request.resources), "changes")
    changes = tuple(
        (resource, tuple(ConfigChange(name, Operation.SET, value) for name, value in values))
        for resource, values in request.resources
    )
    return _each(situation, changes, _replaced, validate_only=request.validate_only)


def records_for_new_topic(situation: Situation, topic: str, own: Mapping[str, str]) -> list[Message]:
    """The records of a topic's configs that come with its creation.

    Raises:
        ApiError: INVALID_CONFIG.
    """
    _check_values(situation, ConfigResource(TOPIC_RESOURCE, topic), {}, own)
    return [ConfigRecord(TOPIC_RESOURCE, topic, name, value) for name, value in sorted(own.items())]


_Changes = Sequence[ConfigChange]


def _each(
    situation: Situation,
    resources: Sequence[tuple[ConfigResource, tuple[ConfigChange, ...]]],
    after: Callable[[Mapping[str, str], ConfigResource, _Changes], dict[str, str]],
    *,
    validate_only: bool,
) -> Decision[Message, Outcomes]:
    named = Counter(resource for resource, _ in resources)
    records: list[Message] = []
    outcomes = []

    def attempt(resource: ConfigResource, changes: _Changes) -> None:
        if named[resource] > 1:
            raise ApiError(ErrorCode.INVALID_REQUEST, "the request names this resource twice")
        _check_changes(changes)
        _check_resource(situation, resource, changes)
        before = situation.image.configs_of(*resource)
        afterwards = after(before, resource, changes)
        _check_after(situation, resource, before, afterwards)
        records.extend(_records(situation, resource, before, afterwards, changes))

    for resource, changes in resources:
        outcomes.append((resource, outcome_of(attempt, resource, changes)))
    return Decision(tuple(outcomes), () if validate_only else tuple(records))


def _check_changes(changes: _Changes) -> None:
    repeated = [name for name, count in Counter(change.name for change in changes).items() if count > 1]
    if repeated:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"the request changes {', '.join(repeated)} more than once")
    unknown = [change for change in changes if change.operation not in Operation.__members__.values()]
    if unknown:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"operation {unknown[0].operation} on {unknown[0].name} is unknown")
    nulls = [change.name for change in changes if change.value is None and change.operation != Operation.DELETE]
    if nulls:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"no value was given for {', '.join(nulls)}")


def _check_resource(situation: Situation, resource: ConfigResource, changes: _Changes) -> None:
    match resource.type:
        case 2 if not resource.name:
            raise ApiError(ErrorCode.INVALID_REQUEST, "a topic config needs a topic name")
        case 2:
            check_name(resource.name)
        case 4:
            check_broker_name(situation, resource.name)
            _check_dynamic(resource.name, changes)
        case 16 | 32 if not resource.name:
            raise ApiError(ErrorCode.INVALID_REQUEST, "a group or a client metrics subscription needs a name")
        case 16 | 32:
            pass
        case 8:
            raise ApiError(
                ErrorCode.INVALID_REQUEST, "log levels are set in the node's own configuration, not over the protocol"
            )
        case _:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"resource type {resource.type} is unknown")


def check_broker_name(situation: Situation, name: str) -> None:
    """Refuse a broker resource that is neither this node nor all brokers (an empty name).

    Raises:
        ApiError: INVALID_REQUEST.
    """
    if name and not name.removeprefix("-").isdecimal():
        raise ApiError(ErrorCode.INVALID_REQUEST, f"a broker is named by its number, not by {name!r}")
    if name and int(name) != situation.settings.node_id:
        raise ApiError(
            ErrorCode.INVALID_REQUEST, f"this is broker {situation.settings.node_id}; ask broker {name} for its configs"
        )


def _check_dynamic(broker_name: str, changes: _Changes) -> None:
    for change in changes:
        if change.operation == Operation.DELETE:
            continue
        key = find_key(BROKER_RESOURCE, change.name)
        if key is None:
            raise ApiError(ErrorCode.INVALID_REQUEST, _unknown(BROKER_RESOURCE, change.name))
        if key.dynamic is Dynamic.READ_ONLY:
            raise ApiError(
                ErrorCode.INVALID_REQUEST, f"{change.name} is read when the node starts; set it in the node's file"
            )
        if key.dynamic is Dynamic.PER_BROKER and not broker_name:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"{change.name} is a matter of one broker, not of all of them")


def _altered(before: Mapping[str, str], resource: ConfigResource, changes: _Changes) -> dict[str, str]:
    after = dict(before)
    for change in changes:
        if change.operation == Operation.DELETE:
            after.pop(change.name, None)
            continue
        assert change.value is not None, "checked by _check_changes"
        if change.operation == Operation.SET:
            after[change.name] = change.value
        else:
            after[change.name] = _edited(before.get(change.name), resource, change, change.value)
    return after


def _edited(old: str | None, resource: ConfigResource, change: ConfigChange, value: str) -> str:
    key = find_key(resource.type, change.name)
    if key is None or key.type is not ConfigType.LIST:
        raise InvalidConfigError(
            change.name, f"{change.name} is not a list, so nothing can be appended to it or subtracted from it"
        )
    entries = [entry.strip() for entry in (_default_text(key) if old is None else old).split(",") if entry.strip()]
    edited = [entry.strip() for entry in value.split(",")]
    if change.operation == Operation.APPEND:
        entries.extend(entry for entry in dict.fromkeys(edited) if entry not in entries)
    else:
        entries = [entry for entry in entries if entry not in edited]
    return ",".join(entries)


def _default_text(key: ConfigKey) -> str:
    return ",".join(key.default) if isinstance(key.default, tuple) else ""


def _replaced(_before: Mapping[str, str], _resource: ConfigResource, changes: _Changes) -> dict[str, str]:
    return {change.name: change.value for change in changes if change.value is not None}


def _records(
    situation: Situation,
    resource: ConfigResource,
    before: Mapping[str, str],
    after: Mapping[str, str],
    changes: _Changes,
) -> Iterator[Message]:
    """The records from `before` to `after`."""
    names = [change.name for change in changes]
    for name in dict.fromkeys([*names, *sorted(set(before) - set(after))]):
        if before.get(name) == after.get(name) and resource.type != BROKER_RESOURCE:
            continue
        yield ConfigRecord(*resource, name, after.get(name))
        if name == MIN_ISR and situation.eligible_leader_replicas:
            yield ClearElrRecord(resource.name if resource.type == TOPIC_RESOURCE else "")


def _check_after(
    situation: Situation, resource: ConfigResource, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Check a resource as it would be afterwards: each new value, and all of them together."""
    _check_min_isr(situation, resource, before, after)
    _check_values(situation, resource, before, after)
    if resource.type == TOPIC_RESOURCE:
        situation.topic(resource.name)


def _check_min_isr(
    situation: Situation, resource: ConfigResource, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    if resource.type != BROKER_RESOURCE or not situation.eligible_leader_replicas:
        return
    if resource.name and before.get(MIN_ISR) != after.get(MIN_ISR):
        raise InvalidConfigError(
            MIN_ISR, f"{MIN_ISR} is one for all brokers while eligible leader replicas are in force"
        )
    if not resource.name and MIN_ISR in before and MIN_ISR not in after:
        raise InvalidConfigError(
            MIN_ISR, f"{MIN_ISR} must have a value for the cluster while eligible leader replicas are in force"
        )


def _check_values(
    situation: Situation, resource: ConfigResource, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    # What stands in the log already was valid once; only what is new is held against today's table.
    new = {name: text for name, text in after.items() if before.get(name) != text}
    problems = list(_single_problems(resource, new))
    if not problems and resource.type == TOPIC_RESOURCE:
        problems = conflicts(situation.configs.values_with(after))
    if not problems and resource.type == GROUP_RESOURCE:
        problems = list(_group_problems(situation, new))
    if problems:
        # KAFKA-13609: for a broker Kafka answers INVALID_REQUEST where everything else gets INVALID_CONFIG.
        code = ErrorCode.INVALID_REQUEST if resource.type == BROKER_RESOURCE else ErrorCode.INVALID_CONFIG
        raise ApiError(code, "; ".join(problems))


def _single_problems(resource: ConfigResource, own: Mapping[str, str]) -> Iterator[str]:
    for name, text in own.items():
        key = find_key(resource.type, name)
        if key is None:
            yield _unknown(resource.type, name)
        elif len(text.encode()) > VALUE_LENGTH_MAX:
            yield f"the value of {name} has {len(text.encode())} bytes, {VALUE_LENGTH_MAX} are possible"
        else:
            try:
                parse(key, text)
            except ConfigError as error:
                yield str(error)


def _group_problems(situation: Situation, own: Mapping[str, str]) -> Iterator[str]:
    """A group's timeouts stay within what the brokers allow to every group of its kind."""
    for name, text in own.items():
        key = find_key(GROUP_RESOURCE, name)
        value = parse(key, text) if key is not None else None
        kind, _, rest = name.partition(".")
        for bound, crosses in (("min", _below), ("max", _above)):
            limit_name = f"group.{kind}.{bound}.{rest}"
            limit_key = find_key(BROKER_RESOURCE, limit_name)
            limit = situation.configs.broker(limit_name) if limit_key is not None else None
            if isinstance(limit, int) and isinstance(value, int) and crosses(value, limit):
                yield f"{name} is {value}, and {limit_name} is {limit}"


def _below(value: int, limit: int) -> bool:
    return value < limit


def _above(value: int, limit: int) -> bool:
    return value > limit


def _unknown(resource_type: int, name: str) -> str:
    scope = SCOPES[resource_type]
    close = nearest(name, scope)
    return f"there is no {scope.value} config {name!r}" + (f"; did you mean {close!r}?" if close else "")
