"""DescribeLogDirs (KIP-113): what lies in each log directory. Space since version 4 (KIP-827), cordons since 5."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from moldau.control.metadata.topic_names import CLUSTER_METADATA
from moldau.errors import ErrorCode
from moldau.server.core_types import DirectoryStatus, LogStatus
from moldau.server.handlers import Api, RequestContext

API = Api(35, "DescribeLogDirs", (1, 5))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    asked = None
    if request.topics is not None:
        asked = {(topic.topic, partition) for topic in request.topics for partition in topic.partitions}
    directories: list[DirectoryStatus] = await shell.on_disk(shell.core.directories)
    logs: dict[str, list[LogStatus]] = defaultdict(list)
    for log in await shell.on_disk(shell.core.logs):
        # The metadata log belongs to the quorum, not to the topics of the node: Kafka does not tell it here either.
        if log.topic != CLUSTER_METADATA and (asked is None or (log.topic, log.partition) in asked):
            logs[log.directory].append(log)
    broker = shell.metadata.machine.image.brokers.get(shell.node_id)
    cordoned = set((broker.cordoned_log_dirs if broker is not None else None) or ())
    return {
        "error_code": ErrorCode.NONE,
        "results": [
            _directory(
                directory,
                logs[directory.path],
                is_cordoned=shell.directory_ids.get(Path(directory.path)) in cordoned,
            )
            for directory in directories
        ],
    }


def _directory(directory: DirectoryStatus, logs: list[LogStatus], *, is_cordoned: bool) -> dict[str, Any]:
    if not directory.online:
        return {"error_code": ErrorCode.KAFKA_STORAGE_ERROR, "log_dir": directory.path}
    topics: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for log in logs:
        topics[log.topic].append(
            {
                "partition_index": log.partition,
                "partition_size": log.size_bytes,
                # The distance that a replica in another directory would have to catch up; a log has none to itself.
                "offset_lag": max(0, log.high_watermark - log.log_end_offset),
                "is_future_key": False,
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
