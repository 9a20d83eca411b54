"""PRODUCER_FENCED for those who know it; for older clients it is INVALID_PRODUCER_EPOCH (KIP-588)."""

from __future__ import annotations

from moldau.errors import ErrorCode
from moldau.server.handlers import RequestContext


def told_to(context: RequestContext, error: ErrorCode, knows_fenced_since: int) -> ErrorCode:
    """`error` as a client of this version understands it."""
    if error is ErrorCode.PRODUCER_FENCED and context.api_version < knows_fenced_since:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return error
