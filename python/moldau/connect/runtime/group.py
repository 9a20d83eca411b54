"""Several workers share connectors and tasks as Kafka's workers do, and with them: the `connect` group protocol.

A thread takes part in the group. When the group divides its work anew this worker says what it has and how far it has
read the configurations; if it leads, it divides (`assignors`). What is revoked is stopped before anything else, and the
group is told by joining again, so nothing runs twice. What is assigned is begun when the configurations were read up to
where the leader had read them; a worker that cannot do that in time leaves, and comes back later.

A worker that was thrown out of the group, or that is about to divide anew, goes on with what it has, and says so when
it joins: others get it only when the leader has given it away. Only when the coordinator has not answered for about as
long as it takes to be thrown out, everything is stopped.

KIP-415 (incremental cooperative rebalancing), KIP-507 (signed requests between workers).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from moldau.client.membership import Brokers, GroupError, GroupMember, GroupSettings, JoinedMember
from moldau.client.membership import Membership as Place
from moldau.client.settings import Role
from moldau.client.translation import translate
from moldau.connect.errors import ConnectError
from moldau.connect.runtime.assignors import Division, IncrementalAssignor, divide_eagerly
from moldau.connect.runtime.config_records import ConfigState
from moldau.connect.runtime.config_stores import ConfigStore
from moldau.connect.runtime.group_protocol import (
    CONFIG_MISMATCH,
    EAGER,
    OFFERED,
    PROTOCOL_TYPE,
    SESSIONED,
    Given,
    WorkerState,
    read_given,
    read_state,
    write_given,
    write_state,
)
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.runtime.work import NOTHING, Work, configured

logger: Final = logging.getLogger("moldau.connect.group")

POLL_S: Final = 1.0
RETRY_S: Final = 1.0
STOP_TIMEOUT_S: Final = 30.0


class OutOfStepError(ConnectError):
    """The configurations could not be read up to where the leader has read them."""


class GroupMembership:
    """One worker in its group. The listener's methods and everything with an underscore belong to its thread."""

    def __init__(self, settings: WorkerSettings, url: str, configs: ConfigStore) -> None:
        """`url` is where the other workers reach this one."""
        self._settings = settings
        self._url = url
        self._configs = configs
        self._offered = OFFERED[settings["connect.protocol"]]
        self._protocol = self._offered[0]
        self._assignor = IncrementalAssignor(settings["scheduled.rebalance.max.delay.ms"])
        self._member: GroupMember | None = None
        self._last_generation = -1
        self._given: Given | None = None
        """What the leader has said last; what this worker brings when it joins again."""
        self._unresolved: Given | None = None
        """The same while what it says is not yet done."""
        self._has = NOTHING
        self._runs = NOTHING
        """What of it may run: all but what came with an answer that is not resolved."""
        self._leads = False
        self._owners: dict[str | TaskId, str] = {}
        self._brought = ConfigState()
        self._divided: Work | None = None
        """What was configured when the work was divided."""
        self._asked_to_divide: Work | None = None
        self._join_again_at: float | None = None
        self._still_runs = False
        """Whether something that was to be stopped could not be, and may still run."""
        self._closing = threading.Event()
        self._changed: Callable[[], None] = lambda: None
        self._released: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._take_part, name="connect-group", daemon=True)

    # What the herder asks.

    @property
    def leads(self) -> bool:
        """Whether this worker writes configurations."""
        return self._leads

    @property
    def leader_url(self) -> str | None:
        """Where the leader is; None when that is not known."""
        given = self._given
        if given is None or (given.leader_url == self._url and not self._leads):
            return None
        return given.leader_url

    @property
    def generation(self) -> int:
        """Of the group, when its work was divided last."""
        return max(0, self._last_generation)

    @property
    def signs(self) -> bool:
        """Whether all workers of the group know how to sign."""
        return self._protocol == SESSIONED

    @property
    def unreachable_s(self) -> float:
        """For how long the coordinator has not answered, or has refused us."""
        member = self._member
        return 0.0 if member is None else member.unreachable_s

    def start(self, changed: Callable[[], None], released: Callable[[], None]) -> None:
        """Join; `released` has to stop what is not assigned any more before it returns."""
        self._changed, self._released = changed, released
        self._thread.start()

    def stop(self) -> None:
        """Leave. What this worker had waits for it, for `scheduled.rebalance.max.delay.ms`."""
        self._closing.set()
        member = self._member
        if member is not None:
            member.wakeup()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_S)
            if self._thread.is_alive():
                logger.error("the group %s was not left within %g s", self._settings["group.id"], STOP_TIMEOUT_S)

    def settle(self, state: ConfigState) -> bool:
        """Whether there was an assignment. Asks for another one when there is more, or less, to divide than then."""
        divided, member = self._divided, self._member
        if divided is None:
            return False
        if configured(state) != divided and member is not None and self._unresolved is None:
            # What the herder saw may be older than the assignment.
            now = configured(self._configs.snapshot())
            if now not in (self._divided, self._asked_to_divide):
                self._asked_to_divide = now
                member.rejoin("connectors or tasks were added or removed")
        return True

    def assignment(self, state: ConfigState) -> Work:
        """What may run here."""
        return self._runs & configured(state)

    def owner_of(self, subject: str | TaskId) -> str | None:
        """The URL of the worker that has a connector or a task. Only the leader knows; the others know the leader."""
        return self._owners.get(subject) if self._leads else self.leader_url

    # The thread.

    def _take_part(self) -> None:
        while not self._closing.is_set():
            reason = "the worker stops"
            member = self._member = GroupMember(*self._coordinates(), self)
            try:
                self._be_member(member)
            except OutOfStepError as error:
                reason = str(error)
                logger.warning(
                    "%s: this worker leaves the group %s for worker.unsync.backoff.ms (%g s)",
                    error,
                    self._settings["group.id"],
                    self._settings.seconds("worker.unsync.backoff.ms"),
                )
            if self._closing.is_set():
                member.close(reason)
                return
            self._give_up()
            member.close(reason)
            self._closing.wait(self._settings.seconds("worker.unsync.backoff.ms"))

    def _coordinates(self) -> tuple[Brokers, GroupSettings]:
        settings = self._settings
        native = translate(Role.CONSUMER, settings.shared_by_clients()).native
        return Brokers(native), GroupSettings(
            settings["group.id"],
            PROTOCOL_TYPE,
            session_timeout_ms=settings["session.timeout.ms"],
            rebalance_timeout_ms=settings["rebalance.timeout.ms"],
            heartbeat_interval_ms=settings["heartbeat.interval.ms"],
        )

    def _be_member(self, member: GroupMember) -> None:
        patience_s = self._settings.seconds("session.timeout.ms") - self._settings.seconds("heartbeat.interval.ms")
        while not self._closing.is_set():
            try:
                member.poll(self._wait_s())
                self._resolve(member)
            except OutOfStepError:
                raise
            except GroupError as error:
                logger.warning("in the group %s: %s", self._settings["group.id"], error)
                self._closing.wait(RETRY_S)
            except Exception:
                logger.exception("in the group %s; this worker joins again", self._settings["group.id"])
                self._closing.wait(RETRY_S)
                member.rejoin("the worker could not do what the group wants")
            if member.unreachable_s > patience_s and (self._has or self._leads):
                logger.warning(
                    "the coordinator of the group %s has not answered, or has refused us, for %.1f s: others may "
                    "soon have what runs here, which is stopped",
                    self._settings["group.id"],
                    member.unreachable_s,
                )
                self._give_up()
                member.rejoin("the coordinator was not reached, and everything was stopped")

    def _wait_s(self) -> float:
        if self._join_again_at is None:
            return POLL_S
        return min(POLL_S, max(0.0, self._join_again_at - time.monotonic()))

    def _resolve(self, member: GroupMember) -> None:
        """Do what the leader has said, as far as the configurations are known."""
        if self._still_runs:
            self._release()
            if self._still_runs:
                # Nobody hears that it has stopped before it has.
                self._closing.wait(RETRY_S)
                return
        given = self._unresolved
        if given is None:
            if self._join_again_at is not None and time.monotonic() >= self._join_again_at:
                self._join_again_at = None
                member.rejoin("the delay of the last rebalance is over")
            return
        if _offset(self._configs.snapshot()) < given.offset or (given.error and self._leads):
            self._catch_up(given)
        state = self._configs.snapshot()
        if given.error or _offset(state) != given.offset:
            self._unresolved = None
            member.rejoin("the group's work was divided by other configurations than this worker has")
            return
        self._divided, self._asked_to_divide = configured(state), None
        self._runs = self._has
        self._unresolved = None
        if given.delay_ms > 0:
            self._join_again_at = time.monotonic() + given.delay_ms / 1000
        self._changed()
        if given.revoked:
            member.rejoin("what was revoked has stopped")

    def _catch_up(self, given: Given) -> None:
        deadline = time.monotonic() + self._settings.seconds("worker.sync.timeout.ms")
        self._configs.refresh(lambda: self._closing.is_set() or time.monotonic() > deadline)
        if _offset(self._configs.snapshot()) < given.offset and not self._closing.is_set():
            raise OutOfStepError("the configurations were not read within worker.sync.timeout.ms")

    def _give_up(self) -> None:
        """Stop everything, as one who is in no group."""
        self._has = self._runs = NOTHING
        self._given = self._unresolved = self._join_again_at = None
        self._leads = False
        # What the others have by now is not known, so nothing is kept back for those who seem to be missing.
        self._last_generation = -1
        self._release()

    def _release(self) -> None:
        try:
            self._released()
        except Exception:
            self._still_runs = True
            logger.exception("what is to be given away could not be stopped in time; this worker tries again")
        else:
            self._still_runs = False

    # What the group asks.

    def protocols(self, reason: str) -> Mapping[str, bytes]:
        """What this worker has, and how far it has read."""
        logger.info("the group %s divides its work: %s", self._settings["group.id"], reason or "this worker joins")
        state = self._brought = self._configs.snapshot()
        given = self._given
        kept = NOTHING if self._protocol == EAGER else self._has
        if given is not None and _offset(state) >= given.offset:
            # What was deleted is nobody's any more.
            kept &= configured(state)
        if kept != self._has or self._still_runs:
            self._has = kept
            self._runs &= kept
            self._release()
        if self._still_runs:
            raise ConnectError("this worker does not join the group while what it gives away still runs")
        has = None if given is None else replace(given, assigned=kept, revoked=NOTHING)
        brought = WorkerState(self._url, _offset(state), has)
        return {protocol: write_state(brought, protocol) for protocol in self._offered}

    def assign(self, protocol: str, members: Sequence[JoinedMember]) -> Mapping[str, bytes]:
        """Divide connectors and tasks among all workers, ours and Java's."""
        assert self._member is not None
        place = self._member.membership
        states = {each.member_id: read_state(each.metadata) for each in members}
        newest = max(each.offset for each in states.values())
        state = self._brought
        if _offset(state) < newest:
            state = self._configs.snapshot()
        answer = Given(0, place.member_id, self._url, max(newest, _offset(state)))
        if _offset(state) < newest:
            logger.info("the configurations are known up to %d only, a member knows %d", _offset(state), newest)
            answers = dict.fromkeys(states, replace(answer, error=CONFIG_MISMATCH))
        else:
            division = self._divide(protocol, state, states, place.generation_id)
            self._owners = {
                subject: states[member].url for member, work in division.owned.items() for subject in work.subjects
            }
            answers = {
                member: replace(
                    answer,
                    assigned=division.assigned[member],
                    revoked=division.revoked.get(member, NOTHING),
                    delay_ms=division.delay_ms,
                )
                for member in states
            }
        return {member: write_given(each, protocol) for member, each in answers.items()}

    def _divide(
        self, protocol: str, state: ConfigState, states: Mapping[str, WorkerState], generation: int
    ) -> Division:
        what = configured(state)
        if protocol == EAGER:
            return divide_eagerly(what, states)
        held = {member: NOTHING if each.has is None else each.has.assigned for member, each in states.items()}
        return self._assignor.divide(what, held, generation, self._last_generation, time.monotonic() * 1000)

    def assigned(self, membership: Place, assignment: bytes) -> None:
        """Stop what is revoked; what is new is begun when the configurations are read far enough."""
        given = read_given(assignment)
        self._note_protocol(membership.protocol or EAGER)
        self._last_generation = membership.generation_id
        self._join_again_at = None
        gone = self._has - given.assigned if self._protocol == EAGER else given.revoked
        if gone:
            self._has -= gone
            self._runs -= gone
            self._release()
        self._has |= given.assigned
        self._given = self._unresolved = given
        self._leads = given.leader == membership.member_id
        logger.info(
            "generation %d of the group %s, led by %s: comes %s; goes %s; the next rebalance in %d ms",
            membership.generation_id,
            self._settings["group.id"],
            "this worker" if self._leads else given.leader_url,
            given.assigned,
            given.revoked,
            given.delay_ms,
        )

    def _note_protocol(self, protocol: str) -> None:
        if self._protocol == SESSIONED != protocol:
            logger.warning(
                "a worker of the group %s does not sign what it asks of others: the group speaks %s now, and whoever "
                "reaches a worker can have tasks written (KIP-507)\nhint: set connect.protocol=sessioned everywhere",
                self._settings["group.id"],
                protocol,
            )
        self._protocol = protocol

    def lost(self, reason: str) -> None:
        """This worker is no member any more; it goes on with what it has until somebody else gets it."""
        logger.warning(
            "this worker was put out of the group %s and joins again: %s", self._settings["group.id"], reason
        )
        self._leads = False


def _offset(state: ConfigState) -> int:
    """Up to where the configurations are known, as the position of who reads on there; -1 for none."""
    return state.offset + 1 if state.offset >= 0 else -1
