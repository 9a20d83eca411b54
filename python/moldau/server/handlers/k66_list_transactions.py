"""ListTransactions: every transactional id that this node coordinates (KIP-664).

Filters: states and producer ids; version 1 adds how long a transaction has been open (KIP-994), 2 a pattern that the
whole transactional id must match (KIP-1152).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau._core import TopicPattern
from moldau.control.access.acl import Operation, ResourceType
from moldau.control.transactions.requests import ListTransactions
from moldau.control.transactions.responses import Listed
from moldau.control.transactions.transaction import TransactionState
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(66, "ListTransactions", (0, 2))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    pattern = getattr(request, "transactional_id_pattern", None)
    try:
        matching = TopicPattern(pattern).matching if pattern else None
    except ValueError as error:
        message = f"{pattern!r} is not a regular expression: {error}"
        raise ApiError(ErrorCode.INVALID_REGULAR_EXPRESSION, message) from error
    wanted = ListTransactions(
        producer_ids=frozenset(request.producer_id_filters),
        states=frozenset(request.state_filters),
        longer_than_ms=getattr(request, "duration_filter", -1),
    )
    coordinators = shell.transactions.coordinators
    # Just after a start some are still being read. Few clients ask again for a list, so it comes complete.
    await coordinators.loaded()
    answers: list[Listed] = await coordinators.run_everywhere(wanted)
    known = {state.told for state in TransactionState}
    found = [each for answer in answers for each in answer.transactions]
    if matching is not None:
        matched = set(matching([each.transactional_id for each in found]))
        found = [each for each in found if each.transactional_id in matched]
    return {
        "error_code": next((answer.error for answer in answers if answer.error is not ErrorCode.NONE), ErrorCode.NONE),
        "unknown_state_filters": [state for state in request.state_filters if state not in known],
        "transaction_states": [
            {
                "transactional_id": each.transactional_id,
                "producer_id": each.producer_id,
                "transaction_state": each.state,
            }
            for each in found
            if context.access.sees(Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, each.transactional_id)
        ],
    }
