"""Heartbeat: a member is alive, and learns whether it must join again. Version 3 brings static members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import Heartbeat
from moldau.errors import ApiError, ErrorCode
from moldau.server.group_names import check_named
from moldau.server.handlers import Api, RequestContext

API = Api(key=12, name="Heartbeat", versions=(0, 4))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
    check_named(request.group_id)
    heartbeat = Heartbeat(
        group_id=request.group_id,
        generation_id=request.generation_id,
        member_id=request.member_id,
        group_instance_id=getattr(request, "group_instance_id", None),
    )
    try:
        response = await shell.groups.run(heartbeat.group_id, heartbeat)
    except ApiError as error:
        if error.code is not ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            raise
        # A member must not lose its session because we are starting: its timer begins when loading ends.
        return {"error_code": ErrorCode.NONE}
    return {"error_code": response.error}
