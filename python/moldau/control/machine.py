"""The shape of every machine of the control plane.

A machine holds one part of the cluster's state and takes every decision about it. It may not wait, send,
read a clock or draw a random number: time and chance are arguments, and whatever must happen in the world is
returned as an effect for the shell (`moldau.server`) to carry out.

The shell's side of the bargain: append `records` to the machine's partition, wait until they are committed
(high watermark), `apply` each of them, then send `response` and carry out `effects`, in that order. Recovery is
`apply` over the log and nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, NewType, Protocol, TypeVar

from moldau.control.light import light_dataclass
from moldau.errors import ErrorCode

Token = NewType("Token", int)
"""Names one waiting request. The shell hands it in, the machine gives it back in `Reply`."""


class Parked:
    """The response that says: the answer comes later, in a `Reply` effect with the request's token."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "PARKED"


PARKED: Final = Parked()

RequestT = TypeVar("RequestT", contravariant=True)
RecordT = TypeVar("RecordT")
ResponseT = TypeVar("ResponseT")


@light_dataclass(frozen=True, slots=True)
class Now:
    """The two times that a decision may need, both in milliseconds.

    `steady_ms` counts what has passed and never jumps: every timeout, deadline and timer is one of its. It means
    nothing on another node or after a restart, so it must not go into a record. `wall_ms` is the time of day since the
    epoch. It goes into records and is compared with what stands in them; whoever does that must bear that it is set at
    any time, forwards and backwards.
    """

    steady_ms: int
    wall_ms: int


@light_dataclass(frozen=True, slots=True)
class Reply:
    """Effect: answer the parked request `token` with `response`."""

    token: Token
    response: object


@light_dataclass(frozen=True, slots=True)
class ScheduleTimer:
    """Effect: hand `event` to `decide` at `at_ms` of the steady time. A later timer with the same key replaces it."""

    key: Hashable
    at_ms: int
    event: object


@light_dataclass(frozen=True, slots=True)
class CancelTimer:
    """Effect: forget the timer `key`; not an error when there is none."""

    key: Hashable


@light_dataclass(frozen=True, slots=True)
class Order:
    """Effect: work that is done outside of the machine; what comes of it reaches the machine as a request."""

    work: object


Effect = Reply | ScheduleTimer | CancelTimer | Order


@light_dataclass(frozen=True, slots=True)
class Producer:
    """In whose transaction records are written (KIP-98)."""

    producer_id: int
    producer_epoch: int
    guard: int | None
    """Under which the transaction was verified; None when it had begun in this partition before (KIP-890)."""


@light_dataclass(frozen=True, slots=True)
class TransactionMarker:
    """The control record that ends a producer's transaction in a partition. It is the only record of its decision."""

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    """The leader epoch of the partition of `__transaction_state` that decided; an older one is refused."""
    committed: bool
    transaction_version: int = 0
    """Of the producer whose transaction ends. Not on disk: it only says how strictly epochs are compared."""


@dataclass(slots=True)
class Decision(Generic[RecordT, ResponseT]):
    """What a machine wants done: durable records first, then the response, then the effects.

    Nobody changes it; it is not frozen because one is made for every request.
    """

    response: ResponseT
    records: tuple[RecordT, ...] = ()
    effects: tuple[Effect, ...] = ()
    producer: Producer | None = None
    """When the records belong to a producer's transaction, they count once its marker says so."""


@light_dataclass(frozen=True, slots=True)
class AppendFailed:
    """Handed to `decide` when the records of `decision` could not be appended: nothing of it was applied.

    The new decision takes the place of the failed one: its response answers `request` (or it is PARKED, with a
    `Reply`), and of the failed effects only those happen that it repeats. It has no records.
    """

    request: object
    decision: Decision[Any, Any]
    error: ErrorCode


class Machine(Protocol[RequestT, RecordT, ResponseT]):
    """`decide` never changes durable state; `apply` is the only code that does."""

    def decide(self, request: RequestT, now: Now) -> Decision[RecordT, ResponseT]: ...

    def apply(self, record: RecordT) -> None: ...
