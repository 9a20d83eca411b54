"""ElectLeaders (KIP-460): preferred leaders, and unclean ones since version 1."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from moldau.control.metadata.elections import ElectionType, ElectLeaders
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(43, "ElectLeaders", (0, 2))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    partitions = None
    if request.topic_partitions is not None:
        partitions = tuple((topic.topic, index) for topic in request.topic_partitions for index in topic.partitions)
    election_type = getattr(request, "election_type", ElectionType.PREFERRED)
    outcomes = await shell.metadata.run(ElectLeaders(election_type, partitions))
    topics: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (topic, index), outcome in outcomes:
        topics[topic].append(
            {"partition_id": index, "error_code": outcome.code, "error_message": outcome.message},
        )
    return {
        "error_code": ErrorCode.NONE,
        "replica_election_results": [
            {"topic": topic, "partition_result": results} for topic, results in topics.items()
        ],
    }
