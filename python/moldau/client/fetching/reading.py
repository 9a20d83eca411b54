"""One partition that is read, what is wanted of it, and what comes of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moldau.client.fetching.settings import EARLIEST, LATEST, Reset
from moldau.client.protocol.partitions import Partition
from moldau.errors import ErrorCode, MoldauError

if TYPE_CHECKING:
    from moldau._core import RecordBlock

SILENCE_S: Final = 10.0
"""For so long nothing is said of a partition that cannot be read at the moment: leaders move."""
SAY_AGAIN_S: Final = 30.0


class FetchError(MoldauError):
    """A partition cannot be read on; `code` is Kafka's, None if its bytes cannot be."""

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = code


class Start(NamedTuple):
    """Where to begin to read a partition: an offset, `EARLIEST` or `LATEST`."""

    offset: int
    reset: Reset
    """Where to go on when that is not there any more."""
    run: int
    """How many records to hand out at once."""
    may_go: bool = False
    """Whether its topic may be deleted; it is waited for then, and that is no error."""
    leader_epoch: int = -1
    """Of the leader who had written what is before the offset, -1 if nobody knows. (KIP-320)"""


class Fetched(NamedTuple):
    """Some records of one partition: those of `block` from `start` to `stop`, perhaps none."""

    topic: str
    partition: int
    block: RecordBlock | None
    start: int
    stop: int
    next_offset: int
    """The offset behind them, and behind what nobody sees (markers, aborted records) if they are the block's last."""
    at_end: bool
    """Whether the partition had no more when they were fetched."""


@dataclass(eq=False, slots=True)
class Reading:
    """One partition that is read."""

    place: Partition
    position: int
    """The next offset to ask for, or one of Kafka's numbers for what has to be looked up before."""
    reset: Reset
    run: int
    may_go: bool = False
    epoch: int = -1
    """Under which leader what is before `position` was written, -1 if nobody knows."""
    leader: int | None = None
    leader_epoch: int = -1
    """Of the last leader that the cluster has told of."""
    topic_id: Any = None
    is_suspect: bool = False
    """Whether there is a leader of whom it is not known if it has what was read of others: it may have less, after an
    unclean election."""
    replica: int | None = None
    replica_until: float = 0.0
    paused: bool = False
    busy: bool = False
    """Whether it is in a request that was not answered yet."""
    asked: int = -1
    """The position in the last request."""
    not_before: float = 0.0
    missing_since: float | None = None
    """Since when the cluster says that there is no such partition."""
    missing_at: float = 0.0
    """When the cluster was asked the last time."""
    find_at: float = 0.0
    """When to ask the next time who leads it."""
    end: int = -1
    waiting: deque[Fetched] = field(default_factory=deque)
    waiting_bytes: int = 0
    failure: FetchError | None = None
    """Why it cannot be read on: said, once, when all that waits was handed out."""
    told_end: bool = False
    stuck_since: float | None = None
    """Since when nothing of it could be read, whatever the reason."""
    say_at: float = 0.0

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.place[0]}-{self.place[1]}"

    @property
    def where(self) -> str:
        """The place in it, as people write it."""
        if self.position >= 0:
            return f"offset {self.position}"
        return {EARLIEST: "its start", LATEST: "its end"}.get(self.position, "its start")

    def broker(self, now: float) -> int | None:
        """Whom to ask for records."""
        if self.replica is not None and now < self.replica_until:
            return self.replica
        return self.leader

    def stuck(self, code: ErrorCode, now: float) -> str | None:
        """It could not be read, and will be tried again; what to say of that, if it is time to say something."""
        if self.stuck_since is None:
            # What leaders do among each other passes. A node that does not know what is wrong needs somebody to look.
            self.stuck_since = now
            self.say_at = now + (0.0 if code is ErrorCode.UNKNOWN_SERVER_ERROR else SILENCE_S)
        if now < self.say_at:
            return None
        self.say_at = now + SAY_AGAIN_S
        lasted = f", for {now - self.stuck_since:.0f} s now" if now > self.stuck_since else ""
        return f"{self.name} cannot be read from {self.where} on{lasted}: {code.sentence} ({code.name}); trying again"

    def led_by(self, leader: int, epoch: int) -> None:
        """The cluster has told who leads; whoever did not lead before has to be asked what became of the log."""
        self.leader = leader
        if epoch != self.leader_epoch:
            self.is_suspect = self.position >= 0 and self.epoch >= 0 and epoch >= 0
            self.replica = None
        self.leader_epoch = epoch

    def go_on_at(self, position: int, epoch: int) -> None:
        """Read from there."""
        self.position, self.epoch = position, epoch
        self.told_end = self.is_suspect = False
        self.failure = None

    @property
    def waits_from(self) -> int:
        """The first offset of what was not handed out yet."""
        starts = (
            part.next_offset if part.block is None or part.start == part.stop else part.block.offset(part.start)
            for part in self.waiting
        )
        return min(starts, default=self.position)

    def drop_waiting(self) -> None:
        """Hand out nothing of what was read ahead."""
        self.waiting.clear()
        self.waiting_bytes = 0

    def moves(self) -> None:
        """It was read, or looked into."""
        self.stuck_since = self.missing_since = None
