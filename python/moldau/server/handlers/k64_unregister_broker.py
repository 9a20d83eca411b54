"""UnregisterBroker (KIP-631): forgets a broker that will not come back."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.brokers import UnregisterBroker
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(64, "UnregisterBroker", (0, 0))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.ALTER)
    await shell.metadata.run(UnregisterBroker(request.broker_id))
    return {"error_code": ErrorCode.NONE, "error_message": None}
