"""CreateTopics (KIP-4): version 5 answers with partitions, replicas and configs (KIP-525), 7 with the topic's id; since
6 a client that has used up its quota is refused, and not only slowed down (KIP-599).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.situation import Outcome
from moldau.control.metadata.topic_names import CLUSTER_METADATA
from moldau.control.metadata.topics import CreatedTopic, CreateTopics, NewTopic
from moldau.errors import ErrorCode
from moldau.server.access import Access
from moldau.server.handlers import Api, RequestContext
from moldau.server.mutations import OVER_QUOTA, MutationQuota

API = Api(19, "CreateTopics", (2, 7))
STRICT_SINCE: Final = 6
NOT_ALLOWED: Final = Outcome(
    ErrorCode.TOPIC_AUTHORIZATION_FAILED, "the principal may neither create this topic nor any (CREATE on the cluster)"
)

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
    refused: dict[str, Outcome] = dict.fromkeys(_not_creatable(topics, context.access), NOT_ALLOWED)
    wanted = tuple(topic for topic in topics if topic.name not in refused)
    quota = MutationQuota(shell, context.client_id, strict=context.api_version >= STRICT_SINCE)
    refused |= dict.fromkeys(quota.over(CreateTopics(wanted, validate_only=True), _cost), OVER_QUOTA)
    allowed = tuple(topic for topic in wanted if topic.name not in refused)
    answers = await shell.metadata.run(CreateTopics(allowed, validate_only=request.validate_only))
    _note_what_was_lowered(topics, answers)
    refusals = [CreatedTopic(name, outcome.code, outcome.message) for name, outcome in refused.items()]
    return {
        "throttle_time": quota.throttle_ms,
        "topics": [_answer(answer, context.access) for answer in (*answers, *refusals)],
    }


def _not_creatable(topics: Iterable[NewTopic], access: Access) -> list[str]:
    """The topics that this client may not create, but for those that nobody may or that are named twice."""
    if access.sees_cluster(Operation.CREATE):
        return []
    named = Counter(topic.name for topic in topics)
    names = [name for name, count in named.items() if count == 1 and name != CLUSTER_METADATA]
    return [name for name in names if not access.allows(Operation.CREATE, ResourceType.TOPIC, name)]


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


def _answer(topic: CreatedTopic, access: Access) -> dict[str, Any]:
    if not topic.code and not access.sees(Operation.DESCRIBE_CONFIGS, ResourceType.TOPIC, topic.name):
        # It was created; how is for those to see who may (KIP-525).
        return {
            "name": topic.name,
            "topic_id": topic.topic_id,
            "error_code": topic.code,
            "topic_config_error_code": ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        }
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
