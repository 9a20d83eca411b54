"""One access rule, and the filters by which rules are listed and removed.

A rule (Kafka says ACL) allows or denies somebody, coming from somewhere, an operation on a resource. What it is for is
a pattern: a name, the name `*` for all names, or a prefix. The numbers are the protocol's and the metadata log's.

Source: KIP-11, KIP-140, KIP-290 (prefixes); Kafka's `AclBinding` and `AclBindingFilter`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from moldau.control.metadata.records import AccessControlEntryRecord

WILDCARD: Final = "*"
"""Every name, as a literal pattern; every host."""
ANY: Final = 1
"""In a filter, in each of the enumerations: whatever there is."""


class ResourceType(enum.IntEnum):
    """What there is to be protected."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


class PatternType(enum.IntEnum):
    """How the name in a rule is meant. `MATCH` is for filters alone: whatever counts for a resource of this name."""

    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class Operation(enum.IntEnum):
    """What somebody does with a resource."""

    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14
    TWO_PHASE_COMMIT = 15


class Permission(enum.IntEnum):
    """What a rule says."""

    DENY = 2
    ALLOW = 3


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One rule. Numbers that this version does not know can stand in a request, never in the image."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    """Type and name, as in `User:alice`; `User:*` is everybody."""
    host: str
    """An address as text, or `*`."""
    operation: int
    permission: int

    @classmethod
    def of(cls, record: AccessControlEntryRecord) -> Acl:
        """The rule that a record adds."""
        return cls(
            record.resource_type,
            record.resource_name,
            record.pattern_type,
            record.principal,
            record.host,
            record.operation,
            record.permission_type,
        )


@dataclass(frozen=True, slots=True)
class AclFilter:
    """Which rules are meant. None and `ANY` mean every one; an empty text means itself."""

    resource_type: int = ANY
    resource_name: str | None = None
    pattern_type: int = ANY
    principal: str | None = None
    host: str | None = None
    operation: int = ANY
    permission: int = ANY

    def matches(self, acl: Acl) -> bool:
        """Whether `acl` is among those that are meant."""
        return (
            self.resource_type in (ANY, acl.resource_type)
            and self.operation in (ANY, acl.operation)
            and self.permission in (ANY, acl.permission)
            and (self.principal is None or self.principal == acl.principal)
            and (self.host is None or self.host == acl.host)
            and self._matches_pattern(acl)
        )

    def _matches_pattern(self, acl: Acl) -> bool:
        name = self.resource_name
        if self.pattern_type == PatternType.MATCH:
            if name is None or name == acl.resource_name:
                return True
            if acl.pattern_type == PatternType.LITERAL:
                return acl.resource_name == WILDCARD
            return name.startswith(acl.resource_name)
        return self.pattern_type in (ANY, acl.pattern_type) and (name is None or name == acl.resource_name)


def unknown_part(subject: Acl | AclFilter) -> str | None:
    """The first part of a rule or a filter whose number stands for nothing; None when all are known.

    `ANY` and `MATCH` are known here: whether they have a place in it is for those who take it in.
    """
    parts: tuple[tuple[str, int, type[enum.IntEnum]], ...] = (
        ("resource type", subject.resource_type, ResourceType),
        ("pattern type", subject.pattern_type, PatternType),
        ("operation", subject.operation, Operation),
        ("permission", subject.permission, Permission),
    )
    for name, number, kind in parts:
        if number != ANY and number not in kind.__members__.values():
            return f"{name} {number}"
    return None
