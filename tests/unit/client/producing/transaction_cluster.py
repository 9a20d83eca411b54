"""A cluster made of lists for transactional producers: the coordinator is the real machine, all else a model.

Leaders check epochs, sequences and whether the transaction is open, as Kafka's do; the group knows its generation and
keeps offsets of open transactions apart; markers are written one after the other, some time later. Whatever happens is
drawn from one seed: requests and answers get lost or come late, leaders and coordinators move, coordinators crash,
whoever works is killed between any two steps, and another one comes with the same transactional id.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

from moldau._core import RecordAccumulator, RecordBlock
from moldau.client.membership.requests import Commit, GroupMetadata
from moldau.client.producing.errors import AbortableError, FatalError
from moldau.client.producing.machine import ProduceMachine
from moldau.client.producing.settings import ProduceSettings
from moldau.client.producing.transaction_requests import (
    AddOffsets,
    AddPartitions,
    CommitOffsets,
    EndTransaction,
    FindCoordinator,
    InitProducerId,
)
from moldau.client.producing.transactions import Stage, TransactionMachine
from moldau.client.protocol.coordinators import Coordinates
from moldau.control.machine import Now, Order, ScheduleTimer
from moldau.control.transactions import requests as asked
from moldau.control.transactions.coordinator import TransactionCoordinator
from moldau.control.transactions.responses import NEEDS_PRODUCER_ID
from moldau.control.transactions.settings import TransactionSettings
from moldau.control.transactions.transaction import TopicPartition
from moldau.errors import ErrorCode

PARTITIONS = 2
BROKERS = (1, 2)
OFFSETS = TopicPartition("__consumer_offsets", 0)
GROUP = "group"
SOURCE = ("in", 0)
TIMEOUT_MS = 10_000
RETRY_S = 0.1


class Log:
    """One partition and what its leader knows of producers."""

    def __init__(self):
        self.entries = []
        self.producers = {}
        self.open = {}

    def produce(self, identity, sequence, values, verify):
        """Error and offset; `verify()` asks the coordinator whether the transaction may begin here."""
        producer_id, epoch = identity
        known, end, batches = self.producers.get(producer_id, (-1, 0, {}))
        if epoch < known:
            return ErrorCode.INVALID_PRODUCER_EPOCH, -1
        if epoch > known:
            end, batches = 0, {}
        if (sequence, len(values)) in batches:
            return ErrorCode.NONE, batches[sequence, len(values)]
        if self.open.get(producer_id) != epoch and (error := verify()) is not ErrorCode.NONE:
            return error, -1
        if sequence != end:
            return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
        offset = len(self.entries)
        self.entries += [[value, producer_id, None] for value in values]
        self.open[producer_id] = epoch
        kept = {**batches, (sequence, len(values)): offset}
        self.producers[producer_id] = epoch, end + len(values), dict(list(kept.items())[-5:])
        return ErrorCode.NONE, offset

    def mark(self, order):
        known, end, batches = self.producers.get(order.producer_id, (-1, 0, {}))
        if order.producer_epoch < known:
            return
        for entry in self.entries:
            if entry[1] == order.producer_id and entry[2] is None:
                entry[2] = order.commit
        self.open.pop(order.producer_id, None)
        fresh = (order.producer_epoch, 0, {})
        self.producers[order.producer_id] = fresh if order.producer_epoch > known else (known, end, batches)


class Group:
    """Offsets of one partition that is read, and the generation whose members may commit them."""

    def __init__(self):
        self.offset, self.generation = 0, 0
        self.pending, self.epochs = {}, {}

    def commit(self, identity, generation, offset, verify):
        producer_id, epoch = identity
        if epoch < self.epochs.get(producer_id, -1):
            return ErrorCode.INVALID_PRODUCER_EPOCH
        if generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        is_open = producer_id in self.pending and self.epochs[producer_id] == epoch
        if not is_open and (error := verify()) is not ErrorCode.NONE:
            return ErrorCode.INVALID_PRODUCER_EPOCH if error is ErrorCode.PRODUCER_FENCED else error
        self.epochs[producer_id] = epoch
        self.pending[producer_id] = offset
        return ErrorCode.NONE

    def mark(self, order):
        if order.producer_epoch < self.epochs.get(order.producer_id, -1):
            return
        self.epochs[order.producer_id] = order.producer_epoch
        offset = self.pending.pop(order.producer_id, None)
        if order.commit and offset is not None:
            self.offset = offset


class Worker:
    """A process that reads from where the group is, writes one record for each, and commits both in transactions."""

    def __init__(self, world, name, transactional_id):
        self.world, self.name = world, name
        settings = ProduceSettings(
            linger_s=0.05,
            retry_backoff_s=RETRY_S,
            delivery_timeout_s=1e9,
            transactional_id=transactional_id,
            transaction_timeout_ms=TIMEOUT_MS,
        )
        self.source = RecordAccumulator(300, 10_000, 10_000, 1 << 20, transactional=True)
        self.transaction = TransactionMachine(settings)
        self.machine = ProduceMachine(settings, self.source, self.transaction)
        self.number = self.machine.open("out", world.now).number
        self.busy = set()
        self.is_alive = True
        self.not_found_at = -RETRY_S
        world.group.generation += 1
        self.generation = world.group.generation
        self.running = self.run()

    def step(self):
        try:
            next(self.running)
        except StopIteration:
            self.is_alive = False
        except FatalError as error:
            self.world.happened[f"ended {error.code.name}"] += 1
            self.is_alive = False

    def run(self):
        self.transaction.initialise()
        yield from self.until(lambda: self.transaction.stage is Stage.READY)
        yield from self.until(lambda: self.machine.topics["out"].count)
        while True:
            # Offsets that wait for the end of a transaction are waited for. (KIP-447)
            yield from self.until(lambda: not self.world.group.pending)
            position = self.world.group.offset
            while True:
                count = self.world.chance.randint(1, 6)
                try:
                    wanted = self.world.chance.random() < 0.7 or self.world.is_calm
                    yield from self.one_transaction(position, position + count, commit=wanted)
                except AbortableError as error:
                    self.world.happened[f"spoilt {error.code.name}"] += 1
                    yield from self.end(commit=False)
                    break
                if not wanted:
                    break
                position += count

    def one_transaction(self, start, stop, *, commit):
        self.transaction.begin()
        for value in range(start, stop):
            text = b"%d" % value
            assert self.source.append(self.number, value % PARTITIONS, None, text, 5, None, self.world.now) in {0, 1}
            self.machine.look()
            yield
        if commit:
            self.machine.flushing = True
            yield from self.until(lambda: self.machine.is_empty)
            self.machine.flushing = False
            member = GroupMetadata(GROUP, self.generation, self.name)
            self.transaction.send_offsets(member, {SOURCE: Commit(stop)})
            yield from self.until(lambda: self.transaction.has_sent_offsets)
        yield from self.end(commit=commit)
        self.world.happened["committed" if commit else "aborted"] += 1

    def end(self, *, commit):
        self.transaction.end(commit=commit)
        if not commit:
            self.machine.flushing = False
            self.machine.abandon()
        yield from self.until(lambda: self.transaction.stage is Stage.READY)
        assert self.machine.is_empty
        assert self.source.size_bytes == 0

    def until(self, condition):
        while True:
            self.machine.take_reports()
            if self.machine.failure is not None:
                raise self.machine.failure
            if self.transaction.error is not None and self.transaction.stage in {Stage.OPEN, Stage.ENDED}:
                raise self.transaction.error
            if condition():
                return
            yield


class World:
    """The cluster, who works with it, and the chance that drives both."""

    def __init__(self, seed, *, version, shares_id=True):
        self.chance = random.Random(seed)
        self.version, self.shares_id = version, shares_id
        self.now = 0.0
        self.is_calm = False
        self.happened = Counter()
        self.logs = {TopicPartition("out", number): Log() for number in range(PARTITIONS)}
        self.leaders = dict.fromkeys(range(PARTITIONS), 1)
        self.group = Group()
        self.coordinator_at, self.group_at = 1, 2
        self.kept, self.producer_ids = [], 0
        self.flying, self.strays = [], []
        self.workers = 0
        self.load()
        self.worker = self.start_worker()
        self.zombies = []

    # The transaction coordinator.

    def load(self):
        """It begins from what it has written; what was on its way is lost."""
        self.coordinator = TransactionCoordinator(
            TransactionSettings(timeout_check_interval_ms=1_000), 2 if self.version == 2 else 1
        )
        self.timers, self.markers = {}, []
        for record in self.kept:
            self.coordinator.apply(record)
        self.decide(asked.Loaded())

    def decide(self, request):
        now_ms = int(self.now * 1000)
        decision = self.coordinator.decide(request, Now(now_ms, now_ms))
        if decision.response is NEEDS_PRODUCER_ID:
            self.producer_ids += 1
            return self.decide(replace(request, spare_producer_id=self.producer_ids))
        for record in decision.records:
            self.kept.append(record)
            self.coordinator.apply(record)
        for effect in decision.effects:
            if isinstance(effect, ScheduleTimer):
                self.timers[effect.key] = (effect.at_ms, effect.event)
            elif isinstance(effect, Order) and isinstance(effect.work, asked.WriteMarkers):
                self.markers.append((effect.work, sorted(effect.work.partitions)))
            elif isinstance(effect, Order):
                self.producer_ids += 1
                self.decide(replace(effect.work.request, spare_producer_id=self.producer_ids))
        return decision.response

    def pass_time(self, seconds):
        self.now += seconds
        for key, (at_ms, event) in list(self.timers.items()):
            if at_ms <= self.now * 1000:
                del self.timers[key]
                self.decide(event)

    def write_a_marker(self):
        if not self.markers:
            return
        order, places = self.markers.pop(self.chance.randrange(len(self.markers)))
        place = places.pop(self.chance.randrange(len(places)))
        (self.group if place == OFFSETS else self.logs[place]).mark(order)
        if places:
            self.markers.append((order, places))
        else:
            self.decide(asked.MarkersWritten(order.transactional_id, order.producer_id, order.producer_epoch))

    def verifies(self, transactional_id, identity, place, *, adds):
        """As a leader that asks before it appends; the second function of a pair of protocols."""

        def ask():
            if adds:
                answer = self.decide(asked.AddPartitions(transactional_id, *identity, frozenset({place}), 2))
                missing = ()
            else:
                answer = self.decide(asked.VerifyPartitions(transactional_id, *identity, frozenset({place})))
                missing = answer.missing
            if answer.error is ErrorCode.CONCURRENT_TRANSACTIONS and not adds:
                return ErrorCode.NOT_ENOUGH_REPLICAS
            return ErrorCode.TRANSACTION_ABORTABLE if missing else answer.error

        return ask

    # Requests.

    def send(self, worker):
        line = self.chance.choice(("transactions", *BROKERS))
        if line in worker.busy:
            return
        address = None
        if line == "transactions":
            request = worker.transaction.next(self.now, is_empty=worker.machine.is_empty)
            address = None if request is None else worker.transaction.address_of(request)
        else:
            request = worker.machine.next(line, self.now)
        if isinstance(request, FindCoordinator):
            assert self.now >= worker.not_found_at + RETRY_S, "asked again without a pause"
        if request is not None:
            worker.busy.add(line)
            self.flying.append((worker, line, request, address))

    def arrive(self):
        if not self.flying:
            return
        worker, line, request, address = self.flying.pop(self.chance.randrange(len(self.flying)))
        fate = 1.0 if self.is_calm else self.chance.random()
        worker.busy.discard(line)
        owner = worker.transaction if line == "transactions" else worker.machine
        if fate < 0.05:
            owner.failed(request, OSError("never arrived"), self.now, passes=True)
            return
        if fate < 0.08 and self.version == 2 and not isinstance(request, FindCoordinator):
            self.strays.append((worker, line, request, address))
            owner.failed(request, OSError("comes late"), self.now, passes=True)
            return
        answer = self.carry_out(worker, line, request, address)
        if fate < 0.13:
            self.happened["answer lost"] += 1
            owner.failed(request, OSError("the answer is lost"), self.now, passes=True)
        else:
            owner.answered(request, answer, self.now)

    def come_late(self):
        if self.strays:
            self.happened["late"] += 1
            self.carry_out(*self.strays.pop(self.chance.randrange(len(self.strays))))

    def carry_out(self, worker, line, request, address):
        if line != "transactions":
            return self.produce(worker, line, request)
        if isinstance(request, FindCoordinator):
            if not self.is_calm and self.chance.random() < 0.05:
                return self.not_found(worker)
            at = self.coordinator_at if request.kind is Coordinates.TRANSACTION else self.group_at
            return SimpleNamespace(host="h", port=at, error_code=0, error_message=None)
        if isinstance(request, CommitOffsets):
            code = ErrorCode.NOT_COORDINATOR
            if address.port == self.group_at:
                adds = request.second_protocol
                verify = self.verifies(request.transactional_id, request.identity, OFFSETS, adds=adds)
                (one,) = request.offsets.values()
                code = self.group.commit(request.identity, request.group.generation_id, one.offset, verify)
            part = SimpleNamespace(error_code=int(code))
            return SimpleNamespace(topics=[SimpleNamespace(partitions=[part])])
        worker.transaction.greeted(self.version)
        return self.ask_coordinator(request, is_here=address.port == self.coordinator_at)

    def not_found(self, worker):
        """Who was asked for a coordinator says that the transaction is to be aborted, whether or not there is one."""
        self.happened["coordinator refused"] += 1
        worker.not_found_at = self.now
        code = ErrorCode.TRANSACTION_ABORTABLE
        return SimpleNamespace(host="", port=-1, error_code=int(code), error_message=None)

    def ask_coordinator(self, request, *, is_here):
        gone = SimpleNamespace(error=ErrorCode.NOT_COORDINATOR, producer_id=-1, producer_epoch=-1)
        name = request.transactional_id
        if isinstance(request, InitProducerId):
            known = request.identity.producer_id >= 0
            expected = asked.ProducerIdAndEpoch(*request.identity) if known else None
            told = self.decide(asked.InitProducerId(name, request.timeout_ms, expected)) if is_here else gone
            return SimpleNamespace(
                error_code=int(told.error), producer_id=told.producer_id, producer_epoch=told.producer_epoch
            )
        if isinstance(request, EndTransaction):
            version = 2 if request.second_protocol else 0
            question = asked.EndTransaction(name, *request.identity, request.commit, version)
            told = self.decide(question) if is_here else gone
            return SimpleNamespace(
                error_code=int(told.error), producer_id=told.producer_id, producer_epoch=told.producer_epoch
            )
        assert self.version == 1, request
        places = [TopicPartition(*place) for place in request.partitions] if isinstance(request, AddPartitions) else []
        places = places or [OFFSETS]
        question = asked.AddPartitions(name, *request.identity, frozenset(places))
        told = self.decide(question) if is_here else gone
        if isinstance(request, AddOffsets):
            return SimpleNamespace(error_code=int(told.error))
        parts = [SimpleNamespace(partition_error_code=int(told.error)) for _ in places]
        return SimpleNamespace(results_by_topic_v3_and_below=[SimpleNamespace(results_by_partition=parts)])

    def produce(self, worker, broker, request):
        rows = []
        for writing, one in request.parts:
            number = writing.place[1]
            code, offset = ErrorCode.NOT_LEADER_OR_FOLLOWER, -1
            if self.leaders[number] == broker:
                place = TopicPartition("out", number)
                adds = request.versions[0] >= 12
                verify = self.verifies(worker.transaction.transactional_id, one.identity, place, adds=adds)
                code, offset = self.logs[place].produce(one.identity, one.sequence, values_of(one), verify)
            rows.append(SimpleNamespace(index=number, error_code=int(code), base_offset=offset, error_message=None))
        return SimpleNamespace(responses=[SimpleNamespace(name="out", partition_responses=rows)])

    def learn(self, worker):
        names = worker.machine.unknown(self.now)
        if not names:
            return
        parts = [SimpleNamespace(partition_index=number, leader_id=leader) for number, leader in self.leaders.items()]
        answer = SimpleNamespace(
            brokers=[SimpleNamespace(node_id=number, host="h", port=number) for number in BROKERS],
            topics=[SimpleNamespace(name="out", error_code=0, partitions=parts)],
        )
        worker.machine.learned(names, answer, self.now)

    # Who works.

    def start_worker(self):
        self.workers += 1
        name = "id" if self.shares_id else f"id-{self.workers}"
        return Worker(self, f"worker-{self.workers}", name)

    def replace_worker(self, *, killed):
        if killed:
            self.worker.is_alive = False
        else:
            self.zombies = [*self.zombies[-2:], self.worker]
        self.happened["killed" if killed else "replaced"] += 1
        self.worker = self.start_worker()

    def forget_the_dead(self):
        """What they have sent may arrive, or not; nobody waits for an answer."""
        for message in [one for one in self.flying if not one[0].is_alive]:
            self.flying.remove(message)
            if self.chance.random() < 0.5:
                self.carry_out(*message)

    def step(self):
        """One thing that happens."""
        self.pass_time(self.chance.random() / 20)
        worker = self.worker
        if self.zombies and self.chance.random() < 0.2:
            worker = self.chance.choice(self.zombies)
        if worker.is_alive and self.chance.random() < 0.9:
            (worker.step, lambda: self.send(worker), self.arrive)[self.chance.randrange(3)]()
        elif self.chance.random() < 0.6:
            (self.write_a_marker, lambda: self.learn(worker))[self.chance.randrange(2)]()
        elif not self.is_calm:
            self.trouble()
        self.forget_the_dead()
        if not self.worker.is_alive:
            self.worker = self.start_worker()

    def trouble(self):
        kind = self.chance.random()
        if kind < 0.15:
            self.leaders[self.chance.randrange(PARTITIONS)] = self.chance.choice(BROKERS)
        elif kind < 0.25:
            self.coordinator_at, self.group_at = self.chance.choice(BROKERS), self.chance.choice(BROKERS)
            self.load()
        elif kind < 0.28:
            self.replace_worker(killed=True)
        elif kind < 0.3:
            self.replace_worker(killed=False)
        elif kind < 0.6:
            self.come_late()

    def settle(self):
        """No more trouble: whatever is open comes to its end, and the one who is left commits some more."""
        self.is_calm = True
        self.zombies = []
        goal = self.group.offset + 20
        for _ in range(30_000):
            self.step()
            if self.group.offset >= goal:
                return
        raise AssertionError(f"it does not go on: {self.worker.transaction.stage}, {self.worker.transaction.error}")

    def check(self):
        """Of what readers of committed records see, everything that the group is behind is there once, in its order."""
        while self.markers:
            self.write_a_marker()
        for number in range(PARTITIONS):
            entries = self.logs[TopicPartition("out", number)].entries
            done = [int(value) for value, _, state in entries if state is True]
            assert done == list(range(number, self.group.offset, PARTITIONS))


def values_of(outgoing):
    """What is in a batch that is on its way, as its bytes say."""
    records = outgoing.batch.encode("none", None, *outgoing.identity, outgoing.sequence)
    block = RecordBlock(records, 0, None)
    return [record[3] for record in block.records(0, len(block))]
