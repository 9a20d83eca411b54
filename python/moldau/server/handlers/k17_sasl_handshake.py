"""SaslHandshake (KIP-43) on a listener without SASL: every client is in already, there is nothing to agree on."""

from __future__ import annotations

from typing import Any

from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(17, "SaslHandshake", (0, 1), note="refused: ILLEGAL_SASL_STATE, listeners are PLAINTEXT")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    return {"error_code": ErrorCode.ILLEGAL_SASL_STATE, "mechanisms": []}
