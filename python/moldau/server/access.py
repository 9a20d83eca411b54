"""Who asks, and what they may do: the one thing that handlers ask before they do anything.

Every request comes with an `Access`, which knows its client and the authorizer of the node. Where there is no
authorizer, and for what the node asks itself, it is `EVERYTHING`. Refusals are logged once for each client, operation
and resource until a rule changes: a client that tries for ever fills no disk.

What is checked for which request is Kafka's `KafkaApis` and `ControllerApis` (release 4.3), and stands in the handlers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

from moldau.config.settings import BrokerSettings, super_users
from moldau.control.access.acl import Acl, Operation, PatternType, Permission, ResourceType
from moldau.control.access.authorizer import OPERATIONS, Authorizer, Client, Resource, bits
from moldau.control.metadata.acls import CLUSTER_NAME
from moldau.control.metadata.records import AccessControlEntryRecord
from moldau.errors import ApiError, ErrorCode
from moldau.server.core_types import AccessRule, AccessRules

logger: Final = logging.getLogger("moldau.authorizer")

REFUSALS_MAX: Final = 10_000
"""So many refusals are remembered as logged."""

REFUSED: Final = {
    ResourceType.TOPIC: ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    ResourceType.GROUP: ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ResourceType.CLUSTER: ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
    ResourceType.TRANSACTIONAL_ID: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
"""What a client is told that may not do something with a resource."""

OPERATIONS_NOT_ASKED: Final = -(1 << 31)
"""In an answer: nobody asked what the client may do with a resource, or it is not told (KIP-430)."""


class AccessControl:
    """The authorizer of a node, kept in step with the image. It belongs to the event loop's thread."""

    def __init__(self, authorizer: Authorizer) -> None:
        self.authorizer = authorizer
        self.generation = 0
        """Grows with every change of the rules."""
        self._logged: set[tuple[Client, Operation, Resource]] = set()

    @classmethod
    def of(cls, settings: BrokerSettings) -> AccessControl | None:
        """What the settings ask for; None where everybody may do everything."""
        if not settings.value("authorizer.class.name"):
            return None
        open_without_acl = settings.flag("allow.everyone.if.no.acl.found")
        return cls(Authorizer(super_users(settings.value("super.users")), open_without_acl=open_without_acl))

    def take(self, added: Iterable[AccessControlEntryRecord], removed: Iterable[AccessControlEntryRecord] = ()) -> None:
        """Let rules count, and others no longer."""
        for record in added:
            self.authorizer.add(Acl.of(record))
        for record in removed:
            self.authorizer.remove(Acl.of(record))
        self.generation += 1
        self._logged.clear()

    def rules(self) -> AccessRules:
        """Everything that the hot requests must know."""
        authorizer = self.authorizer
        return AccessRules(
            generation=self.generation,
            super_users=authorizer.super_users,
            open_without_rule=authorizer.open_without_acl,
            rules=[
                AccessRule(
                    acl.resource_type,
                    acl.pattern_type == PatternType.PREFIXED,
                    acl.resource_name,
                    acl.principal,
                    acl.host,
                    acl.operation,
                    acl.permission == Permission.ALLOW,
                )
                for acl in authorizer.acls()
            ],
        )

    def refused(self, client: Client, operation: Operation, resource: Resource) -> None:
        """Note that `client` was refused."""
        refusal = (client, operation, resource)
        if refusal in self._logged or len(self._logged) >= REFUSALS_MAX:
            return
        self._logged.add(refusal)
        kind = resource.type.name.lower().replace("_", " ")
        logger.info("%s at %s may not %s %s %r", *client, operation.name, kind, resource.name)


class Access:
    """What the client of one request may do."""

    __slots__ = ("_control", "client")

    def __init__(self, control: AccessControl | None, client: Client) -> None:
        self._control = control
        self.client = client

    @property
    def is_limited(self) -> bool:
        """Whether there is anything to ask."""
        return self._control is not None

    def allows(self, operation: Operation, kind: ResourceType, name: str) -> bool:
        """Whether the client may do `operation` with the resource of this name. It wanted to: a refusal is logged."""
        if self._control is None:
            return True
        resource = Resource(kind, name)
        allowed = self._control.authorizer.allows(self.client, operation, resource)
        if not allowed:
            self._control.refused(self.client, operation, resource)
        return allowed

    def sees(self, operation: Operation, kind: ResourceType, name: str) -> bool:
        """The same for a resource that the client did not name: what it may not see is left out without a word."""
        return self._control is None or self._control.authorizer.allows(self.client, operation, Resource(kind, name))

    def allows_cluster(self, operation: Operation) -> bool:
        """`allows` for the cluster."""
        return self.allows(operation, ResourceType.CLUSTER, CLUSTER_NAME)

    def sees_cluster(self, operation: Operation) -> bool:
        """`sees` for the cluster: a right that would do, where another one may do as well."""
        return self.sees(operation, ResourceType.CLUSTER, CLUSTER_NAME)

    def allows_somewhere(self, operation: Operation, kind: ResourceType) -> bool:
        """Whether there can be a resource of this kind with which the client may do `operation`."""
        return self._control is None or self._control.authorizer.allows_somewhere(self.client, operation, kind)

    def operations(self, kind: ResourceType, name: str) -> int:
        """What the client may do with a resource, a bit for each operation (KIP-430)."""
        if self._control is None:
            return bits(OPERATIONS[kind])
        return self._control.authorizer.operations(self.client, Resource(kind, name))

    def require(self, operation: Operation, kind: ResourceType, name: str) -> None:
        """Refuse the whole request unless the client may do `operation` with a resource.

        Raises:
            ApiError: with the error that Kafka has for this kind of resource.
        """
        if not self.allows(operation, kind, name):
            raise ApiError(REFUSED[kind])

    def require_cluster(self, operation: Operation) -> None:
        """Refuse the whole request unless the client may do `operation` with the cluster.

        Raises:
            ApiError: CLUSTER_AUTHORIZATION_FAILED.
        """
        self.require(operation, ResourceType.CLUSTER, CLUSTER_NAME)


EVERYTHING: Final = Access(None, Client("", ""))
"""Of those that nobody asks for their rights."""


def access_of(control: AccessControl | None, request: Any) -> Access:
    """What the client of `request` (a `moldau._core.Request`) may do.

    A request without a principal is the node's own: the hot requests have questions for the coordinators.
    """
    if control is None or request.principal is None:
        return EVERYTHING
    return Access(control, Client(request.principal, request.client_host))
