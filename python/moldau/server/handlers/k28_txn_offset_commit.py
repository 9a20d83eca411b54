"""TxnOffsetCommit: offsets that count when a transaction is committed.

The offsets go into the partition of `__consumer_offsets` that keeps the group, so that partition has to be part of the
transaction: up to version 4 the coordinator is asked whether it is (KIP-890), from 5 on it is added. Version 3 brings
the consumer's member id and generation (KIP-447), so that a member which has lost its partitions cannot commit for
them; 4 understands TRANSACTION_ABORTABLE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from moldau._core import CoreError
from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import OffsetToCommit, TransactionalOffsetCommit
from moldau.control.groups.responses import OffsetCommitResponse
from moldau.control.machine import Producer
from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ApiError, ErrorCode
from moldau.server.commit_answers import Resolved, offset_to_commit, offsets_among, topics_of_answer
from moldau.server.handlers import Api, RequestContext
from moldau.server.topic_creation import OFFSETS_TOPIC

API = Api(28, "TxnOffsetCommit", (0, 5))

KNOWS_LOADING_SINCE: Final = 2
KNOWS_ABORTABLE_SINCE: Final = 4
ADDS_SINCE: Final = 5


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    context.access.require(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id)
    context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
    resolved = [each for topic in request.topics for each in _resolve(shell, topic, context)]
    offsets = offsets_among(resolved)
    committed = OffsetCommitResponse(ErrorCode.NONE)
    if offsets:
        try:
            committed = await _commit(shell, request, context, offsets)
        except ApiError as error:
            committed = OffsetCommitResponse(error.code)
    told = partial(_told, version=context.api_version)
    return {"topics": topics_of_answer(request.topics, resolved, committed, told)}


def _resolve(shell: Any, asked: Any, context: RequestContext) -> Iterator[Resolved]:
    known = shell.metadata.machine.image.topics.get(asked.name)
    allowed = context.access.allows(Operation.READ, ResourceType.TOPIC, asked.name)
    for partition in asked.partitions:
        if not allowed:
            yield ErrorCode.TOPIC_AUTHORIZATION_FAILED
        elif known is None or partition.partition_index not in known.partitions:
            yield ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        else:
            yield offset_to_commit(known, partition)


async def _commit(
    shell: Any, request: Any, context: RequestContext, offsets: tuple[OffsetToCommit, ...]
) -> OffsetCommitResponse:
    if not request.group_id:
        return OffsetCommitResponse(ErrorCode.INVALID_GROUP_ID)
    guard = await _verified(shell, request, context)
    asked = TransactionalOffsetCommit(
        request.group_id,
        Producer(request.producer_id, request.producer_epoch, guard),
        getattr(request, "generation_id", -1),
        getattr(request, "member_id", ""),
        getattr(request, "group_instance_id", None),
        offsets,
    )
    committed: OffsetCommitResponse = await shell.groups.run(request.group_id, asked)
    return committed


async def _verified(shell: Any, request: Any, context: RequestContext) -> int | None:
    """The guard for offsets that begin the transaction in the group's partition; None where it has begun.

    Raises:
        ApiError: the partition is not part of an open transaction of this producer.
    """
    if shell.groups.partition_count == 0:
        # As Kafka: here it is the partition of the group that is missed, not its coordinator.
        raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    at = TopicPartition(OFFSETS_TOPIC, shell.groups.partition_of(request.group_id))
    producer, adds = (request.producer_id, request.producer_epoch), context.api_version >= ADDS_SINCE
    try:
        guard: int | None = shell.core.begin_verification(*at, producer, adds, shell.clock.now_ms())
    except CoreError as error:
        raise ApiError(ErrorCode(error.code), error.message) from error
    asks = adds or shell.configs.broker_bool("transaction.partition.verification.enable")
    if guard is not None and asks:
        refusal = await shell.transactions.admit(request.transactional_id, producer, at, adds=adds)
        if refusal is not ErrorCode.NONE:
            raise ApiError(refusal)
    return guard


def _told(error: ErrorCode, version: int) -> ErrorCode:
    if error is ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if error is ErrorCode.TRANSACTION_ABORTABLE and version < KNOWS_ABORTABLE_SINCE:
        return ErrorCode.INVALID_TXN_STATE
    if error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS and version < KNOWS_LOADING_SINCE:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return error
