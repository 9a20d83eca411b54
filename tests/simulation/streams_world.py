"""Instances of a streams application on a cluster made of lists: sessions as they are, clients and group simulated.

Whatever happens is drawn from one seed: records come, instances join, leave, are killed and started again, the group
divides its tasks anew, and commits are slow: while one waits for its answer the others go on, its member may be thrown
out and its transaction timed out, and the answer may come too late although the commit was done.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from concurrent.futures import Future
from types import SimpleNamespace

from confluent_kafka import KafkaError
from tests.fake_reader import FakeReader
from tests.record_batches import batch

from moldau._core import RecordBlock
from moldau.client.fetching import Fetched
from moldau.client.membership import GroupMetadata, JoinedMember, Membership
from moldau.client.producing import AbortableError, Delivered, FatalError
from moldau.errors import ErrorCode
from moldau.streams import Materialized, StreamsBuilder
from moldau.streams.runtime.environment import Environment, ThreadCounts
from moldau.streams.runtime.gate import Gate
from moldau.streams.runtime.layout import LayoutOptions, lay_out
from moldau.streams.runtime.left_out import LeftOut
from moldau.streams.runtime.outcomes import TaskMigratedError
from moldau.streams.runtime.session import Session
from moldau.streams.runtime.settings import load
from moldau.streams.runtime.subscription import PROTOCOL

PARTITIONS = 3
IN, OUT, CHANGELOG = "in", "out", "app-counts-changelog"


class Transaction:
    """Open, committed or aborted, with the offsets that it commits."""

    def __init__(self):
        self.state = "open"
        self.offsets = {}


class Record:
    """A record in a log, as confluent-kafka gives it."""

    def __init__(self, place, offset, key, value, timestamp, transaction):
        self.transaction = transaction
        self.topic, self.partition = lambda: place[0], lambda: place[1]
        self.offset = lambda: offset
        self.key, self.value, self.headers = lambda: key, lambda: value, lambda: None
        self.timestamp = lambda: (1, timestamp)
        self.error = lambda: None


class Cluster:
    """Logs, committed offsets, and who may write under which transactional id."""

    def __init__(self):
        self.logs = defaultdict(list)
        self.offsets = {}
        self.owners = {}

    def append(self, topic, partition, key, value, timestamp, transaction=None):
        place = topic, zlib.crc32(key) % PARTITIONS if partition < 0 else partition
        record = Record(place, len(self.logs[place]), key, value, timestamp, transaction)
        self.logs[place].append(record)
        return record

    def stable_end(self, place):
        """Before the first record of an open transaction."""
        log = self.logs[place]
        return next((i for i, one in enumerate(log) if one.transaction and one.transaction.state == "open"), len(log))

    def committed(self, topic):
        """What a reader of committed records sees."""
        return [
            record
            for partition in range(PARTITIONS)
            for record in self.logs[topic, partition]
            if record.transaction is None or record.transaction.state == "committed"
        ]

    def end(self, transaction, *, commit):
        if transaction.state == "open":
            transaction.state = "committed" if commit else "aborted"
            if commit:
                self.offsets.update(transaction.offsets)

    def time_out(self, places):
        """End the transactions that others wait for, and fence who began them."""
        for name, producer in list(self.owners.items()):
            transaction = producer.transaction
            if transaction and transaction.state == "open" and transaction.offsets.keys() & places:
                self.end(transaction, commit=False)
                self.owners[name] = SimpleNamespace(transaction=None)

    def list_offsets(self, request, **options):
        """As the admin client."""
        found = {place: Future() for place in request}
        for place, future in found.items():
            future.set_result(SimpleNamespace(offset=len(self.logs[place.topic, place.partition])))
        return found


class Producer:
    """A transactional one. What it does not hear of, it has to ask for until it is fenced: it never guesses."""

    def __init__(self, world, settings):
        self.world, self.cluster = world, world.cluster
        self.name = settings.transactional_id
        self.transaction = None
        self._names = []
        self._reports = []
        self._failure = None

    def _check(self):
        if self.cluster.owners.get(self.name) is not self:
            self._failure = FatalError("fenced", ErrorCode.PRODUCER_FENCED)
        if self._failure is not None:
            raise self._failure

    def open(self, topic, timeout_s):
        self._names.append(topic)
        return len(self._names) - 1

    def partition_count(self, topic):
        return PARTITIONS

    def init_transactions(self, timeout_s):
        before = self.cluster.owners.get(self.name)
        if before is not None and before.transaction is not None:
            self.cluster.end(before.transaction, commit=False)
        self.cluster.owners[self.name] = self

    def begin_transaction(self):
        self._check()
        self.transaction = Transaction()

    def append(self, topic, partition, key, value, timestamp_ms, headers):
        if self.cluster.owners.get(self.name) is not self:
            self._failure = FatalError("fenced", ErrorCode.INVALID_PRODUCER_EPOCH)
            return
        record = self.cluster.append(self._names[topic], partition, key, value, timestamp_ms, self.transaction)
        self._reports.append(Delivered(record.topic(), record.partition(), record.offset(), 1))

    def append_run(self, topic, run, output):
        for key, value, timestamp, headers in run.records(output):
            self.append(topic, -1, key, value, timestamp, headers)
        return []

    def reports(self):
        reports, self._reports = self._reports, []
        if not reports and self._failure is not None:
            raise self._failure
        return reports

    def flush(self, timeout_s):
        return self._failure is None

    def send_offsets_to_transaction(self, offsets, group, timeout_s):
        self.world.answer_slowly(self)
        self._check()
        if not self.world.group.accepts(group.member_id, group.generation_id):
            raise AbortableError("old generation", ErrorCode.ILLEGAL_GENERATION)
        self.transaction.offsets.update(offsets)

    def commit_transaction(self, timeout_s):
        self.world.answer_slowly(self)
        self._check()
        self.cluster.end(self.transaction, commit=True)
        if self.world.is_answer_lost(self):
            # It was done, and whoever asks again is told that another has come.
            self._check()
        self.transaction = None

    def abort_transaction(self, timeout_s):
        self._reports.clear()
        self._check()
        self.cluster.end(self.transaction, commit=False)
        self.transaction = None

    def close(self):
        self._reports.clear()


def block_of(records):
    """Records as they were fetched."""
    if not records:
        return None
    first = records[0].offset()
    return RecordBlock(
        batch(first, [(record.timestamp()[1], record.key(), record.value()) for record in records]), first, None
    )


class Reader(FakeReader):
    """Reads what is committed of the inputs."""

    def __init__(self, world):
        super().__init__()
        self.world, self.cluster = world, world.cluster

    def end_of(self, place):
        return len(self.cluster.logs[place])

    def poll(self, timeout):
        found = []
        for place, position in self.positions.items():
            if place not in self.paused:
                stop = min(position + self.world.chance.randint(1, 20), len(self.cluster.logs[place]))
                block = block_of(self.cluster.logs[place][position:stop])
                found.append(Fetched(*place, block, 0, stop - position, stop, at_end=stop == self.end_of(place)))
        self.positions.update({(one.topic, one.partition): one.next_offset for one in found})
        return found


class Consumer:
    """Reads what is committed of changelogs, and says when it has come to an end."""

    def __init__(self, world):
        self.world, self.cluster = world, world.cluster
        self.positions, self.told = {}, {}

    def incremental_assign(self, partitions):
        for one in partitions:
            self.positions[one.topic, one.partition] = max(one.offset, 0)

    def incremental_unassign(self, partitions):
        for one in partitions:
            self.positions.pop((one.topic, one.partition), None)
            self.told.pop((one.topic, one.partition), None)

    def consume(self, number, timeout):
        found = []
        most = min(number, self.world.chance.randint(1, 20))
        for place in list(self.positions):
            position, end = self.positions[place], self.cluster.stable_end(place)
            while position < end and len(found) < most:
                record = self.cluster.logs[place][position]
                position += 1
                if record.transaction is None or record.transaction.state == "committed":
                    found.append(record)
            self.positions[place] = position
            if position == end and self.told.get(place) != position and len(found) < most:
                self.told[place] = position
                error = SimpleNamespace(code=lambda: KafkaError._PARTITION_EOF, fatal=lambda: False)
                event = Record(place, position, None, None, -1, None)
                event.error = lambda error=error: error
                found.append(event)
        return found

    def close(self):
        self.positions.clear()


class Group:
    """A coordinator and the way to it. A member that was killed is one until it is expired."""

    def __init__(self):
        self.members = {}
        self.generation = 0
        self.preparing = False
        self.brought = {}

    def accepts(self, member_id, generation):
        return member_id in self.members and generation == self.generation

    def remove(self, member_id):
        if self.members.pop(member_id, None) is not None:
            self.brought.pop(member_id, None)
            self.preparing = True
            self.complete()

    def complete(self):
        """The next generation begins when everybody has joined."""
        if not self.members or self.brought.keys() != self.members.keys():
            return
        self.generation += 1
        leader = self.members[next(iter(self.brought))]
        joined = [JoinedMember(name, None, data) for name, data in self.brought.items()]
        self.preparing, self.brought = False, {}
        given = leader.listener.assign(PROTOCOL, joined)
        for name, member in self.members.items():
            member.pending, member.generation = given[name], self.generation


class Member:
    """What a session has of its group."""

    def __init__(self, cluster, group, name, listener):
        self.cluster, self.group, self.name, self.listener = cluster, group, name, listener
        self.pending = None
        self.generation = -1
        group.members[name] = self
        group.preparing = True

    @property
    def is_rebalancing(self):
        return self.name in self.group.brought

    @property
    def is_stable(self):
        return not self.group.preparing and self.pending is None

    def poll(self, timeout_s):
        if self.group.members.get(self.name) is not self:
            self.listener.lost("the session timed out")
        if self.pending is not None:
            given, self.pending = self.pending, None
            self.listener.assigned(Membership(self.generation, self.name, PROTOCOL), given)
        # It may have been thrown out while it gave up what it had.
        is_known = self.group.members.get(self.name) is self
        if is_known and self.group.preparing and self.name not in self.group.brought:
            self.group.brought[self.name] = self.listener.protocols("a rebalance")[PROTOCOL]
            self.group.complete()

    def rejoin(self, reason):
        self.group.preparing = True

    def group_metadata(self):
        return GroupMetadata("app", self.generation, self.name)

    def committed(self, places, timeout_s, may_go):
        self.cluster.time_out(set(places))
        return {place: self.cluster.offsets[place] for place in places if place in self.cluster.offsets}

    def close(self):
        self.group.remove(self.name)


class Instance:
    """One process with one thread; it is killed without a word, and started again with the same folder."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.started = 0
        self.session = None

    def start(self):
        world = self.world
        settings = load({**world.settings, "state.dir": str(world.folder / self.name)})
        layout = lay_out(world.topology, {IN: PARTITIONS, OUT: PARTITIONS}, LayoutOptions("app"))
        environment = Environment(world.topology, layout, settings, self.name, world.cluster)
        environment.whereabouts.look_at_disk(settings.application_dir, layout)
        self.environment = environment
        self.begin()

    def begin(self):
        self.started += 1
        self.session = Session(self.environment, 1, Gate(), ThreadCounts(), LeftOut())
        self.session.collector.initialise()
        self.session._member = Member(
            self.world.cluster, self.world.group, f"{self.name}-{self.started}", self.session._listener
        )

    def step(self):
        """Once round the loop of a thread; like it, another session follows one that has lost its tasks."""
        session = self.session
        session._next_commit = 0.0 if self.world.chance.random() < 0.3 else float("inf")
        try:
            session._take_part(session._member)
            session._work(session._read(session._member))
        except TaskMigratedError:
            self.world.happened["migrated"] += 1
            self.end(clean=False)
            self.begin()

    def end(self, *, clean):
        session, self.session = self.session, None
        try:
            session.close(clean=clean)
        except TaskMigratedError:
            self.world.happened["last commit refused"] += 1

    def kill(self):
        session, self.session = self.session, None
        for task in (*session.tasks.tasks.values(), *session.tasks.standbys.values()):
            if task.database is not None:
                task.database.close()


def topology(*, in_memory):
    stored = Materialized.as_("counts")
    builder = StreamsBuilder()
    grouped = builder.stream(IN, key=str, value=str).group_by_key()
    grouped.count(stored.with_store_type("in_memory") if in_memory else stored).to_stream().to(OUT, value=int)
    return builder.build()


class World:
    """Three instances, their cluster, and the chance that drives them."""

    def __init__(self, chance, folder, *, in_memory, standby_replicas=0, columns=True):
        self.chance, self.folder = chance, folder
        self.cluster, self.group = Cluster(), Group()
        self.topology = topology(in_memory=in_memory)
        self.settings = {
            "application.id": "app",
            "bootstrap.servers": "nowhere:9092",
            "processing.guarantee": "exactly_once_v2",
            "num.standby.replicas": standby_replicas,
            "acceptable.recovery.lag": 5,
            "columns.enabled": columns,
        }
        self.instances = [Instance(self, f"p{number}") for number in range(3)]
        self.happened = Counter()
        self.written = Counter()
        self._calm = False
        self._slow = False

    @property
    def alive(self):
        return [one for one in self.instances if one.session is not None]

    def step(self):
        """One thing that happens."""
        kind = self.chance.choices(
            ["work", "write", "start", "kill", "close", "expire", "divide"], [60, 12, 8, 3, 2, 8, 2]
        )[0]
        getattr(self, kind)()

    def work(self):
        if self.alive:
            self.chance.choice(self.alive).step()

    def write(self):
        for _ in range(self.chance.randint(1, 10)):
            key = f"k{self.chance.randrange(12)}".encode()
            self.cluster.append(IN, -1, key, b"x", 1000)
            self.written[key] += 1

    def start(self):
        stopped = [one for one in self.instances if one.session is None]
        if stopped:
            self.chance.choice(stopped).start()

    def kill(self):
        if self.alive:
            self.happened["killed"] += 1
            self.chance.choice(self.alive).kill()

    def close(self):
        if self.alive:
            self.chance.choice(self.alive).end(clean=True)

    def expire(self):
        """The group notices that somebody was killed."""
        here = {one.session._member.name for one in self.alive}
        for name in [name for name in self.group.members if name not in here]:
            self.group.remove(name)

    def divide(self):
        self.group.preparing = True

    def answer_slowly(self, producer):
        """Before the answer to a commit: the others go on, and the group or the cluster may lose its patience."""
        if self._calm or self._slow or self.chance.random() > 0.3:
            return
        owner = next((one for one in self.alive if one.session.collector._producer is producer), None)
        if owner is None:
            # It is leaving.
            return
        self._slow = True
        self.happened["slow"] += 1
        if self.chance.random() < 0.3:
            self.group.remove(owner.session._member.name)
        for _ in range(self.chance.randint(0, 8)):
            others = [one for one in self.alive if one is not owner]
            if others:
                self.chance.choice(others).step()
        self._slow = False

    def is_answer_lost(self, producer):
        """Whether it was done, nobody heard of it, and before they do somebody else has the transactional id."""
        if self._calm or self.chance.random() > 0.1:
            return False
        self.happened["lost"] += 1
        self.cluster.owners[producer.name] = SimpleNamespace(transaction=None)
        return True

    def settle(self):
        """No more trouble: everything that was written comes to be worked on."""
        self._calm = True
        self.expire()
        for instance in self.instances:
            if instance.session is None:
                instance.start()
        for _ in range(3000):
            for instance in self.instances:
                instance.step()
            ends = {(IN, partition): len(self.cluster.logs[IN, partition]) for partition in range(PARTITIONS)}
            done = all(self.cluster.offsets.get(place, (0,))[0] == end for place, end in ends.items())
            here = sum(len(one.session.tasks.tasks) for one in self.instances)
            if done and here == PARTITIONS and all(one.session.is_running for one in self.instances):
                return
        raise AssertionError("what was written is not worked on")

    def check(self):
        """Each record counts once, in the order of its key, and state is what its changelog says."""
        counts = defaultdict(list)
        for record in self.cluster.committed(OUT):
            counts[record.key()].append(int.from_bytes(record.value(), "big"))
        assert counts == {key: list(range(1, count + 1)) for key, count in self.written.items()}
        replayed = {record.key(): int.from_bytes(record.value(), "big") for record in self.cluster.committed(CHANGELOG)}
        assert replayed == self.written
        held = {}
        for instance in self.instances:
            for task in instance.session.tasks.tasks.values():
                held.update({key.encode(): value[0] for key, value in task.stores["counts"].all()})
        assert held == self.written

    def stop(self):
        for instance in self.alive:
            instance.end(clean=False)
