"""One run of a group that has members of the consumer protocol, alone or together with classic ones.

Members of both kinds come, go, fall silent and change places, so the group moves between the protocols many times.
The invariants are those of classic groups, and:

    one holder         no two members of the coordinator's group hold a partition, whatever their epochs
    nobody has more    what a member believes to own is within what the coordinator believes that it holds
    epochs go up       group and assignment epoch in the log, as long as the group is of this protocol
    memory is the log  after a crash the group is what it was when its last record was committed

run(seed)   raises BrokenInvariantError when an invariant does not hold
"""

from tests.simulation.consumer_member import ConsumerProtocolMember
from tests.simulation.group_invariants import BrokenInvariantError, Judge
from tests.simulation.group_member import TOPIC, GroupMember
from tests.simulation.group_world import World

from moldau.control.groups.consumer.records import GroupEpochRecord, TargetEpochRecord
from moldau.control.groups.requests import ConsumerGroupDescribe
from moldau.errors import ErrorCode


class MixedJudge(Judge):
    def __init__(self):
        super().__init__()
        self.epochs = {}
        self.last_seen = None

    def owns(self, world, member):
        """Generations of a group that changes its protocol are not those of a barrier; holders are what counts."""
        self.check_holders(world)

    def answered(self, node, request, response):
        # A generation may be told that a conversion has already left behind: only its commits are judged.
        self.durable_generation = 0
        super().answered(node, request, response)
        check_one_protocol(node.machine)

    def applied(self, node, record):
        match record:
            case GroupEpochRecord(group, None):
                self.epochs.pop(group, None)
            case GroupEpochRecord(group, value):
                self._goes_up(group, "group", value.epoch)
            case TargetEpochRecord(group, value) if value is not None:
                self._goes_up(group, "assignment", value.assignment_epoch)

    def _goes_up(self, group, kind, epoch):
        known = self.epochs.setdefault(group, {})
        if epoch <= known.get(kind, -1):
            raise BrokenInvariantError(f"epochs go up: {kind} epoch {epoch} after {known[kind]}")
        known[kind] = epoch

    def decided(self, node, request, decision):
        super().decided(node, request, decision)
        check_one_holder(node.machine)

    def crashed(self, node):
        super().crashed(node)
        self.epochs.clear()
        self.last_seen = describe(node) if not node.in_flight_at_crash else None

    def recovered(self, node):
        super().recovered(node)
        check_one_holder(node.machine)
        check_one_protocol(node.machine)
        if self.last_seen is not None and describe(node) != self.last_seen:
            raise BrokenInvariantError(f"memory is the log: {self.last_seen} is {describe(node)} after a restart")

    def check_holders(self, world):
        group = world.node.machine.consumer_groups.get(world.group_id) if world.node.is_up else None
        if group is None:
            return
        topic_id = world.cluster.id_of(TOPIC)
        for member in world.members.values():
            known = group.members.get(member.member_id)
            if known is None or member.is_fenced:
                continue
            if known.uses_classic_protocol and member.generation_id != known.member_epoch:
                # As in a classic group: it finds out with its next request that it is no longer up to date.
                continue
            held = known.assigned.get(topic_id, {}).keys() | known.pending_revocation.get(topic_id, {}).keys()
            if not set(member.owned) <= held:
                raise BrokenInvariantError(
                    f"nobody has more: {member.member_id} owns {sorted(member.owned)}, the coordinator knows of "
                    f"{sorted(held)}"
                )


def describe(node):
    """Every consumer group as the node remembers it."""
    return {
        group_id: (group.epoch, group.assignment_epoch, group.metadata_hash, dict(group.members), dict(group.target))
        for group_id, group in node.machine.consumer_groups.items()
    }


def check_one_holder(machine):
    for group in machine.consumer_groups.values():
        holders = {}
        for member in group.members.values():
            for owned in (member.assigned, member.pending_revocation):
                for topic_id, partitions in owned.items():
                    for partition in partitions:
                        holder = holders.setdefault((topic_id, partition), member.member_id)
                        if holder != member.member_id:
                            raise BrokenInvariantError(
                                f"one holder: {holder} and {member.member_id} both hold partition {partition}"
                            )
                        if group.owner_of(topic_id, partition) != holder:
                            raise BrokenInvariantError(
                                f"indices are true: {partition} is held by {holder}, not by "
                                f"{group.owner_of(topic_id, partition)}"
                            )
        static = {member.instance_id for member in group.members.values() if member.instance_id is not None}
        if static != group._static.keys():
            raise BrokenInvariantError(f"indices are true: static members {group._static}, {static} are")


def check_one_protocol(machine):
    both = machine.groups.keys() & machine.consumer_groups.keys()
    if both:
        raise BrokenInvariantError(f"{both} are of two protocols at a time")


class ConsumerWorld(World):
    commits_keep_sessions = False
    gather_ms = (0, 5, 2_000)

    def __init__(self, seed):
        super().__init__(seed, MixedJudge(), one_at_a_time=True)
        self.share_of_expressions = self.random.choice([0.0, 0.0, 0.5])
        self.share_of_classic = self.random.choice([0.0, 0.0, 0.3, 0.6])
        self.cluster.assignment_interval = self.random.choice([0, 1_000])
        self.cluster.session_timeout = self.random.choice([10_000, 45_000])

    def new_member(self, name, instance_id):
        is_classic = self.random.random() < self.share_of_classic
        return (GroupMember if is_classic else ConsumerProtocolMember)(self, name, instance_id)

    def something_happens(self):
        if self.share_of_classic == 0.0 and self.partitions < 20 and self.random.random() < 0.05:
            self.partitions += self.random.randint(1, 3)
            self.cluster.grow(TOPIC, self.partitions)
        return super().something_happens()

    def _check_that_everyone_is_served(self):
        while self.node.in_flight:
            self.scheduler.run_until(self.scheduler.now_ms + 10)
        alive = [self.members[name] for name in self.alive() if not self.members[name].is_fenced]
        if len(alive) > self.settings.max_size:
            return
        answers = []
        self.node.request(ConsumerGroupDescribe(self.group_id), answers.append)
        group = answers[0]
        if group.error is ErrorCode.GROUP_ID_NOT_FOUND:
            super()._check_that_everyone_is_served()
            return
        told = {member.member_id: member.assignment for member in group.members}
        served = {member.instance_id for member in alive if member.member_id in told}
        # Of two processes with one instance id the second waits until the first has gone.
        alive = [each for each in alive if each.member_id in told or each.instance_id not in served - {None}]
        ids = {member.member_id for member in alive}
        if told.keys() != ids:
            raise BrokenInvariantError(f"who is gone is forgotten, who is there is served: {ids}, not {set(told)}")
        if not alive:
            return
        if group.state != "Stable":
            raise BrokenInvariantError(f"peace brings a stable group, not {group}")
        owned = sorted(each for topics in told.values() for topic in topics for each in topic.partitions)
        if owned != list(range(self.partitions)):
            raise BrokenInvariantError(f"every partition has an owner: {owned} of {self.partitions}")
        believed = sorted(partition for member in alive for partition in member.owned)
        if believed != owned:
            raise BrokenInvariantError(f"members know what they own: {believed}, not {owned}")


def run(seed):
    world = ConsumerWorld(seed)
    for _ in range(world.random.randint(1, 4)):
        world.add_member()
    for instance in range(world.random.randint(0, 3)):
        world.add_member(f"instance-{instance}")
    world.let_chance_act()
    world.verdict()
    return world
