"""Who holds the leases, in a test: answers what `moldau-server` would answer, by a clock that the test moves."""

from moldau.control.groups.requests import ConsumerGroupHeartbeat, Heartbeat
from moldau.control.groups.responses import ConsumerGroupHeartbeatResponse, HeartbeatResponse
from moldau.errors import ErrorCode


class LeasesOfMembers:
    def __init__(self, cluster):
        self.cluster = cluster
        self.held = {}
        """By group and member: what it is for, and when the member was last seen under it."""
        self.answered = 0

    # What the machine is given

    def grant(self, group_id, member_id, instance_id, generation_id):
        self._grant(group_id, member_id, (instance_id, generation_id, None))

    def grant_consumer(
        self, group_id, member_id, instance_id, member_epoch, *, client_id, client_host, heartbeat_interval_ms
    ):
        consumer = (client_id, client_host, heartbeat_interval_ms, self.cluster.version)
        self._grant(group_id, member_id, (instance_id, member_epoch, consumer))

    def _grant(self, group_id, member_id, lease):
        members = self.held.setdefault(group_id, {})
        _, seen_ms = members.get(member_id, (None, None))
        members[member_id] = (lease, seen_ms)

    def end(self, group_id, member_id=None):
        members = self.held.get(group_id, {})
        ended = [each for each in members if member_id in (None, each)]
        seen = {each: members.pop(each)[1] for each in ended}
        return {each: seen_ms for each, seen_ms in seen.items() if seen_ms is not None}

    # What the node does

    def answer(self, request, steady_ms):
        """The response under a lease; None when the machine has to be asked."""
        if not isinstance(request, Heartbeat | ConsumerGroupHeartbeat):
            return None
        lease, _ = self.held.get(request.group_id, {}).get(request.member_id, (None, None))
        response = lease and self._response(request, *lease)
        if response:
            self.held[request.group_id][request.member_id] = (lease, steady_ms)
            self.answered += 1
        return response or None

    def _response(self, request, instance_id, epoch, consumer):
        if isinstance(request, Heartbeat):
            named = request.group_instance_id in (None, instance_id)
            covered = consumer is None and request.generation_id == epoch and named
            return covered and HeartbeatResponse(ErrorCode.NONE)
        if consumer is None:
            return None
        client_id, client_host, interval_ms, version = consumer
        said = (request.rack_id, request.topic_names, request.topic_regex, request.assignor)
        covered = (
            request.member_epoch == epoch
            and request.instance_id in (None, instance_id)
            and (request.client_id, request.client_host) == (client_id, client_host)
            and request.rebalance_timeout_ms == -1
            and said == (None,) * 4
            and version == self.cluster.version
        )
        return covered and ConsumerGroupHeartbeatResponse(
            ErrorCode.NONE,
            member_id=request.member_id,
            member_epoch=epoch,
            heartbeat_interval_ms=interval_ms,
            assignment=None,
        )
