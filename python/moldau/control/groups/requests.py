"""What the group machine can be asked, and what time may bring.

The first part comes from clients; a handler translates it from the wire and resolves topic ids to names before. The
second part are the events of timers, which the machine orders as `ScheduleTimer` and gets back when they are due. An
event names the round or generation it was meant for, so that one which comes late changes nothing.
"""

from __future__ import annotations

from uuid import UUID

from moldau.control.access.authorizer import Client
from moldau.control.light import light_dataclass
from moldau.control.machine import Producer, Token, TransactionMarker
from moldau.control.schema import ZERO_UUID


@light_dataclass(frozen=True, slots=True)
class Protocol:
    """One assignment strategy a member can follow, with its subscription as that strategy reads it."""

    name: str
    metadata: bytes


@light_dataclass(frozen=True, slots=True)
class JoinGroup:
    """A member wants to be part of the next generation. Answered by `JoinGroupResponse`, mostly later."""

    token: Token
    group_id: str
    member_id: str
    """Empty when the member has none yet."""
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: tuple[Protocol, ...]
    """In the member's order of preference."""
    requires_member_id: bool = True
    """KIP-394, from version 4: a new member first gets an id and must come back with it."""
    may_skip_assignment: bool = True
    """KIP-814, from version 9: the answer can say that the leader need not assign."""
    client: Client | None = None
    """Who asks, where topics are hidden from some; None sees all."""


@light_dataclass(frozen=True, slots=True)
class SyncGroup:
    """A member asks for its assignment; the leader brings everyone's. Answered by `SyncGroupResponse`."""

    token: Token
    group_id: str
    generation_id: int
    member_id: str
    group_instance_id: str | None
    protocol_type: str | None
    """None when the client does not say (before version 5); otherwise it must be the group's."""
    protocol_name: str | None
    assignments: tuple[tuple[str, bytes], ...]
    """(member id, assignment), from the leader only."""


@light_dataclass(frozen=True, slots=True)
class Heartbeat:
    group_id: str
    generation_id: int
    member_id: str
    group_instance_id: str | None


@light_dataclass(frozen=True, slots=True)
class ConsumerGroupHeartbeat:
    """A member of a consumer group joins (epoch 0), is alive, says what has changed, or leaves (-1, -2).

    None means that nothing has changed since the last heartbeat. Answered by `ConsumerGroupHeartbeatResponse`.
    """

    group_id: str
    member_id: str
    member_epoch: int
    client_id: str
    client_host: str
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    topic_names: tuple[str, ...] | None = None
    topic_regex: str | None = None
    assignor: str | None = None
    owned: tuple[tuple[UUID, tuple[int, ...]], ...] | None = None
    """What the member owns now, by topic id."""
    chooses_member_id: bool = True
    """From version 1 the member brings its own id."""
    client: Client | None = None
    """Who asks, where topics are hidden from some; None sees all."""
    token: Token | None = None
    """With one the first members of a group may have to wait for each other."""


@light_dataclass(frozen=True, slots=True)
class ConsumerGroupDescribe:
    group_id: str


@light_dataclass(frozen=True, slots=True)
class LeavingMember:
    member_id: str
    """Empty when an administrator removes a static member by its instance id alone."""
    group_instance_id: str | None


@light_dataclass(frozen=True, slots=True)
class LeaveGroup:
    group_id: str
    members: tuple[LeavingMember, ...]


@light_dataclass(frozen=True, slots=True)
class OffsetToCommit:
    topic: str
    topic_id: UUID
    partition: int
    offset: int
    leader_epoch: int
    metadata: str | None


@light_dataclass(frozen=True, slots=True)
class OffsetCommit:
    group_id: str
    generation_id: int
    """-1 for a consumer that assigns its partitions itself, and for administrators."""
    member_id: str
    group_instance_id: str | None
    offsets: tuple[OffsetToCommit, ...]
    retention_ms: int = -1
    """Versions 2 to 4 may bring a retention of their own; -1 takes `offsets.retention.minutes`."""
    knows_group_id_not_found: bool = True
    """From version 9 a client understands GROUP_ID_NOT_FOUND here; before, it is ILLEGAL_GENERATION."""


@light_dataclass(frozen=True, slots=True)
class TransactionalOffsetCommit:
    """Offsets that count when the producer's transaction is committed. Answered by `OffsetCommitResponse`."""

    group_id: str
    producer: Producer
    generation_id: int
    """-1 from a producer that does not know its consumer's group (before version 3)."""
    member_id: str
    group_instance_id: str | None
    offsets: tuple[OffsetToCommit, ...]


@light_dataclass(frozen=True, slots=True)
class CompleteTransaction:
    """A transaction with offsets in this partition is decided. Answered by `CompleteTransactionResponse`."""

    marker: TransactionMarker


@light_dataclass(frozen=True, slots=True)
class TopicPartitions:
    topic: str
    partitions: tuple[int, ...]
    topic_id: UUID = ZERO_UUID
    """When given, an offset that was committed for an earlier topic of this name does not count."""


@light_dataclass(frozen=True, slots=True)
class OffsetFetch:
    group_id: str
    topics: tuple[TopicPartitions, ...] | None
    """None asks for everything the group has committed."""
    require_stable: bool = False
    member_id: str | None = None
    member_epoch: int = -1
    """From version 9 a member of a consumer group says who asks, and in which epoch it is."""


@light_dataclass(frozen=True, slots=True)
class OffsetDelete:
    group_id: str
    topics: tuple[TopicPartitions, ...]


@light_dataclass(frozen=True, slots=True)
class DescribeGroup:
    group_id: str


@light_dataclass(frozen=True, slots=True)
class ListGroups:
    states: frozenset[str] = frozenset()
    """Empty means every state; compared without regard to case, as the types are."""
    types: frozenset[str] = frozenset()


@light_dataclass(frozen=True, slots=True)
class DeleteGroup:
    group_id: str
    goes_on: bool = False
    """The deletion has begun: if it is over by now, then what has this id is another group."""


@light_dataclass(frozen=True, slots=True)
class DeletedTopic:
    name: str
    topic_id: UUID


@light_dataclass(frozen=True, slots=True)
class TopicsDeleted:
    """Topics are gone from the cluster, and the offsets that were committed for them are of no more use."""

    topics: tuple[DeletedTopic, ...]


@light_dataclass(frozen=True, slots=True)
class Loaded:
    """Every record of the partition was applied: the machine may start its timers."""


# What time brings.


@light_dataclass(frozen=True, slots=True)
class SessionExpired:
    group_id: str
    member_id: str


@light_dataclass(frozen=True, slots=True)
class InitialDelayElapsed:
    group_id: str
    round: int
    delay_ms: int
    remaining_ms: int


@light_dataclass(frozen=True, slots=True)
class RebalanceTimedOut:
    group_id: str
    round: int


@light_dataclass(frozen=True, slots=True)
class SyncTimedOut:
    group_id: str
    round: int


@light_dataclass(frozen=True, slots=True)
class AssignmentStored:
    """The leader's assignment is committed: now everyone may have it."""

    group_id: str
    round: int
    assignments: tuple[tuple[str, bytes], ...]


@light_dataclass(frozen=True, slots=True)
class ConsumerSessionExpired:
    """A member of a consumer group, of either protocol, has not been heard of for a session timeout."""

    group_id: str
    member_id: str


@light_dataclass(frozen=True, slots=True)
class JoinsGathered:
    """The first members of a consumer group have waited for each other long enough."""

    group_id: str


@light_dataclass(frozen=True, slots=True)
class JoinsAlone:
    """A member that has waited for others to join with, and joins without them."""

    group_id: str
    request: ConsumerGroupHeartbeat


@light_dataclass(frozen=True, slots=True)
class RevocationTimedOut:
    """A member was told to give up partitions in this epoch, and had its rebalance timeout to do so."""

    group_id: str
    member_id: str
    member_epoch: int


@light_dataclass(frozen=True, slots=True)
class ClassicMemberTimedOut:
    """A classic member of a consumer group did not join, or did not sync, within its rebalance timeout."""

    group_id: str
    member_id: str


@light_dataclass(frozen=True, slots=True)
class ExpressionsToResolve:
    """Look which topics the regular expressions of a consumer group stand for now."""

    group_id: str
    client: Client | None = None
    """Whose heartbeat asked for it: topics that it may not describe are left out."""


@light_dataclass(frozen=True, slots=True)
class DeletionToFinish:
    """The deletion of a group has begun, and nobody goes on with it: the node crashed, or its log refused a part."""

    group_id: str


@light_dataclass(frozen=True, slots=True)
class RetentionCheckDue:
    """Time to look for offsets that nobody needs any more."""


ClientRequest = (
    JoinGroup
    | SyncGroup
    | Heartbeat
    | LeaveGroup
    | ConsumerGroupHeartbeat
    | ConsumerGroupDescribe
    | OffsetCommit
    | TransactionalOffsetCommit
    | CompleteTransaction
    | OffsetFetch
    | OffsetDelete
    | DescribeGroup
    | ListGroups
    | DeleteGroup
)
TimerEvent = (
    SessionExpired
    | InitialDelayElapsed
    | RebalanceTimedOut
    | SyncTimedOut
    | AssignmentStored
    | ConsumerSessionExpired
    | JoinsGathered
    | JoinsAlone
    | RevocationTimedOut
    | ClassicMemberTimedOut
    | ExpressionsToResolve
    | DeletionToFinish
    | RetentionCheckDue
)
