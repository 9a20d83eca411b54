"""The place of a stream thread in its group: what it brings, what the leader makes of that, what it gets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from moldau.client.membership import GroupSettings, JoinedMember, Membership
from moldau.streams.runtime.assignor import RUNNING, MemberState, Options, assign
from moldau.streams.runtime.changelog_ends import RestoreError, ends_of
from moldau.streams.runtime.environment import Environment
from moldau.streams.runtime.layout import TaskId
from moldau.streams.runtime.outcomes import TaskMigratedError
from moldau.streams.runtime.restorer import Restorer
from moldau.streams.runtime.subscription import (
    PROTOCOL,
    PROTOCOL_TYPE,
    Given,
    Served,
    Subscription,
    read_assignment,
    read_subscription,
    task_of,
    tasks_of,
    texts_of,
    write_assignment,
    write_subscription,
)
from moldau.streams.runtime.task_manager import TaskManager

logger: Final = logging.getLogger("moldau.streams")

UNKNOWN_END: Final = 1 << 40
"""The end of a changelog that the cluster has not told: nobody is near it."""


def group_settings(environment: Environment, native: Mapping[str, Any], index: int) -> GroupSettings:
    """What the member of a thread is; `native` are the settings of its consumer, by librdkafka's names."""
    settings = environment.settings
    static = settings.group_instance_id
    return GroupSettings(
        settings.application_id,
        PROTOCOL_TYPE,
        None if static is None else f"{static}-{index}",
        session_timeout_ms=int(native.get("session.timeout.ms", 45_000)),
        rebalance_timeout_ms=int(native.get("max.poll.interval.ms", 300_000)),
        heartbeat_interval_ms=int(native.get("heartbeat.interval.ms", 3_000)),
    )


class TaskListener:
    """A `GroupListener` for one session. It is called by the thread, which holds its gate."""

    def __init__(
        self,
        environment: Environment,
        tasks: TaskManager,
        restorer: Restorer,
        take: Callable[[frozenset[TaskId], frozenset[TaskId], Given], None],
    ) -> None:
        self._environment = environment
        self._tasks = tasks
        self._restorer = restorer
        self._take = take
        self._generation = -1

    def protocols(self, reason: str) -> Mapping[str, bytes]:
        """Which tasks run here, and how much of which state there is."""
        whereabouts, tasks = self._environment.whereabouts, self._tasks
        restoring = self._restorer.waiting_for()
        for task_id in tasks.tasks:
            whereabouts.note(task_id, self._restorer.contained(task_id) if task_id in restoring else RUNNING)
        for task_id in tasks.standbys:
            whereabouts.note(task_id, self._restorer.contained(task_id))
        subscription = Subscription(
            self._environment.process_id,
            texts_of(tasks.tasks),
            texts_of(tasks.standbys),
            {str(task_id): position for task_id, position in sorted(whereabouts.positions().items())},
            self._generation,
            self._environment.settings.application_server or None,
        )
        return {PROTOCOL: write_subscription(self._environment.layout.input_topics, subscription)}

    def assign(self, protocol: str, members: Sequence[JoinedMember]) -> Mapping[str, bytes]:
        """Divide the tasks of the application among all threads of all its instances."""
        settings = self._environment.settings
        self._environment.look_for_topics()
        brought = {member.member_id: read_subscription(member.metadata) for member in members}
        decided = assign(
            [
                MemberState(
                    member_id,
                    one.process,
                    tasks_of(one.owned),
                    tasks_of(one.standby),
                    {task_of(text): position for text, position in one.positions.items()},
                    one.generation,
                )
                for member_id, one in brought.items()
            ],
            self._ends(),
            Options(settings.num_standby_replicas, settings.acceptable_recovery_lag, settings.max_warmup_replicas),
        )
        hosts: dict[str, tuple[set[TaskId], set[TaskId]]] = {}
        for member_id, one in brought.items():
            if one.endpoint:
                active, standby = hosts.setdefault(one.endpoint, (set(), set()))
                active |= decided.active[member_id]
                standby |= decided.standby[member_id]
        served = {
            endpoint: Served(texts_of(active), texts_of(standby)) for endpoint, (active, standby) in hosts.items()
        }
        return {
            member_id: write_assignment(
                self._partitions(decided.active[member_id]),
                Given(
                    texts_of(decided.active[member_id]),
                    texts_of(decided.standby[member_id]),
                    served,
                    settled=not decided.moving,
                    look_again=bool(decided.warming),
                    topics=self._environment.layout.input_topics if self._environment.has_patterns else [],
                ),
            )
            for member_id in brought
        }

    def _ends(self) -> dict[TaskId, int | None]:
        """All tasks, and how many records the changelogs of each have."""
        layout = self._environment.layout
        topics = {
            sub.id: [layout.changelogs[store] for store in sub.stores if store in layout.changelogs]
            for sub in layout.sub_topologies
        }
        places = {
            (topic, partition)
            for sub in layout.sub_topologies
            for topic in topics[sub.id]
            for partition in range(sub.tasks)
        }
        try:
            ends = ends_of(self._environment.admin, places) if places else {}
        except RestoreError as error:
            # Nobody but who runs a task counts as caught up then, so tasks stay where they are.
            logger.warning("tasks are divided without a look at their state: %s", error)
            ends = dict.fromkeys(places, UNKNOWN_END)
        return {
            TaskId(sub.id, partition): sum(ends[topic, partition] for topic in topics[sub.id])
            if topics[sub.id]
            else None
            for sub in layout.sub_topologies
            for partition in range(sub.tasks)
        }

    def _partitions(self, tasks: frozenset[TaskId]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for task_id in tasks:
            sub = next(sub for sub in self._environment.layout.sub_topologies if sub.id == task_id.sub_topology)
            for topic in sub.inputs(task_id.partition):
                found.setdefault(topic, []).append(task_id.partition)
        return found

    def assigned(self, membership: Membership, assignment: bytes) -> None:
        """Give up what is not ours any more, begin with what is."""
        given = read_assignment(assignment)
        self._generation = membership.generation_id
        if given.topics and given.topics != self._environment.layout.input_topics:
            self._environment.look_for_topics()
        self._environment.whereabouts.note_hosts(given.hosts)
        self._take(tasks_of(given.active), tasks_of(given.standby), given)

    def lost(self, reason: str) -> None:
        """Everything may be somebody else's."""
        raise TaskMigratedError(f"our place in the group is lost: {reason}")
