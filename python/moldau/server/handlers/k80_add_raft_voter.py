"""AddRaftVoter (KIP-853); version 1 may be answered before the change is committed (KIP-1186)."""

from __future__ import annotations

from typing import Any, NoReturn

from moldau.control.access.acl import Operation
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext
from moldau.server.voters import check_request, refuse_change

API = Api(80, "AddRaftVoter", (0, 1), note="refused: UNSUPPORTED_VERSION, a static quorum")


async def handle(shell: Any, request: Any, context: RequestContext) -> NoReturn:
    context.access.require_cluster(Operation.ALTER)
    check_request(shell, request.cluster_id, request.voter_id, request.voter_directory_id)
    if not request.listeners:
        raise ApiError(ErrorCode.INVALID_REQUEST, "the voter has no listener by which it could be reached")
    refuse_change()
