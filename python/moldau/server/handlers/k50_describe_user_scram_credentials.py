"""DescribeUserScramCredentials (KIP-554): which mechanisms a user has, never with what."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.scram import describe_credentials
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(50, "DescribeUserScramCredentials", (0, 0))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.DESCRIBE)
    situation = shell.metadata.machine.situation()
    users = None if request.users is None else [user.name for user in request.users]
    return {
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "results": [
            {
                "user": described.user,
                "error_code": described.outcome.code,
                "error_message": described.outcome.message,
                "credential_infos": [
                    {"mechanism": mechanism, "iterations": iterations}
                    for mechanism, iterations in described.credentials
                ],
            }
            for described in describe_credentials(situation, users)
        ],
    }
