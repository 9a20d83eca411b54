"""DeleteTopics (KIP-4): by name, and from version 6 by id (KIP-516).

Clients before version 3 do not know TOPIC_DELETION_DISABLED and are told INVALID_REQUEST.
"""

from __future__ import annotations

from typing import Any

from moldau.control.metadata.topics import DeletedTopic, DeleteTopics, TopicRef
from moldau.control.schema import ZERO_UUID
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(20, "DeleteTopics", (1, 6))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    if context.api_version >= 6:
        refs = tuple(TopicRef(topic.name, topic.topic_id or ZERO_UUID) for topic in request.topics)
    else:
        refs = tuple(TopicRef(name) for name in request.topic_names)
    try:
        answers: tuple[DeletedTopic, ...] = await shell.metadata.run(DeleteTopics(refs))
    except ApiError as error:
        if error.code is ErrorCode.TOPIC_DELETION_DISABLED and context.api_version < 3:
            raise ApiError(ErrorCode.INVALID_REQUEST, error.message) from error
        raise
    return {
        "responses": [
            {
                "name": answer.name,
                "topic_id": answer.id,
                "error_code": answer.code,
                "error_message": answer.message,
            }
            for answer in answers
        ]
    }
