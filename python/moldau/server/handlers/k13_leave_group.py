"""LeaveGroup: members go at once instead of letting their sessions end.

Up to version 2 one member leaves and its error is the answer's; from 3 on several may, also by instance id alone,
each with an error of its own (KIP-345). Version 5 brings a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import LeaveGroup, LeavingMember
from moldau.errors import ErrorCode
from moldau.server.group_names import check_named
from moldau.server.handlers import Api, RequestContext

API = Api(key=13, name="LeaveGroup", versions=(0, 5))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
    check_named(request.group_id)
    is_batch = context.api_version >= 3
    if is_batch:
        members = tuple(LeavingMember(member.member_id, member.group_instance_id) for member in request.members)
    else:
        members = (LeavingMember(request.member_id, None),)
    response = await shell.groups.run(request.group_id, LeaveGroup(request.group_id, members))
    if not is_batch:
        error = response.error
        if error is ErrorCode.NONE and response.members:
            error = response.members[0].error
        return {"error_code": error}
    return {
        "error_code": response.error,
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.group_instance_id,
                "error_code": member.error,
            }
            for member in response.members
        ],
    }
