"""ConsumerGroupHeartbeat: the one request of the consumer group protocol (KIP-848).

Version 1 has members choose their own ids and brings subscriptions by regular expression. A cluster whose
`group.version` is 0, or whose `group.coordinator.rebalance.protocols` leaves the protocol out, answers
UNSUPPORTED_VERSION, and clients say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.consumer.heartbeat import check_request
from moldau.control.groups.requests import ConsumerGroupHeartbeat
from moldau.control.groups.responses import ConsumerGroupHeartbeatResponse
from moldau.control.machine import Token
from moldau.errors import ApiError, ErrorCode
from moldau.server.durations import milliseconds
from moldau.server.handlers import Api, RequestContext
from moldau.server.translation import group_settings

API = Api(key=68, name="ConsumerGroupHeartbeat", versions=(0, 1))


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    check_served(shell)
    context.access.require(Operation.READ, ResourceType.GROUP, request.group_id)
    for name in request.subscribed_topic_names or ():
        context.access.require(Operation.DESCRIBE, ResourceType.TOPIC, name)
    owned = request.topic_partitions
    heartbeat = ConsumerGroupHeartbeat(
        group_id=request.group_id,
        member_id=request.member_id,
        member_epoch=request.member_epoch,
        client_id=context.client_id or "",
        client_host=context.client_host,
        instance_id=request.instance_id,
        rack_id=request.rack_id,
        rebalance_timeout_ms=milliseconds(request.rebalance_timeout),
        topic_names=None if request.subscribed_topic_names is None else tuple(request.subscribed_topic_names),
        topic_regex=getattr(request, "subscribed_topic_regex", None),
        assignor=request.server_assignor,
        owned=None if owned is None else tuple((topic.topic_id, tuple(topic.partitions)) for topic in owned),
        chooses_member_id=context.api_version >= 1,
        client=context.access.client if context.access.is_limited else None,
        token=Token(context.token),
    )
    if shell.groups.partition_count == 0:
        # Kafka looks at a request before it looks for a coordinator; so does a coordinator of ours, where there is one.
        check_request(heartbeat, group_settings(shell.configs))
    response: ConsumerGroupHeartbeatResponse = await shell.groups.run(heartbeat.group_id, heartbeat, context.token)
    return {
        "error_code": response.error,
        "error_message": response.error_message,
        "member_id": response.member_id,
        "member_epoch": response.member_epoch,
        "heartbeat_interval": response.heartbeat_interval_ms,
        "assignment": None if response.assignment is None else {"topic_partitions": _topics(response.assignment)},
    }


def check_served(shell: Any) -> None:
    """Refuse when this cluster does not use the protocol.

    Raises:
        ApiError: UNSUPPORTED_VERSION.
    """
    level = shell.metadata.machine.image.features.get("group.version", 0)
    if level < 1 or "consumer" not in shell.settings.words("group.coordinator.rebalance.protocols"):
        raise ApiError(ErrorCode.UNSUPPORTED_VERSION, "the consumer group protocol is switched off in this cluster")


def _topics(assignment: Any) -> list[dict[str, Any]]:
    return [{"topic_id": topic_id, "partitions": list(partitions)} for topic_id, partitions in assignment]
