"""DeleteTopics (KIP-4): by name, and from version 6 by id (KIP-516); since 5 within the client's quota (KIP-599).

Clients before version 3 do not know TOPIC_DELETION_DISABLED and are told INVALID_REQUEST.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.topics import DeletedTopic, DeleteTopics, TopicRef
from moldau.control.schema import ZERO_UUID
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import Access
from moldau.server.handlers import Api, RequestContext
from moldau.server.mutations import OVER_QUOTA, MutationQuota

API = Api(20, "DeleteTopics", (1, 6))
STRICT_SINCE: Final = 5


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    if context.api_version >= 6:
        refs = tuple(TopicRef(topic.name, topic.topic_id or ZERO_UUID) for topic in request.topics)
    else:
        refs = tuple(TopicRef(name) for name in request.topic_names)
    forbidden = _forbidden(shell, refs, context.access)
    refs = tuple(ref for ref in refs if ref not in forbidden)
    quota = MutationQuota(shell, context.client_id, strict=context.api_version >= STRICT_SINCE)
    topics = shell.metadata.machine.image.topics_by_id

    def cost(answer: DeletedTopic) -> tuple[UUID, int] | None:
        return None if answer.code else (answer.id, len(topics[answer.id].partitions))

    try:
        over: dict[UUID, DeletedTopic] = quota.over(DeleteTopics(refs), cost)
        names = {topic.name for topic in over.values()}
        allowed = tuple(ref for ref in refs if ref.id not in over and ref.name not in names)
        answers: tuple[DeletedTopic, ...] = await shell.metadata.run(DeleteTopics(allowed))
    except ApiError as error:
        if error.code is ErrorCode.TOPIC_DELETION_DISABLED and context.api_version < 3:
            raise ApiError(ErrorCode.INVALID_REQUEST, error.message) from error
        raise
    refused = (DeletedTopic(topic.name, topic.id, OVER_QUOTA.code, OVER_QUOTA.message) for topic in over.values())
    return {
        "throttle_time": quota.throttle_ms,
        "responses": [
            {
                "name": answer.name,
                "topic_id": answer.id,
                "error_code": answer.code,
                "error_message": answer.message,
            }
            for answer in (*answers, *refused, *forbidden.values())
        ],
    }


def _forbidden(shell: Any, refs: Iterable[TopicRef], access: Access) -> dict[TopicRef, DeletedTopic]:
    """What this client may not delete, and what it is told: nothing about a topic that it may not describe.

    A reference that is wrong in itself, or is there twice, is left to the decision.
    """
    if access.sees_cluster(Operation.DELETE):
        return {}
    topics, names = shell.metadata.machine.image.topics_by_id, shell.metadata.machine.image.topics
    code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    forbidden = {}
    for ref, count in Counter(refs).items():
        by_id = ref.name is None
        topic = topics.get(ref.id) if by_id else None
        name = topic.name if topic is not None else ref.name
        if count > 1 or name is None or (not by_id and ref.id != ZERO_UUID):
            continue
        described = access.allows(Operation.DESCRIBE, ResourceType.TOPIC, name)
        # A name that may be described and is not there is simply unknown.
        deletable = name not in names or access.allows(Operation.DELETE, ResourceType.TOPIC, name)
        if not deletable or not (described or by_id):
            told = name if described or not by_id else None
            forbidden[ref] = DeletedTopic(told, ref.id, code, code.sentence)
    return forbidden
