"""ElectLeaders (KIP-460): preferred leaders, and unclean ones since version 1.

When every partition was asked for, those that need no election are left out of their topic's answer.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.elections import ElectionType, ElectLeaders, PartitionName
from moldau.control.metadata.situation import Outcome
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(43, "ElectLeaders", (0, 2))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    asked = None
    if request.topic_partitions is not None:
        asked = tuple((topic.topic, index) for topic in request.topic_partitions for index in topic.partitions)
    election_type = getattr(request, "election_type", ElectionType.PREFERRED)
    outcomes: tuple[tuple[PartitionName, Outcome], ...]
    try:
        context.access.require_cluster(Operation.ALTER)
        outcomes = await shell.metadata.run(ElectLeaders(election_type, asked))
        code = ErrorCode.NONE
    except ApiError as error:
        outcomes = tuple((name, Outcome(error.code, error.message)) for name in asked or ())
        code = error.code
    topics: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if asked is None and code is ErrorCode.NONE:
        topics.update((name, []) for name in shell.metadata.machine.image.topics)
    for (topic, index), outcome in outcomes:
        topics[topic].append(
            {"partition_id": index, "error_code": outcome.code, "error_message": outcome.message},
        )
    return {
        "error_code": code,
        "replica_election_results": [
            {"topic": topic, "partition_result": results} for topic, results in topics.items()
        ],
    }
