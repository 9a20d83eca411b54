"""DescribeTransactions: what the coordinator knows about transactional ids (KIP-664)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.transactions.requests import DescribeTransaction
from moldau.control.transactions.responses import Described
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(65, "DescribeTransactions", (0, 0))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    return {"transaction_states": [await _describe(shell, each, context) for each in request.transactional_ids]}


async def _describe(shell: Any, transactional_id: str, context: RequestContext) -> dict[str, Any]:
    try:
        context.access.require(Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, transactional_id)
        if not transactional_id:
            raise ApiError(ErrorCode.INVALID_REQUEST)
        described: Described = await shell.transactions.run(transactional_id, DescribeTransaction(transactional_id))
    except ApiError as error:
        described = Described(error.code)
    found: dict[str, Any] = {"error_code": described.error, "transactional_id": transactional_id}
    transaction = described.transaction
    if transaction is None:
        return found
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(transaction.partitions):
        if context.access.sees(Operation.DESCRIBE, ResourceType.TOPIC, topic):
            topics.setdefault(topic, []).append(partition)
    return found | {
        "transaction_state": transaction.state.told,
        "transaction_timeout": transaction.timeout_ms,
        "transaction_start_time": transaction.start_ms,
        "producer_id": transaction.producer_id,
        "producer_epoch": transaction.producer_epoch,
        "topics": [{"topic": topic, "partitions": partitions} for topic, partitions in topics.items()],
    }
