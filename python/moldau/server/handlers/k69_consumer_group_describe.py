"""ConsumerGroupDescribe: epochs, members and assignments of consumer groups (KIP-848).

Version 1 says of each member whether it uses the classic protocol. A group of another protocol does not exist here:
clients that ask for a group of unknown type ask DescribeGroups then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.groups.requests import ConsumerGroupDescribe
from moldau.control.groups.responses import AssignedTopic, ConsumerGroupDescribeResponse, DescribedConsumer
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import OPERATIONS_NOT_ASKED
from moldau.server.group_names import check_named
from moldau.server.handlers import Api, RequestContext
from moldau.server.handlers.k68_consumer_group_heartbeat import check_served

API = Api(key=69, name="ConsumerGroupDescribe", versions=(0, 1))

CLASSIC_MEMBER: Final = 0
CONSUMER_MEMBER: Final = 1


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    check_served(shell)
    wants_operations = request.include_authorized_operations
    groups = [await _describe(shell, name, context, wants_operations=wants_operations) for name in request.group_ids]
    return {"groups": groups}


async def _describe(shell: Any, group_id: str, context: RequestContext, *, wants_operations: bool) -> dict[str, Any]:
    try:
        context.access.require(Operation.DESCRIBE, ResourceType.GROUP, group_id)
        check_named(group_id)
        group: ConsumerGroupDescribeResponse = await shell.groups.run(group_id, ConsumerGroupDescribe(group_id))
    except ApiError as error:
        group = ConsumerGroupDescribeResponse(error.code, group_id, error.message)
    if not all(context.access.sees(Operation.DESCRIBE, ResourceType.TOPIC, name) for name in _topics_of(group)):
        hidden = "members of the group have topics that the principal may not describe"
        group = ConsumerGroupDescribeResponse(ErrorCode.TOPIC_AUTHORIZATION_FAILED, group_id, hidden)
    return {
        "error_code": group.error,
        "error_message": group.error_message,
        "group_id": group_id,
        "group_state": str(group.state),
        "group_epoch": group.epoch,
        "assignment_epoch": group.assignment_epoch,
        "assignor_name": group.assignor,
        "members": [_member(member) for member in group.members],
        "authorized_operations": context.access.operations(ResourceType.GROUP, group_id)
        if wants_operations and not group.error
        else OPERATIONS_NOT_ASKED,
    }


def _topics_of(group: ConsumerGroupDescribeResponse) -> set[str]:
    return {topic.name for member in group.members for topic in (*member.assignment, *member.target)}


def _member(member: DescribedConsumer) -> dict[str, Any]:
    return {
        "member_id": member.member_id,
        "instance_id": member.instance_id,
        "rack_id": member.rack_id,
        "member_epoch": member.member_epoch,
        "client_id": member.client_id,
        "client_host": member.client_host,
        "subscribed_topic_names": list(member.topic_names),
        "subscribed_topic_regex": member.topic_regex,
        "assignment": _assignment(member.assignment),
        "target_assignment": _assignment(member.target),
        "member_type": CLASSIC_MEMBER if member.uses_classic_protocol else CONSUMER_MEMBER,
    }


def _assignment(topics: tuple[AssignedTopic, ...]) -> dict[str, Any]:
    return {
        "topic_partitions": [
            {"topic_id": topic.topic_id, "topic_name": topic.name, "partitions": list(topic.partitions)}
            for topic in topics
        ]
    }
