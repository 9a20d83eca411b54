"""RemoveRaftVoter (KIP-853)."""

from __future__ import annotations

from typing import Any, NoReturn

from moldau.control.access.acl import Operation
from moldau.server.handlers import Api, RequestContext
from moldau.server.voters import check_request, refuse_change

API = Api(81, "RemoveRaftVoter", (0, 0), note="refused: UNSUPPORTED_VERSION, a static quorum")


async def handle(shell: Any, request: Any, context: RequestContext) -> NoReturn:
    context.access.require_cluster(Operation.ALTER)
    check_request(shell, request.cluster_id, request.voter_id, request.voter_directory_id)
    refuse_change()
