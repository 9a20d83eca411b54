"""InitProducerId: an id for an idempotent producer (KIP-98).

A producer that asks with a transactional id wants the transaction coordinator, and this node does not run one: it is
told so with the code that clients retry on, and no transaction API is advertised to it.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(22, "InitProducerId", (0, 5))

NO_PRODUCER_ID: Final = -1
NO_PRODUCER_EPOCH: Final = -1


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    # Both or neither: they name the producer that was bumped (KIP-360).
    half_named = (getattr(request, "producer_id", NO_PRODUCER_ID) == NO_PRODUCER_ID) != (
        getattr(request, "producer_epoch", NO_PRODUCER_EPOCH) == NO_PRODUCER_EPOCH
    )
    try:
        if half_named or request.transactional_id == "":
            raise ApiError(ErrorCode.INVALID_REQUEST)
        if request.transactional_id is not None:
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return {"error_code": ErrorCode.NONE, "producer_id": await shell.producer_ids.take(shell), "producer_epoch": 0}
    except ApiError as error:
        return {"error_code": error.code, "producer_id": NO_PRODUCER_ID, "producer_epoch": NO_PRODUCER_EPOCH}
