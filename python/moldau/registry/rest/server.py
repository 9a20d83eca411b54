"""/ and /v1/metadata: who answers here. /associations: nothing is associated with anything."""

from __future__ import annotations

from typing import Any, Final

from moldau.registry.errors import association_not_found
from moldau.registry.rest.call import Call

COMPATIBLE_WITH: Final = "8.1.0"
"""The version of Confluent's registry whose interface this is; clients choose by it what they may ask."""


async def root(call: Call) -> Any:
    """Nothing, to see that somebody is there."""
    return {}


async def get_id(call: Call) -> Any:
    """The cluster and the group of the registry."""
    settings = call.registry.settings
    clusters = {"kafka-cluster": call.registry.store.cluster_id, "schema-registry-cluster": settings.group_id}
    return {"id": "", "scope": {"path": [], "clusters": clusters}}


async def get_version(call: Call) -> Any:
    """The version of Confluent's interface that is served."""
    return {"version": COMPATIBLE_WITH, "commitId": "moldau"}


async def get_deployment(call: Call) -> Any:
    """No attributes."""
    return {"attributes": []}


async def no_association(call: Call) -> Any:
    """Nothing is associated. Clients ask first, and take 404 for "go by the topic's name"."""
    raise association_not_found("/".join(call.path.values()) or "-")
