"""May this principal, coming from this host, do this with that resource? The decision of Kafka's StandardAuthorizer.

1. A super user may do everything.
2. Of the rules for the resource (by its name, by a prefix of it, by `*`), those count that are for the principal or for
   `User:*`, and for the host or for `*`. If one of them denies the operation, it is denied.
3. If one of them allows it, it is allowed. Allowed reading, writing, deleting or altering includes describing; allowed
   altering of configs includes describing them. A denial includes nothing but itself.
4. A resource that has rules, and none that allows this, is closed. One without any rule is open only if
   `allow.everyone.if.no.acl.found` says so.

Rules are found by a look into a table for the name itself, one for `*`, and one for each *length* that a prefix has
among the rules of this resource type: ten thousand prefixes of twelve different lengths cost twelve looks. Answers are
remembered until a rule changes.

Source: KIP-11, KIP-290, KIP-801; Kafka's `StandardAuthorizerData`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from moldau.control.access.acl import WILDCARD, Acl, Operation, PatternType, Permission, ResourceType

EVERYBODY: Final = "User:*"
UNHEARD_OF: Final = "hardcode"
"""The name that Kafka tries when it is asked about all resources of a kind at once."""
ANSWERS_MAX: Final = 100_000
"""So many answers are remembered; then all are forgotten. Names that a client makes up cost no more than that."""

INCLUDED_IN: Final = {
    Operation.DESCRIBE: frozenset(
        {Operation.DESCRIBE, Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER}
    ),
    Operation.DESCRIBE_CONFIGS: frozenset({Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS}),
}
"""The operations that allow another one when they are allowed."""

OPERATIONS: Final = {
    ResourceType.TOPIC: (
        Operation.READ,
        Operation.WRITE,
        Operation.CREATE,
        Operation.DELETE,
        Operation.ALTER,
        Operation.DESCRIBE,
        Operation.DESCRIBE_CONFIGS,
        Operation.ALTER_CONFIGS,
    ),
    ResourceType.GROUP: (
        Operation.READ,
        Operation.DELETE,
        Operation.DESCRIBE,
        Operation.DESCRIBE_CONFIGS,
        Operation.ALTER_CONFIGS,
    ),
    ResourceType.CLUSTER: (
        Operation.CREATE,
        Operation.ALTER,
        Operation.DESCRIBE,
        Operation.CLUSTER_ACTION,
        Operation.DESCRIBE_CONFIGS,
        Operation.ALTER_CONFIGS,
        Operation.IDEMPOTENT_WRITE,
    ),
}
"""What there is to do with a resource, as far as an answer tells it (KIP-430)."""


class Client(NamedTuple):
    """Who asks, and from where."""

    principal: str
    """Type and name, as in `User:alice`."""
    host: str
    """The address as text, without the slash that Kafka writes before it."""


class Resource(NamedTuple):
    """What is asked for: one resource by its name."""

    type: ResourceType
    name: str


class Authorizer:
    """The rules of a cluster, ready to be asked. It changes by `add` and `remove` alone."""

    def __init__(self, super_users: Iterable[str] = (), *, open_without_acl: bool = False) -> None:
        """`super_users` are principals: type and name, compared as they stand."""
        self.super_users = frozenset(super_users)
        self.open_without_acl = open_without_acl
        self._acls: dict[tuple[int, int, str], set[Acl]] = {}
        """By resource type, pattern type and name of the pattern."""
        self._prefix_lengths: dict[int, Counter[int]] = {}
        """By resource type: how many different prefixes there are of each length."""
        self._answers: dict[tuple[Client, Operation, Resource], bool] = {}

    def acls(self) -> Iterator[Acl]:
        """Every rule, in no order."""
        for rules in self._acls.values():
            yield from rules

    def add(self, acl: Acl) -> None:
        """Let `acl` count; not an error when it does already."""
        key = (acl.resource_type, acl.pattern_type, acl.resource_name)
        if key not in self._acls:
            self._acls[key] = set()
            self._count_prefix(acl, 1)
        self._acls[key].add(acl)
        self._answers.clear()

    def remove(self, acl: Acl) -> None:
        """Let `acl` no longer count; not an error when it did not."""
        key = (acl.resource_type, acl.pattern_type, acl.resource_name)
        rules = self._acls.get(key, set())
        rules.discard(acl)
        if key in self._acls and not rules:
            del self._acls[key]
            self._count_prefix(acl, -1)
        self._answers.clear()

    def _count_prefix(self, acl: Acl, difference: int) -> None:
        if acl.pattern_type == PatternType.PREFIXED:
            lengths = self._prefix_lengths.setdefault(acl.resource_type, Counter())
            lengths[len(acl.resource_name)] += difference
            if not lengths[len(acl.resource_name)]:
                del lengths[len(acl.resource_name)]

    def allows(self, client: Client, operation: Operation, resource: Resource) -> bool:
        """Whether `client` may do `operation` with `resource`."""
        question = (client, operation, resource)
        answer = self._answers.get(question)
        if answer is None:
            if len(self._answers) >= ANSWERS_MAX:
                self._answers.clear()
            answer = self._answers[question] = self._decide(client, operation, resource)
        return answer

    def operations(self, client: Client, resource: Resource) -> int:
        """What `client` may do with `resource`, a bit for each operation (KIP-430)."""
        return bits(each for each in OPERATIONS[resource.type] if self.allows(client, each, resource))

    def allows_somewhere(self, client: Client, operation: Operation, kind: ResourceType) -> bool:
        """Whether there can be a resource of this kind with which `client` may do `operation`.

        No name is tried but one that nobody has rules for: it is the rules that are looked through. What another
        operation includes does not count here, as in Kafka's `Authorizer.authorizeByResourceType`.
        """
        if self.allows(client, operation, Resource(kind, UNHEARD_OF)):
            return True
        mine = [
            acl
            for (resource_type, _, _), rules in self._acls.items()
            if resource_type == kind
            for acl in rules
            if acl.operation in (Operation.ALL, operation) and _is_for(acl, client)
        ]
        denied = {(acl.pattern_type, acl.resource_name) for acl in mine if acl.permission == Permission.DENY}
        if (PatternType.LITERAL, WILDCARD) in denied:
            return False
        return any(not _covered(acl, denied) for acl in mine if acl.permission == Permission.ALLOW)

    def _decide(self, client: Client, operation: Operation, resource: Resource) -> bool:
        if client.principal in self.super_users:
            return True
        has_rules = allowed = False
        for acl in self._rules_for(resource):
            has_rules = True
            if not _is_for(acl, client):
                continue
            if acl.permission == Permission.DENY:
                if acl.operation in (Operation.ALL, operation):
                    return False
            elif acl.operation == Operation.ALL or acl.operation in INCLUDED_IN.get(operation, (operation,)):
                allowed = True
        return allowed or (self.open_without_acl and not has_rules)

    def _rules_for(self, resource: Resource) -> Iterator[Acl]:
        kind, name = resource
        yield from self._acls.get((kind, PatternType.LITERAL, name), ())
        if name != WILDCARD:
            yield from self._acls.get((kind, PatternType.LITERAL, WILDCARD), ())
        for length in self._prefix_lengths.get(kind, ()):
            if length <= len(name):
                yield from self._acls.get((kind, PatternType.PREFIXED, name[:length]), ())


def bits(operations: Iterable[Operation]) -> int:
    """Operations as an answer tells them: a bit for each (KIP-430)."""
    return sum(1 << operation for operation in operations)


def _is_for(acl: Acl, client: Client) -> bool:
    return acl.principal in (client.principal, EVERYBODY) and acl.host in (WILDCARD, client.host)


def _covered(acl: Acl, denied: Collection[tuple[int, str]]) -> bool:
    """Whether denials leave nothing of what `acl` allows."""
    name = acl.resource_name
    if acl.pattern_type == PatternType.LITERAL and name == WILDCARD:
        return False
    if acl.pattern_type == PatternType.LITERAL and (PatternType.LITERAL, name) in denied:
        return True
    return any((PatternType.PREFIXED, name[:length]) in denied for length in range(1, len(name) + 1))
