"""CreateTopics (KIP-4): version 5 answers with partitions, replicas and configs (KIP-525), 7 with the topic's id."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

from moldau.control.metadata.topics import CreatedTopic, CreateTopics, NewTopic
from moldau.server.handlers import Api, RequestContext

API = Api(19, "CreateTopics", (2, 7))

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
    answers = await shell.metadata.run(CreateTopics(topics, validate_only=request.validate_only))
    _note_what_was_lowered(topics, answers)
    return {"topics": [_answer(answer) for answer in answers]}


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
