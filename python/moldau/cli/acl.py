"""`moldau acl`: who may do what, with the habits of kafka-acls.

The access rules of any Kafka cluster with an authorizer (KIP-11, KIP-290), over the protocol itself. A rule is one
principal, coming from one host, one operation and one resource; what is named several times makes one rule for each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from moldau.cli.channel import Channel, require_no_error
from moldau.cli.connection import Connection
from moldau.cli.outcome import UsageError
from moldau.cli.output import Output
from moldau.client.protocol.questions import CREATE_ACLS, DELETE_ACLS, DESCRIBE_ACLS

ANY: Final = 1
KINDS: Final = {
    "topic": 2, "group": 3, "cluster": 4, "transactional-id": 5, "delegation-token": 6, "user": 7,
}  # fmt: skip
PATTERNS: Final = {"any": 1, "match": 2, "literal": 3, "prefixed": 4}
OPERATIONS: Final = {
    "All": 2, "Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Alter": 7, "Describe": 8, "ClusterAction": 9,
    "DescribeConfigs": 10, "AlterConfigs": 11, "IdempotentWrite": 12, "CreateTokens": 13, "DescribeTokens": 14,
    "TwoPhaseCommit": 15,
}  # fmt: skip
PERMISSIONS: Final = {"Deny": 2, "Allow": 3}
CLUSTER_NAME: Final = "kafka-cluster"
COLUMNS: Final = ("resource_type", "resource_name", "pattern_type", "principal", "host", "operation", "permission")

Rule = tuple[int, str, int, str, str, int, int]
"""Resource type, name, pattern type, principal, host, operation, permission: the protocol's numbers."""

_Names = Annotated[list[str] | None, Parameter(group="On what", negative=())]
_Whom = Annotated[list[str] | None, Parameter(group="Who", negative=())]


@Parameter(name="*")
@dataclass(frozen=True)
class Resources:
    """On what."""

    topic: _Names = None
    """A topic; * for all, here and in the others."""
    group: _Names = None
    """A consumer group."""
    cluster: Annotated[bool, Parameter(group="On what", negative=())] = False
    """The cluster."""
    transactional_id: _Names = None
    """A transactional id."""
    delegation_token: _Names = None
    """A delegation token."""
    user_principal: _Names = None
    """A user, for whom others make tokens: User:name."""
    resource_pattern_type: Annotated[
        Literal["literal", "prefixed", "match", "any"] | None, Parameter(group="On what")
    ] = None
    """Whether a name is meant as it stands or as the beginning of names; match and any are for list and remove."""

    def named(self) -> list[tuple[int, str]]:
        """Types and names, in the order of the options."""
        names = {
            "topic": self.topic,
            "group": self.group,
            "cluster": [CLUSTER_NAME] if self.cluster else None,
            "transactional-id": self.transactional_id,
            "delegation-token": self.delegation_token,
            "user": self.user_principal,
        }
        return [(KINDS[kind], name) for kind, each in names.items() for name in each or ()]

    @property
    def pattern(self) -> str:
        """Literal unless it is said otherwise."""
        return self.resource_pattern_type or "literal"


@Parameter(name="*")
@dataclass(frozen=True)
class Entries:
    """Who, from where, what."""

    allow_principal: _Whom = None
    """Whom to allow it: User:name, or User:* for everybody."""
    deny_principal: _Whom = None
    """Whom to deny it; a denial beats whatever allows."""
    allow_host: _Whom = None
    """From where it is allowed, an address; without it from everywhere."""
    deny_host: _Whom = None
    """From where it is denied."""
    operation: Annotated[list[str] | None, Parameter(group="Who", negative=())] = None
    """What to do: Read, Write, Create, Delete, Alter, Describe, …; All without it."""

    def operations(self) -> list[int]:
        """The numbers of the operations.

        Raises:
            UsageError: there is no such operation.
        """
        return [_number(OPERATIONS, name, "operation") for name in self.operation or ["All"]]

    def subjects(self) -> list[tuple[str, str, int]]:
        """Principal, host and permission of each.

        Raises:
            UsageError: nobody is named, or a host without anybody.
        """
        found = []
        for principals, hosts, permission in (
            (self.allow_principal, self.allow_host, PERMISSIONS["Allow"]),
            (self.deny_principal, self.deny_host, PERMISSIONS["Deny"]),
        ):
            if hosts and not principals:
                raise UsageError("a host is named and nobody who comes from there", "name a principal, or User:*")
            found += [(*each, permission) for each in itertools.product(principals or (), hosts or ("*",))]
        wrong = next((principal for principal, _, _ in found if ":" not in principal), None)
        if wrong is not None:
            raise UsageError(f"principal {wrong!r} has no type", f"a user is written User:{wrong}")
        return found


@Parameter(name="*")
@dataclass(frozen=True)
class Presets:
    """What a kind of client needs, instead of single operations."""

    producer: Annotated[bool, Parameter(group="What clients need", negative=())] = False
    """Write, Describe and Create on the topics; Write and Describe on the transactional ids."""
    consumer: Annotated[bool, Parameter(group="What clients need", negative=())] = False
    """Read and Describe on the topics, Read on the groups."""
    idempotent: Annotated[bool, Parameter(group="What clients need", negative=())] = False
    """With --producer: IdempotentWrite on the cluster, which a cluster before Kafka 3.0 wants."""

    def wanted(self, resources: Resources, operations: Iterable[int]) -> list[tuple[int, str, int]]:
        """Resource type, name and operation of each rule.

        Raises:
            UsageError: a preset without what it is for.
        """
        named = resources.named()
        kinds = {kind for kind, _ in named}
        if not (self.producer or self.consumer):
            if self.idempotent:
                raise UsageError("--idempotent is about a producer", "add --producer")
            if not named:
                raise UsageError("no resource is named", "--topic, --group, --cluster, --transactional-id, …")
            return [(*resource, operation) for resource, operation in itertools.product(named, operations)]
        if KINDS["topic"] not in kinds:
            raise UsageError("a producer or a consumer needs a topic", "--topic NAME")
        if self.consumer and KINDS["group"] not in kinds:
            raise UsageError("a consumer needs a group", "--group NAME, or --group '*'")
        needs: dict[int, list[str]] = {}
        if self.producer:
            needs = {KINDS["topic"]: ["Write", "Describe", "Create"], KINDS["transactional-id"]: ["Write", "Describe"]}
        if self.consumer:
            needs = {
                **needs,
                KINDS["topic"]: ["Read", *needs.get(KINDS["topic"], ["Describe"])],
                KINDS["group"]: ["Read"],
            }
        wanted = [(kind, name, OPERATIONS[each]) for kind, name in named for each in needs.get(kind, ())]
        if self.idempotent:
            wanted.append((KINDS["cluster"], CLUSTER_NAME, OPERATIONS["IdempotentWrite"]))
        return wanted


def list_acls(
    *,
    resources: Resources = Resources(),
    principal: Annotated[list[str] | None, Parameter(negative=())] = None,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """List access rules: all of them, or those of the resources and principals that are named.

    Parameters
    ----------
    principal
        Only the rules of this principal: User:name.
    """
    pattern = PATTERNS[resources.resource_pattern_type or "any"]
    whats: list[tuple[int, str | None]] = [*resources.named()] or [(ANY, None)]
    whoms: list[str | None] = [*principal] if principal else [None]
    filters = [(kind, name, pattern, whom, None, ANY, ANY) for (kind, name), whom in itertools.product(whats, whoms)]
    with connection.channel() as channel:
        rules = _matching(channel, filters)
    output.records([_record(rule) for rule in sorted(rules)], COLUMNS)


def add_acls(
    *,
    resources: Resources = Resources(),
    entries: Entries = Entries(),
    presets: Presets = Presets(),
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Add access rules; one that is there already stays."""
    rules = _rules(resources, entries, presets)

    creations = [
        {
            "resource_type": kind,
            "resource_name": name,
            "resource_pattern_type": pattern,
            "principal": principal,
            "host": host,
            "operation": operation,
            "permission_type": permission,
        }
        for kind, name, pattern, principal, host, operation, permission in rules
    ]
    with connection.channel() as channel:
        answer = channel.ask(CREATE_ACLS, lambda _: {"creations": creations})
    for result in answer.results:
        require_no_error(result)
    output.records([_record(rule) for rule in rules], COLUMNS)


def remove_acls(
    *,
    resources: Resources = Resources(),
    entries: Entries = Entries(),
    presets: Presets = Presets(),
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Remove access rules, and print which they were.

    Without a principal all rules of the resources go.

    Parameters
    ----------
    dry_run
        Only print them.
    """
    some = entries.subjects() or entries.operation or presets != Presets()
    pattern = PATTERNS[resources.pattern]
    if some:
        filters: list[tuple[Any, ...]] = list(_rules(resources, entries, presets, filtering=True))
    elif named := resources.named():
        filters = [(kind, name, pattern, None, None, ANY, ANY) for kind, name in named]
    else:
        raise UsageError("no resource is named", "--topic, --group, --cluster, --transactional-id, …")
    with connection.channel() as channel:
        removed = _matching(channel, filters) if dry_run else _removed(channel, filters)
    output.records([_record(rule) for rule in sorted(removed)], COLUMNS)


def _rules(resources: Resources, entries: Entries, presets: Presets, *, filtering: bool = False) -> list[Rule]:
    """What the options say, as rules.

    Raises:
        UsageError: they say too little, or a pattern that no rule has.
    """
    subjects = entries.subjects()
    if not subjects:
        raise UsageError("nobody is named", "--allow-principal User:name, or --deny-principal User:name")
    if resources.pattern not in ("literal", "prefixed") and not filtering:
        raise UsageError(f"no rule has the pattern {resources.pattern}", "literal or prefixed")
    pattern = PATTERNS[resources.pattern]
    wanted = presets.wanted(resources, entries.operations())
    rules = {
        (kind, name, _pattern_of(kind, pattern), principal, host, operation, permission): None
        for (kind, name, operation), (principal, host, permission) in itertools.product(wanted, subjects)
    }
    return list(rules)


def _pattern_of(kind: int, pattern: int) -> int:
    return PATTERNS["literal"] if kind == KINDS["cluster"] else pattern


def _matching(channel: Channel, filters: Iterable[tuple[Any, ...]]) -> set[Rule]:
    return {rule for each in filters for rule in _asked(channel, each)}


def _asked(channel: Channel, wanted: tuple[Any, ...]) -> list[Rule]:
    answer = channel.ask(DESCRIBE_ACLS, lambda _: _filter(wanted))
    require_no_error(answer)
    return [
        (each.resource_type, each.resource_name, each.pattern_type, *_entry(rule))
        for each in answer.resources
        for rule in each.acls
    ]


def _removed(channel: Channel, filters: Iterable[tuple[Any, ...]]) -> set[Rule]:
    answer = channel.ask(DELETE_ACLS, lambda _: {"filters": [_filter(each) for each in filters]})
    removed = set()
    for result in answer.filter_results:
        require_no_error(result)
        for rule in result.matching_acls:
            require_no_error(rule)
            removed.add((rule.resource_type, rule.resource_name, rule.pattern_type, *_entry(rule)))
    return removed


def _filter(wanted: tuple[Any, ...]) -> dict[str, Any]:
    kind, name, pattern, principal, host, operation, permission = wanted
    return {
        "resource_type_filter": kind,
        "resource_name_filter": name,
        "pattern_type_filter": pattern,
        "principal_filter": principal,
        "host_filter": host,
        "operation": operation,
        "permission_type": permission,
    }


def _entry(rule: Any) -> tuple[str, str, int, int]:
    return rule.principal, rule.host, rule.operation, rule.permission_type


def _record(rule: Rule) -> dict[str, Any]:
    kind, name, pattern, principal, host, operation, permission = rule
    return {
        "resource_type": _name(KINDS, kind),
        "resource_name": name,
        "pattern_type": _name(PATTERNS, pattern),
        "principal": principal,
        "host": host,
        "operation": _name(OPERATIONS, operation),
        "permission": _name(PERMISSIONS, permission),
    }


def _name(table: dict[str, int], number: int) -> str:
    return next((name for name, each in table.items() if each == number), str(number))


def _number(table: dict[str, int], name: str, what: str) -> int:
    wanted = name.replace("_", "").replace("-", "").lower()
    found = next((number for known, number in table.items() if known.lower() == wanted), None)
    if found is None:
        raise UsageError(f"there is no {what} {name!r}", f"choose from {', '.join(table)}")
    return found
