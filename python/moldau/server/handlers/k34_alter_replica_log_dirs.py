"""AlterReplicaLogDirs (KIP-113): move replicas of this node between its log directories.

It is answered when the move has begun; DescribeLogDirs tells how far it is. A replica that is named twice goes where it
was named last. A directory that is cordoned (KIP-1066) takes no new replica.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from moldau.control.access.acl import Operation
from moldau.errors import ApiError, ErrorCode
from moldau.server.core_types import DirectoryStatus
from moldau.server.handlers import Api, RequestContext

API = Api(34, "AlterReplicaLogDirs", (1, 2))

LONGEST_FOLDER: Final = 255
FUTURE_SUFFIX_LENGTH: Final = len(".") + 32 + len("-future")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    allowed = context.access.allows_cluster(Operation.ALTER)
    wanted = {
        (topic.name, partition): directory.path
        for directory in request.dirs
        for topic in directory.topics
        for partition in topic.partitions
    }
    directories = {each.path: each for each in await shell.on_disk(shell.core.directories)}
    topics: dict[str, list[dict[str, Any]]] = {}
    for (topic, partition), path in wanted.items():
        error = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        if allowed:
            error = await _move(shell, topic, partition, path, directories)
        topics.setdefault(topic, []).append({"partition_index": partition, "error_code": error})
    return {"results": [{"topic_name": name, "partitions": partitions} for name, partitions in topics.items()]}


async def _move(
    shell: Any, topic: str, partition: int, path: str, directories: dict[str, DirectoryStatus]
) -> ErrorCode:
    if len(f"{topic}-{partition}") + FUTURE_SUFFIX_LENGTH > LONGEST_FOLDER:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    directory = directories.get(path)
    if directory is None:
        return ErrorCode.LOG_DIR_NOT_FOUND
    if not directory.online:
        return ErrorCode.KAFKA_STORAGE_ERROR
    if is_cordoned(shell, path):
        return ErrorCode.INVALID_REPLICA_ASSIGNMENT
    try:
        await shell.on_disk(shell.core.move_partition, topic, partition, Path(path))
    except ApiError as error:
        known = shell.metadata.machine.image.topics.get(topic)
        if error.code is ErrorCode.REPLICA_NOT_AVAILABLE and (known is None or partition not in known.partitions):
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return error.code
    return ErrorCode.NONE


def is_cordoned(shell: Any, path: str) -> bool:
    """Whether no new replica may be put into this log directory."""
    broker = shell.metadata.machine.image.brokers.get(shell.node_id)
    cordoned = (broker.cordoned_log_dirs if broker is not None else None) or ()
    return shell.directory_ids.get(Path(path)) in cordoned
