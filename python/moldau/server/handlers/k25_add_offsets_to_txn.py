"""AddOffsetsToTxn: a transaction is going to commit offsets of a group.

It adds the partition of `__consumer_offsets` that keeps the group, so that the marker reaches it. In the second
transaction protocol nobody asks: TxnOffsetCommit does it by itself. Version 2 understands PRODUCER_FENCED.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.transactions.requests import AddPartitions
from moldau.control.transactions.responses import Answer
from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ApiError
from moldau.server.handlers import Api, RequestContext
from moldau.server.handlers.fencing import told_to
from moldau.server.topic_creation import OFFSETS_TOPIC, ensure_internal_topic

API = Api(25, "AddOffsetsToTxn", (0, 4))

KNOWS_FENCED_SINCE: Final = 2


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    try:
        context.access.require(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id)
        context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
        await ensure_internal_topic(shell, OFFSETS_TOPIC)
        partition = TopicPartition(OFFSETS_TOPIC, shell.groups.partition_of(request.group_id))
        asked = AddPartitions(
            request.transactional_id, request.producer_id, request.producer_epoch, frozenset({partition})
        )
        answer: Answer = await shell.transactions.run(request.transactional_id, asked)
    except ApiError as error:
        answer = Answer(error.code)
    return {"error_code": told_to(context, answer.error, KNOWS_FENCED_SINCE)}
