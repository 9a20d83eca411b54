"""SaslAuthenticate (KIP-152) on a listener without SASL, where every client is in already, as nobody in particular."""

from __future__ import annotations

from typing import Any

from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(36, "SaslAuthenticate", (0, 2), note="refused: ILLEGAL_SASL_STATE, listeners are PLAINTEXT")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    return {
        "error_code": ErrorCode.ILLEGAL_SASL_STATE,
        "error_message": f"listener {context.listener} needs no authentication",
        "auth_bytes": b"",
    }
