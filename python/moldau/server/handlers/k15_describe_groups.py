"""DescribeGroups: state, protocol and members of classic groups.

Version 3 can ask for the operations that the caller may do, 4 names static members, 6 says GROUP_ID_NOT_FOUND where
earlier versions describe a group that does not exist as Dead without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import DescribeGroup
from moldau.control.groups.responses import DescribeGroupResponse
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import OPERATIONS_NOT_ASKED
from moldau.server.handlers import Api, RequestContext

API = Api(key=15, name="DescribeGroups", versions=(0, 6))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    wants_operations = getattr(request, "include_authorized_operations", False)
    return {
        "groups": [
            await _describe(shell, group_id, context, wants_operations=wants_operations) for group_id in request.groups
        ]
    }


async def _describe(shell: Any, group_id: str, context: RequestContext, *, wants_operations: bool) -> dict[str, Any]:
    try:
        context.access.require(Operation.DESCRIBE, ResourceType.GROUP, group_id)
        group: DescribeGroupResponse = await shell.groups.run(group_id, DescribeGroup(group_id))
    except ApiError as error:
        group = DescribeGroupResponse(error.code, group_id, state="", error_message=error.message)
    error_code, error_message = group.error, group.error_message
    if error_code is ErrorCode.GROUP_ID_NOT_FOUND and context.api_version < 6:
        error_code, error_message = ErrorCode.NONE, None
    return {
        "error_code": error_code,
        "error_message": error_message,
        "group_id": group_id,
        "group_state": str(group.state),
        "protocol_type": group.protocol_type,
        "protocol_data": group.protocol_name,
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.group_instance_id,
                "client_id": member.client_id,
                "client_host": member.client_host,
                "member_metadata": member.metadata,
                "member_assignment": member.assignment,
            }
            for member in group.members
        ],
        "authorized_operations": context.access.operations(ResourceType.GROUP, group_id)
        if wants_operations and not error_code
        else OPERATIONS_NOT_ASKED,
    }
