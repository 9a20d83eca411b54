"""DescribeLogDirs (KIP-113): what lies in each log directory. Space since version 4 (KIP-827), cordons since 5."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.topic_names import CLUSTER_METADATA
from moldau.errors import ErrorCode
from moldau.server.core_types import DirectoryStatus, FutureStatus, LogStatus
from moldau.server.handlers import Api, RequestContext
from moldau.server.handlers.k34_alter_replica_log_dirs import is_cordoned

API = Api(35, "DescribeLogDirs", (1, 5))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.DESCRIBE)
    asked = None
    if request.topics is not None:
        asked = {(topic.topic, partition) for topic in request.topics for partition in topic.partitions}
    directories: list[DirectoryStatus] = await shell.on_disk(shell.core.directories)
    logs: dict[str, list[LogStatus]] = defaultdict(list)
    for log in await shell.on_disk(shell.core.logs):
        # The metadata log belongs to the quorum, not to the topics of the node: Kafka does not tell it here either.
        if log.topic != CLUSTER_METADATA and (asked is None or (log.topic, log.partition) in asked):
            logs[log.directory].append(log)
    futures: dict[str, list[FutureStatus]] = defaultdict(list)
    for future in shell.core.futures():
        if asked is None or (future.topic, future.partition) in asked:
            futures[future.directory].append(future)
    ends = {(log.topic, log.partition): log.log_end_offset for each in logs.values() for log in each}
    return {
        "error_code": ErrorCode.NONE,
        "results": [
            _directory(
                directory,
                logs[directory.path],
                [(future, ends.get((future.topic, future.partition), 0)) for future in futures[directory.path]],
                is_cordoned=is_cordoned(shell, directory.path),
            )
            for directory in directories
        ],
    }


def _directory(
    directory: DirectoryStatus,
    logs: list[LogStatus],
    futures: list[tuple[FutureStatus, int]],
    *,
    is_cordoned: bool,
) -> dict[str, Any]:
    if not directory.online:
        return {"error_code": ErrorCode.KAFKA_STORAGE_ERROR, "log_dir": directory.path}
    topics: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for log in logs:
        topics[log.topic].append(
            {
                "partition_index": log.partition,
                "partition_size": log.size_bytes,
                # The distance that a copy in another directory has to catch up; a log has none to itself.
                "offset_lag": max(0, log.high_watermark - log.log_end_offset),
                "is_future_key": False,
            }
        )
    for future, log_end_offset in futures:
        topics[future.topic].append(
            {
                "partition_index": future.partition,
                "partition_size": future.size_bytes,
                "offset_lag": max(0, log_end_offset - future.log_end_offset),
                "is_future_key": True,
            }
        )
    return {
        "error_code": ErrorCode.NONE,
        "log_dir": directory.path,
        "topics": [{"name": name, "partitions": partitions} for name, partitions in topics.items()],
        "total_bytes": directory.total_bytes,
        "usable_bytes": directory.usable_bytes,
        "is_cordoned": is_cordoned,
    }
