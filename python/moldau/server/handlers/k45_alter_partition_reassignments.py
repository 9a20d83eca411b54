"""AlterPartitionReassignments (KIP-455); version 1 may forbid a change of the replication factor (KIP-860)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.elections import AlterReassignments, Reassignment
from moldau.control.metadata.situation import Outcome
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(45, "AlterPartitionReassignments", (0, 1))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    reassignments = tuple(
        Reassignment(
            (topic.name, partition.partition_index),
            None if partition.replicas is None else tuple(partition.replicas),
        )
        for topic in request.topics
        for partition in topic.partitions
    )
    allowed = getattr(request, "allow_replication_factor_change", True)
    failure: ApiError | None = None
    try:
        context.access.require_cluster(Operation.ALTER)
        outcomes = await shell.metadata.run(AlterReassignments(reassignments, allowed))
    except ApiError as error:
        failure = error
        outcomes = tuple((each.partition, Outcome(error.code, error.message)) for each in reassignments)
    topics: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (topic, index), outcome in outcomes:
        topics[topic].append(
            {"partition_index": index, "error_code": outcome.code, "error_message": outcome.message},
        )
    return {
        "allow_replication_factor_change": allowed,
        "error_code": ErrorCode.NONE if failure is None else failure.code,
        "error_message": None if failure is None else failure.message,
        "responses": [{"name": topic, "partitions": partitions} for topic, partitions in topics.items()],
    }
