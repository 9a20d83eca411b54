"""ConsumerGroupDescribe: epochs, members and assignments of consumer groups (KIP-848).

Version 1 says of each member whether it uses the classic protocol. A group of another protocol does not exist here:
clients that ask for a group of unknown type ask DescribeGroups then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moldau.control.groups.requests import ConsumerGroupDescribe
from moldau.control.groups.responses import AssignedTopic, ConsumerGroupDescribeResponse, DescribedConsumer
from moldau.errors import ApiError
from moldau.server.group_names import check_named
from moldau.server.handlers import Api, RequestContext
from moldau.server.handlers.k15_describe_groups import GROUP_OPERATIONS, NOT_ASKED
from moldau.server.handlers.k68_consumer_group_heartbeat import check_served

API = Api(key=69, name="ConsumerGroupDescribe", versions=(0, 1))

CLASSIC_MEMBER: Final = 0
CONSUMER_MEMBER: Final = 1


async def handle(shell: Any, request: Any, context: RequestContext) -> Mapping[str, Any]:
    check_served(shell)
    operations = GROUP_OPERATIONS if request.include_authorized_operations else NOT_ASKED
    return {"groups": [await _describe(shell, group_id, operations) for group_id in request.group_ids]}


async def _describe(shell: Any, group_id: str, operations: int) -> dict[str, Any]:
    try:
        check_named(group_id)
        group: ConsumerGroupDescribeResponse = await shell.groups.run(group_id, ConsumerGroupDescribe(group_id))
    except ApiError as error:
        group = ConsumerGroupDescribeResponse(error.code, group_id, error.message)
    return {
        "error_code": group.error,
        "error_message": group.error_message,
        "group_id": group_id,
        "group_state": str(group.state),
        "group_epoch": group.epoch,
        "assignment_epoch": group.assignment_epoch,
        "assignor_name": group.assignor,
        "members": [_member(member) for member in group.members],
        "authorized_operations": NOT_ASKED if group.error else operations,
    }


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
