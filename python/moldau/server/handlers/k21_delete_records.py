"""DeleteRecords (KIP-107): moves the log start of partitions up.

Source: Kafka's `KafkaApis.handleDeleteRecordsRequest`, `Partition.deleteRecordsOnLeader`; -1 stands for the high
watermark. A partition that is named twice is answered once, for the last offset that was named.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.topic_names import INTERNAL_TOPICS
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(21, "DeleteRecords", (0, 2))

INVALID_LOW_WATERMARK: Final = -1


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    asked: dict[str, dict[int, int]] = {}
    for topic in request.topics:
        offsets = asked.setdefault(topic.name, {})
        offsets.update((partition.partition_index, partition.offset) for partition in topic.partitions)
    topics = []
    for name, offsets in asked.items():
        partitions = []
        allowed = context.access.allows(Operation.DELETE, ResourceType.TOPIC, name)
        for partition, offset in offsets.items():
            low_watermark, code = INVALID_LOW_WATERMARK, ErrorCode.TOPIC_AUTHORIZATION_FAILED
            if allowed:
                low_watermark, code = await _delete_before(shell, name, partition, offset)
            partitions.append({"partition_index": partition, "low_watermark": low_watermark, "error_code": code})
        if partitions:
            topics.append({"name": name, "partitions": partitions})
    return {"topics": topics}


async def _delete_before(shell: Any, topic: str, partition: int, offset: int) -> tuple[int, ErrorCode]:
    known = shell.metadata.machine.image.topics.get(topic)
    if known is None or partition not in known.partitions:
        return INVALID_LOW_WATERMARK, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if topic in INTERNAL_TOPICS:
        return INVALID_LOW_WATERMARK, ErrorCode.INVALID_TOPIC_EXCEPTION
    try:
        return await shell.on_disk(shell.core.delete_records, topic, partition, offset), ErrorCode.NONE
    except ApiError as error:
        return INVALID_LOW_WATERMARK, error.code
