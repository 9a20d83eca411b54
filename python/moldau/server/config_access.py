"""Whose configs a client may see or change: those of topics and groups by their names, all others with the cluster.

Source: Kafka's `ConfigHelper.handleDescribeConfigsRequest` and `ControllerApis.authorizeAlterResource` (release 4.3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeVar

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.acls import CLUSTER_NAME
from moldau.control.metadata.image import (
    BROKER_LOGGER_RESOURCE,
    BROKER_RESOURCE,
    CLIENT_METRICS_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    ConfigResource,
)
from moldau.control.metadata.situation import Outcome
from moldau.server.access import REFUSED, Access

T = TypeVar("T")

PROTECTED_AS: Final = {
    TOPIC_RESOURCE: ResourceType.TOPIC,
    GROUP_RESOURCE: ResourceType.GROUP,
    BROKER_RESOURCE: ResourceType.CLUSTER,
    BROKER_LOGGER_RESOURCE: ResourceType.CLUSTER,
    CLIENT_METRICS_RESOURCE: ResourceType.CLUSTER,
}


def refusal(access: Access, operation: Operation, resource: ConfigResource) -> Outcome | None:
    """What the client is told if it may not have `operation` done with the configs of `resource`.

    None for a type that nobody knows: it is wrong for another reason.
    """
    kind = PROTECTED_AS.get(resource.type)
    name = CLUSTER_NAME if kind is ResourceType.CLUSTER else resource.name
    if kind is None or access.allows(operation, kind, name):
        return None
    return Outcome(REFUSED[kind], REFUSED[kind].sentence)


def sort_out(
    access: Access, changes: Iterable[tuple[ConfigResource, T]]
) -> tuple[tuple[tuple[ConfigResource, T], ...], list[tuple[ConfigResource, Outcome]]]:
    """The changes that the client may ask for, and what it is told about the others.

    A resource that is named twice stays in: the decision changes nothing of it, and says why.
    """
    asked = tuple(changes)
    named = Counter(resource for resource, _ in asked)
    told = {name: refusal(access, Operation.ALTER_CONFIGS, name) for name, count in named.items() if count == 1}
    refused = {resource: outcome for resource, outcome in told.items() if outcome is not None}
    return tuple(each for each in asked if each[0] not in refused), list(refused.items())
