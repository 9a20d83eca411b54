"""One run of transactions: producers that lose answers, pause and come back as zombies, a node that crashes between any
two records and before any marker; then peace, and a verdict.

run(seed)   raises BrokenInvariantError when an invariant does not hold; the seed is all that is needed to see it again

The partitions are models with the rules of `moldau-log`: epochs, guards, markers. They survive a crash; the machine and
the markers on their way do not.
"""

from dataclasses import replace

from tests.simulation.group_invariants import BrokenInvariantError
from tests.simulation.scheduler import TIMED_OUT, Scheduler, Wait

from moldau.control.machine import Order, ScheduleTimer
from moldau.control.transactions.coordinator import TransactionCoordinator
from moldau.control.transactions.records import decode_record, encode_record
from moldau.control.transactions.requests import (
    AddPartitions,
    EndTransaction,
    InitProducerId,
    Loaded,
    MarkersWritten,
    RunWithProducerId,
    VerifyPartitions,
    WriteMarkers,
)
from moldau.control.transactions.responses import NEEDS_PRODUCER_ID
from moldau.control.transactions.settings import TransactionSettings
from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ErrorCode

WAR_MS = 120_000
PEACE_MS = 120_000
ANSWER_MS = 3_000
GONE_MS = 10 * (WAR_MS + PEACE_MS)
"""A producer that sleeps for this long is dead for as long as the run lasts."""


class Partition:
    """What a partition's log and its producer state would hold."""

    def __init__(self):
        self.epochs, self.open, self.guards = {}, {}, {}
        self.outcomes = {}
        self.given = 0

    def begin(self, producer_id, epoch):
        """The guard to append with; None when the transaction has begun here, False when the epoch is old."""
        if epoch < self.epochs.get(producer_id, -1):
            return False
        if producer_id in self.open and self.epochs[producer_id] == epoch:
            return None
        self.given += 1
        self.guards.setdefault(producer_id, self.given)
        return self.guards[producer_id]

    def append(self, producer_id, epoch, tag, guard):
        if epoch < self.epochs.get(producer_id, -1):
            return False
        ongoing = producer_id in self.open and self.epochs[producer_id] == epoch
        if not ongoing and (guard is None or self.guards.get(producer_id) != guard):
            return False
        self.guards.pop(producer_id, None)
        self.epochs[producer_id] = epoch
        self.open.setdefault(producer_id, set()).add(tag)
        return True

    def mark(self, order):
        producer_id, epoch = order.producer_id, order.producer_epoch
        known = self.epochs.get(producer_id, -1)
        again = epoch == known and producer_id not in self.open
        if epoch < known or (order.transaction_version >= 2 and epoch == known and not again):
            return
        self.epochs[producer_id] = epoch
        self.guards.pop(producer_id, None)
        for tag in self.open.pop(producer_id, ()):
            self.outcomes.setdefault(tag, set()).add(order.commit)


class World:
    def __init__(self, seed):
        self.scheduler = Scheduler(seed)
        self.random = self.scheduler.random
        self.partitions = {TopicPartition("orders", index): Partition() for index in range(3)}
        self.log, self.producer_ids, self.life = [], 0, 0
        self.is_peace = False
        self.loss_rate = self.random.choice([0.0, 0.05, 0.2])
        self.tags, self.acknowledged, self.written = 0, {}, {}
        self.start()

    # The node

    def start(self):
        self.life += 1
        settings = TransactionSettings(timeout_check_interval_ms=1_000)
        self.machine = TransactionCoordinator(settings, 2)
        self.timers = {}
        for key, value in self.log:
            self.machine.apply(decode_record(key, value))
        self.decide(Loaded())

    def decide(self, request):
        decision = self.machine.decide(request, self.scheduler.now())
        if decision.response is NEEDS_PRODUCER_ID:
            self.producer_ids += 1
            return self.decide(replace(request, spare_producer_id=self.producer_ids))
        for record in decision.records:
            self.log.append(encode_record(record, 2))
            self.machine.apply(record)
        if decision.records and not self.is_peace and self.random.random() < 0.03:
            # Written, and nobody is told: what was ordered is lost with the node.
            self.start()
            return TIMED_OUT
        for effect in decision.effects:
            match effect:
                case ScheduleTimer(key, at_ms, event):
                    self.set_timer(key, at_ms, event)
                case Order(WriteMarkers() as order):
                    self.scheduler.spawn(self.write_markers(order, self.life))
                case Order(RunWithProducerId(again)):
                    self.producer_ids += 1
                    self.decide(replace(again, spare_producer_id=self.producer_ids))
        return decision.response

    def set_timer(self, key, at_ms, event):
        mark, life = object(), self.life
        self.timers[key] = mark
        due = lambda: self.life == life and self.timers.get(key) is mark and self.decide(event)  # noqa: E731
        self.scheduler.at(at_ms, due)

    def write_markers(self, order, life):
        for at in sorted(order.partitions):
            yield self.random.randint(0, 400)
            if self.life != life:
                return
            self.partitions[at].mark(order)
        yield self.random.randint(0, 400)
        if self.life == life:
            self.decide(MarkersWritten(order.transactional_id, order.producer_id, order.producer_epoch))

    # Producers

    def ask(self, request):
        """The response, or TIMED_OUT when the request or its answer is lost."""
        wait = Wait(ANSWER_MS)

        def arrive():
            response = self.decide(request)
            if self.is_peace or self.random.random() >= self.loss_rate:
                self.scheduler.after(self.random.randint(0, 200), lambda: wait.deliver(response))

        if self.is_peace or self.random.random() >= self.loss_rate:
            self.scheduler.after(self.random.randint(0, 200), arrive)
        return wait

    def producer(self, transactional_id, version):
        while True:
            identity = yield from self.initialise(transactional_id)
            while identity is not None:
                identity = yield from self.transaction(transactional_id, identity, version)
                if self.is_peace:
                    return

    def initialise(self, transactional_id):
        while True:
            answer = yield self.ask(InitProducerId(transactional_id, 10_000))
            if answer is not TIMED_OUT and answer.error is ErrorCode.NONE:
                return answer.producer_id, answer.producer_epoch
            yield self.random.randint(20, 500)

    def transaction(self, transactional_id, identity, version):
        """One transaction; returns who goes on, None when the producer has to begin anew."""
        self.tags += 1
        tag = self.tags
        self.written[tag] = set()
        for at in self.random.sample(sorted(self.partitions), self.random.randint(1, 3)):
            add = AddPartitions(transactional_id, *identity, frozenset({at}), version)
            if version == 0 and not (yield from self.agrees(add)):
                # In the first protocol it is the client that adds a partition, in each transaction anew.
                return (yield from self.end(transactional_id, identity, version, tag, commit=False))
            guard = self.partitions[at].begin(*identity)
            if guard is False:
                return None
            question = VerifyPartitions(transactional_id, *identity, frozenset({at})) if version == 0 else add
            if guard is not None and not (yield from self.agrees(question)):
                return (yield from self.end(transactional_id, identity, version, tag, commit=False))
            # A pause between the yes and the append: long enough for a timeout or a successor.
            yield self.random.choice([0, 0, 50, 15_000])
            if not self.partitions[at].append(*identity, tag, guard):
                return (yield from self.end(transactional_id, identity, version, tag, commit=False))
            self.written[tag].add(at)
            if self.random.random() < 0.02:
                yield GONE_MS
        commit = self.random.random() < 0.7
        return (yield from self.end(transactional_id, identity, version, tag, commit=commit))

    def agrees(self, question):
        answer = yield self.ask(question)
        return answer is not TIMED_OUT and answer.error is ErrorCode.NONE and not getattr(answer, "missing", None)

    def end(self, transactional_id, identity, version, tag, *, commit):
        while True:
            answer = yield self.ask(EndTransaction(transactional_id, *identity, commit, version))
            if answer is TIMED_OUT or answer.error is ErrorCode.CONCURRENT_TRANSACTIONS:
                yield self.random.randint(20, 500)
                continue
            if answer.error is not ErrorCode.NONE:
                return None
            self.acknowledged[tag] = commit
            return (answer.producer_id, answer.producer_epoch) if version == 2 else identity

    # The verdict

    def judge(self):
        for tag, places in self.written.items():
            outcomes = [self.partitions[at].outcomes.get(tag, set()) for at in places]
            if any(len(outcome) != 1 for outcome in outcomes):
                raise BrokenInvariantError(f"transaction {tag} is undecided or decided twice: {outcomes}")
            if len({outcome == {True} for outcome in outcomes}) > 1:
                raise BrokenInvariantError(f"transaction {tag} is torn: {outcomes}")
            if places and self.acknowledged.get(tag) is not None and outcomes[0] != {self.acknowledged[tag]}:
                raise BrokenInvariantError(f"transaction {tag} was told {self.acknowledged[tag]}: {outcomes}")
        for at, partition in self.partitions.items():
            if partition.open:
                raise BrokenInvariantError(f"{at} holds transactions open: {partition.open}")


def run(seed):
    world = World(seed)
    for number in range(world.random.randint(1, 4)):
        # Two processes with one name are a producer and its successor, each a zombie for the other.
        version = world.random.choice([0, 2])
        world.scheduler.spawn(world.producer(f"id-{number % 2}", version))
    world.scheduler.run_until(world.scheduler.now_ms + WAR_MS)
    world.is_peace = True
    world.scheduler.run_until(world.scheduler.now_ms + PEACE_MS)
    world.judge()
