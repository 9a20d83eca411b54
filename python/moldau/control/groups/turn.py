"""One turn of the group machine: what it was given to decide with, and what it has decided so far.

The rooms of the machine (`classic`, `offsets`) write into the turn; the coordinator makes a `Decision` of it.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from moldau.control.groups.records import CoordinatorRecord, encode_record
from moldau.control.groups.settings import GroupSettings
from moldau.control.machine import CancelTimer, Effect, Now, Producer, Reply, ScheduleTimer, Token

TOMBSTONES_BYTES: Final = 50_000
"""Keys of tombstones in one turn, so that they always fit into one batch, and nobody waits for long behind them."""


class Chance(Protocol):
    """The part of `random.Random` that the machine needs; the caller chooses the seed."""

    def getrandbits(self, k: int, /) -> int: ...


@dataclass(slots=True)
class Turn:
    now: Now
    settings: GroupSettings
    chance: Chance
    rounds: Iterator[int]
    """Numbers for rebalance rounds, never given twice."""
    records: list[CoordinatorRecord] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    producer: Producer | None = None
    """In whose transaction the records are written."""
    _tombstones_bytes: int = 0

    @property
    def steady_ms(self) -> int:
        """For everything that times out."""
        return self.now.steady_ms

    @property
    def wall_ms(self) -> int:
        """For what is written."""
        return self.now.wall_ms

    def write(self, record: CoordinatorRecord) -> None:
        self.records.append(record)

    def take_back(self, tombstone: CoordinatorRecord) -> None:
        """Write a tombstone that could wait for another turn; to be asked first: `is_full`."""
        self.write(tombstone)
        key, _ = encode_record(tombstone)
        self._tombstones_bytes += len(key)

    @property
    def is_full(self) -> bool:
        """Whether further tombstones have to wait, for they might not fit into the same batch."""
        return self._tombstones_bytes >= TOMBSTONES_BYTES

    def reply(self, token: Token, response: object) -> None:
        self.effects.append(Reply(token, response))

    def schedule(self, key: Hashable, at_ms: int, event: object) -> None:
        self.effects.append(ScheduleTimer(key, at_ms, event))

    def cancel(self, key: Hashable) -> None:
        self.effects.append(CancelTimer(key))

    def new_random_id(self) -> str:
        """A random UUID in base64, as Kafka names members of consumer groups."""
        return urlsafe_b64encode(UUID(int=self.chance.getrandbits(128), version=4).bytes).decode().rstrip("=")

    def new_member_id(self, prefix: str) -> str:
        """`prefix` and a random UUID, as Kafka names members."""
        return f"{prefix}-{UUID(int=self.chance.getrandbits(128), version=4)}"
