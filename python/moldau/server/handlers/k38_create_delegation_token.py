"""CreateDelegationToken (KIP-48): never over PLAINTEXT, where anybody on the way could read the token.

Version 3 names the owner and who asks for the owner (KIP-373).
"""

from __future__ import annotations

from typing import Any

from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext
from moldau.server.principals import ANONYMOUS, NO_TIME, USER

API = Api(
    38,
    "CreateDelegationToken",
    (1, 3),
    note="refused: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, listeners are PLAINTEXT",
)


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    owner_name = getattr(request, "owner_principal_name", None)
    owner_type = getattr(request, "owner_principal_type", None) if owner_name else USER
    return {
        "error_code": ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        "principal_type": owner_type or USER,
        "principal_name": owner_name or ANONYMOUS,
        "token_requester_principal_type": USER,
        "token_requester_principal_name": ANONYMOUS,
        "issue_timestamp": NO_TIME,
        "expiry_timestamp": NO_TIME,
        "max_timestamp": NO_TIME,
        "token_id": "",
        "hmac": b"",
    }
