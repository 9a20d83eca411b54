"""The member itself: a thread that asks the coordinator what the machine wants to know, and `poll` for its owner.

Requests of the membership go over one connection, one at a time, in the member's thread; commits go over another in the
thread that commits, so that they need not wait for a JoinGroup that takes as long as the slowest member.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from moldau.client.membership.errors import CommitRefusedError, FencedMemberError, GroupError, RebalanceInProgressError
from moldau.client.membership.machine import (
    Assigned,
    AssignmentWanted,
    Failed,
    GroupMachine,
    GroupSettings,
    Lost,
    Membership,
    News,
    ProtocolsWanted,
    Stage,
)
from moldau.client.membership.requests import (
    NO_GENERATION,
    Commit,
    CommitOffsets,
    FetchOffsets,
    FindCoordinator,
    GroupMetadata,
    Join,
    JoinedMember,
    Request,
    Sync,
    answer_of,
    commit_errors,
    committed_of,
)
from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.ending import Ending
from moldau.client.protocol.errors import ConnectionLostError, ForeignAnswerError, ProtocolError
from moldau.client.protocol.partitions import Partition, by_topic
from moldau.errors import ErrorCode

logger: Final = logging.getLogger("moldau.client")

CLOSE_TIMEOUT_S: Final = 10.0
_COMMIT_AGAIN_S: Final = 0.1
_UNKNOWN_S: Final = 10.0
"""For so long a topic may be unknown to the coordinator: it has heard of a new one later than its leader has."""
_WORTH_WAITING: Final = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.REQUEST_TIMED_OUT})
_MOVED: Final = frozenset({ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR, ErrorCode.REQUEST_TIMED_OUT})
_ABOUT_OUR_PLACE: Final = (
    ErrorCode.FENCED_INSTANCE_ID,
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.REBALANCE_IN_PROGRESS,
)
_SPEAKS_TO_A_MEMBER: Final = frozenset({ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED, *_ABOUT_OUR_PLACE})
"""Answers of a coordinator that has a place for us; any other refusal is final, and our session ends meanwhile."""


class GroupListener(Protocol):
    """What a member does when the group moves; called inside of `GroupMember.poll`. What it raises, `poll` raises."""

    def protocols(self, reason: str) -> Mapping[str, bytes]:
        """The group is about to divide its work: stop what must not go on meanwhile, and say what you bring.

        Returns:
            Names of protocols, the preferred first, and for each what the leader has to know.
        """

    def assign(self, protocol: str, members: Sequence[JoinedMember]) -> Mapping[str, bytes]:
        """You lead: what does each member get, by member id? Who is left out gets nothing (empty bytes)."""

    def assigned(self, membership: Membership, assignment: bytes) -> None:
        """This is yours from now on; what is not in it belongs to somebody else already, or soon."""

    def lost(self, reason: str) -> None:
        """What you had may be somebody else's: stop without a commit. `protocols` comes next."""


class GroupMember:
    """A member of a group from its making to `close`. `poll` belongs to one thread, all else may be called from any."""

    def __init__(self, brokers: Brokers, settings: GroupSettings, listener: GroupListener) -> None:
        """Begin to look for the group's coordinator; to join takes `poll`."""
        self.settings = settings
        self._brokers = brokers
        self._listener = listener
        self._changed = threading.Condition()
        self._machine = GroupMachine(settings, random.Random(), time.monotonic())
        self._woken = False
        self._line: tuple[Address, BrokerConnection] | None = None
        self._finding = Ending()
        """Of the search for the coordinator: who leaves does not look for one."""
        self._waits_long = False
        """Whether the request in flight may take as long as a rebalance."""
        self._unheard_since: float | None = None
        """When the coordinator was asked for the first time since it has answered the last time."""
        self._commit_lock = threading.Lock()
        self._commit_line: tuple[Address, BrokerConnection] | None = None
        self._thread = threading.Thread(target=self._run, name=f"{settings.group_id}-member", daemon=True)
        self._thread.start()

    @property
    def membership(self) -> Membership:
        """As what the group knows us now."""
        with self._changed:
            return self._machine.membership

    def group_metadata(self) -> GroupMetadata:
        """As what the group knows us, for offsets that are committed in a transaction.

        Raises:
            CommitRefusedError: we are not a member now, and offsets without one are nobody's.
            FencedMemberError: as `poll` would raise it.
        """
        membership = self.membership
        if membership.generation_id == NO_GENERATION:
            raise self._no_member()
        group = self.settings.group
        return GroupMetadata(group.group_id, membership.generation_id, membership.member_id, group.group_instance_id)

    def _no_member(self) -> GroupError:
        with self._changed:
            failures = [one.error for one in self._machine.news if isinstance(one, Failed)]
        for failure in failures:
            if isinstance(failure, FencedMemberError):
                return failure
        return CommitRefusedError(f"group {self.settings.group_id}: we are no member, so nothing is ours to commit")

    @property
    def is_stable(self) -> bool:
        """Whether the group's work is divided and nobody has asked to divide it anew."""
        with self._changed:
            return self._machine.stage is Stage.STABLE and self._machine.wanted is None

    @property
    def is_rebalancing(self) -> bool:
        """Whether the next generation is on its way: a commit in the name of this one may be refused."""
        with self._changed:
            return self._machine.is_rebalancing

    @property
    def unreachable_s(self) -> float:
        """For how long the coordinator has not answered, or has refused us; 0 if we are heard.

        After a session timeout we are no member.
        """
        with self._changed:
            return 0.0 if self._unheard_since is None else time.monotonic() - self._unheard_since

    def poll(self, timeout_s: float) -> bool:
        """Take part: call the listener for what has happened and what is wanted, waiting up to `timeout_s` for it.

        Has to be called at least every `rebalance_timeout_ms`; with 0 it does not wait.

        Returns:
            Whether the listener was called.

        Raises:
            GroupError: the group, or the way to it, refuses us. FencedMemberError: somebody else is us now.
        """
        deadline = time.monotonic() + timeout_s
        called = False
        while True:
            with self._changed:
                now = time.monotonic()
                if self._machine.polled(now):
                    self._changed.notify_all()
                wanted = self._machine.news.popleft() if self._machine.news else self._machine.wanted
                if wanted is None:
                    if called or self._woken or now >= deadline:
                        self._woken = False
                        return called
                    self._changed.wait(deadline - now)
                    continue
            self._serve(wanted)
            called = True

    def _serve(self, wanted: News | ProtocolsWanted | AssignmentWanted) -> None:
        listener = self._listener
        if isinstance(wanted, Failed):
            raise wanted.error
        if isinstance(wanted, Lost):
            logger.warning("group %s: our place is lost: %s", self.settings.group_id, wanted.reason)
            listener.lost(wanted.reason)
        elif isinstance(wanted, Assigned):
            logger.info("group %s: generation %d", self.settings.group_id, wanted.membership.generation_id)
            listener.assigned(wanted.membership, wanted.assignment)
        elif isinstance(wanted, ProtocolsWanted):
            protocols = listener.protocols(wanted.reason)
            with self._changed:
                self._machine.join(protocols, wanted.asked)
                self._changed.notify_all()
        else:
            given = listener.assign(wanted.membership.protocol or "", wanted.members)
            everybody = {member.member_id: given.get(member.member_id, b"") for member in wanted.members}
            with self._changed:
                self._machine.assign(wanted.membership, everybody, time.monotonic())
                self._changed.notify_all()

    def rejoin(self, reason: str) -> None:
        """Have the group divide its work anew, because what this member brings, or what there is, has changed."""
        with self._changed:
            self._machine.rejoin(reason)
            self._changed.notify_all()

    def wakeup(self) -> None:
        """Have a `poll` that waits, or else the next one, return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def commit(self, offsets: Mapping[Partition, Commit], timeout_s: float) -> None:
        """Commit offsets in the name of this member and its generation; waits until they are committed.

        Raises:
            RebalanceInProgressError: not now; poll, and commit again if the partitions are still ours.
            CommitRefusedError: our place is lost: `poll` will say so.
            FencedMemberError, GroupError: as `poll` would raise it.
            ConnectionLostError: nobody answered within `timeout_s`.
        """
        started = time.monotonic()
        deadline = started + timeout_s
        by_topic: dict[str, dict[int, Commit]] = {}
        for (topic, partition), one in offsets.items():
            by_topic.setdefault(topic, {})[partition] = one
        with self._commit_lock:
            while True:
                error, partitions = self._commit_once(by_topic, deadline)
                if error is ErrorCode.NONE:
                    return
                unknown = error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and time.monotonic() > started + _UNKNOWN_S
                if unknown or not (error.retriable or error in _WORTH_WAITING):
                    raise GroupError(
                        f"offsets of {', '.join(partitions)} were not committed: {error.sentence} ({error.name})", error
                    )
                if time.monotonic() + _COMMIT_AGAIN_S > deadline:
                    raise ConnectionLostError(f"offsets were not committed within {timeout_s:g} s: {error.name}")
                with self._changed:
                    self._changed.wait(_COMMIT_AGAIN_S)

    def _commit_once(self, offsets: Mapping[str, Mapping[int, Commit]], deadline: float) -> tuple[ErrorCode, list[str]]:
        """What stands in the way, NONE for nothing, and of which partitions it was said."""
        with self._changed:
            address, membership = self._machine.coordinator, self._machine.membership
        if membership.generation_id == NO_GENERATION:
            # The group would take it for a commit of somebody who needs no membership.
            raise self._no_member()
        request = CommitOffsets(self.settings.group, membership.member_id, membership.generation_id, offsets)
        raw = self._ask_about_offsets(request, address, deadline)
        if raw is None:
            return _unanswered(address), []
        errors = commit_errors(raw)
        self._look_elsewhere(address, errors)
        for code in _ABOUT_OUR_PLACE:
            if code in errors:
                self._take_refusal(membership, code)
        return next(iter(errors.items()), (ErrorCode.NONE, []))

    def _ask_about_offsets(
        self, request: CommitOffsets | FetchOffsets, address: Address | None, deadline: float
    ) -> Any | None:
        """The answer of the coordinator, None if there is none; with the lock for commits."""
        if address is None:
            return None
        patience_s = max(0.001, min(deadline - time.monotonic(), self.settings.request_timeout_ms / 1000))
        try:
            self._commit_line = self._line_to(address, self._commit_line)
            return self._commit_line[1].ask(request.api_key, request.values, patience_s)
        except (ConnectionLostError, ForeignAnswerError) as error:
            _hang_up(self._commit_line)
            self._commit_line = None
            logger.info("group %s: %s again: %s", self.settings.group_id, type(request).__name__, error)
            return None

    def _look_elsewhere(self, address: Address | None, errors: Collection[ErrorCode]) -> None:
        """Have the coordinator looked for if it was not this one."""
        if address is not None and not _MOVED.isdisjoint(errors):
            with self._changed:
                self._machine.coordinator_moved(address)
                self._changed.notify_all()

    def committed(
        self, places: Iterable[Partition], timeout_s: float, may_go: Callable[[str], bool] = lambda _: False
    ) -> dict[Partition, Commit]:
        """How far the group has come in these partitions; waits for transactions that are not over yet. (KIP-447)

        `may_go` says of which topics it is no error that they are gone: they have no offsets then. Of others a
        coordinator that knows nothing of them is asked again, for it may have just started.

        Raises:
            GroupError: the group refuses to say.
            ConnectionLostError: nobody answered within `timeout_s`.
        """
        started = time.monotonic()
        deadline = started + timeout_s
        request = FetchOffsets(self.settings.group, by_topic(places))
        with self._commit_lock:
            while True:
                with self._changed:
                    address = self._machine.coordinator
                raw = self._ask_about_offsets(request, address, deadline)
                error, found = (_unanswered(address), {}) if raw is None else committed_of(raw, may_go)
                if error is ErrorCode.NONE:
                    return found
                self._look_elsewhere(address, (error,))
                unknown = error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and time.monotonic() > started + _UNKNOWN_S
                if unknown or not error.retriable:
                    raise GroupError(
                        f"offsets of group {self.settings.group_id} cannot be read: {error.sentence} ({error.name})",
                        error,
                    )
                if time.monotonic() + _COMMIT_AGAIN_S > deadline:
                    raise ConnectionLostError(f"offsets were not told within {timeout_s:g} s: {error.name}")
                with self._changed:
                    self._changed.wait(_COMMIT_AGAIN_S)

    def _take_refusal(self, membership: Membership, code: ErrorCode) -> None:
        """Tell the machine, and raise what it means."""
        with self._changed:
            remains = self._machine.commit_refused(membership, code, time.monotonic())
            self._changed.notify_all()
        said = f"group {self.settings.group_id}: the commit was refused: {code.sentence} ({code.name})"
        if remains:
            raise RebalanceInProgressError(said, code)
        raise (FencedMemberError if code is ErrorCode.FENCED_INSTANCE_ID else CommitRefusedError)(said, code)

    def close(self, reason: str = "the member was closed", timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Leave the group and end; a static member ends without leaving, so that it finds its place when it comes back.

        Nothing is called any more. What could not be said to the coordinator in time it finds out by itself.
        """
        with self._changed:
            self._machine.leave(reason, time.monotonic())
            line = self._line
            if self._waits_long and line is not None:
                line[1].abort()
            self._changed.notify_all()
        self._finding.now()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._changed:
                line = self._line
            if line is not None:
                line[1].abort()
        with self._commit_lock:
            _hang_up(self._commit_line)
            self._commit_line = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # The member's thread.

    def _run(self) -> None:
        try:
            while (request := self._wait_for_request()) is not None:
                self._carry_out(request)
        except BaseException as error:
            # A mistake of ours, or of Rust (`PanicException` is no `Exception`): without this the group would lose a
            # member and nobody would know why.
            logger.exception("the thread of a member of group %s has failed", self.settings.group_id)
            failure = GroupError(f"the member has failed: {error!r}")
            failure.__cause__ = error
            with self._changed:
                self._machine.news.append(Failed(failure))
                self._changed.notify_all()
        finally:
            _hang_up(self._line)
            self._line = None

    def _wait_for_request(self) -> Request | None:
        """What to ask next; None when the member has left."""
        with self._changed:
            while True:
                now = time.monotonic()
                request = self._machine.next(now)
                if request is not None:
                    self._waits_long = isinstance(request, (Join, Sync))
                    return request
                if self._machine.stage is Stage.LEFT:
                    return None
                # A place may have been lost by not polling.
                self._changed.notify_all()
                self._changed.wait(self._machine.wait_s(now))

    def _carry_out(self, request: Request) -> None:
        """Ask, and tell the machine what came of it."""
        failure: ProtocolError | None = None
        raw: Any = None
        if not self._waits_long:
            self._unheard(time.monotonic())
        try:
            raw = self._ask(request)
        except ProtocolError as error:
            failure = error
        except OSError as error:
            # Closing from another thread shows itself in ways of its own.
            failure = ConnectionLostError(str(error))
        with self._changed:
            now = time.monotonic()
            self._waits_long = False
            if failure is None:
                answer = answer_of(request, raw)
                self._machine.answered(request, answer, now)
                if isinstance(request, FindCoordinator):
                    # It says where to ask, not whether we are heard.
                    pass
                elif answer.error in _SPEAKS_TO_A_MEMBER or (answer.error.retriable and answer.error not in _MOVED):
                    self._unheard_since = None
                else:
                    self._unheard(now)
                if answer.error:
                    logger.info("group %s: %s: %s", self.settings.group_id, type(request).__name__, answer.error.name)
            else:
                _hang_up(self._line)
                self._line = None
                self._unheard(now)
                passes = isinstance(failure, (ConnectionLostError, ForeignAnswerError))
                logger.info("group %s: %s: %s", self.settings.group_id, type(request).__name__, failure)
                self._machine.failed(request, failure, now, passes=passes)
            self._changed.notify_all()

    def _unheard(self, now: float) -> None:
        if self._unheard_since is None:
            self._unheard_since = now

    def _ask(self, request: Request) -> Any:
        if isinstance(request, FindCoordinator):
            connection = self._brokers.open_any(self._finding)
            try:
                with self._finding.ends(connection.abort):
                    return connection.ask(request.api_key, request.values, self._brokers.request_timeout_s)
            finally:
                connection.close()
        address = self._machine.coordinator
        if address is None:
            raise ConnectionLostError("the coordinator has moved")
        line = self._line_to(address, self._line)
        with self._changed:
            self._line = line
        return line[1].ask(request.api_key, request.values, self._machine.patience_s(request, time.monotonic()))

    def _line_to(
        self, address: Address, line: tuple[Address, BrokerConnection] | None
    ) -> tuple[Address, BrokerConnection]:
        """The connection there is, or a new one."""
        if line is not None and line[0] == address:
            return line
        _hang_up(line)
        return address, self._brokers.open(address)


def _unanswered(address: Address | None) -> ErrorCode:
    return ErrorCode.COORDINATOR_NOT_AVAILABLE if address is None else ErrorCode.NETWORK_EXCEPTION


def _hang_up(line: tuple[Address, BrokerConnection] | None) -> None:
    if line is not None:
        line[1].close()
