"""A node with one group machine: its log survives a crash, what was not committed may not, everything else is gone.

It keeps the shell's half of the contract (records, commit, apply, response, effects), and is nastier than the real
one: while a batch is on its way to the log, other requests are decided, so that decisions overtake each other.
"""

from tests.unit.control.groups.leases_of_members import LeasesOfMembers

from moldau.control.groups.coordinator import GroupCoordinator
from moldau.control.groups.records import decode_record, encode_record
from moldau.control.groups.requests import ConsumerGroupHeartbeat, JoinGroup, Loaded, SyncGroup
from moldau.control.machine import PARKED, AppendFailed, CancelTimer, Reply, ScheduleTimer
from moldau.errors import ErrorCode


class CoordinatorNode:
    def __init__(
        self, scheduler, settings, judge, cluster, *, commit_delay_ms=0, append_failure_rate=0.0, one_at_a_time=False
    ):
        """`one_at_a_time`: a request is decided when the one before it is applied, as the real shell does it."""
        self.scheduler = scheduler
        self.settings = settings
        self.cluster = cluster
        self.one_at_a_time = one_at_a_time
        self.judge = judge
        self.commit_delay_ms = commit_delay_ms
        self.append_failure_rate = append_failure_rate
        self.log = []
        self.life = 0
        self.is_up = False
        self.start()

    def start(self):
        """Recover by applying the log, and by nothing else."""
        self.life += 1
        self.is_up = True
        self.leases = LeasesOfMembers(self.cluster)
        self.machine = GroupCoordinator(self.settings, self.scheduler.random, self.cluster, self.leases)
        self.timers = {}
        self.parked = {}
        self.in_flight = []
        self.waiting = []
        for key, value in self.log:
            self.machine.apply(decode_record(key, value))
        self._decide(Loaded(), lambda response: None)
        self.judge.recovered(self)

    def crash(self):
        """Lose the memory. Of what was on its way, the log may have got a part that nobody was told of."""
        self.is_up = False
        self.in_flight_at_crash = len(self.in_flight)
        survived = self.scheduler.random.randint(0, len(self.in_flight))
        for flight in self.in_flight[:survived]:
            for record in self._append(flight.decision):
                self.judge.applied(self, record)
            self.judge.survived(self, flight.request)
        self.in_flight = []
        self.timers = {}
        self.judge.crashed(self)

    def request(self, request, answer):
        """Give `request` to the machine; `answer` is called with its response, now or later, or never."""
        if not self.is_up:
            return
        leased = self.leases.answer(request, self.scheduler.now().steady_ms)
        if leased is None:
            self._decide(request, answer)
        else:
            self.judge.answered_under_a_lease(self, request, leased)
            answer(leased)

    def parks(self, token):
        return token in self.parked

    def _decide(self, request, answer):
        if self.one_at_a_time and self.in_flight:
            self.waiting.append((request, answer))
            return
        self.judge.about_to_decide(self, request)
        decision = self.machine.decide(request, self.scheduler.now())
        self.judge.decided(self, request, decision)
        if decision.response is PARKED:
            assert isinstance(request, JoinGroup | SyncGroup | ConsumerGroupHeartbeat), f"{request} was parked"
            assert request.token not in self.parked, f"token {request.token} is parked twice"
            self.parked[request.token] = answer
        if decision.records:
            self._send_to_log(_Flight(request, decision, answer))
        else:
            self._finish(request, decision, answer)

    def _send_to_log(self, flight):
        self.in_flight.append(flight)
        if self.commit_delay_ms == 0:
            self._land(flight)
            return
        life = self.life
        delay_ms = self.scheduler.random.randint(0, self.commit_delay_ms)
        self.scheduler.after(delay_ms, lambda: self.life == life and self.is_up and self._ready(flight))

    def _ready(self, flight):
        flight.is_ready = True
        # The log is in the order of the decisions, whatever the disk does.
        while self.in_flight and self.in_flight[0].is_ready:
            self._land(self.in_flight[0])
        while self.waiting and not self.in_flight:
            self._decide(*self.waiting.pop(0))

    def _land(self, flight):
        self.in_flight.remove(flight)
        if self.scheduler.random.random() < self.append_failure_rate and not isinstance(flight.request, AppendFailed):
            error = self.scheduler.random.choice([ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.KAFKA_STORAGE_ERROR])
            self.judge.append_failed(self, flight.request)
            self._decide_after_failure(flight, error)
            return
        for record in self._append(flight.decision):
            self.machine.apply(record)
            self.judge.applied(self, record)
        self._finish(flight.request, flight.decision, flight.answer)

    def _decide_after_failure(self, flight, error):
        failed = AppendFailed(flight.request, flight.decision, error)
        instead = self.machine.decide(failed, self.scheduler.now())
        self.judge.decided(self, failed, instead)
        assert not instead.records, "a decision about a failed append has records"
        if flight.decision.response is PARKED:
            assert instead.response is PARKED, "a parked request is answered twice"
        self._finish(flight.request, instead, flight.answer)

    def _append(self, decision):
        written = [encode_record(record) for record in decision.records]
        self.log.extend(written)
        return [decode_record(key, value) for key, value in written]

    def _finish(self, request, decision, answer):
        if decision.response is not PARKED:
            self.judge.answered(self, request, decision.response)
            answer(decision.response)
        for effect in decision.effects:
            match effect:
                case Reply(token, response):
                    assert token in self.parked, f"token {token} is answered, but it is not parked: {response}"
                    self.judge.answered(self, None, response)
                    self.parked.pop(token)(response)
                case ScheduleTimer(key, at_ms, event):
                    self._set_timer(key, at_ms, event)
                case CancelTimer(key):
                    self.timers.pop(key, None)

    def _set_timer(self, key, at_ms, event):
        mark = object()
        self.timers[key] = mark
        life = self.life

        def fire():
            if self.life == life and self.is_up and self.timers.get(key) is mark:
                del self.timers[key]
                self._decide(event, lambda response: None)

        self.scheduler.at(at_ms, fire)


class _Flight:
    """A decision on its way to the log."""

    def __init__(self, request, decision, answer):
        self.request = request
        self.decision = decision
        self.answer = answer
        self.is_ready = False
