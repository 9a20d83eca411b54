"""ACLs as a part of the cluster's metadata: made, listed and removed. What they allow is told in `control.access`.

Source: KIP-140, KIP-290, KIP-801; Kafka's `AclControlManager` and `AclApis`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from moldau.control.access.acl import ANY, Acl, AclFilter, PatternType, ResourceType, unknown_part
from moldau.control.machine import Decision
from moldau.control.metadata.records import AccessControlEntryRecord, RemoveAccessControlEntryRecord
from moldau.control.metadata.situation import DONE, Outcome, Situation, check_request_size, outcome_of
from moldau.control.schema import Message
from moldau.errors import ApiError, ErrorCode

CLUSTER_NAME: Final = "kafka-cluster"
"""The one resource of type CLUSTER."""


@dataclass(frozen=True, slots=True)
class CreateAcls:
    """Add rules. Answered by an outcome for each; a rule that is there already is a success."""

    acls: tuple[Acl, ...]


@dataclass(frozen=True, slots=True)
class DeleteAcls:
    """Remove all rules that one of the filters means. Answered by what was removed for each filter."""

    filters: tuple[AclFilter, ...]


@dataclass(frozen=True, slots=True)
class DeletedAcls:
    """The rules that a filter meant; none when it was refused."""

    acls: tuple[Acl, ...] = ()
    outcome: Outcome = DONE


def create_acls(situation: Situation, request: CreateAcls) -> Decision[Message, tuple[Outcome, ...]]:
    """Decide about `request`.

    Raises:
        ApiError: POLICY_VIOLATION, too many rules in one request.
    """
    check_request_size(len(request.acls), "ACLs")
    kept = {Acl.of(record) for record in situation.image.acls.values()}
    outcomes: list[Outcome] = []
    records: dict[UUID, Message] = {}
    for acl in request.acls:
        outcome = outcome_of(_check, acl)
        outcomes.append(outcome)
        if outcome.code or acl in kept:
            continue
        kept.add(acl)
        id_ = situation.new_id()
        while id_ in situation.image.acls or id_ in records:
            id_ = situation.new_id()
        records[id_] = AccessControlEntryRecord(
            id=id_,
            resource_type=acl.resource_type,
            resource_name=acl.resource_name,
            pattern_type=acl.pattern_type,
            principal=acl.principal,
            host=acl.host,
            operation=acl.operation,
            permission_type=acl.permission,
        )
    return Decision(tuple(outcomes), tuple(records.values()))


def delete_acls(situation: Situation, request: DeleteAcls) -> Decision[Message, tuple[DeletedAcls, ...]]:
    """Decide about `request`. A rule that two filters mean is told for both of them.

    Raises:
        ApiError: POLICY_VIOLATION, too many filters, or too many rules that they mean.
    """
    check_request_size(len(request.filters), "filters of ACLs")
    acls = {id_: Acl.of(record) for id_, record in situation.image.acls.items()}
    answers: list[DeletedAcls] = []
    removed: dict[UUID, None] = {}
    for asked in request.filters:
        outcome = outcome_of(_check_filter, asked)
        found = {} if outcome.code else {id_: acl for id_, acl in acls.items() if asked.matches(acl)}
        removed |= dict.fromkeys(found)
        check_request_size(len(removed), "ACLs to remove")
        answers.append(DeletedAcls(tuple(sorted(found.values())), outcome))
    return Decision(tuple(answers), tuple(RemoveAccessControlEntryRecord(id_) for id_ in removed))


def describe_acls(situation: Situation, asked: AclFilter) -> list[Acl]:
    """The rules that `asked` means, in order. A filter with a number that stands for nothing means none."""
    acls = (Acl.of(record) for record in situation.image.acls.values())
    return sorted(acl for acl in acls if asked.matches(acl))


def _check_filter(asked: AclFilter) -> None:
    unknown = unknown_part(asked)
    if unknown is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"{unknown} of the filter is unknown")


def _check(acl: Acl) -> None:
    problem = _problem(acl)
    if problem is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, problem)


def _problem(acl: Acl) -> str | None:
    unknown = unknown_part(acl)
    if unknown is not None:
        return f"{unknown} of the ACL is unknown"
    if ANY in (acl.resource_type, acl.pattern_type, acl.operation, acl.permission):
        return "ANY is for filters; an ACL names a resource type, a pattern type, an operation and a permission"
    if acl.pattern_type == PatternType.MATCH:
        return "pattern type MATCH is for filters; an ACL is LITERAL or PREFIXED"
    if not acl.resource_name:
        return "an ACL needs the name of a resource, or * for all of them"
    if acl.resource_type == ResourceType.CLUSTER and acl.resource_name != CLUSTER_NAME:
        return f"the only resource of type CLUSTER is {CLUSTER_NAME}"
    if ":" not in acl.principal:
        return f"principal {acl.principal!r} has no type; a user is written User:name"
    return None
