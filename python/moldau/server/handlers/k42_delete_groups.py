"""DeleteGroups: empty groups go, and their offsets with them. Other requests are answered in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import DeleteGroup
from moldau.errors import ApiError, ErrorCode
from moldau.server.eager import give_way
from moldau.server.handlers import Api, RequestContext

API = Api(key=42, name="DeleteGroups", versions=(0, 2))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    results: list[dict[str, Any]] = []
    # A group that is named twice is deleted once.
    for group_id in dict.fromkeys(request.groups_names):
        if results:
            await give_way()
        results.append({"group_id": group_id, "error_code": await _delete(shell, group_id, context)})
    return {"results": results}


async def _delete(shell: Any, group_id: str, context: RequestContext) -> ErrorCode:
    try:
        context.access.require(Operation.DELETE, ResourceType.GROUP, group_id)
        response = await shell.groups.run(group_id, DeleteGroup(group_id))
        while not response.is_done:
            await give_way()
            response = await shell.groups.run(group_id, DeleteGroup(group_id, goes_on=True))
    except ApiError as error:
        return error.code
    error_code: ErrorCode = response.error
    return error_code
