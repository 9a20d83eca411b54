"""ListGroups: every group that this node coordinates. Version 4 filters by state, 5 by type (KIP-518, KIP-848)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import ListGroups
from moldau.control.groups.responses import ListGroupsResponse
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(key=16, name="ListGroups", versions=(0, 5))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    wanted = ListGroups(
        states=frozenset(getattr(request, "states_filter", None) or ()),
        types=frozenset(getattr(request, "types_filter", None) or ()),
    )
    # Just after a start some groups are still being read. Few clients ask again for a list, so it comes complete.
    await shell.groups.loaded()
    answers: list[ListGroupsResponse] = await shell.groups.run_everywhere(wanted)
    access = context.access
    sees_all = access.sees_cluster(Operation.DESCRIBE)
    return {
        "error_code": next((answer.error for answer in answers if answer.error is not ErrorCode.NONE), ErrorCode.NONE),
        "groups": [
            {
                "group_id": group.group_id,
                "protocol_type": group.protocol_type,
                "group_state": str(group.state),
                "group_type": group.type,
            }
            for answer in answers
            for group in answer.groups
            if sees_all or access.sees(Operation.DESCRIBE, ResourceType.GROUP, group.group_id)
        ],
    }
