"""Which member runs which task, and who else keeps its state: pure decisions of whoever leads the group.

The aims are those of Kafka Streams' `HighAvailabilityTaskAssignor`, in this order:

1. Every task runs in exactly one member. A task that moves is first taken from its owner and given to the next one in
   the generation after that: nobody else is held up meanwhile (KIP-429).
2. A task with state runs where its state is: in a process that is at most `acceptable_recovery_lag` records behind. A
   process that shall have it and is further behind gets a copy first, a warm-up, and the task when that has caught up.
3. Processes run as many tasks as their threads allow for, and the threads of one process equally many.
4. Nothing moves without a reason: a task stays with its process, and there with its thread.
5. `standby_replicas` other processes keep a copy of each task with state.

Sources: KIP-441 (smooth scaling out), KIP-429 (cooperative rebalancing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from moldau.streams.runtime.layout import TaskId

RUNNING: Final = -2
"""The position of a task that runs here: it has everything. (`Task.LATEST_OFFSET`)"""


@dataclass(frozen=True, slots=True)
class Options:
    """What of the settings the assignment depends on."""

    standby_replicas: int = 0
    acceptable_recovery_lag: int = 10_000
    max_warmup_replicas: int = 2


@dataclass(frozen=True, slots=True)
class MemberState:
    """What a member brings. `owned` it runs since `generation`; `standby` it keeps copies of; `positions` are of its
    process: how much of each task's changelogs is there, in records, `RUNNING` for all of it.
    """

    member_id: str
    process: str
    owned: frozenset[TaskId] = frozenset()
    standby: frozenset[TaskId] = frozenset()
    positions: Mapping[TaskId, int] = field(default_factory=dict)
    generation: int = -1


@dataclass(frozen=True, slots=True)
class Assignment:
    """What each member does in this generation, by member id."""

    active: Mapping[str, frozenset[TaskId]]
    standby: Mapping[str, frozenset[TaskId]]
    warming: frozenset[TaskId]
    """Tasks that will move when their next process has caught up: look again later."""
    moving: frozenset[TaskId]
    """Tasks that nobody runs in this generation: who has them gives them up and asks for the next one."""


def assign(members: Sequence[MemberState], tasks: Mapping[TaskId, int | None], options: Options) -> Assignment:
    """Divide the tasks; `tasks` says how many records the changelogs of each have, None for a task without state."""
    assert members, "a group has a leader at least"
    processes = _processes(members, tasks)
    active, warm_ups = _place(processes, tasks, options)
    standby = _standbys(processes, active, warm_ups, tasks, options)
    by_member_active: dict[str, set[TaskId]] = {member.member_id: set() for member in members}
    by_member_standby: dict[str, set[TaskId]] = {member.member_id: set() for member in members}
    for process in processes.values():
        _over_threads(process, process.of(active), ("owned", "standby"), by_member_active)
        copies = sorted(task for task, names in standby.items() if process.name in names)
        _over_threads(process, copies, ("standby",), by_member_standby, by_member_active)
    moving = _hold_back(processes, _owners(members), tasks, by_member_active, by_member_standby)
    return Assignment(
        {member: frozenset(given) for member, given in by_member_active.items()},
        {member: frozenset(given) for member, given in by_member_standby.items()},
        frozenset(warm_ups),
        frozenset(moving),
    )


def _hold_back(
    processes: Mapping[str, _Process],
    owners: Mapping[TaskId, str],
    tasks: Mapping[TaskId, int | None],
    active: Mapping[str, set[TaskId]],
    standby: Mapping[str, set[TaskId]],
) -> set[TaskId]:
    """Leave out what somebody else still runs. The member that gets it next keeps, or begins, a copy until then: one in
    memory would be gone otherwise, just when it is wanted. (Kafka's `StreamsPartitionAssignor.buildStandbyTaskMap`)
    """
    moving = set()
    for process in processes.values():
        for member in process.members:
            given = active[member.member_id]
            held_back = {task for task in given if owners.get(task, member.member_id) != member.member_id}
            given -= held_back
            moving |= held_back
            # From one thread of a process to another there is no copy beside the original.
            standby[member.member_id] |= {task for task in held_back - process.owned if tasks[task] is not None}
    return moving


class _Process:
    """The members of one process, and how far behind it is with each task."""

    def __init__(self, name: str, members: Sequence[MemberState], tasks: Mapping[TaskId, int | None]) -> None:
        self.name = name
        self.members = members
        self.threads = len(members)
        self.owned = frozenset[TaskId]().union(*(member.owned for member in members))
        self.lags: dict[TaskId, int] = {}
        for member in members:
            for task, position in member.positions.items():
                end = tasks.get(task)
                if end is not None:
                    lag = 0 if position == RUNNING else max(0, end - position)
                    self.lags[task] = min(lag, self.lags.get(task, lag))

    def lag(self, task: TaskId, end: int) -> int:
        """How many records it would have to restore."""
        return self.lags.get(task, end)

    def of(self, placed: Mapping[TaskId, str]) -> list[TaskId]:
        """Its tasks."""
        return sorted(task for task, process in placed.items() if process == self.name)


def _processes(members: Iterable[MemberState], tasks: Mapping[TaskId, int | None]) -> dict[str, _Process]:
    by_name: dict[str, list[MemberState]] = {}
    for member in sorted(members, key=lambda member: member.member_id):
        by_name.setdefault(member.process, []).append(member)
    return {name: _Process(name, found, tasks) for name, found in sorted(by_name.items())}


def _owners(members: Iterable[MemberState]) -> dict[TaskId, str]:
    """Who runs what now. Of two who say so the one of the later generation is right."""
    owners: dict[TaskId, MemberState] = {}
    for member in members:
        for task in member.owned:
            known = owners.get(task)
            if known is None or known.generation < member.generation:
                owners[task] = member
    return {task: member.member_id for task, member in owners.items()}


def _place(
    processes: Mapping[str, _Process], tasks: Mapping[TaskId, int | None], options: Options
) -> tuple[dict[TaskId, str], dict[TaskId, str]]:
    """The process of each task now, and the processes that shall have some of them later, by task."""
    wanted = _balance(processes, _where_the_state_is(processes, tasks), tasks)
    now: dict[TaskId, str] = {}
    warm_ups: dict[TaskId, str] = {}
    for task, name in sorted(wanted.items()):
        end = tasks[task]
        now[task] = name
        if end is None or processes[name].lag(task, end) <= options.acceptable_recovery_lag:
            continue
        best = min(processes.values(), key=lambda process: (process.lag(task, end), task not in process.owned))
        if best.lag(task, end) < processes[name].lag(task, end):
            now[task] = best.name
            if len(warm_ups) < options.max_warmup_replicas:
                warm_ups[task] = name
    return now, warm_ups


def _where_the_state_is(processes: Mapping[str, _Process], tasks: Mapping[TaskId, int | None]) -> dict[TaskId, str]:
    """The process that runs a task, else the one that has most of its state; a task of which there is nothing is left
    out.
    """
    placed = {}
    for task, end in sorted(tasks.items()):
        having = [process for process in processes.values() if task in process.owned or task in process.lags]
        if having:
            placed[task] = min(
                having, key=lambda process: (task not in process.owned, process.lag(task, end or 0), process.name)
            ).name
    return placed


def _balance(
    processes: Mapping[str, _Process], placed: dict[TaskId, str], tasks: Mapping[TaskId, int | None]
) -> dict[TaskId, str]:
    """Give every task a process, and move tasks for as long as that evens out how many tasks there are per thread."""
    held: dict[str, set[TaskId]] = {name: set() for name in processes}
    for task, name in placed.items():
        held[name].add(task)

    def burden(name: str, more: int = 0) -> float:
        return (len(held[name]) + more) / processes[name].threads

    def of_sub_topology(name: str, task: TaskId) -> int:
        return sum(one.sub_topology == task.sub_topology for one in held[name])

    for task in sorted(tasks.keys() - placed.keys()):
        held[min(held, key=lambda name: (burden(name, 1), of_sub_topology(name, task), name))].add(task)
    while True:
        giver = max(held, key=lambda name: (burden(name), name))
        taker = min(held, key=lambda name: (burden(name, 1), name))
        if burden(taker, 1) >= burden(giver):
            break
        moved = min(
            held[giver],
            key=lambda task: (
                # What has no state moves for nothing; what the taker has most of nearly so.
                processes[taker].lag(task, tasks[task] or 0),
                -of_sub_topology(giver, task),
                task,
            ),
        )
        held[giver].remove(moved)
        held[taker].add(moved)
    return {task: name for name, given in held.items() for task in given}


def _standbys(
    processes: Mapping[str, _Process],
    active: Mapping[TaskId, str],
    warm_ups: Mapping[TaskId, str],
    tasks: Mapping[TaskId, int | None],
    options: Options,
) -> dict[TaskId, list[str]]:
    """The processes with a copy of each task with state: the least burdened, those with most of it before others."""
    copies: dict[str, int] = dict.fromkeys(processes, 0)
    standby: dict[TaskId, list[str]] = {task: [name] for task, name in warm_ups.items()}
    for name in warm_ups.values():
        copies[name] += 1
    for task, end in sorted(tasks.items()):
        if end is None:
            continue
        for _ in range(options.standby_replicas):
            taken = {active[task], *standby.get(task, ())}
            free = [process for name, process in processes.items() if name not in taken]
            if not free:
                break
            fair = -(-len(tasks) * options.standby_replicas // len(processes))
            chosen = min(
                free,
                key=lambda process: (
                    copies[process.name] >= fair * process.threads,
                    process.lag(task, end),
                    copies[process.name] / process.threads,
                    process.name,
                ),
            )
            copies[chosen.name] += 1
            standby.setdefault(task, []).append(chosen.name)
    return standby


def _over_threads(
    process: _Process,
    given: Sequence[TaskId],
    kept: Sequence[str],
    by_member: Mapping[str, set[TaskId]],
    beside: Mapping[str, set[TaskId]] | None = None,
) -> None:
    """Give a process's tasks to its threads: each keeps what it has, up to its share. What it has is what it has of the
    first of `kept`, then of the next; between equals the one with less of what is `beside` gets more.
    """
    share, rest = divmod(len(given), process.threads)
    waiting = list(given)
    names = [member.member_id for member in process.members]
    mine = [by_member[name] for name in names]
    others = [len(beside[name]) if beside else 0 for name in names]
    for what in kept:
        unheld = []
        for task in waiting:
            holder = next((index for index, one in enumerate(process.members) if task in getattr(one, what)), None)
            if holder is not None and (len(mine[holder]) < share or (rest and len(mine[holder]) == share)):
                rest -= len(mine[holder]) == share
                mine[holder].add(task)
            else:
                unheld.append(task)
        waiting = unheld
    for task in waiting:
        chosen = min(
            range(process.threads),
            key=lambda index: (
                len(mine[index]),
                others[index],
                sum(one.sub_topology == task.sub_topology for one in mine[index]),
            ),
        )
        mine[chosen].add(task)
