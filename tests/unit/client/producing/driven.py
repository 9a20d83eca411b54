"""A transactional producer whose time and answers are driven by hand."""

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

SETTINGS = ProduceSettings(linger_s=0.0, transactional_id="id", transaction_timeout_ms=9000)
MEMBER = GroupMetadata("group", 3, "member", None)
OFFSETS = {("in", 0): Commit(7, "m", 2)}
FIRST, SECOND = 1, 2


class Driven:
    """A producer with one topic of two partitions, in one of the two protocols."""

    def __init__(self, version=SECOND, settings=SETTINGS):
        self.version = version
        self.source = RecordAccumulator(1000, 10_000, 10_000, 1 << 20, transactional=True)
        self.transaction = TransactionMachine(settings)
        self.machine = ProduceMachine(settings, self.source, self.transaction)
        self.now = 0.0
        self.number = self.machine.open("t", self.now).number
        parts = [SimpleNamespace(partition_index=number, leader_id=1) for number in range(2)]
        brokers = [SimpleNamespace(node_id=1, host="h", port=1)]
        topics = [SimpleNamespace(name="t", error_code=0, partitions=parts)]
        self.machine.learned(["t"], SimpleNamespace(brokers=brokers, topics=topics), self.now)

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

    def give(self, *values, partition=0):
        for value in values:
            self.source.append(self.number, partition, b"k", value, 5, None, self.now)
        self.machine.look()

    def send(self):
        request = self.machine.next(1, self.now)
        assert request is not None
        return request

    def delivered(self, request, *codes):
        codes = codes or (ErrorCode.NONE,) * len(request.parts)
        rows = [
            SimpleNamespace(index=writing.place[1], error_code=int(code), base_offset=0, error_message=None)
            for (writing, _), code in zip(request.parts, codes, strict=True)
        ]
        answer = SimpleNamespace(responses=[SimpleNamespace(name="t", partition_responses=rows)])
        self.machine.answered(request, answer, self.now)

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


def numbers(request, place=0):
    _, one = request.parts[place]
    return (*one.identity, one.sequence)
