"""Take all members out of a group, as Java's `Admin.removeMembersFromConsumerGroup` does, in two bare requests."""

from __future__ import annotations

import io
import time
from typing import Any

from kio.index import load_request_schema
from kio.schema.describe_groups.v5.request import DescribeGroupsRequest
from kio.schema.leave_group.v4.request import LeaveGroupRequest, MemberIdentity
from kio.schema.types import GroupId
from kio.serial import entity_writer
from tests.conformance import frames

DESCRIBE_GROUPS, LEAVE_GROUP = (15, 5), (13, 4)
LOADED_WITHIN_S = 10


def remove_members(bootstrap_servers: str, group: str) -> None:
    """All of them; the caller knows that they are dead. A coordinator that has just started is asked again."""
    deadline = time.monotonic() + LOADED_WITHIN_S
    describe = DescribeGroupsRequest(groups=(GroupId(group),), include_authorized_operations=False)
    while time.monotonic() < deadline:
        answer = _ask(bootstrap_servers, DESCRIBE_GROUPS, describe)
        if answer is not None and answer.groups[0].error_code == 0:
            break
        time.sleep(0.01)
    else:
        return
    found = answer.groups[0].members
    members = tuple(MemberIdentity(member_id=each.member_id, group_instance_id=None) for each in found)
    if members:
        _ask(bootstrap_servers, LEAVE_GROUP, LeaveGroupRequest(group_id=GroupId(group), members=members))


def _ask(bootstrap_servers: str, api: tuple[int, int], request: Any) -> Any:
    out = io.BytesIO()
    entity_writer(load_request_schema(*api))(out, request)
    try:
        answer = frames.exchange(bootstrap_servers, frames.framed(frames.header(*api) + out.getvalue()))
    except OSError:
        return None
    return None if answer is None else frames.parse(*api, answer)
