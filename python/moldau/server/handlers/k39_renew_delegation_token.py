"""RenewDelegationToken (KIP-48): there are no tokens over PLAINTEXT."""

from __future__ import annotations

from typing import Any

from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext
from moldau.server.principals import NO_TIME

API = Api(
    39,
    "RenewDelegationToken",
    (1, 2),
    note="refused: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, listeners are PLAINTEXT",
)


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    return {"error_code": ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, "expiry_timestamp": NO_TIME}
