"""One run: a node, some members, and what chance does to them for some minutes; then peace, and a verdict.

run(seed)   raises BrokenInvariantError when an invariant does not hold; the seed is all that is needed to see it again
"""

from tests.simulation.coordinator_node import CoordinatorNode
from tests.simulation.group_invariants import BrokenInvariantError, Judge
from tests.simulation.group_member import GroupMember, partitions_of
from tests.simulation.scheduler import Scheduler
from tests.unit.control.groups.cluster_of_topics import ClusterOfTopics

from moldau.control.groups.classic.group import GroupState
from moldau.control.groups.requests import DeleteGroup, DescribeGroup, LeaveGroup, LeavingMember
from moldau.control.groups.settings import GroupSettings

PEACE_MS = 420_000
"""Longer than every timeout together: who is still there has to be in a stable generation by then."""


class World:
    commits_keep_sessions = True
    """So it is in a classic group; a consumer group wants heartbeats, from classic members too."""
    gather_ms = (0,)
    """How long the first members of a consumer group wait for each other; the seed chooses."""

    def __init__(self, seed, judge=None, *, one_at_a_time=False):
        self.scheduler = Scheduler(seed)
        self.random = self.scheduler.random
        self.group_id = "billing"
        self.partitions = self.random.randint(1, 12)
        self.judge = judge or Judge()
        self.cluster = ClusterOfTopics(orders=self.partitions)
        self.settings = GroupSettings(
            initial_rebalance_delay_ms=self.random.choice([0, 0, 500, 3_000]),
            max_size=self.random.choice([1_000, 1_000, 3]),
            offsets_retention_check_interval_ms=60_000,
            new_member_join_timeout_ms=self.random.choice([20_000, 300_000]),
            consumer_gather_ms=self.gather_ms[seed % len(self.gather_ms)],
        )
        self.node = CoordinatorNode(
            self.scheduler,
            self.settings,
            self.judge,
            self.cluster,
            commit_delay_ms=self.random.choice([0, 5, 300, 2_000]),
            append_failure_rate=self.random.choice([0.0, 0.0, 0.05]),
            one_at_a_time=one_at_a_time,
        )
        self.loss_rate = self.random.choice([0.0, 0.02, 0.1])
        self.latency_ms = self.random.choice([1, 50, 800])
        self.is_peace = False
        self.processes = {}
        self.members = {}
        self._offset = 0
        self._names = 0

    def next_offset(self):
        self._offset += 1
        return self._offset

    # The network

    def send(self, request, answer, is_open=lambda: True):
        """`is_open` says whether the connection is still there when the request arrives."""
        if self._is_lost():
            return
        life = self.node.life
        self._later(lambda: self.node.life == life and is_open() and self.node.request(request, self._back(answer)))

    def _back(self, answer):
        def deliver(response):
            if not self._is_lost():
                self._later(lambda: answer(response))

        return deliver

    def _later(self, call):
        self.scheduler.after(self.random.randint(0, self.latency_ms), call)

    def _is_lost(self):
        return not self.is_peace and self.random.random() < self.loss_rate

    # The members

    def add_member(self, instance_id=None):
        self._names += 1
        name = instance_id or f"consumer-{self._names}"
        member = self.new_member(name, instance_id)
        self.members[name] = member
        self.processes[name] = self.scheduler.spawn(member.run())
        return name

    def new_member(self, name, instance_id):
        return GroupMember(self, name, instance_id)

    def kill_member(self, name):
        """The process is gone, without a word to the group."""
        self.processes.pop(name).kill()
        return self.members.pop(name)

    def alive(self):
        return [name for name, process in self.processes.items() if process.is_alive]

    # Chance

    def something_happens(self):
        name = self.random.choice(self.alive()) if self.alive() else None
        match self.random.randrange(10):
            case 0 | 1:
                if len(self.alive()) < 6:
                    self.add_member()
            case 2:
                instance_id = f"instance-{self.random.randrange(3)}"
                if instance_id in self.members:
                    self.kill_member(instance_id)
                self.add_member(instance_id)
            case 3 if name is not None:
                self.kill_member(name)
            case 4 if name is not None:
                self.members[name].wants_to_leave = True
            case 5 if name is not None:
                self._two_of_the_same_instance(name)
            case 6:
                self.send(DeleteGroup(self.group_id), lambda response: None)
            case 7:
                # An administrator removes a static member, whatever it is doing.
                removed = LeavingMember("", f"instance-{self.random.randrange(3)}")
                self.send(LeaveGroup(self.group_id, (removed,)), lambda response: None)
            case 8:
                self.node.crash()
                self.scheduler.after(self.random.randint(0, 20_000), self.node.start)
                return self.random.randint(20_000, 40_000)
        return self.random.choice([10, 100, 1_000, 3_000, 10_000, 40_000])

    def _two_of_the_same_instance(self, name):
        """A second process with the instance id of one that still runs: one of them will be fenced."""
        instance_id = self.members[name].instance_id
        if instance_id == name:
            zombie = self.processes.pop(name)
            self.processes[f"{name}-zombie-{self._names}"] = zombie
            self.members[f"{name}-zombie-{self._names}"] = self.members.pop(name)
            self.add_member(instance_id)

    def chaos(self):
        for _ in range(self.random.randint(5, 40)):
            yield self.something_happens()
            if self.node.is_up:
                self.judge.check_commits(self.node, self.group_id)

    def let_chance_act(self):
        chaos = self.scheduler.spawn(self.chaos())
        while chaos.is_alive:
            self.scheduler.run_until(self.scheduler.now_ms + 60_000)

    # The verdict

    def verdict(self):
        self.is_peace = True
        self.node.append_failure_rate = 0.0
        self.node.commit_delay_ms = min(self.node.commit_delay_ms, 300)
        if not self.node.is_up:
            self.node.start()
        self.scheduler.run_until(self.scheduler.now_ms + PEACE_MS)
        self.judge.check_commits(self.node, self.group_id)
        if self.node.parked:
            raise BrokenInvariantError(f"every parked request is answered: {sorted(self.node.parked)} still wait")
        self._check_that_everyone_is_served()

    def _check_that_everyone_is_served(self):
        alive = [self.members[name] for name in self.alive() if not self.members[name].is_fenced]
        # A member that waits for less long than the group's slowest does gives up and comes again as another one, and
        # the one that it was holds its place for a session more: a group of its full size may never come to rest.
        if len(alive) > self.settings.max_size or any(member.found_no_room for member in alive):
            return
        answers = []
        self.node.request(DescribeGroup(self.group_id), answers.append)
        group = answers[0]
        if not alive:
            if group.members:
                raise BrokenInvariantError(
                    f"who is gone is forgotten: {[m.member_id for m in group.members]} are still members"
                )
            return
        ids = {member.member_id for member in alive}
        if group.state != GroupState.STABLE or {member.member_id for member in group.members} != ids:
            raise BrokenInvariantError(f"peace brings a stable group of {ids}, not {group}")
        owned = sorted(partition for member in group.members for partition in partitions_of(member.assignment))
        if owned != list(range(self.partitions)):
            raise BrokenInvariantError(f"every partition has an owner: {owned} of {self.partitions}")


def run(seed):
    world = World(seed)
    for _ in range(world.random.randint(1, 4)):
        world.add_member()
    for instance in range(world.random.randint(0, 3)):
        world.add_member(f"instance-{instance}")
    world.let_chance_act()
    world.verdict()
    return world
