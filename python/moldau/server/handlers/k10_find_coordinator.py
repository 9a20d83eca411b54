"""FindCoordinator: which node keeps a group or a transactional id. With one node it is always this one.

The first question creates `__consumer_offsets` or `__transaction_state`. Kafka answers that question with
COORDINATOR_NOT_AVAILABLE and lets the client come back; here it waits until the topic is there, so that the first
consumer starts without a retry.

Version 4 asks for many keys at once. Share coordinators do not exist yet: they are refused with INVALID_REQUEST, which
clients report at once instead of asking again for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext
from moldau.server.topic_creation import ensure_internal_topic

API = Api(10, "FindCoordinator", (0, 6))

GROUP: Final = 0
TRANSACTION: Final = 1
RESOURCES: Final = {GROUP: ResourceType.GROUP, TRANSACTION: ResourceType.TRANSACTIONAL_ID}
NO_NODE: Final = {"node_id": -1, "host": "", "port": -1}


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    key_type = getattr(request, "key_type", GROUP)
    if context.api_version < 4:
        return await _coordinator(shell, key_type, request.key, context)
    coordinators = [await _coordinator(shell, key_type, key, context) for key in request.coordinator_keys]
    return {"coordinators": coordinators}


async def _coordinator(shell: Any, key_type: int, key: str, context: RequestContext) -> dict[str, Any]:
    named = {"key": key} if context.api_version >= 4 else {}
    try:
        if key_type not in RESOURCES:
            raise ApiError(ErrorCode.INVALID_REQUEST, "this node coordinates groups and transactions only")
        context.access.require(Operation.DESCRIBE, RESOURCES[key_type], key)
        coordinators = shell.groups if key_type == GROUP else shell.transactions.coordinators
        await ensure_internal_topic(shell, coordinators.topic)
        await coordinators.loaded()
    except ApiError as error:
        return {**named, **NO_NODE, "error_code": error.code, "error_message": error.message}
    host, port = context.advertised
    found = {"node_id": shell.node_id, "host": host, "port": port}
    return {**named, **found, "error_code": ErrorCode.NONE, "error_message": None}
