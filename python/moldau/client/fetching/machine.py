"""What a reader asks of whom, and what becomes of the answers. No clock, socket or thread: `reader` has those.

Every partition that is read is a `Reading`: its leader, the offset to go on from, the blocks that wait to be taken. A
broker is asked for one thing at a time, and a reading is in one request at a time, so an answer always fits the offset
that it was asked for. One that was given up while an answer was on its way is a stranger to the table: the answer is
dropped.

Source: KIP-74 (sizes), KIP-98 (last stable offset), KIP-207 (offsets that are not available yet), KIP-227 (sessions),
KIP-320 (logs that were cut), KIP-392 (a replica that is nearer than the leader).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moldau.client.fetching.questions import Request, fetch, list_offsets, offsets_for_leader_epoch, parts_of
from moldau.client.fetching.reading import Fetched, FetchError, Reading, Start
from moldau.client.fetching.sessions import FetchSession
from moldau.client.fetching.settings import EARLIEST, LATEST, FetchSettings
from moldau.client.protocol.answers import ELSEWHERE
from moldau.client.protocol.brokers import Address
from moldau.client.protocol.partitions import Partition
from moldau.client.protocol.questions import FETCH, LIST_OFFSETS
from moldau.errors import ErrorCode

if TYPE_CHECKING:
    from moldau._core import RecordBlock

BLOCKS_AHEAD: Final = 2
"""So many blocks of a partition may wait: while one is worked on the next is there, and one more on its way."""
MISSING_S: Final = 10.0
"""For so long a topic may be unknown to the cluster: one that was just made, or is made anew."""
REPLICA_S: Final = 300.0
"""After this time the leader is asked again which replica is the nearest."""
QUIET_AFTER: Final = 10
"""After so many answers without records a broker is asked more rarely."""
_BUSY_WAIT_MS: Final = 10
"""How long a broker may wait for records of some partitions while others of it are worked on, and have no room."""

_DAMAGED: Final = (
    "\nhint: `moldau log dump` shows what its broker has there; another replica may have it whole. To go on without "
    "it, stop the application and set its group: moldau group seek GROUP --topic {topic}:{partition} --to OFFSET"
)

_OF_THE_SESSION: Final = frozenset({ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH})


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
        self.remarks: list[str] = []
        """What somebody should read in the log."""
        self.used_up = 0
        """How many of the blocks that came were handed out whole: each made room for others."""
        self._ask_leaders_at = 0.0
        self._sessions: dict[int, FetchSession] = {}

    def assign(self, starts: Mapping[Partition, Start]) -> None:
        """Read these too."""
        for place, start in starts.items():
            self.readings[place] = Reading(
                place, start.offset, start.reset, start.run, start.may_go, start.leader_epoch
            )
        self._expect_records()

    def unassign(self, places: Iterable[Partition]) -> None:
        """Read these no more; what waits of them is dropped."""
        for place in places:
            self.readings.pop(place, None)

    def pause(self, places: Iterable[Partition], *, paused: bool) -> None:
        """Hand out, and ask for, nothing of these, or go on with them."""
        for place in places:
            self.readings[place].paused = paused
        self._expect_records()

    def _expect_records(self) -> None:
        for session in self._sessions.values():
            session.empty_answers = 0

    @property
    def missing(self) -> dict[Partition, float]:
        """Partitions that the cluster does not know, and for how many seconds it has said so each time.

        A node that has just started knows none for a moment.
        """
        return {
            reading.place: reading.missing_at - reading.missing_since
            for reading in self.readings.values()
            if reading.missing_since is not None
        }

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
        for reading in self.readings.values():
            if reading.failure is not None and not reading.waiting and not reading.paused:
                why, reading.failure, reading.paused = reading.failure, None, True
                raise why
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
        part = reading.waiting[0]
        if part.stop - part.start <= count:
            reading.waiting.popleft()
            self.used_up += 1
            if part.block is not None:
                reading.waiting_bytes -= part.block.size_bytes
        else:
            assert part.block is not None
            middle = part.start + count
            reading.waiting[0] = part._replace(start=middle)
            part = part._replace(stop=middle, next_offset=part.block.offset(middle), at_end=False)
        return part

    # Questions.

    def next(self, broker: int, now: float) -> Request | None:
        """What to ask a broker; None for nothing now."""
        mine = [one for one in self.readings.values() if not one.busy and one.failure is None and one.not_before <= now]
        unplaced = tuple(one for one in mine if one.position < 0 and one.leader == broker)
        if unplaced:
            return _begun(list_offsets(unplaced, self.settings))
        suspects = tuple(one for one in mine if one.is_suspect and one.leader == broker)
        if suspects:
            return _begun(offsets_for_leader_epoch(suspects))
        placed = [one for one in mine if not (one.position < 0 or one.paused or one.is_suspect)]
        placed = [one for one in placed if one.broker(now) == broker]
        has_room = self.waiting_bytes < self.settings.waiting_bytes_max
        # One of which nothing waits is asked for all the same: what lies here may wait for its records.
        ahead = BLOCKS_AHEAD if has_room else 1
        asked = tuple(one for one in placed if len(one.waiting) < ahead)
        if not asked:
            return None
        session = self._sessions.setdefault(broker, FetchSession())
        is_quiet = session.empty_answers >= QUIET_AFTER
        longest_ms = self.settings.quiet_wait_ms if is_quiet else self.settings.max_wait_ms
        wait_ms = longest_ms if len(asked) == len(placed) else min(longest_ms, _BUSY_WAIT_MS)
        return _begun(fetch(asked, session, self.settings, wait_ms))

    def wait_s(self, broker: int, now: float) -> float | None:
        """How long until a reading of this broker may be asked for again, None for ever."""
        later = [
            one.not_before - now
            for one in self.readings.values()
            if not one.busy and one.not_before > now and broker in {one.leader, one.replica}
        ]
        return min(later, default=None)

    # Answers.

    def answered(self, request: Request, answer: Any, blocks: Mapping[Partition, Block], now: float) -> None:
        """Take the answer to a question, with what was made of its records."""
        for reading in request.readings:
            reading.busy = False
        told = parts_of(request, answer)
        unsaid = ErrorCode.UNKNOWN_SERVER_ERROR
        if request.session is not None:
            whole, is_full = ErrorCode.of(int(getattr(answer, "error_code", 0))), request.session.is_full
            request.session.answered(whole, int(getattr(answer, "session_id", 0)))
            request.session.empty_answers = 0 if blocks else request.session.empty_answers + 1
            if whole in _OF_THE_SESSION:
                # The next one names everything again.
                return
            if whole is not ErrorCode.NONE:
                told, unsaid = {}, whole
            elif not is_full:
                # Of what is not named there is nothing new.
                unsaid = ErrorCode.NONE
            elif not told:
                # So a broker says that a quota is used up. (KIP-219)
                unsaid = ErrorCode.THROTTLING_QUOTA_EXCEEDED
        for reading in request.readings:
            if self.readings.get(reading.place) is not reading:
                continue
            if reading.position != reading.asked:
                # Its topic was made anew meanwhile, and this is of the old one.
                if request.session is not None:
                    request.session.lost()
                continue
            part = told.get(reading.place)
            code = unsaid if part is None else ErrorCode.of(int(part.error_code))
            if code is not ErrorCode.NONE:
                self._refused(reading, code, now)
                continue
            reading.moves()
            if request.api_key == FETCH or part is None:
                self._fetched(reading, part, blocks.get(reading.place), now)
            elif request.api_key == LIST_OFFSETS:
                reading.go_on_at(max(int(part.offset), 0), int(getattr(part, "leader_epoch", -1)))
            else:
                self._compared(reading, int(part.leader_epoch), int(part.end_offset))

    def _fetched(self, reading: Reading, part: Any | None, block: Block | None, now: float) -> None:
        if part is not None:
            committed = self.settings.read_committed and int(part.last_stable_offset) >= 0
            reading.end = int(part.last_stable_offset if committed else part.high_watermark)
            preferred = int(getattr(part, "preferred_read_replica", -1))
            if preferred in self.brokers and preferred != reading.leader:
                reading.replica, reading.replica_until = preferred, now + REPLICA_S
        if block is not None and block.failure is not None:
            self._stop(reading, f"cannot be read on: {block.failure}{_damaged(reading)}")
            return
        records = None if block is None else block.records
        before = reading.position
        if records is not None:
            reading.position = records.next_offset
            reading.epoch = records.leader_epochs[-1][1] if records.leader_epochs else reading.epoch
        at_end = 0 <= reading.end <= reading.position
        if reading.position == before and (reading.told_end or not at_end):
            return
        reading.told_end = at_end
        count = 0 if records is None else len(records)
        reading.waiting.append(Fetched(*reading.place, records, 0, count, reading.position, at_end))
        reading.waiting_bytes += 0 if records is None else records.size_bytes

    def _compared(self, reading: Reading, epoch: int, end: int) -> None:
        """Where the leader's part of our epoch ends: what we have read behind that is not in its log. (KIP-320)

        `epoch` is the one that it knows, ours or the last before; -1 if it knows none.
        """
        reading.is_suspect = False
        knows_none = epoch < 0 or end < 0
        if not knows_none and end >= reading.position:
            return
        what = (
            f"its leader has nothing of what was read up to offset {reading.position}"
            if knows_none
            else f"what was read from offset {end} up to offset {reading.position} is not in the log of its leader"
        )
        waits_from = reading.waits_from
        reading.drop_waiting()
        if reading.reset == "none":
            # Whoever resumes it gets what was not handed out, if it is there.
            reading.position = waits_from
            self._stop(
                reading,
                f"was cut: {what}\nhint: auto.offset.reset (earliest or latest) lets it go on there by itself, "
                "moldau group seek sets the offset of a group",
                ErrorCode.OFFSET_OUT_OF_RANGE,
            )
            return
        self.remarks.append(f"{reading.name} was cut: {what}; it is read on from there")
        if knows_none:
            self._reset(reading)
        else:
            # What waits came from the log that is no more; what was handed out need not come again.
            reading.go_on_at(min(end, waits_from), epoch)

    def unserved(self, request: Request) -> None:
        """The broker cannot compare logs: what it has is taken for what was read, as before there were epochs."""
        for reading in request.readings:
            reading.busy = reading.is_suspect = False

    def _refused(self, reading: Reading, code: ErrorCode, now: float) -> None:
        reading.not_before = now + self.settings.retry_backoff_ms / 1000
        if reading.replica is not None:
            # The leader knows better.
            reading.replica = None
        elif code is ErrorCode.OFFSET_OUT_OF_RANGE:
            self._reset(reading)
        elif code is ErrorCode.CORRUPT_MESSAGE:
            said = f"its broker finds {reading.where} damaged: {code.sentence} ({code.name})"
            self._stop(reading, f"cannot be read on: {said}{_damaged(reading)}", code)
        elif not code.retriable and code is not ErrorCode.UNKNOWN_SERVER_ERROR:
            reading.not_before = now + MISSING_S
            self._fail(FetchError(f"{reading.name} cannot be read: {code.sentence} ({code.name})", code))
        else:
            if code in ELSEWHERE:
                reading.leader = None
            self._remark(reading, code, now)

    def _remark(self, reading: Reading, code: ErrorCode, now: float) -> None:
        said = reading.stuck(code, now)
        if said is not None:
            self.remarks.append(said)

    def _stop(self, reading: Reading, why: str, code: ErrorCode | None = None) -> None:
        """Asking again would say the same: whoever wants it read on has to do something first."""
        reading.failure = FetchError(f"{reading.name} {why}", code)

    def _reset(self, reading: Reading) -> None:
        if reading.reset == "none":
            self._stop(
                reading,
                f"has no offset {reading.position} any more, or not yet\n"
                "hint: auto.offset.reset says where to go on then, earliest or latest",
                ErrorCode.OFFSET_OUT_OF_RANGE,
            )
            return
        reading.go_on_at(EARLIEST if reading.reset == "earliest" else LATEST, -1)
        reading.not_before = 0.0

    def failed(self, request: Request, failure: Exception, now: float, *, passes: bool) -> None:
        """There was no answer. What was asked for is asked again, perhaps of somebody else; some things never pass."""
        for reading in request.readings:
            reading.busy = False
            reading.leader = reading.replica = None
            reading.not_before = now + self.settings.retry_backoff_ms / 1000
        if request.session is not None:
            request.session.lost()
        if not passes:
            self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        self.failure = self.failure or failure

    # Leaders.

    def leaderless(self, now: float) -> list[str]:
        """Topics of which it is not known whom to ask."""
        if now < self._ask_leaders_at:
            return []
        return sorted({one.place[0] for one in self.readings.values() if one.leader is None and one.find_at <= now})

    def ask_leaders_in_s(self, now: float) -> float | None:
        """How long until they should be asked for, None if there are none."""
        times = [one.find_at for one in self.readings.values() if one.leader is None]
        return max(min(times), self._ask_leaders_at, now) - now if times else None

    def not_learned(self, failure: Exception, now: float, *, passes: bool) -> None:
        """Nobody has said who leads."""
        self._ask_leaders_at = now + self.settings.retry_backoff_ms / 1000
        if not passes:
            self._fail(failure)

    def learned(self, answer: Any, now: float, *, with_epochs: bool = True) -> None:
        """Take what the cluster says of its brokers and of who leads what; without epochs if they cannot be trusted."""
        self._ask_leaders_at = now + self.settings.retry_backoff_ms / 1000
        self.brokers = {int(one.node_id): Address(str(one.host), int(one.port)) for one in answer.brokers}
        for reading in self.readings.values():
            # Of a broker that is gone nobody asks anything, so it would never be said that it leads no more.
            if reading.leader not in self.brokers:
                reading.leader = None
            if reading.replica not in self.brokers:
                reading.replica = None
        for topic in answer.topics:
            name, code = str(topic.name), ErrorCode.of(int(topic.error_code))
            leaders = {
                int(one.partition_index): (
                    int(one.leader_id),
                    int(getattr(one, "leader_epoch", -1)) if with_epochs else -1,
                )
                for one in topic.partitions
            }
            for reading in self.readings.values():
                if reading.place[0] == name and reading.leader is None:
                    self._identify(reading, getattr(topic, "topic_id", None))
                    self._led(reading, leaders.get(reading.place[1]), code, now)

    def _identify(self, reading: Reading, topic_id: Any) -> None:
        """A topic that was made anew has nothing of what was read, though it may have as many records. (KIP-516)"""
        if topic_id is None or not int(topic_id):
            return
        if reading.topic_id not in {None, topic_id}:
            self.remarks.append(f"{reading.name} is of another topic than before, of the same name")
            reading.leader_epoch = -1
            if reading.position >= 0:
                self._reset(reading)
        reading.topic_id = topic_id

    def _led(self, reading: Reading, told: tuple[int, int] | None, code: ErrorCode, now: float) -> None:
        is_missing = told is None and code in {ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        reading.missing_at = now
        if not is_missing:
            reading.missing_since = None
        if told is not None and told[0] in self.brokers:
            if reading.topic_id is not None and 0 <= told[1] < reading.leader_epoch:
                # Whoever was asked has not heard of the leader that we know of.
                self._remark(reading, ErrorCode.FENCED_LEADER_EPOCH, now)
            else:
                reading.led_by(*told)
        elif code is ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            self._fail(FetchError(f"{reading.name} cannot be read: {code.sentence} ({code.name})", code))
        elif not is_missing:
            self._remark(reading, ErrorCode.LEADER_NOT_AVAILABLE if code is ErrorCode.NONE else code, now)
        elif reading.missing_since is None:
            reading.missing_since = now
        elif reading.may_go:
            reading.find_at = now + min(now - reading.missing_since, MISSING_S)
            self._remark(reading, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, now)
        elif now - reading.missing_since > MISSING_S:
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            self._fail(FetchError(f"{reading.name} is not there any more: {code.sentence}", code))


def _damaged(reading: Reading) -> str:
    """What can be done about bytes that nobody can read."""
    topic, partition = reading.place
    return _DAMAGED.format(topic=topic, partition=partition)


def _begun(request: Request) -> Request:
    for reading in request.readings:
        reading.busy, reading.asked = True, reading.position
    return request
