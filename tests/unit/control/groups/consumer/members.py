"""The driver of the group machine with members of the consumer protocol, as clients behave."""

from dataclasses import dataclass, field

from tests.unit.control.groups.driver import GROUP, TOPIC, Driver

from moldau.control.groups.requests import ConsumerGroupDescribe, ConsumerGroupHeartbeat
from moldau.errors import ErrorCode


@dataclass
class ConsumerMember:
    """What a client remembers between two heartbeats; it gives up at once what it is told to give up."""

    driver: object
    member_id: str
    instance_id: str | None = None
    epoch: int = 0
    owned: dict = field(default_factory=dict)
    subscription: dict = field(default_factory=lambda: {"topic_names": (TOPIC,)})

    def beat(self, **changes):
        """One heartbeat; adopts what the answer says. Returns the answer."""
        fields = {"instance_id": self.instance_id, "owned": tuple(self.owned.items())}
        if self.epoch == 0:
            fields |= {"rebalance_timeout_ms": 60_000, "owned": (), **self.subscription}
        response = self.driver.beat(self.member_id, changes.pop("epoch", self.epoch), **(fields | changes))
        if response.error is ErrorCode.NONE:
            self.epoch = response.member_epoch
            if response.assignment is not None:
                self.owned = dict(response.assignment)
        return response

    def leave(self, epoch=-1):
        response = self.driver.beat(self.member_id, epoch, instance_id=self.instance_id)
        if response.error is ErrorCode.NONE:
            self.epoch, self.owned = 0, {}
        return response

    @property
    def partitions(self):
        """What it owns of the topic that every test has."""
        return set(self.owned.get(self.driver.cluster.id_of(TOPIC), ()))


class ConsumerDriver(Driver):
    """A `Driver` whose cluster has the topic `orders` with four partitions."""

    def beat(self, member_id, epoch, **changes):
        fields = {"group_id": GROUP, "client_id": "client", "client_host": "/127.0.0.1"}
        return self.ask(ConsumerGroupHeartbeat(**(fields | {"member_id": member_id, "member_epoch": epoch} | changes)))

    def member(self, name, instance_id=None, **subscription):
        """A member that has joined."""
        member = ConsumerMember(self, name, instance_id)
        if subscription:
            member.subscription = subscription
        response = member.beat()
        assert response.error is ErrorCode.NONE, response
        return member

    def settled(self, *members):
        """Let the members send heartbeats until all are where they shall be."""
        for _ in range(10):
            for member in members:
                member.beat()
            if self.consumers.state == "Stable":
                return members
        raise AssertionError(f"the group is {self.consumers.state}: {self.describe_consumers()}")

    @property
    def consumers(self):
        return self.machine.consumer_groups[GROUP]

    def describe_consumers(self):
        return self.ask(ConsumerGroupDescribe(GROUP))
