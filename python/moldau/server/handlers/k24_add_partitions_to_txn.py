"""AddPartitionsToTxn: which partitions a transaction writes to, before it does.

Up to version 3 it is a producer that says so, about one transaction. From 4 on it is a broker (KIP-890): about many, to
ask whether a partition is part of a transaction, or in the second transaction protocol to make it one; that is how the
produce path of this node asks too. All partitions of a transaction are added, or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.topic_names import INTERNAL_TOPICS
from moldau.control.transactions.requests import AddPartitions, VerifyPartitions
from moldau.control.transactions.responses import Answer, Verified
from moldau.control.transactions.transaction import BUMPS_EPOCH_SINCE, TopicPartition
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import Access
from moldau.server.handlers import Api, RequestContext
from moldau.server.handlers.fencing import told_to

API = Api(24, "AddPartitionsToTxn", (0, 5))

FIRST_OF_BROKERS: Final = 4
KNOWS_FENCED_SINCE: Final = 2


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    if context.api_version >= FIRST_OF_BROKERS:
        context.access.require_cluster(Operation.CLUSTER_ACTION)
    else:
        partitions = _partitions(request.v3_and_below_topics)
        asked = AddPartitions(
            request.v3_and_below_transactional_id,
            request.v3_and_below_producer_id,
            request.v3_and_below_producer_epoch,
            partitions,
        )
        errors = _unauthorized(asked, context.access) or await _errors(shell, asked)
        told = {at: told_to(context, error, KNOWS_FENCED_SINCE) for at, error in errors.items()}
        return {"results_by_topic_v3_and_below": _topics(told)}
    results = []
    for each in request.transactions:
        asked_of_broker: AddPartitions | VerifyPartitions
        who = (each.transactional_id, each.producer_id, each.producer_epoch, _partitions(each.topics))
        asked_of_broker = VerifyPartitions(*who) if each.verify_only else AddPartitions(*who, BUMPS_EPOCH_SINCE)
        errors = await _errors(shell, asked_of_broker)
        results.append({"transactional_id": each.transactional_id, "topic_results": _topics(errors)})
    return {"error_code": ErrorCode.NONE, "results_by_transaction": results}


def _unauthorized(request: AddPartitions, access: Access) -> dict[TopicPartition, ErrorCode]:
    """The error of each partition if there is one that the client may not write to; an internal one nobody may."""
    if not access.allows(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id):
        return dict.fromkeys(request.partitions, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    writable = {
        name: name not in INTERNAL_TOPICS and access.allows(Operation.WRITE, ResourceType.TOPIC, name)
        for name in {at.topic for at in request.partitions}
    }
    if all(writable.values()):
        return {}
    left, refused = ErrorCode.OPERATION_NOT_ATTEMPTED, ErrorCode.TOPIC_AUTHORIZATION_FAILED
    return {at: left if writable[at.topic] else refused for at in request.partitions}


async def _errors(shell: Any, request: AddPartitions | VerifyPartitions) -> dict[TopicPartition, ErrorCode]:
    """The error of each partition; NONE if it is part of the transaction."""
    topics = shell.metadata.machine.image.topics
    unknown = {
        at for at in request.partitions if at.topic not in topics or at.partition not in topics[at.topic].partitions
    }
    if unknown:
        named = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return {at: named if at in unknown else ErrorCode.OPERATION_NOT_ATTEMPTED for at in request.partitions}
    try:
        answer: Answer | Verified = await shell.transactions.run(request.transactional_id, request)
    except ApiError as error:
        answer = Answer(error.code)
    missing = answer.missing if isinstance(answer, Verified) else frozenset()
    return {at: ErrorCode.TRANSACTION_ABORTABLE if at in missing else answer.error for at in request.partitions}


def _partitions(topics: Iterable[Any]) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(topic.name, partition) for topic in topics for partition in topic.partitions)


def _topics(errors: Mapping[TopicPartition, ErrorCode]) -> list[dict[str, Any]]:
    by_topic: dict[str, list[dict[str, Any]]] = {}
    for (topic, partition), error in sorted(errors.items()):
        by_topic.setdefault(topic, []).append({"partition_index": partition, "partition_error_code": error})
    return [{"name": topic, "results_by_partition": partitions} for topic, partitions in by_topic.items()]
