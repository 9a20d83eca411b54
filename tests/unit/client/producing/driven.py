"""Producers whose time and answers are driven by hand, without transactions and with them."""

from __future__ import annotations

from types import SimpleNamespace

from moldau._core import RecordAccumulator
from moldau.client.membership.requests import Commit, GroupMetadata
from moldau.client.producing.machine import ProduceMachine
from moldau.client.producing.settings import ProduceSettings
from moldau.client.producing.transaction_requests import (
    AddPartitions,
    CommitOffsets,
    FindCoordinator,
    InitProducerId,
)
from moldau.client.producing.transactions import TransactionMachine
from moldau.client.protocol.coordinators import Coordinates
from moldau.errors import ErrorCode

SETTINGS = ProduceSettings(
    linger_s=0.0, delivery_timeout_s=100.0, retry_backoff_s=0.1, retry_backoff_max_s=1.0, missing_topic_s=5.0
)
IN_TRANSACTIONS = ProduceSettings(linger_s=0.0, transactional_id="id", transaction_timeout_ms=9000)
MEMBER = GroupMetadata("group", 3, "member", None)
OFFSETS = {("in", 0): Commit(7, "m", 2)}
FIRST, SECOND = 1, 2


def metadata(partitions=1, error_code=0, brokers=(1, 2), leaders=None, name="t"):
    leaders = leaders or dict.fromkeys(range(partitions), 1)
    parts = [SimpleNamespace(partition_index=number, leader_id=leader) for number, leader in leaders.items()]
    return SimpleNamespace(
        brokers=[SimpleNamespace(node_id=number, host="h", port=number) for number in brokers],
        topics=[SimpleNamespace(name=name, error_code=error_code, partitions=parts)],
    )


class Driven:
    """A machine with one topic, and whoever writes."""

    def __init__(self, settings=SETTINGS, partitions=1, batch_bytes=1000, identity=(7, 0), transaction=None):
        self.source = RecordAccumulator(batch_bytes, 10_000, 10_000, 1 << 20, transactional=transaction is not None)
        self.machine = ProduceMachine(settings, self.source, transaction)
        self.now = 0.0
        self.number = self.machine.open("t", self.now).number
        assert self.machine.unknown(self.now) == ["t"]
        self.machine.learned(["t"], metadata(partitions), self.now)
        if settings.idempotent and identity:
            self.identify(*identity)

    def identify(self, producer_id, epoch):
        self.machine.identified(SimpleNamespace(error_code=0, producer_id=producer_id, producer_epoch=epoch), self.now)

    def give(self, *values, key=b"k", partition=-1):
        for value in values:
            assert self.source.append(self.number, partition, key, value, 5, None, self.now) in {0, 1}
        self.machine.look()

    def next(self, broker=1):
        return self.machine.next(broker, self.now)

    def answer(self, request, *codes, offset=10):
        parts = [
            SimpleNamespace(index=writing.place[1], error_code=int(code), base_offset=offset, error_message=None)
            for (writing, _), code in zip(request.parts, codes, strict=True)
        ]
        self.machine.answered(
            request, SimpleNamespace(responses=[SimpleNamespace(name="t", partition_responses=parts)]), self.now
        )

    def learn(self, **more):
        self.now += 2
        self.machine.learned(["t"], metadata(**more), self.now)

    def reports(self):
        return self.machine.take_reports()


class InTransactions(Driven):
    """The same with two partitions, in transactions in one of the two protocols."""

    def __init__(self, version=SECOND, settings=IN_TRANSACTIONS):
        self.version = version
        self.transaction = TransactionMachine(settings)
        super().__init__(settings, partitions=2, identity=None, transaction=self.transaction)

    def ready(self):
        self.transaction.initialise()
        self.found()
        self.initialised(self.ask(InitProducerId))
        return self

    def open(self):
        self.ready()
        self.transaction.begin()
        return self

    def ask(self, kind):
        self.now += 2
        request = self.transaction.next(self.now, is_empty=self.machine.is_empty)
        assert isinstance(request, kind), request
        return request

    def asks_nothing(self):
        self.now += 2
        return self.transaction.next(self.now, is_empty=self.machine.is_empty) is None

    def found(self, kind=Coordinates.TRANSACTION, port=1):
        request = self.ask(FindCoordinator)
        assert request.kind is kind
        self.say(request, host="h", port=port, error_message=None)

    def initialised(self, request, producer_id=7, epoch=0):
        self.transaction.greeted(self.version)
        self.say(request, producer_id=producer_id, producer_epoch=epoch)

    def say(self, request, code=ErrorCode.NONE, **fields):
        answer = SimpleNamespace(error_code=int(code), **fields)
        if isinstance(request, AddPartitions):
            self.say_each(request, *[code] * len(request.partitions))
            return
        if isinstance(request, CommitOffsets):
            answer = SimpleNamespace(topics=[SimpleNamespace(partitions=[answer])])
        self.transaction.answered(request, answer, self.now)

    def say_each(self, request, *codes):
        """What is said of each partition that was to be added."""
        parts = [SimpleNamespace(partition_error_code=int(code)) for code in codes]
        answer = SimpleNamespace(results_by_topic_v3_and_below=[SimpleNamespace(results_by_partition=parts)])
        self.transaction.answered(request, answer, self.now)

    def lose(self, request):
        self.transaction.failed(request, OSError("gone"), self.now, passes=True)

    def written(self, *values, partition=0):
        """Records that are in the transaction, as the protocol has them there."""
        self.give(*values, partition=partition)
        if self.version == FIRST:
            self.say(self.ask(AddPartitions))
        self.delivered(self.send())

    def ended(self, request, epoch=1):
        self.say(request, producer_id=7 if self.version == SECOND else -1, producer_epoch=epoch)

    def abort(self):
        self.transaction.end(commit=False)
        self.machine.abandon()

    def give(self, *values, partition=0):
        super().give(*values, partition=partition)

    def send(self):
        request = self.next()
        assert request is not None
        return request

    def delivered(self, request, *codes):
        self.answer(request, *(codes or (ErrorCode.NONE,) * len(request.parts)))


def numbers(request, place=0):
    _, one = request.parts[place]
    return (*one.identity, one.sequence)
