"""A member of a group on the classic protocol, of any protocol type: what Kafka's `AbstractCoordinator` is in Java.

    member = GroupMember(Brokers({"bootstrap.servers": "localhost:9092"}), GroupSettings("orders", "connect"), listener)
    while running:
        member.poll(0.1)
    member.close()

The listener is asked what the member brings (`protocols`) and, if it leads, what everybody gets (`assign`); it is told
what it got (`assigned`) and that it has lost it (`lost`). All four are called inside of `poll`, in the thread that
calls it; a thread of the member's own only waits for the network and sends heartbeats, so `poll(0)` never blocks and
work goes on during a rebalance. `machine` decides, without sockets and clocks; `requests` knows the fields of each
version; `member` carries out.

Sources: the Kafka protocol guide; KIP-62 (heartbeats beside processing), KIP-345 (static members), KIP-394 (member id
first), KIP-800 (reasons), KIP-814 (a static leader that need not assign).
"""

from __future__ import annotations

from moldau.client.membership.errors import (
    CommitRefusedError,
    FencedMemberError,
    GroupError,
    RebalanceInProgressError,
)
from moldau.client.membership.machine import GroupSettings, Membership
from moldau.client.membership.member import GroupListener, GroupMember
from moldau.client.membership.requests import Commit, GroupMetadata, JoinedMember
from moldau.client.protocol.brokers import Brokers

__all__ = [
    "Brokers",
    "Commit",
    "CommitRefusedError",
    "FencedMemberError",
    "GroupError",
    "GroupListener",
    "GroupMember",
    "GroupMetadata",
    "GroupSettings",
    "JoinedMember",
    "Membership",
    "RebalanceInProgressError",
]
