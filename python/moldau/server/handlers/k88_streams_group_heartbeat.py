"""StreamsGroupHeartbeat (KIP-1071): this node serves no streams groups, and has no tasks for anybody."""

from __future__ import annotations

from typing import Any

from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext
from moldau.server.not_offered import NO_STREAMS_GROUPS

API = Api(88, "StreamsGroupHeartbeat", (0, 0), note="refused: UNSUPPORTED_VERSION, streams.version is 0")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    return {
        "error_code": ErrorCode.UNSUPPORTED_VERSION,
        "error_message": NO_STREAMS_GROUPS,
        "active_tasks": None,
        "standby_tasks": None,
        "warmup_tasks": None,
        "partitions_by_user_endpoint": None,
    }
