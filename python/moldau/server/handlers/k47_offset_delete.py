"""OffsetDelete: take back committed offsets of topics that no member is subscribed to (KIP-496).

Each partition is a matter of its own, so they are taken back in turns of which each fits into one batch of the log, and
other requests are answered in between. Kafka refuses what does not fit into one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import OffsetDelete, TopicPartitions
from moldau.control.groups.responses import OffsetDeleteResponse
from moldau.control.groups.turn import TOMBSTONES_BYTES
from moldau.errors import ErrorCode
from moldau.server.eager import give_way
from moldau.server.group_names import check_named
from moldau.server.handlers import Api, RequestContext
from moldau.server.topic_names import find_topic

API = Api(key=47, name="OffsetDelete", versions=(0, 0))

REST_OF_TOMBSTONE_BYTES: Final = 300
"""Of a tombstone, besides its group: no topic's name is longer than 249."""


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    context.access.require(Operation.DELETE, ResourceType.GROUP, request.group_id)
    check_named(request.group_id)
    wanted: list[TopicPartitions] = []
    refused: set[str] = set()
    for asked in request.topics:
        if not context.access.allows(Operation.READ, ResourceType.TOPIC, asked.name):
            refused.add(asked.name)
            continue
        topic = find_topic(shell, asked)
        known = () if topic is None else topic.partitions
        existing = tuple(each.partition_index for each in asked.partitions if each.partition_index in known)
        if existing:
            wanted.append(TopicPartitions(asked.name, existing))
    errors: dict[tuple[str, int], ErrorCode] = {}
    for number, turn in enumerate(_in_turns(request.group_id, wanted)):
        if number:
            await give_way()
        response: OffsetDeleteResponse = await shell.groups.run(request.group_id, OffsetDelete(request.group_id, turn))
        if response.error is not ErrorCode.NONE and not number:
            return {"error_code": response.error, "topics": []}
        if response.error is not ErrorCode.NONE:
            # The group has become another one meanwhile: what is left is told so, what is done stays done.
            errors |= {(each.topic, partition): response.error for each in turn for partition in each.partitions}
        errors |= {(topic, partition): error for topic, partition, error in response.partitions}
    return {
        "error_code": ErrorCode.NONE,
        "topics": [
            {
                "name": asked.name,
                "partitions": [
                    {
                        "partition_index": each.partition_index,
                        "error_code": ErrorCode.TOPIC_AUTHORIZATION_FAILED
                        if asked.name in refused
                        else errors.get((asked.name, each.partition_index), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
                    }
                    for each in asked.partitions
                ],
            }
            for asked in request.topics
        ],
    }


def _in_turns(group_id: str, wanted: Sequence[TopicPartitions]) -> Iterator[tuple[TopicPartitions, ...]]:
    """The same in portions. There is always one: the group has to be asked."""
    at_once = max(1, TOMBSTONES_BYTES // (len(group_id.encode()) + REST_OF_TOMBSTONE_BYTES))
    portion: list[TopicPartitions] = []
    count = 0
    for each in wanted:
        begin = 0
        while begin < len(each.partitions):
            if count == at_once:
                yield tuple(portion)
                portion, count = [], 0
            some = each.partitions[begin : begin + at_once - count]
            portion.append(TopicPartitions(each.topic, some))
            begin += len(some)
            count += len(some)
    yield tuple(portion)
