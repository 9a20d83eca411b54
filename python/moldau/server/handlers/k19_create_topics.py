"""CreateTopics (KIP-4): version 5 answers with partitions, replicas and configs (KIP-525), 7 with the topic's id; since
6 a client that has used up its quota is refused, and not only slowed down (KIP-599).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

from moldau.control.metadata.topics import CreatedTopic, CreateTopics, NewTopic
from moldau.server.handlers import Api, RequestContext
from moldau.server.mutations import OVER_QUOTA, MutationQuota

API = Api(19, "CreateTopics", (2, 7))
STRICT_SINCE: Final = 6

logger: Final = logging.getLogger("moldau.server.topics")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    topics = tuple(
        NewTopic(
            topic.name,
            topic.num_partitions,
            topic.replication_factor,
            tuple((assignment.partition_index, tuple(assignment.broker_ids)) for assignment in topic.assignments),
            tuple((config.name, config.value) for config in topic.configs),
        )
        for topic in request.topics
    )
    quota = MutationQuota(shell, context.client_id, strict=context.api_version >= STRICT_SINCE)
    over = quota.over(CreateTopics(topics, validate_only=True), _cost)
    allowed = tuple(topic for topic in topics if topic.name not in over)
    answers = await shell.metadata.run(CreateTopics(allowed, validate_only=request.validate_only))
    _note_what_was_lowered(topics, answers)
    refused = [CreatedTopic(name, OVER_QUOTA.code, OVER_QUOTA.message) for name in over]
    return {"throttle_time": quota.throttle_ms, "topics": [_answer(answer) for answer in (*answers, *refused)]}


def _cost(topic: CreatedTopic) -> tuple[str, int] | None:
    return None if topic.code else (topic.name, topic.partition_count)


def _note_what_was_lowered(topics: Iterable[NewTopic], answers: Iterable[CreatedTopic]) -> None:
    asked = {topic.name: topic.replication_factor for topic in topics}
    for answer in answers:
        if 0 < answer.replication_factor < asked[answer.name]:
            logger.warning(
                "topic %r has replication factor %d instead of %d: there are no more brokers",
                answer.name,
                answer.replication_factor,
                asked[answer.name],
            )


def _answer(topic: CreatedTopic) -> dict[str, Any]:
    return {
        "name": topic.name,
        "topic_id": topic.topic_id,
        "error_code": topic.code,
        "error_message": topic.message,
        "num_partitions": topic.partition_count,
        "replication_factor": topic.replication_factor,
        "configs": [
            {
                "name": config.key.name,
                "value": None if config.key.sensitive else config.text,
                "read_only": config.read_only,
                "config_source": config.source,
                "is_sensitive": config.key.sensitive,
            }
            for config in topic.configs
        ],
    }
