"""Metadata: answered in Rust. What comes here names an unknown topic that may be created, and then goes back.

A topic that cannot be created (its name is illegal, for instance) is left to the hot handler, which answers for it as
for any topic that is not there.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable
from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.server.access import Access
from moldau.server.handlers import SERVE_HOT, Api, RequestContext, ServeHot
from moldau.server.mutations import MutationQuota
from moldau.server.topic_creation import create_missing

logger: Final = logging.getLogger("moldau.server.metadata")

API = Api(3, "Metadata", (0, 13), hot=True)


async def handle(shell: Any, request: Any, context: RequestContext) -> ServeHot:
    allowed = getattr(request, "allow_auto_topic_creation", True)
    if allowed and shell.configs.broker_bool("auto.create.topics.enable"):
        known = shell.metadata.machine.image.topics
        asked = (topic.name for topic in request.topics or () if topic.name is not None)
        names = _creatable(asked, known, context.access)
        missing = [name for name in names if name not in known]
        wrong = await create_missing(shell, names)
        # The answer comes from elsewhere and cannot tell the client to wait: its next change of a topic does.
        quota = MutationQuota(shell, context.client_id, strict=False)
        for name in missing:
            if name in known and name not in wrong and quota.in_force:
                quota.allows(len(known[name].partitions))
        for name, code in wrong.items():
            logger.info("%r is not created for %s: %s", name, context.client_host, code.name)
    return SERVE_HOT


def _creatable(names: Iterable[str], known: Container[str], access: Access) -> list[str]:
    """Those of `names` that are there already, or that this client may create. The hot handler tells the others."""
    anything = access.sees_cluster(Operation.CREATE)

    def may_create(name: str) -> bool:
        visible = access.sees(Operation.DESCRIBE, ResourceType.TOPIC, name)
        return visible and (anything or access.sees(Operation.CREATE, ResourceType.TOPIC, name))

    return [name for name in names if name in known or may_create(name)]
