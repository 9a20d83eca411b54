"""A thousand groups of ten members that do nothing but live, over a few hundred connections.

The classic protocol: JoinGroup 3 and SyncGroup 2 once, then Heartbeat 2 every 3 s from each member. The consumer
protocol (KIP-848): ConsumerGroupHeartbeat 1 until every member's epoch has come to rest and each of the ten partitions
has its member, then one every 5 s. Those are the intervals of Kafka's defaults. Heartbeats are sent when they are due,
whether or not the last one was answered, and the latency counts from the moment at which it was due.
"""

from __future__ import annotations

import struct
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from confluent_kafka.admin import NewTopic

from bench.versus.broker_process import BrokerProcess
from bench.versus.load.frames import Connections, blob, compact_text, frame, text, wait_for_coordinator
from bench.versus.sample import Sample
from bench.versus.workloads import Workload, create_topics, measured, percentiles, rate

JOIN_GROUP, HEARTBEAT, SYNC_GROUP, CONSUMER_GROUP_HEARTBEAT = 11, 12, 14, 68
MEMBERS_PER_GROUP = 10
SESSION_TIMEOUT_MS = 300_000
CLASSIC_INTERVAL_S, CONSUMER_INTERVAL_S = 3.0, 5.0
WAIT_S = 60
SETTLE_S = 300
ASSIGNED_LATER_S = 1.0
"""`group.consumer.assignment.interval.ms`: an assignor that has just run runs again after this time."""
RETRIED = {14, 15, 16}
SUBSCRIPTION = struct.pack(">h", 0)
"""Version 0 of the consumer's own metadata; what it subscribes to is added."""


@dataclass(frozen=True, slots=True)
class Scale:
    groups: int
    connections: int
    seconds: float


FULL, QUICK = Scale(1000, 300, 60.0), Scale(20, 20, 6.0)


@dataclass(slots=True)
class Member:
    """One member; `connection` is the one it shares with members of other groups."""

    group: str
    connection: int
    id: str = ""
    epoch: int = 0
    assignment: bytes | None = None
    beat: bytes = field(default=b"", repr=False)


def _all_answers(connections: Connections, count: int) -> Iterator[tuple[Member, bytes]]:
    """Exactly `count` answers; whichever comes."""
    deadline = time.monotonic() + WAIT_S
    found = 0
    while found < count:
        for member, answer in connections.answers(deadline - time.monotonic()):
            found += 1
            yield member, answer
        if time.monotonic() > deadline:
            raise RuntimeError(f"{found} of {count} answers came within {WAIT_S} s")


def _taken_text(answer: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", answer, position)
    end = position + 2 + max(length, 0)
    return answer[position + 2 : end].decode(), end


# The classic protocol.


def _answered(connections: Connections, requests: list[tuple[Member, bytes]]) -> dict[str, list[tuple[Member, bytes]]]:
    """Send each member's request, again while its coordinator is still loading; the good answers by group."""
    found: dict[str, list[tuple[Member, bytes]]] = {}
    deadline = time.monotonic() + WAIT_S
    while requests:
        frames = {id(member): request for member, request in requests}
        for member, request in requests:
            connections.send(member.connection, request, member)
        again = []
        for member, answer in _all_answers(connections, len(requests)):
            (code,) = struct.unpack_from(">h", answer, 4)
            if code in RETRIED and time.monotonic() < deadline:
                again.append((member, frames[id(member)]))
            elif code != 0:
                raise RuntimeError(f"a member of {member.group} was refused with error code {code}")
            else:
                found.setdefault(member.group, []).append((member, answer))
        requests = again
        if again:
            time.sleep(0.05)
    return found


def _join(connections: Connections, members: list[Member], topic: str) -> None:
    """One wave of whole groups, no connection twice: a broker answers the requests of a connection one by one."""
    subscription = blob(SUBSCRIPTION + struct.pack(">i", 1) + text(topic) + blob(b""))
    timeouts = struct.pack(">ii", SESSION_TIMEOUT_MS, SESSION_TIMEOUT_MS)
    rest = timeouts + text("") + text("consumer") + struct.pack(">i", 1) + text("range") + subscription
    joins = [(member, frame(JOIN_GROUP, 3, text(member.group) + rest)) for member in members]
    syncs = []
    for group, answers in _answered(connections, joins).items():
        leader = ""
        for member, answer in answers:
            (member.epoch,) = struct.unpack_from(">i", answer, 6)
            _protocol, position = _taken_text(answer, 10)
            leader, position = _taken_text(answer, position)
            member.id, _position = _taken_text(answer, position)
        assigned = b"".join(text(member.id) + blob(b"") for member, _answer in answers)
        for member, _answer in answers:
            who = text(group) + struct.pack(">i", member.epoch) + text(member.id)
            led = member.id == leader
            entries = struct.pack(">i", len(answers) if led else 0) + (assigned if led else b"")
            syncs.append((member, frame(SYNC_GROUP, 2, who + entries)))
            member.beat = frame(HEARTBEAT, 2, who)
    _answered(connections, syncs)


def _join_all(connections: Connections, members: list[Member], topic: str) -> None:
    wave = len(connections) // MEMBERS_PER_GROUP * MEMBERS_PER_GROUP
    for first in range(0, len(members), wave):
        _join(connections, members[first : first + wave], topic)


# The consumer protocol.


def _consumer_frame(member: Member, topic: str | None, owned: bytes | None) -> bytes:
    """Everything about the member when it joins, afterwards only what it owns if that changed."""
    body = compact_text(member.group) + compact_text(member.id) + struct.pack(">i", member.epoch) + b"\x00\x00"
    body += struct.pack(">i", SESSION_TIMEOUT_MS if topic is not None else -1)
    body += b"\x00" if topic is None else b"\x02" + compact_text(topic)
    body += b"\x00\x00" + (b"\x00" if owned is None else owned) + b"\x00"
    return frame(CONSUMER_GROUP_HEARTBEAT, 1, body, flexible=True)


def _take_consumer_answer(member: Member, answer: bytes) -> tuple[int, bool]:
    """The error code, and whether the member was told something new. Takes over epoch and assignment."""
    (code,) = struct.unpack_from(">h", answer, 5)
    if code != 0:
        return code, True
    position = 7
    for _ in range(2):  # error message, member id
        position += 1 + max(answer[position] - 1, 0)
    epoch, _interval, present = struct.unpack_from(">iib", answer, position)
    changed = epoch != member.epoch
    member.epoch = epoch
    if present > 0:
        # The assignment's topics lie in the answer as the next heartbeat has to list them.
        assigned = answer[position + 9 : len(answer) - 2]
        changed = changed or assigned != member.assignment
        member.assignment = assigned
    return 0, changed


def _partitions_owned(member: Member) -> int:
    """Of the one topic that there is: lengths are those of compact arrays, and one byte here."""
    assigned = member.assignment or b"\x01"
    return assigned[1 + 16] - 1 if assigned[0] > 1 else 0


def _settle(connections: Connections, members: list[Member], topic: str) -> None:
    """Join, then heartbeats round after round until one of them tells nobody anything new and all is assigned.

    A broker whose assignor runs late has nothing new to tell before it has run: that is no rest yet.
    """
    joining = list(members)
    deadline = time.monotonic() + SETTLE_S
    while joining:
        for member in joining:
            connections.send(member.connection, _consumer_frame(member, topic, b"\x01"), member)
        again = []
        for member, answer in _all_answers(connections, len(joining)):
            code, _changed = _take_consumer_answer(member, answer)
            if code in RETRIED:
                again.append(member)
            elif code != 0:
                raise RuntimeError(f"ConsumerGroupHeartbeat was refused with error code {code}")
        joining = again
    moving = True
    while moving:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the groups did not settle within {SETTLE_S} s")
        moving = False
        for member in members:
            owned = member.assignment or b"\x01"
            connections.send(member.connection, _consumer_frame(member, None, owned), member)
        for member, answer in _all_answers(connections, len(members)):
            code, changed = _take_consumer_answer(member, answer)
            if code != 0:
                raise RuntimeError(f"ConsumerGroupHeartbeat was refused with error code {code}")
            moving = moving or changed
        if not moving and sum(map(_partitions_owned, members)) < len(members):
            time.sleep(ASSIGNED_LATER_S)
            moving = True
    for member in members:
        member.beat = _consumer_frame(member, None, None)


def _take_classic_beat(member: Member, answer: bytes) -> int:
    code: int = struct.unpack_from(">h", answer, 4)[0]
    return code


def _take_consumer_beat(member: Member, answer: bytes) -> int:
    """The error code. An assignor that runs late moves the epoch: the next heartbeat has it, as a consumer's would."""
    code, changed = _take_consumer_answer(member, answer)
    if changed:
        member.beat = _consumer_frame(member, None, member.assignment or b"\x01")
    return code


# Both.


def beats(
    connections: Connections,
    members: list[Member],
    interval_s: float,
    seconds: float,
    take: Callable[[Member, bytes], int],
) -> list[float]:
    """Heartbeats at a fixed rate for `seconds`; the latency of each from when it was due."""
    total = int(len(members) * seconds / interval_s)
    step_s = interval_s / len(members)
    found: list[float] = []
    sent = 0
    start = time.perf_counter()
    deadline = start + seconds + WAIT_S
    while len(found) < total:
        now = time.perf_counter()
        while sent < total and start + sent * step_s <= now:
            member = members[sent % len(members)]
            connections.send(member.connection, member.beat, (member, start + sent * step_s))
            sent += 1
        wait_s = start + sent * step_s - time.perf_counter() if sent < total else 1.0
        for (member, due), answer in connections.answers(wait_s):
            if (code := take(member, answer)) != 0:
                raise RuntimeError(f"a heartbeat was refused with error code {code}")
            found.append(time.perf_counter() - due)
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{len(found)} of {total} heartbeats were answered in time")
    return found


def _members(name: str, scale: Scale) -> list[Member]:
    """In the order of their groups, so that neighbours are on different connections."""
    return [
        Member(f"{name}-{number // MEMBERS_PER_GROUP}", number % scale.connections)
        for number in range(scale.groups * MEMBERS_PER_GROUP)
    ]


def measure(node: BrokerProcess, quick: bool) -> Iterator[Sample]:
    scale = QUICK if quick else FULL
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    create_topics(node, [NewTopic(topic, MEMBERS_PER_GROUP, 1)])
    wait_for_coordinator(node.bootstrap_servers, topic)
    for protocol, interval_s, take in (
        ("classic", CLASSIC_INTERVAL_S, _take_classic_beat),
        ("consumer", CONSUMER_INTERVAL_S, _take_consumer_beat),
    ):
        connections = Connections(node.bootstrap_servers, scale.connections)
        members = _members(f"{topic}-{protocol}", scale)
        row = f"heartbeats of {scale.groups} groups of {MEMBERS_PER_GROUP}, {protocol}"
        try:
            with measured(node) as joined:
                if protocol == "classic":
                    _join_all(connections, members, topic)
                else:
                    for member in members:
                        member.id = str(uuid.uuid4())
                    _settle(connections, members, topic)
            with measured(node) as taken:
                latencies = beats(connections, members, interval_s, scale.seconds, take)
        finally:
            connections.close()
        # How long joining takes is the delay of the first rebalance; what it costs is not.
        joining_us = joined.cpu_s / len(members) * 1e6
        yield Sample(f"{row}, broker CPU to join", "µs/member", joining_us, lower_is_better=True)
        yield rate(row, "heartbeat", len(latencies), taken)
        yield from percentiles(row, latencies)
        cpu = taken.cpu_s / taken.seconds * 100
        yield Sample(f"{row}, broker CPU", "% of a core", cpu, lower_is_better=True)


# Long enough for the members of a group to arrive, so that they come together in one generation; by default 3 s.
WORKLOAD = Workload(measure, {"group.initial.rebalance.delay.ms": "500"})
