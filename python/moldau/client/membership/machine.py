"""What a member of a group does next: the classic group protocol from the client's side, decided without IO.

The shell (`member`) asks `next` what to send, carries it out, and says what came of it with `answered` or `failed`. The
user's thread takes `news`, and what it is wanted for (`wanted`): what it brings to the next generation, and what
everybody gets if it leads. Time is an argument, in seconds on any clock that never goes back; chance is too.

    OUT ──protocols──► JOINING ──leads──► ASSIGNING ──assign──► SYNCING ──► STABLE
                          │ └──follows────────────────────────────▲            │
                          ◄──────── a rebalance, and the user's protocols ─────┘

While STABLE or ASSIGNING heartbeats go out, and when a SyncGroup has failed until the next JoinGroup: a user that takes
long to poll keeps its place. A rebalance changes nothing about what the member holds until the user says
what it brings: it is for the user to stop what it must not do meanwhile. What is done about each error is what Kafka's
`AbstractCoordinator` and `ConsumerCoordinator` do about it.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from moldau.client.membership.errors import FencedMemberError, GroupError
from moldau.client.membership.requests import (
    NO_GENERATION,
    Answer,
    CoordinatorAnswer,
    FindCoordinator,
    Group,
    Heartbeat,
    Join,
    JoinAnswer,
    JoinedMember,
    Leave,
    Request,
    Sync,
    SyncAnswer,
)
from moldau.client.protocol.brokers import Address
from moldau.errors import ErrorCode

_RETRY_JITTER: Final = 0.2
_JOIN_GRACE_S: Final = 5.0
"""How much longer than the rebalance may take its answer is waited for, as in Kafka."""
_MOVED: Final = frozenset({ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR})
_OUR_PLACE_IS_GONE: Final = frozenset({ErrorCode.ILLEGAL_GENERATION, ErrorCode.UNKNOWN_MEMBER_ID})


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """What a member is; the names and defaults are those of Kafka's consumer, `protocol_type` says what it does."""

    group_id: str
    protocol_type: str
    group_instance_id: str | None = None
    session_timeout_ms: int = 45_000
    rebalance_timeout_ms: int = 300_000
    """How long the group waits for a member that is to join again, and how long a member may not poll."""
    heartbeat_interval_ms: int = 3_000
    request_timeout_ms: int = 30_000
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1_000

    @property
    def group(self) -> Group:
        """What stands in every request."""
        return Group(self.group_id, self.group_instance_id)


@dataclass(frozen=True, slots=True)
class Membership:
    """As what the group knows us. `generation_id` is -1 and `member_id` empty outside of it."""

    generation_id: int = NO_GENERATION
    member_id: str = ""
    protocol: str | None = None


@dataclass(frozen=True, slots=True)
class Assigned:
    """The group's work was divided; this is our part."""

    membership: Membership
    assignment: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """What we had may be somebody else's by now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The user has to be told."""

    error: Exception


News = Assigned | Lost | Failed


@dataclass(frozen=True, slots=True)
class ProtocolsWanted:
    """What does the user bring to the next generation?"""

    reason: str
    asked: int = 0
    """How often that has been asked anew before it was said; what was said to an earlier question does not count."""


@dataclass(frozen=True, slots=True)
class AssignmentWanted:
    """We lead: what does everybody get?"""

    membership: Membership
    members: tuple[JoinedMember, ...]


class Stage(enum.Enum):
    """Where a member stands."""

    OUT = "out"
    JOINING = "joining"
    ASSIGNING = "assigning"
    SYNCING = "syncing"
    STABLE = "stable"
    LEFT = "left"


class GroupMachine:
    """One member. Not safe to be used by two threads at once."""

    def __init__(self, settings: GroupSettings, chance: random.Random, now: float) -> None:
        self.settings = settings
        self.stage = Stage.OUT
        self.membership = Membership()
        self.coordinator: Address | None = None
        self.news: deque[News] = deque()
        self._chance = chance
        self._in_flight: Request | None = None
        self._protocols: tuple[tuple[str, bytes], ...] | None = None
        self._members: tuple[JoinedMember, ...] = ()
        self._assignments: tuple[tuple[str, bytes], ...] = ()
        self._wants_to_join = True
        self._reason = ""
        self._asked = 0
        self._once_more: str | None = None
        """Why this generation will not do: what the user brings has changed after it was sent."""
        self._holds = False
        """Whether the user was told of an assignment and not of its loss."""
        self._waits_for_poll = False
        """After a failure, or when the user did not poll: nothing is tried before it polls again."""
        self._leaving: str | None = None
        self._overdue: Leave | None = None
        self._attempt = 0
        self._retry_at = now
        self._heartbeat_at = now
        self._polled_at = now

    # What the user says.

    def polled(self, now: float) -> bool:
        """The user is alive and takes news; whether that was waited for."""
        self._polled_at = now
        if not self._waits_for_poll or any(isinstance(one, Failed) for one in self.news):
            return False
        self._waits_for_poll = False
        return True

    @property
    def is_rebalancing(self) -> bool:
        """Whether the next generation is on its way, so that what is said in the name of this one may be refused."""
        return self.stage in {Stage.JOINING, Stage.ASSIGNING, Stage.SYNCING}

    @property
    def _beats(self) -> bool:
        """Whether the coordinator waits for signs of life: in a generation, while no JoinGroup or SyncGroup waits."""
        in_generation = self.stage is Stage.OUT and self.membership.generation_id != NO_GENERATION
        return in_generation or self.stage in {Stage.STABLE, Stage.ASSIGNING}

    @property
    def wanted(self) -> ProtocolsWanted | AssignmentWanted | None:
        """What cannot go on without the user."""
        if self.stage is Stage.ASSIGNING:
            return AssignmentWanted(self.membership, self._members)
        joins = self._wants_to_join and self.stage in {Stage.OUT, Stage.STABLE}
        if joins and self._protocols is None and self._leaving is None and not self._waits_for_poll:
            return ProtocolsWanted(self._reason, self._asked)
        return None

    def join(self, protocols: Mapping[str, bytes], asked: int) -> None:
        """What the user brings: names of protocols, the preferred first, and what to tell the leader in each.

        It is asked again if something has changed since the question `asked`.
        """
        assert protocols, "a member without a protocol could agree with nobody"
        if isinstance(self.wanted, ProtocolsWanted) and asked == self._asked:
            self._protocols = tuple(protocols.items())
            self._assignments = ()

    def assign(self, membership: Membership, assignments: Mapping[str, bytes], now: float) -> None:
        """What everybody gets, as the leader of that generation says; too late is ignored."""
        if self.stage is Stage.ASSIGNING and membership == self.membership:
            self._assignments = tuple(assignments.items())
            self.stage = Stage.SYNCING
            self._retry_at = now

    def rejoin(self, reason: str) -> None:
        """Have the group divide its work anew, by what the user brings when it is asked next."""
        if not self._wants_to_join:
            self._wants_to_join = True
            self._reason = reason
        elif isinstance(self._in_flight, Join) or self.stage in {Stage.ASSIGNING, Stage.SYNCING}:
            self._once_more = reason
        elif self._protocols is not None:
            self._ask_anew(reason)
        else:
            # The user may be about to say what it brings.
            self._reason = reason
            self._asked += 1

    def leave(self, reason: str, now: float) -> None:
        """Leave at once, whatever was going on."""
        if self._leaving is None:
            self._leaving = reason
            self._retry_at, self._attempt = now, 0

    def commit_refused(self, membership: Membership, error: ErrorCode, now: float) -> bool:
        """What an answer to a commit says about our place in the group; whether it is still ours.

        While we wait for the next generation, the old one being gone means that the next one has come.
        """
        if membership != self.membership or (self.stage is Stage.JOINING and error is ErrorCode.ILLEGAL_GENERATION):
            return True
        self._take_place_error(error, "OffsetCommit", now)
        return error is ErrorCode.REBALANCE_IN_PROGRESS

    def coordinator_moved(self, address: Address) -> None:
        """Somebody else has found that this is not the coordinator."""
        if self.coordinator == address:
            self.coordinator = None

    # What the shell does.

    def next(self, now: float) -> Request | None:
        """What to send now; it counts as sent."""
        request = self._next(now)
        if request is not None:
            assert self._in_flight is None
            self._in_flight = request
        return request

    def _next(self, now: float) -> Request | None:
        if self._in_flight is not None or self.stage is Stage.LEFT:
            return None
        if self._leaving is not None:
            return self._next_of_leaving(now)
        self._judge_absence(now)
        if now < self._retry_at or (self._waits_for_poll and self._overdue is None):
            return None
        if self.coordinator is None:
            return FindCoordinator(self.settings.group)
        if self._overdue is not None:
            request, self._overdue = self._overdue, None
            return request
        if self._wants_to_join and self._protocols is not None and self.stage in {Stage.OUT, Stage.STABLE}:
            self.stage = Stage.JOINING
        if self.stage is Stage.JOINING and self._protocols is not None:
            return self._join_request(self._protocols)
        if self.stage is Stage.SYNCING:
            return self._sync_request()
        if self._beats and now >= self._heartbeat_at:
            return Heartbeat(self.settings.group, self.membership.member_id, self.membership.generation_id)
        return None

    def _next_of_leaving(self, now: float) -> Request | None:
        """Static members stay: somebody with their name may be on the way. So does who never came."""
        stays = self.settings.group_instance_id is not None or not self.membership.member_id
        if stays or self.coordinator is None or self._attempt:
            self.stage = Stage.LEFT
            return None
        if now < self._retry_at:
            return None
        assert self._leaving is not None
        return Leave(self.settings.group, self.membership.member_id, self._leaving)

    def _join_request(self, protocols: tuple[tuple[str, bytes], ...]) -> Join:
        settings = self.settings
        return Join(
            settings.group,
            self.membership.member_id,
            settings.protocol_type,
            protocols,
            settings.session_timeout_ms,
            settings.rebalance_timeout_ms,
            self._reason,
        )

    def _sync_request(self) -> Sync:
        membership = self.membership
        return Sync(
            self.settings.group,
            membership.member_id,
            membership.generation_id,
            self.settings.protocol_type,
            membership.protocol,
            self._assignments,
        )

    def _judge_absence(self, now: float) -> None:
        """A user that does not poll does not work either: its share is better given to somebody else. (KIP-62)"""
        if not self._beats or self._waits_for_poll:
            return
        if now - self._polled_at > self.settings.rebalance_timeout_ms / 1000:
            reason = "the member did not poll within its rebalance timeout"
            if self.settings.group_instance_id is None:
                self._overdue = Leave(self.settings.group, self.membership.member_id, reason)
            self._lose_place(reason, keep_member_id=False)
            self._waits_for_poll = True

    def wait_s(self, now: float) -> float | None:
        """How long nothing will be to send unless something happens; None for as long as it likes."""
        if self._in_flight is not None or self.stage is Stage.LEFT:
            return None
        times = []
        if self._retry_at > now:
            times.append(self._retry_at)
        if self._beats and not self._waits_for_poll:
            times.append(self._polled_at + self.settings.rebalance_timeout_ms / 1000)
            times.append(max(self._heartbeat_at, self._retry_at))
        return max(0.0, min(times) - now) if times else None

    def patience_s(self, request: Request, now: float) -> float:
        """How long to wait for the answer."""
        settings = self.settings
        if isinstance(request, (Join, Sync)):
            # The one waits for the slowest member, the other for the leader: each of them for its user.
            return max(settings.request_timeout_ms / 1000, settings.rebalance_timeout_ms / 1000 + _JOIN_GRACE_S)
        if isinstance(request, Heartbeat):
            # When the session is over somewhere else, waiting for this coordinator helps nobody.
            return min(settings.request_timeout_ms, settings.session_timeout_ms) / 1000
        return settings.request_timeout_ms / 1000

    # What came of it.

    def failed(self, request: Request, error: Exception, now: float, *, passes: bool) -> None:
        """No answer; `passes` says whether another try may help, otherwise the user is told."""
        self._sent(request)
        if self._leaving is not None and not isinstance(request, Leave):
            # It was cut short to leave.
            return
        if isinstance(request, Sync):
            self._begin_again()
        if not passes:
            self._fail(GroupError(str(error)) if not isinstance(error, GroupError) else error)
        elif not isinstance(request, FindCoordinator):
            self.coordinator = None
        self._back_off(now)
        self._look_at_protocols()

    def answered(self, request: Request, answer: Answer, now: float) -> None:
        """The coordinator, or whoever was asked for it, has spoken."""
        self._sent(request)
        if isinstance(request, Leave):
            # An answer that refuses says that we are not in the group: the same.
            if self._leaving is not None:
                self.membership, self.stage = Membership(), Stage.LEFT
        elif isinstance(answer, CoordinatorAnswer):
            self._take_coordinator(answer, now)
        elif isinstance(answer, JoinAnswer):
            self._take_join(answer, now)
            self._look_at_protocols()
        elif isinstance(answer, SyncAnswer):
            self._take_sync(answer, now)
        elif isinstance(request, Heartbeat):
            self._take_heartbeat(request, answer, now)

    def _sent(self, request: Request) -> None:
        assert request is self._in_flight
        self._in_flight = None

    def _take_coordinator(self, answer: CoordinatorAnswer, now: float) -> None:
        if answer.address is not None:
            self.coordinator = answer.address
            self._attempt = 0
        elif answer.error.retriable:
            self._back_off(now)
        else:
            self._fail(self._error(answer, "FindCoordinator"))

    def _take_join(self, answer: JoinAnswer, now: float) -> None:
        error = answer.error
        if self.stage is not Stage.JOINING:
            # Our place was lost meanwhile: whoever we are now has to join with what the user has then.
            if error is ErrorCode.NONE:
                self.membership = Membership(member_id=answer.member_id)
        elif error is ErrorCode.NONE:
            self._take_generation(answer, now)
        elif error is ErrorCode.MEMBER_ID_REQUIRED:
            self.membership = Membership(member_id=answer.member_id)
            self._again(now)
        elif error is ErrorCode.UNKNOWN_MEMBER_ID:
            self._lose_place("JoinGroup: UNKNOWN_MEMBER_ID", keep_member_id=False)
        elif error is ErrorCode.REBALANCE_IN_PROGRESS or error.retriable:
            if error in _MOVED:
                self.coordinator = None
            self._back_off(now)
        else:
            self._fail(self._error(answer, "JoinGroup"))

    def _take_generation(self, answer: JoinAnswer, now: float) -> None:
        if answer.protocol_type not in {None, self.settings.protocol_type}:
            self._fail(
                GroupError(
                    f"{self.settings.group_id} is a group of the type {answer.protocol_type}, "
                    f"not {self.settings.protocol_type}",
                    ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
                )
            )
            return
        self._protocols = None
        self._attempt = 0
        self.membership = Membership(answer.generation_id, answer.member_id, answer.protocol)
        self._heartbeat_at = now + self.settings.heartbeat_interval_ms / 1000
        self._assignments, self._members = (), answer.members
        leads = answer.leader == answer.member_id and not answer.skip_assignment
        self.stage = Stage.ASSIGNING if leads else Stage.SYNCING

    def _take_sync(self, answer: SyncAnswer, now: float) -> None:
        error = answer.error
        if error is ErrorCode.NONE:
            if answer.protocol_type not in {None, self.settings.protocol_type} or answer.protocol not in {
                None,
                self.membership.protocol,
            }:
                self._fail(GroupError("SyncGroup speaks of another protocol", ErrorCode.INCONSISTENT_GROUP_PROTOCOL))
                return
            self.stage = Stage.STABLE
            self._wants_to_join, self._reason = self._once_more is not None, self._once_more or ""
            self._once_more = None
            self._holds = True
            self._attempt = 0
            self._heartbeat_at = now + self.settings.heartbeat_interval_ms / 1000
            self.news.append(Assigned(self.membership, answer.assignment))
            return
        self._begin_again()
        if error in _OUR_PLACE_IS_GONE:
            self._lose_place(f"SyncGroup: {error.name}", keep_member_id=error is ErrorCode.ILLEGAL_GENERATION)
        elif error is ErrorCode.REBALANCE_IN_PROGRESS:
            self._reason = "the group began another rebalance"
        elif error.retriable:
            if error in _MOVED:
                self.coordinator = None
            self._back_off(now)
        else:
            self._fail(self._error(answer, "SyncGroup"))

    def _take_heartbeat(self, request: Heartbeat, answer: Answer, now: float) -> None:
        error = answer.error
        self._heartbeat_at = now + self.settings.heartbeat_interval_ms / 1000
        if error in {ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS}:
            self._attempt = 0
        known = (self.membership.member_id, self.membership.generation_id)
        if error is ErrorCode.NONE or (request.member_id, request.generation_id) != known:
            return
        if error in _MOVED:
            self.coordinator = None
            self._back_off(now)
        elif error.retriable:
            self._back_off(now)
        else:
            self._take_place_error(error, "Heartbeat", now)

    def _take_place_error(self, error: ErrorCode, where: str, now: float) -> None:
        """What heartbeats and commits say about our place."""
        if error is ErrorCode.REBALANCE_IN_PROGRESS:
            # What the user brings is not another for that: if it is on its way already, it stays what it is.
            if self.stage is Stage.STABLE and not self._wants_to_join:
                self.rejoin("the group is rebalancing")
        elif error in _OUR_PLACE_IS_GONE:
            # The member id may still be good, and the group need not wait for an old one to go.
            self._lose_place(f"{where}: {error.name}", keep_member_id=error is ErrorCode.ILLEGAL_GENERATION)
            self._retry_at = now
        else:
            self._fail(self._error(Answer(error), where))

    # What becomes of us.

    def _lose_place(self, reason: str, *, keep_member_id: bool) -> None:
        """Begin again as a new member. Who held something is told first that it has it no more."""
        self.membership = Membership(member_id=self.membership.member_id if keep_member_id else "")
        self._begin_again()
        self._reason = reason
        self.news = deque(one for one in self.news if isinstance(one, Failed))
        if self._holds:
            self._holds = False
            self.news.append(Lost(reason))

    def _begin_again(self) -> None:
        """The way into the next generation from its start; who we are and what we hold stays."""
        self.stage = Stage.OUT
        self._wants_to_join = True
        self._protocols, self._once_more = None, None
        self._members, self._assignments = (), ()

    def _look_at_protocols(self) -> None:
        """A Join that is to be tried again says what is true then."""
        if self._once_more is not None and self._protocols is not None:
            self._ask_anew(self._once_more)

    def _ask_anew(self, reason: str) -> None:
        """What the user has brought does not count any more."""
        if self.stage is Stage.JOINING:
            self._begin_again()
        self._protocols, self._once_more, self._reason = None, None, reason

    def _fail(self, error: GroupError) -> None:
        if isinstance(error, FencedMemberError):
            # There is nothing to be said of a loss: who is fenced has nothing any more.
            self._holds = False
            self._lose_place(str(error), keep_member_id=False)
        else:
            self._begin_again()
        self._waits_for_poll = True
        self.news.append(Failed(error))

    def _error(self, answer: Answer, where: str) -> GroupError:
        error, group = answer.error, self.settings.group_id
        said = f"{where} of group {group}: {answer.message or error.sentence} ({error.name})"
        if error is ErrorCode.FENCED_INSTANCE_ID:
            return FencedMemberError(
                f"another member has come as {self.settings.group_instance_id}: {said}\n"
                "hint: give each process a group.instance.id of its own",
                error,
            )
        return GroupError(said, error)

    def _again(self, now: float) -> None:
        """The same once more, at once."""
        self._retry_at = now

    def _back_off(self, now: float) -> None:
        """Try again later, the later the more often it failed."""
        settings = self.settings
        wait_ms = min(settings.retry_backoff_ms * 2.0**self._attempt, settings.retry_backoff_max_ms)
        self._attempt = min(self._attempt + 1, 30)
        spread = 1 + self._chance.uniform(-_RETRY_JITTER, _RETRY_JITTER)
        self._retry_at = now + wait_ms * spread / 1000
