"""SyncGroup: the leader brings the assignment of its generation, everyone gets their part of it.

Version 3 brings static members; from 5 on the client says which protocol it believes in (KIP-559).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import SyncGroup
from moldau.control.groups.responses import SyncGroupResponse
from moldau.control.machine import Token
from moldau.errors import ErrorCode
from moldau.server.group_names import check_named
from moldau.server.handlers import Api, RequestContext

API = Api(key=14, name="SyncGroup", versions=(0, 5))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    protocol_type = getattr(request, "protocol_type", None)
    protocol_name = getattr(request, "protocol_name", None)
    if context.api_version >= 5 and (protocol_type is None or protocol_name is None):
        return {"error_code": ErrorCode.INCONSISTENT_GROUP_PROTOCOL}
    context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
    check_named(request.group_id)
    sync = SyncGroup(
        token=Token(context.token),
        group_id=request.group_id,
        generation_id=request.generation_id,
        member_id=request.member_id,
        group_instance_id=getattr(request, "group_instance_id", None),
        protocol_type=protocol_type,
        protocol_name=protocol_name,
        assignments=tuple((each.member_id, bytes(each.assignment)) for each in request.assignments),
    )
    response: SyncGroupResponse = await shell.groups.run(sync.group_id, sync, context.token)
    return {
        "error_code": response.error,
        "protocol_type": response.protocol_type,
        "protocol_name": response.protocol_name,
        "assignment": response.assignment,
    }
