"""DeleteRecords (KIP-107): moves the log start of partitions up.

Source: Kafka's `ReplicaManager.deleteRecords`; -1 stands for the high watermark.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(21, "DeleteRecords", (0, 2))

INVALID_LOW_WATERMARK: Final = -1
INTERNAL_TOPICS: Final = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    topics = []
    for topic in request.topics:
        partitions = []
        for partition in topic.partitions:
            low_watermark, code = await _delete_before(shell, topic.name, partition.partition_index, partition.offset)
            partitions.append(
                {"partition_index": partition.partition_index, "low_watermark": low_watermark, "error_code": code}
            )
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


async def _delete_before(shell: Any, topic: str, partition: int, offset: int) -> tuple[int, ErrorCode]:
    try:
        if topic in INTERNAL_TOPICS:
            raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"records of internal topic {topic} cannot be deleted")
        return await shell.on_disk(shell.core.delete_records, topic, partition, offset), ErrorCode.NONE
    except ApiError as error:
        return INVALID_LOW_WATERMARK, error.code
