"""CreatePartitions (KIP-195): grows topics."""

from __future__ import annotations

from typing import Any

from moldau.control.metadata.topics import CreatePartitions, NewPartitions
from moldau.server.handlers import Api, RequestContext

API = Api(37, "CreatePartitions", (0, 3))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    topics = tuple(
        NewPartitions(
            topic.name,
            topic.count,
            None if topic.assignments is None else tuple(tuple(each.broker_ids) for each in topic.assignments),
        )
        for topic in request.topics
    )
    outcomes = await shell.metadata.run(CreatePartitions(topics, validate_only=request.validate_only))
    return {
        "results": [
            {"name": name, "error_code": outcome.code, "error_message": outcome.message} for name, outcome in outcomes
        ]
    }
