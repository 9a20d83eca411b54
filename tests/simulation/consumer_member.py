"""A simulated member of the consumer protocol: one heartbeat does it all; it gives up what it is told to, in its time.

What error sends it where is taken from the Java client and librdkafka. It never has two requests on their way: a
request that it has given up on goes down with its connection.
"""

from tests.simulation.group_member import TOKENS, TOPIC
from tests.simulation.scheduler import TIMED_OUT, Wait

from moldau.control.groups.requests import ConsumerGroupHeartbeat, OffsetCommit, OffsetToCommit
from moldau.errors import ErrorCode

MUST_START_OVER = (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.GROUP_ID_NOT_FOUND)


class ConsumerProtocolMember:
    """One consumer process; `run` is its life, which ends when it leaves or is fenced."""

    def __init__(self, world, name, instance_id=None):
        self.world = world
        self.random = world.scheduler.random
        self.name = name
        self.instance_id = instance_id
        self.member_id = f"{name}-{self.random.getrandbits(32):08x}"
        self.epoch = 0
        self.owned = set()
        self.is_fenced = False
        self.wants_to_leave = False
        self.rebalance_timeout_ms = self.random.choice([8_000, 20_000, 60_000])
        self.assignor = self.random.choice([None, None, "uniform", "range"])
        self.uses_expression = self.random.random() < world.share_of_expressions
        self.said = None
        """What it owned when it last said so: like the clients it does not repeat itself."""
        self.says_everything = True
        """After an error or a lost answer the whole request is sent, so that the coordinator says all it knows."""

    def run(self):
        yield self.random.randint(0, 2_000)
        while not self.is_fenced:
            if self.wants_to_leave:
                yield from self._leave()
                return
            heartbeat = self._heartbeat()
            response = yield from self._call(heartbeat)
            if response is TIMED_OUT:
                self.says_everything = True
            elif response.error is ErrorCode.NONE:
                self.says_everything = False
                self.said = self.said if heartbeat.owned is None else heartbeat.owned
                yield from self._adopt(response)
            else:
                self._refused(response.error)
            yield self._pause()
            if self.owned and self.random.random() < 0.3:
                yield from self._call(self._commit())

    def _pause(self):
        if self.world.is_peace:
            return self.random.choice([1_000, 3_000])
        return self.random.choice([200, 1_000, 3_000, 3_000, 20_000, 50_000])

    def _call(self, request):
        wait = Wait(5_000)
        self.world.send(request, wait.deliver, lambda: not wait.is_over)
        return (yield wait)

    def _heartbeat(self):
        joins = self.epoch == 0
        whole = joins or self.says_everything
        names, expression = ((), f"{TOPIC[:3]}.*") if self.uses_expression else ((TOPIC,), None)
        topic_id = self.world.cluster.id_of(TOPIC)
        owned = ((topic_id, tuple(sorted(self.owned))),) if self.owned else ()
        return ConsumerGroupHeartbeat(
            self.world.group_id,
            self.member_id,
            self.epoch,
            self.name,
            "/127.0.0.1",
            instance_id=self.instance_id,
            rebalance_timeout_ms=self.rebalance_timeout_ms if whole else -1,
            topic_names=names if whole else None,
            topic_regex=expression if whole else None,
            assignor=self.assignor if whole else None,
            owned=() if joins else None if owned == self.said and not whole else owned,
            token=next(TOKENS),
        )

    def _adopt(self, response):
        self.epoch = response.member_epoch
        if response.assignment is None:
            return
        target = {partition for _, partitions in response.assignment for partition in partitions}
        if self.owned - target and self.random.random() < 0.5:
            # Callbacks of the application take their time; so may the heartbeat that says that all is given up.
            yield self.random.choice([10, 1_000, 15_000 if not self.world.is_peace else 100])
        self.owned = target
        self.world.judge.check_holders(self.world)

    def _refused(self, error):
        if error is ErrorCode.FENCED_INSTANCE_ID:
            self.owned = set()
            self.is_fenced = True
        elif error in MUST_START_OVER:
            self.owned = set()
            self.epoch = 0
        self.says_everything = True

    def _leave(self):
        self.owned = set()
        epoch = -2 if self.instance_id is not None and self.random.random() < 0.5 else -1
        if self.epoch > 0:
            leaving = ConsumerGroupHeartbeat(
                self.world.group_id, self.member_id, epoch, self.name, "/127.0.0.1", instance_id=self.instance_id
            )
            yield from self._call(leaving)

    def _commit(self):
        partition = self.random.choice(sorted(self.owned))
        offset = OffsetToCommit(TOPIC, self.world.cluster.id_of(TOPIC), partition, self.world.next_offset(), -1, "")
        return OffsetCommit(self.world.group_id, self.epoch, self.member_id, self.instance_id, (offset,))
