"""What a producer sends to whom, and what becomes of the answers. No clock, socket or thread: `producer` has those.

Every partition that is written to is a `Writing`. A batch of it is sent at a time, and a broker is sent one request at
a time, so batches stay in their order whatever is sent again. A batch that was refused for what is in it is sent in
halves, until the record is alone that nobody takes: that one is refused, the others are written.

An idempotent producer numbers the records of a partition. A batch that is sent again has the same numbers, so a leader
that had it already says so. When it is not known whether a batch that is given up was written, or a leader has lost
count, the partition goes on under the next epoch and counts from 0. (KIP-98, KIP-360) A transactional one gets its
epochs from the coordinator: there a `TransactionMachine` says who we are and whether anything may be sent, and is told
what the transaction cannot be committed without.

Source: KIP-91 (delivery.timeout.ms), KIP-126 (splitting batches), KIP-467 (errors of single records), KIP-580
(exponential back-off).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from moldau.client.producing.errors import ProduceError
from moldau.client.producing.settings import REQUEST_BYTES_MAX, ProduceSettings
from moldau.client.producing.transaction_requests import (
    ANY_VERSION,
    CONCURRENT_BACKOFF_S,
    NOBODY,
    Identity,
    Versions,
)
from moldau.client.protocol.answers import ELSEWHERE
from moldau.client.protocol.brokers import Address
from moldau.client.protocol.partitions import Partition, by_topic
from moldau.client.protocol.questions import Values
from moldau.errors import ErrorCode

if TYPE_CHECKING:
    from moldau._core import ProducerBatch
    from moldau.client.producing.transactions import TransactionMachine

EPOCH_MAX: Final = 2**15 - 1
_SEQUENCES: Final = 2**31
NOWHERE: Final = -1
"""The offset of what was written, when a leader only knows that it was."""

_LOST_COUNT: Final = frozenset(
    {
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.UNKNOWN_PRODUCER_ID,
    }
)
_OF_SOME_RECORD: Final = frozenset(
    {
        ErrorCode.INVALID_RECORD,
        ErrorCode.INVALID_TIMESTAMP,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.RECORD_LIST_TOO_LARGE,
    }
)


class Delivered(NamedTuple):
    """Records that are written."""

    topic: str
    partition: int
    base_offset: int
    """Of the first of them, `NOWHERE` if nobody knows."""
    records: int


class Refused(NamedTuple):
    """Records that are given up."""

    topic: str
    partition: int
    batch: ProducerBatch
    error: ProduceError


class Source(Protocol):
    """Where the batches are: `moldau._core.RecordAccumulator`."""

    def add_topic(self) -> int: ...
    def set_partitions(self, topic: int, count: int) -> None: ...
    def first(self, topic: int, partition: int) -> tuple[float, bool] | None: ...
    def take(self, topic: int, partition: int) -> ProducerBatch | None: ...
    def take_news(self) -> list[tuple[int, int]]: ...


@dataclass(eq=False, slots=True)
class Outgoing:
    """A batch on its way."""

    batch: ProducerBatch
    attempts: int = 0
    identity: Identity = NOBODY
    sequence: int = -1


@dataclass(eq=False, slots=True)
class Writing:
    """One partition that is written to."""

    place: Partition
    number: int
    """Of its topic, in the accumulator."""
    waiting: deque[Outgoing] = field(default_factory=deque)
    """What was taken out of the accumulator; the first is sent before all else."""
    busy: bool = False
    not_before: float = 0.0
    identity: Identity = NOBODY
    sequence: int = 0

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.place[0]}-{self.place[1]}"


@dataclass(eq=False, slots=True)
class Topic:
    """A topic that is written to, as far as the cluster has told."""

    name: str
    number: int
    count: int = 0
    leaders: dict[int, int] = field(default_factory=dict)
    stale: bool = True
    """Whether the cluster has to be asked."""
    asked_at: float = float("-inf")
    missing_since: float | None = None
    refusal: ProduceError | None = None


class Request(NamedTuple):
    """A question to one broker: the first waiting batch of each of these."""

    parts: tuple[tuple[Writing, Outgoing], ...]
    versions: Versions = ANY_VERSION

    def values(self, settings: ProduceSettings) -> Values:
        """As the protocol's fields; this is where batches are compressed."""
        how = settings.compression, settings.compression_level
        rows = (
            (
                writing.place[0],
                {"index": writing.place[1], "records": one.batch.encode(*how, *one.identity, one.sequence)},
            )
            for writing, one in self.parts
        )
        return {
            "transactional_id": settings.transactional_id,
            "acks": settings.acks,
            "timeout": settings.request_timeout_ms,
            "topic_data": [{"name": name, "partition_data": ones} for name, ones in by_topic(rows).items()],
        }


class ProduceMachine:
    """The table of writings. Whoever drives it holds a lock around each call."""

    def __init__(
        self, settings: ProduceSettings, source: Source, transaction: TransactionMachine | None = None
    ) -> None:
        self.settings = settings
        self.transaction = transaction
        self.topics: dict[str, Topic] = {}
        self.brokers: dict[int, Address] = {}
        self.reports: list[Delivered | Refused] = []
        self.broken: Exception | None = None
        """What whoever writes is told next, and from then on."""
        self.flushing = False
        self._source = source
        self._numbers: list[Topic] = []
        self._active: dict[Partition, Writing] = {}
        """Of which there is anything here."""
        self._idle: dict[Partition, Writing] = {}
        self._numbered = NOBODY
        """Who we are without transactions."""
        self._ask_at = 0.0
        self._expire_at = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether everything that was given has been reported."""
        return not self._active

    @property
    def failure(self) -> Exception | None:
        """Why what is here is not sent any more."""
        return self.broken or (None if self.transaction is None else self.transaction.failure)

    @property
    def _identity(self) -> Identity:
        return self._numbered if self.transaction is None else self.transaction.identity

    @property
    def needs_identity(self) -> bool:
        """Whether the cluster has to say who we are before anything is sent."""
        return self.settings.idempotent and self._identity == NOBODY

    # What the owner does.

    def open(self, name: str, now: float) -> Topic:
        """A topic that is to be written to; it has no partitions before the cluster has told of them."""
        topic = self.topics.get(name)
        if topic is None:
            topic = self.topics[name] = Topic(name, self._source.add_topic())
            self._numbers.append(topic)
        elif topic.refusal is not None and not topic.stale:
            # It is missing since when it was missed: the next answer decides.
            topic.stale, topic.refusal = True, None
        return topic

    def look(self) -> None:
        """Take up what the accumulator has begun or closed."""
        for number, partition in self._source.take_news():
            place = self._numbers[number].name, partition
            if self.transaction is not None:
                self.transaction.add(place)
            if place in self._active:
                continue
            writing = self._idle.get(place) or Writing(place, number)
            # It may have been sent, and be done with, before this news of it came.
            if self._first_of(writing) is not None:
                self._active[place] = writing
                self._idle.pop(place, None)

    def take_reports(self) -> list[Delivered | Refused]:
        """What became of what was given, since the last time."""
        reports, self.reports = self.reports, []
        return reports

    # Questions.

    def next(self, broker: int, now: float) -> Request | None:
        """What to send to a broker; None for nothing now."""
        if not self._sends:
            return None
        parts: list[tuple[Writing, Outgoing]] = []
        size = 0
        for writing in list(self._active.values()):
            if writing.not_before > now or not self._may_go(writing, broker):
                continue
            one = self._ready(writing, now)
            if one is None:
                continue
            if parts and size + one.batch.size_bytes > REQUEST_BYTES_MAX:
                break
            size += one.batch.size_bytes
            self._begin(writing, one)
            parts.append((writing, one))
            # The others are first the next time.
            self._active[writing.place] = self._active.pop(writing.place)
        if not parts:
            return None
        if self.transaction is None:
            return Request(tuple(parts))
        self.transaction.sending()
        return Request(tuple(parts), self.transaction.produce_versions)

    @property
    def _sends(self) -> bool:
        return not self.needs_identity and (self.transaction is None or self.transaction.sends)

    def _may_go(self, writing: Writing, broker: int) -> bool:
        """Whether it is this broker that a partition waits for, and nothing else."""
        is_in = self.transaction is None or self.transaction.has(writing.place)
        return not writing.busy and is_in and self._leader(writing) == broker

    def _leader(self, writing: Writing) -> int | None:
        """None as well when it is not among the brokers any more: then its topic is to be asked for."""
        leader = self.topics[writing.place[0]].leaders.get(writing.place[1])
        return leader if leader in self.brokers else None

    def _ready(self, writing: Writing, now: float) -> Outgoing | None:
        """What is to be sent next of a partition, if its time has come."""
        if not writing.waiting:
            first = self._first_of(writing)
            if first is None or not (first[1] or self.flushing or first[0] + self.settings.linger_s <= now):
                return None
        return self._taken(writing)

    def _first_of(self, writing: Writing) -> tuple[float, bool] | None:
        """Since when the next batch waits in the accumulator, and whether it is closed."""
        return self._source.first(writing.number, writing.place[1])

    def _taken(self, writing: Writing) -> Outgoing:
        """The next batch, out of the accumulator if none was taken out before."""
        if not writing.waiting:
            batch = self._source.take(writing.number, writing.place[1])
            assert batch is not None
            writing.waiting.append(Outgoing(batch))
        return writing.waiting[0]

    def _begin(self, writing: Writing, one: Outgoing) -> None:
        if self.settings.idempotent and one.identity is NOBODY:
            if writing.identity != self._identity:
                writing.identity, writing.sequence = self._identity, 0
            one.identity, one.sequence = writing.identity, writing.sequence
        one.attempts += 1
        writing.busy = True

    def wait_s(self, broker: int, now: float) -> float | None:
        """How long until something may be to be sent to a broker, None for ever."""
        times: list[float] = []
        if not self._sends:
            return None
        for writing in self._active.values():
            if not self._may_go(writing, broker):
                continue
            at = writing.not_before
            if not writing.waiting:
                first = self._first_of(writing)
                if first is None:
                    continue
                if not (first[1] or self.flushing):
                    at = max(at, first[0] + self.settings.linger_s)
            times.append(max(at - now, 0.0))
        return min(times, default=None)

    # Answers.

    def answered(self, request: Request, answer: Any, now: float) -> None:
        """Take the answer to a request."""
        told = {
            (str(topic.name), int(one.index)): one for topic in answer.responses for one in topic.partition_responses
        }
        for writing, one in request.parts:
            writing.busy = False
            part = told.get(writing.place)
            code = ErrorCode.UNKNOWN_SERVER_ERROR if part is None else ErrorCode.of(int(part.error_code))
            said = None if part is None else getattr(part, "error_message", None)
            if code is ErrorCode.NONE:
                assert part is not None
                self._delivered(writing, one, int(part.base_offset))
            elif code is ErrorCode.DUPLICATE_SEQUENCE_NUMBER:
                self._delivered(writing, one, NOWHERE)
            elif not self._aborts:
                self._not_written(writing, one, code, said, now)
            if self._aborts:
                self._drop(writing)

    def failed(self, request: Request, failure: Exception, now: float, *, passes: bool) -> None:
        """There was no answer: perhaps everything is written, perhaps nothing."""
        for writing, one in request.parts:
            writing.busy = False
            self._lost_leader(writing)
            if self._aborts:
                self._drop(writing)
            elif one.attempts > self.settings.retries:
                self._give_up(writing, one, ProduceError(f"{writing.name}: {failure}", ErrorCode.NETWORK_EXCEPTION))
            else:
                self._again(writing, one, now)
        if not passes:
            self.broken = self.broken or failure

    def _delivered(self, writing: Writing, one: Outgoing, offset: int) -> None:
        count = len(one.batch)
        self.reports.append(Delivered(*writing.place, offset, count))
        if one.identity == writing.identity:
            writing.sequence = (one.sequence + count) % _SEQUENCES
        self._done(writing, one)

    def _not_written(self, writing: Writing, one: Outgoing, code: ErrorCode, said: str | None, now: float) -> None:
        if code in ELSEWHERE:
            self._lost_leader(writing)
        transaction = self.transaction
        text = f"{writing.name} does not take it: {said or code.sentence} ({code.name})"
        if code in _OF_SOME_RECORD and len(one.batch) > 1:
            if transaction is None or one.attempts == 1:
                self._split(writing, one)
            else:
                # What was sent before may be written after all: only the abort undoes that.
                transaction.is_unclear(text, code)
        elif transaction is not None and transaction.is_over(code, text):
            # It waits for the abort with the others.
            return
        elif code in _LOST_COUNT and self.settings.idempotent and one.attempts <= self.settings.retries:
            self._count_anew(writing)
            one.identity = NOBODY
            self._again(writing, one, now)
        elif code.retriable and one.attempts <= self.settings.retries:
            is_brief = code is ErrorCode.CONCURRENT_TRANSACTIONS
            self._again(writing, one, now, CONCURRENT_BACKOFF_S if is_brief else None)
        else:
            self._give_up(writing, one, ProduceError(text, code))

    def _again(self, writing: Writing, one: Outgoing, now: float, first_s: float | None = None) -> None:
        writing.not_before = now + self.settings.backoff_s(one.attempts - 1, first_s)

    def _split(self, writing: Writing, one: Outgoing) -> None:
        """One of its records is refused, or they are too many: nothing of it is written, unless it was sent before."""
        assert writing.waiting[0] is one
        if one.attempts > 1:
            self._count_anew(writing)
        writing.waiting.popleft()
        writing.waiting.extendleft(Outgoing(half) for half in reversed(one.batch.halves()))
        one.batch.release()

    def _give_up(self, writing: Writing, one: Outgoing, error: ProduceError) -> None:
        self.reports.append(Refused(*writing.place, one.batch, error))
        not_appended = one.attempts == 1 and error.code in _OF_SOME_RECORD
        if one.identity == writing.identity and not not_appended:
            # Other refusals may come behind the append, when a leader steps down: its numbers must not be used again.
            self._count_anew(writing)
        if self.transaction is not None:
            self.transaction.refused(str(error), error.code)
        self._done(writing, one)

    def _done(self, writing: Writing, one: Outgoing) -> None:
        assert writing.waiting[0] is one
        writing.waiting.popleft()
        one.batch.release()
        writing.not_before = 0.0
        self._settle(writing)

    def _settle(self, writing: Writing) -> None:
        if not writing.waiting and self._first_of(writing) is None:
            # The owner may have begun another batch since: that is news, for `look`.
            self._active.pop(writing.place, None)
            self._idle[writing.place] = writing

    def _count_anew(self, writing: Writing) -> None:
        """Go on under the next epoch. What other partitions have on its way keeps its own."""
        if not self.settings.idempotent or writing.identity != self._identity:
            return
        if self.transaction is not None:
            self.transaction.lost_count()
            return
        producer_id, epoch = self._identity
        self._numbered = Identity(producer_id, epoch + 1) if 0 <= epoch < EPOCH_MAX else NOBODY

    def _lost_leader(self, writing: Writing) -> None:
        topic = self.topics[writing.place[0]]
        topic.leaders.pop(writing.place[1], None)
        topic.stale = True

    # Aborts.

    @property
    def _aborts(self) -> bool:
        return self.transaction is not None and self.transaction.aborts

    def abandon(self) -> None:
        """Drop what is not on its way. What is, is waited for, and nobody is told what becomes of it."""
        self.look()
        for writing in [one for one in self._active.values() if not one.busy]:
            self._drop(writing)

    def _drop(self, writing: Writing) -> None:
        for one in writing.waiting:
            if one.attempts:
                self._count_anew(writing)
            one.batch.release()
        writing.waiting.clear()
        while (batch := self._source.take(writing.number, writing.place[1])) is not None:
            batch.release()
        writing.not_before = 0.0
        self._settle(writing)

    # Time.

    def expire(self, now: float) -> None:
        """Give up what could not be written in its time; what is on its way is waited for."""
        if now < self._expire_at or (self.transaction is not None and not self.transaction.sends):
            return
        timeout_s = self.settings.delivery_timeout_s
        self._expire_at = now + min(1.0, timeout_s / 4)
        for writing in list(self._active.values()):
            while not writing.busy and (since := self._oldest(writing)) is not None and since + timeout_s <= now:
                text = f"{writing.name} was not written within {timeout_s:g} s (delivery.timeout.ms)"
                self._give_up(writing, self._taken(writing), ProduceError(text))

    def _oldest(self, writing: Writing) -> float | None:
        if writing.waiting:
            return writing.waiting[0].batch.since
        first = self._first_of(writing)
        return None if first is None else first[0]

    # The cluster.

    def unknown(self, now: float) -> list[str]:
        """Topics of which the cluster has to be asked now."""
        if now < self._ask_at:
            return []
        old = now - self.settings.metadata_max_age_s
        stale = self._stale()
        return [topic.name for topic in self.topics.values() if topic.name in stale or topic.asked_at < old]

    def together(self, names: Sequence[str]) -> tuple[list[str], bool]:
        """Those of these topics to ask for in one question, and whether the cluster may make them for it.

        One that was there before and is gone was deleted: looking at it must not bring it back.
        """
        new = [name for name in names if not self.topics[name].count]
        return (new, True) if new and self.settings.auto_create else (list(names), False)

    def _stale(self) -> set[str]:
        """Topics that are to be asked for as soon as may be: where something waits for a leader, too."""
        stale = {topic.name for topic in self.topics.values() if topic.stale}
        return stale.union(writing.place[0] for writing in self._active.values() if self._leader(writing) is None)

    def ask_in_s(self, now: float) -> float:
        """How long until the cluster should be asked something."""
        stale = self.needs_identity_now or bool(self._stale())
        oldest = min((topic.asked_at for topic in self.topics.values()), default=float("inf"))
        at = 0.0 if stale else oldest + self.settings.metadata_max_age_s
        wait_s = max(at, self._ask_at) - now
        return max(min(wait_s, 1.0 if self._active else wait_s), 0.0)

    @property
    def needs_identity_now(self) -> bool:
        """Whether there is anything to be sent for which it has to be known who we are."""
        return self.transaction is None and self.needs_identity and bool(self._active)

    def may_ask_who_we_are(self, now: float) -> bool:
        """Whether to ask the cluster for that now."""
        return self.needs_identity_now and now >= self._ask_at

    def identified(self, answer: Any, now: float) -> None:
        """Take what the cluster says of who we are."""
        code = ErrorCode.of(int(answer.error_code))
        if code is ErrorCode.NONE:
            self._numbered = Identity(int(answer.producer_id), int(answer.producer_epoch))
            return
        self._ask_at = now + self.settings.retry_backoff_s
        if not code.retriable and code is not ErrorCode.UNKNOWN_SERVER_ERROR:
            said = f"an idempotent producer is refused: {code.sentence} ({code.name})"
            self.broken = self.broken or ProduceError(said, code)

    def not_learned(self, failure: Exception, now: float, *, passes: bool) -> None:
        """Nobody has answered."""
        self._ask_at = now + self.settings.retry_backoff_s
        if not passes:
            self.broken = self.broken or failure

    def learned(self, names: Sequence[str], answer: Any, now: float) -> None:
        """Take what the cluster says of its brokers and of these topics."""
        self._ask_at = now + self.settings.retry_backoff_s
        self.brokers = {int(one.node_id): Address(str(one.host), int(one.port)) for one in answer.brokers}
        told = {str(one.name): one for one in answer.topics}
        for name in names:
            topic = self.topics[name]
            topic.asked_at = now
            one = told.get(name)
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if one is None else ErrorCode.of(int(one.error_code))
            if code is ErrorCode.NONE and one is not None:
                self._led(topic, {int(part.partition_index): int(part.leader_id) for part in one.partitions})
            else:
                self._unlearned(topic, code, now)

    def _led(self, topic: Topic, leaders: Mapping[int, int]) -> None:
        topic.leaders = {number: leader for number, leader in leaders.items() if leader in self.brokers}
        topic.missing_since = topic.refusal = None
        # Where nothing is to be sent a partition may stay without a leader.
        topic.stale = not leaders
        if leaders and len(leaders) != topic.count:
            topic.count = len(leaders)
            self._source.set_partitions(topic.number, topic.count)

    def _unlearned(self, topic: Topic, code: ErrorCode, now: float) -> None:
        if topic.missing_since is None:
            topic.missing_since = now
        passes = code.retriable or code is ErrorCode.UNKNOWN_SERVER_ERROR
        if passes and now - topic.missing_since < self.settings.missing_topic_s:
            return
        if topic.count and passes:
            # What is here of it is given up in its time.
            return
        topic.refusal = ProduceError(f"cannot write to {topic.name}: {code.sentence} ({code.name})", code)
        topic.stale = False
        for writing in [one for one in self._active.values() if one.place[0] == topic.name and not one.busy]:
            self._refuse_all(writing, topic.refusal)

    def _refuse_all(self, writing: Writing, error: ProduceError) -> None:
        while self._oldest(writing) is not None:
            self._give_up(writing, self._taken(writing), error)
