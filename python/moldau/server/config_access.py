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


def sort_out(
    access: Access, operation: Operation, resources: Iterable[tuple[ConfigResource, T]]
) -> tuple[tuple[tuple[ConfigResource, T], ...], list[tuple[ConfigResource, Outcome]]]:
    """What of `resources` the client may have `operation` done with, and what it is told about the others.

    A resource that is named twice, or of a type that nobody knows, is wrong for another reason and stays in.
    """
    asked = tuple(resources)
    named = Counter(resource for resource, _ in asked)
    refused: dict[ConfigResource, Outcome] = {}
    for resource, count in named.items():
        kind = PROTECTED_AS.get(resource.type)
        name = CLUSTER_NAME if kind is ResourceType.CLUSTER else resource.name
        if kind is not None and count == 1 and not access.allows(operation, kind, name):
            refused[resource] = Outcome(REFUSED[kind], REFUSED[kind].sentence)
    return tuple(each for each in asked if each[0] not in refused), list(refused.items())
