"""The laws of the assignment of tasks, in every group that can be: each task once, balanced, where its state is; and
through any sequence of members that join, leave and crash nothing is lost and everything comes to rest.
"""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moldau.streams.runtime.assignor import RUNNING, MemberState, Options, assign
from moldau.streams.runtime.layout import TaskId

OPTIONS = st.builds(
    Options,
    standby_replicas=st.integers(0, 2),
    acceptable_recovery_lag=st.sampled_from([0, 100]),
    max_warmup_replicas=st.integers(1, 3),
)


class Group:
    """Members and tasks as a group would have them; each step is one generation."""

    def __init__(self, tasks, options):
        self.tasks, self.options = tasks, options
        self.members = {}
        self.disks = {}
        self.generation = 0
        self.moved = Counter()

    def join(self, process, threads):
        self.disks.setdefault(process, {})
        for thread in range(threads):
            name = f"{process}-{thread}"
            if name not in self.members:
                self.members[name] = MemberState(name, process)

    def forget(self):
        """What a group has whose stores are in memory: of each process what its members run and follow."""
        for process, disk in self.disks.items():
            kept = {task for one in self.members.values() if one.process == process for task in one.standby}
            self.disks[process] = {task: end for task, end in disk.items() if task in kept}

    def leave(self, process):
        for name in [name for name, member in self.members.items() if member.process == process]:
            member = self.members.pop(name)
            self.disks[process].update(dict.fromkeys(member.owned, 0))

    def states(self):
        """What the members say when they join: the disks of their processes, and what runs in them."""
        for name, member in self.members.items():
            positions = {task: end for task, end in self.disks[member.process].items() if task in self.tasks}
            for other in self.members.values():
                if other.process == member.process:
                    positions.update({task: RUNNING for task in other.owned if self.tasks[task] is not None})
            self.members[name] = MemberState(
                name, member.process, member.owned, member.standby, positions, member.generation
            )
        return list(self.members.values())

    def rebalance(self):
        self.generation += 1
        before = self.states()
        given = assign(before, self.tasks, self.options)
        self.check(before, given)
        for member in before:
            name = member.member_id
            self.moved[name] += len(given.active[name] - member.owned)
            disk = self.disks[member.process]
            for task in given.standby[name] | (member.owned - given.active[name]):
                if self.tasks[task] is not None:
                    disk[task] = self.tasks[task]
            self.members[name] = MemberState(
                name, member.process, given.active[name], given.standby[name], {}, self.generation
            )
        return given

    def settle(self):
        """Rebalance for as long as somebody asks for it."""
        for _ in range(4 * len(self.tasks) + 10):
            given = self.rebalance()
            if not given.moving and not given.warming:
                return given
        raise AssertionError("it never comes to rest")

    def check(self, before, given):
        running = [task for tasks in given.active.values() for task in tasks]
        assert sorted([*running, *given.moving]) == sorted(self.tasks), "each task once"
        process_of = {member.member_id: member.process for member in before}
        for member in before:
            for other in before:
                if other is not member:
                    stolen = given.active[member.member_id] & other.owned
                    assert not stolen or member.generation > other.generation, "nothing is taken from who runs it"
        for name, copies in given.standby.items():
            assert all(self.tasks[task] is not None for task in copies), "no copies of nothing"
            beside = [member for member in before if member.process == process_of[name]]
            for member in beside:
                assert not copies & given.active[member.member_id], "no copy beside the original"
        assert len(given.warming) <= self.options.max_warmup_replicas


def loads(group):
    by_process, threads = Counter(), Counter()
    for member in group.members.values():
        by_process[member.process] += len(member.owned)
        threads[member.process] += 1
    return by_process, threads


def balanced(group):
    """No task can move to another process, or to another thread, so that the most burdened is less so."""
    tasks, threads = loads(group)
    most = max(tasks[name] / threads[name] for name in threads)
    assert all((tasks[name] + 1) / threads[name] >= most for name in threads)
    for process in threads:
        of_threads = [len(member.owned) for member in group.members.values() if member.process == process]
        assert max(of_threads) - min(of_threads) <= 1


@st.composite
def groups(draw, threads=3):
    ids = [TaskId(sub, part) for sub in range(draw(st.integers(1, 3))) for part in range(draw(st.integers(1, 6)))]
    with_state = draw(st.lists(st.booleans(), min_size=3, max_size=3))
    ends = {task: draw(st.sampled_from([0, 50, 100_000])) if with_state[task.sub_topology] else None for task in ids}
    group = Group(ends, draw(OPTIONS))
    for number in range(draw(st.integers(1, 4))):
        group.join(f"p{number}", draw(st.integers(1, threads)))
    return group


@given(groups())
@settings(max_examples=300, deadline=None)
def test_every_task_runs_once_and_the_burden_is_even(group):
    group.settle()
    balanced(group)


@given(groups())
@settings(max_examples=200, deadline=None)
def test_nothing_moves_when_nothing_has_changed(group):
    group.settle()
    before = dict(group.members)
    group.moved.clear()
    again = group.rebalance()
    assert not again.moving
    assert not +group.moved
    assert {name: member.standby for name, member in group.members.items()} == {
        name: member.standby for name, member in before.items()
    }


@given(groups())
@settings(max_examples=200, deadline=None)
def test_copies_are_kept_in_as_many_other_processes_as_there_are_and_are_wanted(group):
    given_last = group.settle()
    copies = Counter(task for tasks in given_last.standby.values() for task in tasks)
    processes = {member.process for member in group.members.values()}
    wanted = min(group.options.standby_replicas, len(processes) - 1)
    assert copies == Counter({task: wanted for task, end in group.tasks.items() if end is not None and wanted})


@given(groups(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_through_any_sequence_of_joins_leaves_and_crashes_every_task_comes_to_run(group, chance):
    for step in range(12):
        processes = sorted({member.process for member in group.members.values()})
        deed = chance.choice(["join", "leave", "crash", "wait", "zombie"])
        if deed == "join":
            group.join(f"q{step}", chance.randint(1, 3))
        elif deed == "leave" and len(processes) > 1:
            group.leave(chance.choice(processes))
        elif deed == "crash" and len(processes) > 1:
            victim = chance.choice(processes)
            group.leave(victim)
            group.disks[victim] = {}
        elif deed == "zombie":
            # Somebody comes back with what it had long ago.
            name = chance.choice(sorted(group.members))
            member = group.members[name]
            group.members[name] = MemberState(
                name, member.process, frozenset(chance.sample(sorted(group.tasks), 1)), frozenset(), {}, -5
            )
        group.rebalance()
    group.settle()
    balanced(group)


@given(groups())
@settings(max_examples=100, deadline=None)
def test_who_comes_back_with_its_state_gets_its_tasks_back_and_the_others_keep_theirs(group):
    group.settle()
    processes = sorted({member.process for member in group.members.values()})
    gone = processes[0]
    if len(processes) == 1 or group.options.standby_replicas:
        # With copies elsewhere, who has one may go on with it instead.
        return
    before = {name: member.owned for name, member in group.members.items()}
    threads = [name for name, member in group.members.items() if member.process == gone]
    group.leave(gone)
    # It is back before anybody else has begun with its tasks.
    group.join(gone, len(threads))
    group.settle()
    of_process = lambda owned: {task for name in threads for task in owned[name]}  # noqa: E731
    after = {name: member.owned for name, member in group.members.items()}
    stateful = {task for task in of_process(before) if group.tasks[task] is not None}
    assert stateful <= of_process(after)
    assert all(after[name] >= before[name] for name in before if name not in threads)


@given(groups(threads=1))
@settings(max_examples=200, deadline=None)
def test_with_stores_in_memory_no_process_gets_a_task_of_which_it_does_not_have_nearly_everything(group):
    group.settle()
    group.join("new", 1)
    for _ in range(4 * len(group.tasks) + 10):
        group.forget()
        before = {member.member_id: member for member in group.states()}
        owned = {task for member in before.values() for task in member.owned}
        given_now = group.rebalance()
        for name, running in given_now.active.items():
            for task in running - before[name].owned - owned:
                end = group.tasks[task]
                assert end is None or end - before[name].positions.get(task, 0) <= group.options.acceptable_recovery_lag
        if not given_now.moving and not given_now.warming:
            return
    raise AssertionError("it never comes to rest")


def test_a_task_goes_on_where_its_state_is_while_the_next_process_catches_up():
    tasks = {TaskId(0, part): 100_000 for part in range(4)}
    owner = MemberState("a", "a", frozenset(tasks), frozenset(), dict.fromkeys(tasks, RUNNING), 1)
    given_first = assign([owner, MemberState("b", "b")], tasks, Options(max_warmup_replicas=1))
    assert given_first.active["a"] == frozenset(tasks)
    assert len(given_first.standby["b"]) == 1
    assert given_first.warming == given_first.standby["b"]
    (warm,) = given_first.standby["b"]
    caught_up = MemberState("b", "b", frozenset(), frozenset({warm}), {warm: 95_000})
    later = assign([owner, caught_up], tasks, Options(max_warmup_replicas=1))
    assert later.moving == {warm}
    assert later.active["a"] == frozenset(tasks) - {warm}


def test_the_copy_takes_over_when_the_owner_is_gone():
    tasks = {TaskId(0, part): 100_000 for part in range(2)}
    copy = MemberState("b", "b", frozenset(), frozenset(tasks), dict.fromkeys(tasks, 99_990))
    others = [MemberState(name, name) for name in "ac"]
    assert assign([*others, copy], tasks, Options()).active["b"] == frozenset(tasks)


def test_a_copy_is_kept_while_its_task_moves_until_the_owner_has_given_it_up():
    tasks = {TaskId(0, part): 1000 for part in range(2)}
    owner = MemberState("a", "a", frozenset(tasks), frozenset(), dict.fromkeys(tasks, RUNNING), 1)
    copy = MemberState("b", "b", frozenset(), frozenset({TaskId(0, 1)}), {TaskId(0, 1): 1000}, 1)
    moving = assign([owner, copy], tasks, Options(acceptable_recovery_lag=10))
    assert moving.moving == {TaskId(0, 1)}
    assert moving.standby == {"a": frozenset(), "b": frozenset({TaskId(0, 1)})}
    given_up = MemberState("a", "a", moving.active["a"], frozenset(), {TaskId(0, 0): RUNNING}, 2)
    kept = MemberState("b", "b", moving.active["b"], moving.standby["b"], {TaskId(0, 1): 1000}, 2)
    then = assign([given_up, kept], tasks, Options(acceptable_recovery_lag=10))
    assert then.active == {"a": frozenset({TaskId(0, 0)}), "b": frozenset({TaskId(0, 1)})}
    assert then.standby == {"a": frozenset(), "b": frozenset()}


def test_of_the_threads_of_a_process_the_one_with_the_copy_gets_the_task():
    tasks = {TaskId(0, part): 1000 for part in range(4)}
    runs, copies = [TaskId(0, 0), TaskId(0, 1)], [TaskId(0, 2), TaskId(0, 3)]
    positions = dict.fromkeys(runs, RUNNING) | dict.fromkeys(copies, 1000)
    # What a thread runs stays with it, though it has a copy of what comes before that too.
    members = [
        MemberState("b-0", "b", frozenset(runs[1:]), frozenset(copies[:1]), positions, 1),
        MemberState("b-1", "b", frozenset(runs[:1]), frozenset(copies[1:]), positions, 1),
    ]
    given_all = assign(members, tasks, Options(acceptable_recovery_lag=10))
    assert not given_all.moving
    assert given_all.active == {name.member_id: name.owned | name.standby for name in members}


def test_the_copies_of_a_process_go_to_its_threads_with_room_for_the_tasks():
    tasks = {TaskId(0, part): 1000 for part in range(4)}
    runs = [TaskId(0, part) for part in range(1, 4)]
    owner = MemberState("a", "a", frozenset(runs), frozenset(), dict.fromkeys(runs, RUNNING), 1)
    busy = MemberState("b-0", "b", frozenset({TaskId(0, 0)}), frozenset(), {TaskId(0, 0): RUNNING}, 1)
    warming = assign(
        [owner, busy, MemberState("b-1", "b", generation=1)],
        tasks,
        Options(acceptable_recovery_lag=10, max_warmup_replicas=1),
    )
    assert len(warming.standby["b-1"]) == 1
    assert not warming.standby["b-0"]


def test_a_task_without_state_that_moves_has_no_copy():
    tasks = {TaskId(0, part): None for part in range(2)}
    moving = assign([MemberState("a", "a", frozenset(tasks), generation=1), MemberState("b", "b")], tasks, Options())
    assert moving.moving
    assert not any(moving.standby.values())


def test_few_tasks_are_spread_over_the_processes_and_not_given_to_the_first():
    tasks = {TaskId(sub, 0): None for sub in range(4)}
    members = [MemberState(name, name) for name in "abcd"]
    assert {len(given_tasks) for given_tasks in assign(members, tasks, Options()).active.values()} == {1}


@pytest.mark.parametrize("seed", range(20))
def test_a_large_group_is_divided_in_time_that_nobody_notices(seed):
    chance = random.Random(seed)
    group = Group({TaskId(sub, part): chance.choice([None, 10]) for sub in range(4) for part in range(50)}, Options(1))
    for number in range(20):
        group.join(f"p{number}", chance.randint(1, 4))
    group.settle()
    balanced(group)
