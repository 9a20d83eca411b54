"""JoinGroup: the barrier at which a generation of a group begins; it is answered when everyone is there.

Version 0 has no rebalance timeout, 4 and later ask a new member to come back with the id it is given (KIP-394), 5
brings static members, 7 the protocol type and a nullable protocol name, 8 a reason, 9 tells a leader that it need not
assign (KIP-814).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import JoinGroup, Protocol
from moldau.control.groups.responses import JoinGroupResponse
from moldau.control.machine import Token
from moldau.errors import ApiError
from moldau.server.durations import milliseconds
from moldau.server.group_names import check_named
from moldau.server.handlers import Api, RequestContext

API = Api(key=11, name="JoinGroup", versions=(0, 9))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    session_timeout_ms = milliseconds(request.session_timeout)
    join = JoinGroup(
        token=Token(context.token),
        group_id=request.group_id,
        member_id=request.member_id,
        group_instance_id=getattr(request, "group_instance_id", None),
        client_id=context.client_id or "",
        client_host=context.client_host,
        session_timeout_ms=session_timeout_ms,
        rebalance_timeout_ms=milliseconds(getattr(request, "rebalance_timeout", session_timeout_ms)),
        protocol_type=request.protocol_type,
        protocols=tuple(Protocol(protocol.name, bytes(protocol.metadata)) for protocol in request.protocols),
        requires_member_id=context.api_version >= 4,
        may_skip_assignment=context.api_version >= 9,
        client=context.access.client if context.access.is_limited else None,
    )
    try:
        context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
        check_named(request.group_id)
        response: JoinGroupResponse = await shell.groups.run(join.group_id, join, context.token)
    except ApiError as error:
        response = JoinGroupResponse(error.code, request.member_id)
    return {
        "error_code": response.error,
        "generation_id": response.generation_id,
        "protocol_type": response.protocol_type,
        # The name became nullable with version 7; before, nothing is said with an empty string.
        "protocol_name": response.protocol_name or (None if context.api_version >= 7 else ""),
        "leader": response.leader,
        "skip_assignment": response.skip_assignment,
        "member_id": response.member_id,
        "members": [
            {
                "member_id": member.member_id,
                "group_instance_id": member.group_instance_id,
                "metadata": member.metadata,
            }
            for member in response.members
        ],
    }
