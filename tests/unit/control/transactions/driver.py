"""A transaction machine with the smallest shell there can be: commits at once, a clock that is moved by hand, markers
that are written when the test says so.
"""

import itertools
from dataclasses import replace

from moldau.control.machine import AppendFailed, CancelTimer, Now, Order, ScheduleTimer
from moldau.control.transactions.coordinator import TransactionCoordinator
from moldau.control.transactions.records import decode_record, encode_record
from moldau.control.transactions.requests import (
    AddPartitions,
    EndTransaction,
    InitProducerId,
    Loaded,
    MarkersWritten,
    ProducerIdAndEpoch,
    RunWithProducerId,
    VerifyPartitions,
    WriteMarkers,
)
from moldau.control.transactions.responses import NEEDS_PRODUCER_ID
from moldau.control.transactions.settings import TransactionSettings
from moldau.control.transactions.transaction import TopicPartition

ID = "payments"
ORDERS = frozenset({TopicPartition("orders", 0), TopicPartition("orders", 1)})


class Driver:
    def __init__(self, log=(), version=2, **settings):
        self.version = version
        self.settings = TransactionSettings(**settings)
        self.now_ms = 1_000_000
        self.clock_ahead_ms = 0
        self.log = list(log)
        self.producer_ids = itertools.count(4000)
        self.timers = {}
        self.markers = []
        self.append_error = None
        self.machine = TransactionCoordinator(self.settings, version)
        for key, value in self.log:
            self.machine.apply(decode_record(key, value))

    def load(self):
        self.ask(Loaded())
        return self

    def restarted(self, **settings):
        """Another node on the same log, some time later."""
        other = Driver(self.log, self.version, **settings)
        other.now_ms, other.clock_ahead_ms = self.now_ms, self.clock_ahead_ms
        other.producer_ids = self.producer_ids
        return other.load()

    def now(self):
        """The time of day is `clock_ahead_ms` ahead of what has passed."""
        return Now(self.now_ms, self.now_ms + self.clock_ahead_ms)

    # The shell

    def ask(self, request):
        response = self._decide(request)
        if response is NEEDS_PRODUCER_ID:
            response = self._decide(replace(request, spare_producer_id=next(self.producer_ids)))
        return response

    def _decide(self, request):
        before = dict(self.machine.transactions)
        decision = self.machine.decide(request, self.now())
        assert self.machine.transactions == before, "a decision changed what only a record may change"
        if decision.records and self.append_error is not None:
            decision = self.machine.decide(AppendFailed(request, decision, self.append_error), self.now())
            assert not decision.records
        for record in decision.records:
            self.log.append(encode_record(record, self.version))
            self.machine.apply(record)
        for effect in decision.effects:
            match effect:
                case ScheduleTimer(key, at_ms, event):
                    self.timers[key] = (at_ms, event)
                case CancelTimer(key):
                    self.timers.pop(key, None)
                case Order(WriteMarkers() as order):
                    self.markers.append(order)
                case Order(RunWithProducerId(again)):
                    self.ask(replace(again, spare_producer_id=next(self.producer_ids)))
        return decision.response

    def write_markers(self):
        """Write every marker that was ordered; returns the orders."""
        written, self.markers = self.markers, []
        for order in written:
            self.ask(MarkersWritten(order.transactional_id, order.producer_id, order.producer_epoch))
        return written

    def wait(self, duration_ms):
        until_ms = self.now_ms + duration_ms
        while due := [key for key, (at_ms, _) in self.timers.items() if at_ms <= until_ms]:
            key = min(due, key=lambda key: self.timers[key][0])
            at_ms, event = self.timers.pop(key)
            self.now_ms = max(self.now_ms, at_ms)
            self.ask(event)
        self.now_ms = until_ms

    # A producer

    def init(self, expected=None, timeout_ms=60_000, transactional_id=ID):
        named = None if expected is None else ProducerIdAndEpoch(*expected)
        return self.ask(InitProducerId(transactional_id, timeout_ms, named))

    def producer(self, transactional_id=ID, **changes):
        """(producer id, epoch) of a producer that may begin."""
        initialised = self.init(transactional_id=transactional_id, **changes)
        return initialised.producer_id, initialised.producer_epoch

    def add(self, producer, partitions=ORDERS, client_version=2, transactional_id=ID):
        return self.ask(AddPartitions(transactional_id, *producer, frozenset(partitions), client_version)).error

    def verify(self, producer, partitions=ORDERS):
        return self.ask(VerifyPartitions(ID, *producer, frozenset(partitions)))

    def end(self, producer, commit=True, client_version=2, transactional_id=ID):
        return self.ask(EndTransaction(transactional_id, *producer, commit, client_version))

    @property
    def state(self):
        return self.machine.transactions[ID].state.told
