"""What a reader asks of whom, and what becomes of the answers. No clock, socket or thread: `reader` has those.

Every partition that is read is a `Reading`: its leader, the offset to go on from, the blocks that wait to be taken. A
broker is asked for one thing at a time, and a reading is in one request at a time, so an answer always fits the offset
that it was asked for. One that was given up while an answer was on its way is a stranger to the table: the answer is
dropped.

Source: KIP-74 (sizes), KIP-98 (last stable offset), KIP-207 (offsets that are not available yet), KIP-392 (a replica
that is nearer than the leader).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moldau.client.fetching.settings import EARLIEST, LATEST, FetchSettings, Reset
from moldau.client.protocol.brokers import Address
from moldau.client.protocol.questions import FETCH, LIST_OFFSETS, Values
from moldau.errors import ErrorCode, MoldauError

if TYPE_CHECKING:
    from moldau._core import RecordBlock

Partition = tuple[str, int]

BLOCKS_AHEAD: Final = 2
"""So many blocks of a partition may wait: while one is worked on the next is there, and one more on its way."""
MISSING_S: Final = 10.0
"""For so long a topic may be unknown to the cluster: one that was just made, or is made anew."""
REPLICA_S: Final = 300.0
"""After this time the leader is asked again which replica is the nearest."""
_BUSY_WAIT_MS: Final = 10
"""How long a broker may wait for records of some partitions while others of it cannot be asked for."""

_ELSEWHERE: Final = frozenset(
    {
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
)


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
    leader: int | None = None
    replica: int | None = None
    replica_until: float = 0.0
    paused: bool = False
    busy: bool = False
    """Whether it is in a request that was not answered yet."""
    not_before: float = 0.0
    missing_since: float | None = None
    end: int = -1
    waiting: deque[Fetched] = field(default_factory=deque)
    waiting_bytes: int = 0
    told_end: bool = False

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.place[0]}-{self.place[1]}"

    def broker(self, now: float) -> int | None:
        """Whom to ask for records."""
        if self.replica is not None and now < self.replica_until:
            return self.replica
        return self.leader


class Request(NamedTuple):
    """A question to one broker."""

    api_key: int
    readings: tuple[Reading, ...]
    values: Values


class Block(NamedTuple):
    """What one partition's part of an answer holds: its records, or why they cannot be read."""

    records: RecordBlock | None
    failure: str | None


class FetchMachine:
    """The table of readings. Whoever drives it holds a lock around each call."""

    def __init__(self, settings: FetchSettings) -> None:
        self.settings = settings
        self.readings: dict[Partition, Reading] = {}
        self.brokers: dict[int, Address] = {}
        self.failure: Exception | None = None
        """What `take` raises next, once."""
        self._ask_leaders_at = 0.0

    def assign(self, starts: Mapping[Partition, Start]) -> None:
        """Read these too."""
        for place, start in starts.items():
            self.readings[place] = Reading(place, start.offset, start.reset, start.run)

    def unassign(self, places: Iterable[Partition]) -> None:
        """Read these no more; what waits of them is dropped."""
        for place in places:
            self.readings.pop(place, None)

    def pause(self, places: Iterable[Partition], *, paused: bool) -> None:
        """Hand out, and ask for, nothing of these, or go on with them."""
        for place in places:
            self.readings[place].paused = paused

    @property
    def waiting_bytes(self) -> int:
        """How much lies here unread."""
        return sum(reading.waiting_bytes for reading in self.readings.values())

    def take(self) -> list[Fetched]:
        """What there is to be worked on: about one run, of one partition or of several that have less.

        Raises:
            FetchError, ProtocolError: something cannot be read on; the rest can.
        """
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        taken: list[Fetched] = []
        share = 0.0
        for place in list(self.readings):
            reading = self.readings[place]
            if reading.paused or not reading.waiting:
                continue
            while reading.waiting and share < 1:
                part = self._cut(reading, max(1, round(reading.run * (1 - share))))
                taken.append(part)
                share += (part.stop - part.start) / reading.run
            if share >= 1:
                # The others are first the next time.
                self.readings[place] = self.readings.pop(place)
                break
        return taken

    def _cut(self, reading: Reading, count: int) -> Fetched:
        first = reading.waiting[0]
        if first.stop - first.start <= count:
            reading.waiting.popleft()
            if first.block is not None:
                reading.waiting_bytes -= first.block.size_bytes
            return first
        assert first.block is not None
        middle = first.start + count
        reading.waiting[0] = first._replace(start=middle)
        return first._replace(stop=middle, next_offset=first.block.offset(middle), at_end=False)

    # Questions.

    def next(self, broker: int, now: float) -> Request | None:
        """What to ask a broker; None for nothing now."""
        mine = [reading for reading in self.readings.values() if not reading.busy and reading.not_before <= now]
        unplaced = tuple(one for one in mine if one.position < 0 and one.leader == broker)
        if unplaced:
            return self._begin(LIST_OFFSETS, unplaced, self._list_offsets(unplaced))
        placed = [one for one in mine if one.position >= 0 and one.broker(now) == broker]
        has_room = self.waiting_bytes < self.settings.waiting_bytes_max
        # One of which nothing waits is asked for all the same: what lies here may wait for its records.
        ahead = BLOCKS_AHEAD if has_room else 1
        asked = tuple(one for one in placed if not one.paused and len(one.waiting) < ahead)
        if not asked:
            return None
        return self._begin(FETCH, asked, self._fetch(asked, alone=len(asked) == len(placed)))

    def _begin(self, api_key: int, readings: tuple[Reading, ...], values: Values) -> Request:
        for reading in readings:
            reading.busy = True
        return Request(api_key, readings, values)

    def wait_s(self, broker: int, now: float) -> float | None:
        """How long until a reading of this broker may be asked for again, None for ever."""
        later = [
            one.not_before - now
            for one in self.readings.values()
            if not one.busy and one.not_before > now and broker in {one.leader, one.replica}
        ]
        return min(later, default=None)

    def _list_offsets(self, readings: tuple[Reading, ...]) -> Values:
        topics = [
            {
                "name": topic,
                "partitions": [
                    {"partition_index": one.place[1], "timestamp": one.position, "max_num_offsets": 1} for one in ones
                ],
            }
            for topic, ones in _by_topic(readings).items()
        ]
        return {"replica_id": -1, "isolation_level": int(self.settings.read_committed), "topics": topics}

    def _fetch(self, readings: tuple[Reading, ...], *, alone: bool) -> Values:
        settings = self.settings
        topics = [
            {
                "topic": topic,
                "partitions": [
                    {
                        "partition": one.place[1],
                        "fetch_offset": one.position,
                        "partition_max_bytes": settings.partition_max_bytes,
                    }
                    for one in ones
                ],
            }
            for topic, ones in _by_topic(readings).items()
        ]
        return {
            "max_wait": settings.max_wait_ms if alone else min(settings.max_wait_ms, _BUSY_WAIT_MS),
            "min_bytes": settings.min_bytes,
            "max_bytes": settings.max_bytes,
            "isolation_level": int(settings.read_committed),
            "topics": topics,
            "forgotten_topics_data": (),
            "rack_id": settings.rack,
        }

    # Answers.

    def answered(self, request: Request, answer: Any, blocks: Mapping[Partition, Block], now: float) -> None:
        """Take the answer to a question, with what was made of its records."""
        told = parts_of(request, answer)
        for reading in request.readings:
            reading.busy = False
            if self.readings.get(reading.place) is not reading:
                continue
            part = told.get(reading.place)
            code = ErrorCode.UNKNOWN_SERVER_ERROR if part is None else ErrorCode(int(part.error_code))
            if part is None or code is not ErrorCode.NONE:
                self._refused(reading, code, now)
            elif request.api_key == LIST_OFFSETS:
                reading.position = max(int(part.offset), 0)
            else:
                self._fetched(reading, part, blocks.get(reading.place), now)

    def _fetched(self, reading: Reading, part: Any, block: Block | None, now: float) -> None:
        reading.missing_since = None
        committed = self.settings.read_committed and int(part.last_stable_offset) >= 0
        reading.end = int(part.last_stable_offset if committed else part.high_watermark)
        preferred = int(getattr(part, "preferred_read_replica", -1))
        if preferred in self.brokers and preferred != reading.leader:
            reading.replica, reading.replica_until = preferred, now + REPLICA_S
        if block is not None and block.failure is not None:
            self._fail(FetchError(f"{reading.name} cannot be read on: {block.failure}"))
            reading.paused = True
            return
        records = None if block is None else block.records
        before = reading.position
        if records is not None:
            reading.position = records.next_offset
        at_end = reading.position >= reading.end
        if reading.position == before and (reading.told_end or not at_end):
            return
        reading.told_end = at_end
        count = 0 if records is None else len(records)
        reading.waiting.append(Fetched(*reading.place, records, 0, count, reading.position, at_end))
        reading.waiting_bytes += 0 if records is None else records.size_bytes

    def _refused(self, reading: Reading, code: ErrorCode, now: float) -> None:
        reading.not_before = now + self.settings.retry_backoff_ms / 1000
        if reading.replica is not None:
            # The leader knows better.
            reading.replica = None
        elif code is ErrorCode.OFFSET_OUT_OF_RANGE:
            self._reset(reading)
        elif code in _ELSEWHERE:
            reading.leader = None
        elif not code.retriable and code is not ErrorCode.UNKNOWN_SERVER_ERROR:
            reading.not_before = now + MISSING_S
            self._fail(FetchError(f"{reading.name} cannot be read: {code.sentence} ({code.name})", code))

    def _reset(self, reading: Reading) -> None:
        if reading.reset == "none":
            reading.paused = True
            self._fail(
                FetchError(
                    f"{reading.name} has no offset {reading.position} any more, or not yet\n"
                    "hint: auto.offset.reset says where to go on then, earliest or latest",
                    ErrorCode.OFFSET_OUT_OF_RANGE,
                )
            )
            return
        reading.position = EARLIEST if reading.reset == "earliest" else LATEST
        reading.not_before = 0.0
        reading.told_end = False

    def failed(self, request: Request, failure: Exception, now: float, *, passes: bool) -> None:
        """There was no answer. What was asked for is asked again, perhaps of somebody else; some things never pass."""
        for reading in request.readings:
            reading.busy = False
            reading.leader = reading.replica = None
            reading.not_before = now + self.settings.retry_backoff_ms / 1000
        if not passes:
            self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        self.failure = self.failure or failure

    # Leaders.

    def leaderless(self, now: float) -> list[str]:
        """Topics of which it is not known whom to ask."""
        if now < self._ask_leaders_at:
            return []
        return sorted({one.place[0] for one in self.readings.values() if one.leader is None})

    def ask_leaders_in_s(self, now: float) -> float | None:
        """How long until they should be asked for, None if there are none."""
        if all(one.leader is not None for one in self.readings.values()):
            return None
        return max(self._ask_leaders_at - now, 0.0)

    def not_learned(self, failure: Exception, now: float, *, passes: bool) -> None:
        """Nobody has said who leads."""
        self._ask_leaders_at = now + self.settings.retry_backoff_ms / 1000
        if not passes:
            self._fail(failure)

    def learned(self, answer: Any, now: float) -> None:
        """Take what the cluster says of its brokers and of who leads what."""
        self._ask_leaders_at = now + self.settings.retry_backoff_ms / 1000
        self.brokers = {int(one.node_id): Address(str(one.host), int(one.port)) for one in answer.brokers}
        for reading in self.readings.values():
            # Of a broker that is gone nobody asks anything, so it would never be said that it leads no more.
            if reading.leader not in self.brokers:
                reading.leader = None
            if reading.replica not in self.brokers:
                reading.replica = None
        for topic in answer.topics:
            name, code = str(topic.name), ErrorCode(int(topic.error_code))
            leaders = {int(one.partition_index): int(one.leader_id) for one in topic.partitions}
            for reading in self.readings.values():
                if reading.place[0] == name and reading.leader is None:
                    self._led(reading, leaders.get(reading.place[1]), code, now)

    def _led(self, reading: Reading, leader: int | None, code: ErrorCode, now: float) -> None:
        if leader is not None and leader in self.brokers:
            reading.leader = leader
            return
        if code is ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            self._fail(FetchError(f"{reading.name} cannot be read: {code.sentence} ({code.name})", code))
        elif leader is None and code in {ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}:
            if reading.missing_since is None:
                reading.missing_since = now
            elif now - reading.missing_since > MISSING_S:
                code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                self._fail(FetchError(f"{reading.name} is not there any more: {code.sentence}", code))


def parts_of(request: Request, answer: Any) -> dict[Partition, Any]:
    """What an answer says of each partition."""
    topics = (
        [(str(one.topic), one.partitions) for one in answer.responses]
        if request.api_key == FETCH
        else [(str(one.name), one.partitions) for one in answer.topics]
    )
    return {(topic, int(one.partition_index)): one for topic, partitions in topics for one in partitions}


def _by_topic(readings: Iterable[Reading]) -> dict[str, list[Reading]]:
    by_topic: dict[str, list[Reading]] = {}
    for reading in readings:
        by_topic.setdefault(reading.place[0], []).append(reading)
    return by_topic
