"""What a coordinator tells of a group of the consumer protocol (KIP-848) that librdkafka has no place for.

Epochs say how far a rebalance has come: the group's goes up when members or topics change, the assignment's follows
when partitions are shared out anew, each member's when it has given up and got what that means for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from moldau.cli.channel import require_no_error
from moldau.cli.connection import Connection
from moldau.client.protocol.questions import CONSUMER_GROUP_DESCRIBE

if TYPE_CHECKING:
    from confluent_kafka.admin import ConsumerGroupDescription

MEMBER_PROTOCOLS: Final = {0: "classic", 1: "consumer"}


@dataclass(frozen=True)
class Epochs:
    """Nothing is known of a classic group: it has generations, which no tool is told."""

    group: int | None = None
    assignment: int | None = None
    members: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_member(self, member_id: str) -> Mapping[str, Any]:
        """What is told of a member; nothing but names without values for one of a classic group."""
        unknown = {"member_epoch": None, "protocol": "classic", "subscribed": None, "expression": None, "target": None}
        return self.members.get(member_id, unknown)


def epochs_of(connection: Connection, description: ConsumerGroupDescription) -> Epochs:
    """Ask the coordinator of a group of the consumer protocol.

    Raises:
        CommandError: it does not answer, or refuses.
    """
    with connection.coordinator_channel(description) as channel:
        answer = channel.ask(CONSUMER_GROUP_DESCRIBE, lambda _: {"group_ids": [description.group_id]})
    (group,) = answer.groups
    require_no_error(group)
    members = {str(member.member_id): _member(member) for member in group.members}
    return Epochs(int(group.group_epoch), int(group.assignment_epoch), members)


def _member(member: Any) -> dict[str, Any]:
    return {
        "member_epoch": int(member.member_epoch),
        # Version 0 does not tell: every member is of the group's protocol then.
        "protocol": MEMBER_PROTOCOLS.get(int(getattr(member, "member_type", 1)), "consumer"),
        "subscribed": sorted(map(str, member.subscribed_topic_names)),
        "expression": member.subscribed_topic_regex or None,
        "target": {
            str(topic.topic_name): sorted(map(int, topic.partitions))
            for topic in member.target_assignment.topic_partitions
        },
    }
