"""ListPartitionReassignments (KIP-455): which partitions are being moved."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.elections import ongoing_reassignments
from moldau.errors import ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(46, "ListPartitionReassignments", (0, 0))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.DESCRIBE)
    situation = shell.metadata.machine.situation()
    asked = None
    if request.topics is not None:
        asked = {topic.name: tuple(topic.partition_indexes) for topic in request.topics}
    return {
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "topics": [
            {
                "name": name,
                "partitions": [
                    {
                        "partition_index": index,
                        "replicas": partition.replicas,
                        "adding_replicas": partition.adding_replicas,
                        "removing_replicas": partition.removing_replicas,
                    }
                    for index, partition in partitions.items()
                ],
            }
            for name, partitions in ongoing_reassignments(situation, asked).items()
        ],
    }
