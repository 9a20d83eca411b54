"""The shell's half of the contract with a machine (`moldau.control.machine`).

For every request: `decide`, append the records as one batch, wait until they are committed, `apply` them, then give
the response and carry out the effects, in that order and one request after the other. A request that the machine
parks is answered by a later `Reply` effect with its token.

A machine whose `apply` failed no longer knows what its log says. It is stopped: every further request is refused, and
the error is logged with its traceback. Opening the node again replays the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from moldau.control.machine import (
    PARKED,
    AppendFailed,
    CancelTimer,
    Decision,
    Effect,
    Machine,
    Now,
    Order,
    Producer,
    Reply,
    ScheduleTimer,
    TransactionMarker,
)
from moldau.control.schema import SchemaError
from moldau.errors import ApiError, ErrorCode
from moldau.server.clock import Clock, Timers
from moldau.server.core_types import StoredRecord
from moldau.server.eager import Finished, Promise, begin

logger: Final = logging.getLogger("moldau.server.runner")

KeyAndValue = tuple[bytes | None, bytes | None]
MachineT = TypeVar("MachineT", bound=Machine[Any, Any, Any])


class RecordLog(Protocol):
    """The partition that holds a machine's records; `server.partition_log` is the real one."""

    async def append(self, records: Sequence[KeyAndValue], now_ms: int, producer: Producer | None = None) -> int:
        """Append as one batch, return the last offset when all of it is committed.

        Raises:
            ApiError: nothing was appended.
        """
        ...

    async def append_marker(self, marker: TransactionMarker, now_ms: int) -> int:
        """Append the control batch that ends a transaction, return its offset when it is committed.

        Raises:
            ApiError: nothing was appended.
        """
        ...


class RecordCodec(Protocol):
    """Between a machine's records and the bytes of its partition."""

    def encode(self, record: Any) -> KeyAndValue: ...

    def decode(self, record: StoredRecord) -> Any | None:
        """The machine's record, or None for one that says nothing to it."""
        ...


class MachineRunner(Generic[MachineT]):
    """One machine, its partition and its timers. All methods belong to the event loop's thread."""

    def __init__(
        self,
        name: str,
        machine: MachineT,
        log: RecordLog,
        codec: RecordCodec,
        clock: Clock,
        *,
        after_apply: Callable[[], Awaitable[None]] | None = None,
        work: Callable[[Any], None] | None = None,
        retire: Callable[[], None] | None = None,
    ) -> None:
        """`after_apply` runs after every applied batch, before the response: the place to pass changes on.

        `work` is given what the machine puts into an `Order`. `retire` is called when the machine decides no more.
        """
        self.name = name
        self.machine = machine
        self._log = log
        self._codec = codec
        self._clock = clock
        self._after_apply = after_apply
        self._work = work
        self._retire = retire or (lambda: None)
        self._turn = asyncio.Lock()
        self._in_line = 0
        """How many take their turn, or wait for it."""
        self._parked: dict[int, Promise[Any]] = {}
        self._timers = Timers(clock, self._timer_fired)
        self._background: set[asyncio.Task[None]] = set()
        self._stopped_by: BaseException | None = None
        self._retired = False

    async def run(self, request: Any, token: int | None = None) -> Any:
        """Let the machine decide about `request` and see it through; returns the machine's response.

        Args:
            token: names the request if the machine may park it.

        Raises:
            ApiError: the log refused the records, or the machine was stopped. Nothing was applied.
        """
        if self._in_line:
            turn = begin(self._take_turn(request, token))
        else:
            self._check_alive()
            now = self._clock.now()
            decision = self.machine.decide(request, now)
            if decision.records:
                turn = begin(self._take_turn(request, token, (decision, now)))
            else:
                # Nothing of it waits, so nobody can come in between.
                self._see_through(decision, token)
                turn = Finished(decision.response)
        # A caller that goes away must not tear a decision in two: what is appended has to be applied.
        response = turn.value if isinstance(turn, Finished) else await asyncio.shield(turn)
        if response is not PARKED:
            return response
        assert token is not None, f"{self.name} parked a request without a token: {request!r}"
        try:
            return await self._parked[token]
        finally:
            del self._parked[token]

    @property
    def stopped_by(self) -> BaseException | None:
        """Why the machine cannot follow its log any more; None while it can."""
        return self._stopped_by

    async def settled(self) -> None:
        """Wait until what is being decided now is applied and passed on.

        Raises:
            ApiError: the machine was stopped; what the log holds may be more than it knows.
        """
        self._in_line += 1
        try:
            async with self._turn:
                self._check_alive()
        finally:
            self._in_line -= 1

    def submit(self, request: Any) -> None:
        """Run `request` for its records and effects; nobody waits for its response. Failures are logged."""
        # Not at once: a machine submits what its own decisions lead to.
        self._keep(asyncio.get_running_loop().create_task(self._run_alone(request)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def replay(self, records: Sequence[StoredRecord]) -> None:
        """Apply records as they come from the log, before the first request.

        Raises:
            MoldauError: a record that cannot be read or contradicts the machine's state.
        """
        for stored in records:
            record = self._codec.decode(stored)
            if record is not None:
                self.machine.apply(record)

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Carry out effects that come from outside a request, such as those of a machine's start after recovery."""
        for effect in effects:
            self._carry_out(effect)

    def stop(self) -> None:
        """Decide no more: cancel the timers and refuse what comes or is parked with COORDINATOR_NOT_AVAILABLE."""
        self._retired = True
        self._retire()
        self._timers.cancel_all()
        self._refuse_the_parked(self._gone())

    async def _take_turn(
        self, request: Any, token: int | None, decided: tuple[Decision[Any, Any], Now] | None = None
    ) -> Any:
        """`decided` when nobody was in line, so that the decision could be taken before."""
        self._in_line += 1
        try:
            async with self._turn:
                if decided is None:
                    self._check_alive()
                    now = self._clock.now()
                    decision = self.machine.decide(request, now)
                else:
                    decision, now = decided
                if decision.records:
                    decision = await self._commit(request, decision, now.wall_ms)
                self._see_through(decision, token)
                return decision.response
        finally:
            self._in_line -= 1

    def _see_through(self, decision: Decision[Any, Any], token: int | None) -> None:
        if decision.response is PARKED and token is not None:
            # Before the effects: one of them may be the reply to this very request.
            self._parked[token] = Promise(loop=asyncio.get_running_loop())
        self.carry_out(decision.effects)

    async def _commit(self, request: Any, decision: Decision[Any, Any], now_ms: int) -> Decision[Any, Any]:
        """Append and apply. Returns the decision to answer with: another one if the log refused the records."""
        try:
            await self._append(decision, now_ms)
        except (ApiError, SchemaError) as error:
            if not getattr(self.machine, "answers_append_failed", False):
                raise
            logger.warning("%s could not append what it decided about %r: %s", self.name, request, error)
            code = error.code if isinstance(error, ApiError) else ErrorCode.INVALID_REQUEST
            return self.machine.decide(AppendFailed(request, decision, code), self._clock.now())
        except Exception as error:
            raise self._stopped(error) from error
        try:
            for record in decision.records:
                self.machine.apply(record)
            if self._after_apply is not None:
                await self._after_apply()
        except Exception as error:
            raise self._stopped(error) from error
        return decision

    async def _append(self, decision: Decision[Any, Any], now_ms: int) -> None:
        match decision.records:
            case (TransactionMarker() as marker,):
                await self._log.append_marker(marker, now_ms)
            case records:
                batch = [self._codec.encode(record) for record in records]
                await self._log.append(batch, now_ms, decision.producer)

    def _stopped(self, error: Exception) -> ApiError:
        """The log may hold what the machine does not know: from here on it could only guess."""
        self._stopped_by = error
        self._retire()
        logger.error("%s cannot follow its own log; it is stopped until restart", self.name, exc_info=error)
        refusal = ApiError(ErrorCode.UNKNOWN_SERVER_ERROR, f"{self.name} was stopped: {error}")
        self._refuse_the_parked(refusal)
        return refusal

    def _check_alive(self) -> None:
        if self._stopped_by is not None:
            raise ApiError(ErrorCode.UNKNOWN_SERVER_ERROR, f"{self.name} was stopped: {self._stopped_by}")
        if self._retired:
            raise self._gone()

    def _gone(self) -> ApiError:
        return ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{self.name} is here no more")

    def _refuse_the_parked(self, error: ApiError) -> None:
        for future in self._parked.values():
            if not future.done():
                future.set_exception(error)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Reply(token, response):
                future = self._parked.get(token)
                if future is None or future.done():
                    logger.error("%s answers request %d, which nobody waits for", self.name, token)
                    return
                future.set_result(response)
            case ScheduleTimer(key, at_ms, event):
                # What was decided while it went would otherwise be done in the log of a topic that is made anew.
                if not self._retired:
                    self._timers.schedule(key, at_ms, event)
            case CancelTimer(key):
                self._timers.cancel(key)
            case Order(work):
                assert self._work is not None, f"{self.name} orders {work!r} from nobody"
                self._work(work)

    def _timer_fired(self, event: object, _at_ms: int) -> None:
        begun = begin(self._run_alone(event))
        if isinstance(begun, asyncio.Task):
            self._keep(begun)

    async def _run_alone(self, request: Any) -> None:
        try:
            await self._take_turn(request, None)
        except ApiError as error:
            logger.warning("%s could not handle %r: %s", self.name, request, error)
        except Exception:
            logger.exception("%s failed at %r", self.name, request)
