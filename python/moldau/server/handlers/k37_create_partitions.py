"""CreatePartitions (KIP-195): grows topics; since version 3 within the client's quota (KIP-599)."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.situation import Outcome
from moldau.control.metadata.topics import CreatePartitions, NewPartitions
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext
from moldau.server.mutations import OVER_QUOTA, MutationQuota

API = Api(37, "CreatePartitions", (0, 3))
STRICT_SINCE: Final = 3
NOT_ALLOWED: Final = Outcome(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "the principal may not alter this topic")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    topics = tuple(
        NewPartitions(
            topic.name,
            topic.count,
            None if topic.assignments is None else tuple(tuple(each.broker_ids) for each in topic.assignments),
        )
        for topic in request.topics
    )
    named = Counter(topic.name for topic in topics)
    forbidden = {
        name
        for name, count in named.items()
        if count == 1 and not context.access.allows(Operation.ALTER, ResourceType.TOPIC, name)
    }
    topics = tuple(topic for topic in topics if topic.name not in forbidden)
    quota = MutationQuota(shell, context.client_id, strict=context.api_version >= STRICT_SINCE)
    wanted = {topic.name: topic.count for topic in topics}

    def cost(answer: tuple[str, Outcome]) -> tuple[str, int] | None:
        name, outcome = answer
        present = shell.metadata.machine.image.topics.get(name)
        return None if outcome.code or present is None else (name, wanted[name] - len(present.partitions))

    over = quota.over(CreatePartitions(topics, validate_only=True), cost)
    allowed = tuple(topic for topic in topics if topic.name not in over)
    outcomes = await shell.metadata.run(CreatePartitions(allowed, validate_only=request.validate_only))
    outcomes += tuple((name, OVER_QUOTA) for name in over)
    outcomes += tuple((name, NOT_ALLOWED) for name in forbidden)
    return {
        "throttle_time": quota.throttle_ms,
        "results": [
            {"name": name, "error_code": outcome.code, "error_message": outcome.message} for name, outcome in outcomes
        ],
    }
