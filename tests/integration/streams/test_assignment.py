"""Who runs what while instances come, go and die: copies that answer and take over, tasks that stay where they are."""

from __future__ import annotations

import math
import threading
from collections import Counter

import pytest
from tests.integration.streams.cluster import WITHIN_S, committed, eventually
from tests.integration.streams.test_kill import outputs, spawn
from tests.integration.streams.topologies import T0, count_per_key

from moldau.streams.runtime.outcomes import FencedInstanceError, TaskMigratedError
from moldau.streams.runtime.queries import StoreNotAvailableError
from moldau.streams.runtime.session import Session
from moldau.streams.runtime.states import State

KEYS = 100_000


def tasks_of(app):
    return {task for thread in app.metrics()["threads"].values() for task in thread["tasks"]}


def sum_of(app, name):
    return sum(thread[name] for thread in app.metrics()["threads"].values())


def copies_of(app):
    return {task for thread in app._threads if thread._session for task in list(thread._session.tasks.standbys)}


def shared(*apps, tasks):
    """Whether the tasks are with these instances, each with one."""
    owned = [tasks_of(app) for app in apps]
    return all(owned) and len(set.union(*owned)) == tasks == sum(map(len, owned))


def settled(app):
    """Whether its members are in a generation in which nothing moves, and on the way to no other."""
    sessions = [thread._session for thread in app._threads]
    return all(session.is_assigned and not session._member.is_rebalancing for session in sessions)


def end_of(cluster, topic):
    return len(cluster.read(topic))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", ["in-memory", "on-disk"])
def test_the_copy_answers_when_the_owner_is_killed_and_goes_on_without_restoring_the_store(cluster, tmp_path, where):
    source, sink, application_id = f"copied-{where}", f"copied-out-{where}", f"copied-app-{where}"
    cluster.create(1, source, sink)
    more = {"num_standby_replicas": 1}
    owner = spawn(cluster, source, sink, application_id, tmp_path / "owner", where, **more)
    try:
        assert owner.stdout.readline() == b"running\n"
        cluster.write(source, [(f"k{i}".encode(), b"x", T0) for i in range(KEYS)])
        topology = count_per_key(source, sink, in_memory=where == "in-memory")
        app = cluster.app(topology, application_id, "copy", processing_guarantee="exactly_once_v2", **more).start()
        stale = app.store("counts", timeout_s=0.0, stale=True)

        def has(key, value):
            try:
                return stale.get(key) == value
            except StoreNotAvailableError:
                return False

        eventually(lambda: has(f"k{KEYS - 1}", 1), 120)
        assert not tasks_of(app)
        with pytest.raises(StoreNotAvailableError):
            app.store("counts", timeout_s=0.0).get("k5")
        # It follows what the owner does.
        cluster.write(source, [(b"k7", b"x", T0)])
        eventually(lambda: has("k7", 2))
    finally:
        owner.kill()
        owner.wait(30)
        owner.stdout.close()
    restored = sum_of(app, "restored")
    assert restored >= KEYS
    # Nobody runs the task before the session of the owner is over; the copy answers all the time.
    assert not tasks_of(app)
    assert has("k7", 2)
    cluster.write(source, [(f"k{i}".encode(), b"x", T0) for i in range(10)])
    eventually(lambda: tasks_of(app) == {"0_0"}, 60)
    app.wait_until_running()
    eventually(lambda: app.store("counts").get("k9") == 2)
    assert app.store("counts").get("k7") == 3
    assert sum_of(app, "restored") - restored < 1000
    found = outputs(cluster, sink)
    expected = Counter([f"k{i}".encode() for i in range(KEYS)] + [b"k7"] + [f"k{i}".encode() for i in range(10)])
    assert found == {key: list(range(1, count + 1)) for key, count in expected.items()}


def test_a_new_instance_takes_its_share_and_what_stays_never_stops(cluster):
    cluster.create(4, "stays", "stays-out")
    topology = count_per_key("stays", "stays-out")
    first = cluster.app(topology, "stays-app", "a").start().wait_until_running()
    assert len(tasks_of(first)) == 4
    stop = threading.Event()
    written = []

    def write():
        while not stop.is_set():
            keys = [f"k{i}".encode() for i in range(20)]
            cluster.write("stays", [(key, b"x", T0) for key in keys])
            written.extend(keys)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        second = cluster.app(topology, "stays-app", "b").start()
        eventually(lambda: shared(first, second, tasks=4))
        second.wait_until_running()
        first.wait_until_running()
    finally:
        stop.set()
        writer.join()
    # Two of four are given up, once; nothing else was closed.
    assert sum_of(first, "tasks_closed") == 2
    assert len(tasks_of(first)) == len(tasks_of(second)) == 2
    eventually(lambda: end_of(cluster, "stays-out") >= len(written))
    assert outputs(cluster, "stays-out") == {key: list(range(1, count + 1)) for key, count in Counter(written).items()}
    second.close()
    eventually(lambda: len(tasks_of(first)) == 4)
    assert sum_of(first, "tasks_closed") == 2


def test_an_instance_that_is_far_behind_warms_up_before_it_gets_a_task(cluster):
    cluster.create(2, "warm", "warm-out")
    cluster.write("warm", [(f"k{i}".encode(), b"x", T0) for i in range(2000)])
    topology = count_per_key("warm", "warm-out")
    settings = {
        "acceptable_recovery_lag": 10,
        "max_warmup_replicas": 1,
        "commit_interval_ms": 20,
        "session_timeout_ms": 30_000,
    }
    first = cluster.app(topology, "warm-app", "a", **settings).start().wait_until_running()
    eventually(lambda: end_of(cluster, "warm-app-counts-changelog") >= 2000)
    second = cluster.app(topology, "warm-app", "b", **settings).start()
    stale = second.store("counts", timeout_s=0.0, stale=True)

    def copied():
        try:
            return sum(1 for _ in stale.all())
        except StoreNotAvailableError:
            return 0

    copies = eventually(lambda: copies_of(second))
    records = Counter(message.partition() for message in cluster.read("warm-app-counts-changelog"))
    eventually(lambda: sum_of(second, "restored") == sum(records[task.partition] for task in copies))
    # Its copy is of one task: of the whole store it can say nothing alone, of the keys of that task all.
    assert len(copies) == 1
    assert copied() == 0
    assert len(tasks_of(first)) == 2
    assert not tasks_of(second)
    # What `probing.rebalance.interval.ms` does after its time.
    thread = next(iter(first._threads))
    eventually(lambda: thread._session._next_look < math.inf)
    thread._session._next_look = 0.0
    eventually(lambda: shared(first, second, tasks=2))
    second.wait_until_running()
    assert sum_of(second, "restored") == sum(records[task.partition] for task in copies)


def test_static_instances_that_are_started_again_find_their_tasks_and_move_none(cluster):
    cluster.create(4, "static", "static-out")
    topology = count_per_key("static", "static-out", in_memory=False)

    def instance(name):
        return cluster.app(topology, "static-app", name, group_instance_id=name).start()

    first, second = instance("a"), instance("b")
    eventually(lambda: shared(first, second, tasks=4))
    # Each has heard of the generation in which nothing moves any more.
    eventually(lambda: settled(first) and settled(second))
    cluster.write("static", [(f"k{i}".encode(), b"x", T0) for i in range(50)])
    eventually(lambda: end_of(cluster, "static-out") == 50)
    rebalances, had = sum_of(first, "rebalances"), tasks_of(second)
    second.close()
    second = instance("b")
    eventually(lambda: tasks_of(second) == had)
    second.wait_until_running()
    assert sum_of(first, "rebalances") == rebalances
    cluster.write("static", [(f"k{i}".encode(), b"x", T0) for i in range(50)])
    eventually(lambda: end_of(cluster, "static-out") == 100)
    assert sum_of(second, "restored") == 0


def test_a_static_instance_that_loses_its_work_while_a_task_moves_leaves_no_task_with_nobody(cluster, monkeypatch):
    cluster.create(2, "left", "left-out")
    topology = count_per_key("left", "left-out")
    lost = threading.Event()
    give_up = Session._give_up

    def give_up_badly(session, gone):
        # The first one ends here, in a generation in which nobody has the task.
        if lost.is_set():
            return give_up(session, gone)
        lost.set()
        raise TaskMigratedError("it could not be committed")

    monkeypatch.setattr(Session, "_give_up", give_up_badly)
    first = cluster.app(topology, "left-app", "a", group_instance_id="a").start().wait_until_running()
    second = cluster.app(topology, "left-app", "b", group_instance_id="b").start()
    eventually(lambda: shared(first, second, tasks=2))
    assert lost.is_set()


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_of_two_instances_with_one_name_the_older_ends_and_says_why(cluster, guarantee):
    name = f"twins-{guarantee}"
    cluster.create(2, name, f"{name}-out")
    topology = count_per_key(name, f"{name}-out")
    settings = {"group_instance_id": "shop", "processing_guarantee": guarantee}
    older = cluster.app(topology, f"{name}-app", "a", **settings).start().wait_until_running()
    younger = cluster.app(topology, f"{name}-app", "b", **settings).start()
    assert older.wait_until_stopped(WITHIN_S)
    assert older.state is State.ERROR
    assert isinstance(older.failure, FencedInstanceError)
    assert "shop-1" in str(older.failure)
    assert "hint: give each instance a group.instance.id of its own" in str(older.failure)
    younger.wait_until_running()
    cluster.write(name, [(b"k", b"x", T0)])
    eventually(lambda: end_of(cluster, f"{name}-out") == 1)
    assert sum_of(younger, "rebalances") == 1


def test_instances_are_replaced_one_after_the_other_and_every_record_counts_once(cluster):
    cluster.create(3, "rolling", "rolling-out")
    topology = count_per_key("rolling", "rolling-out", in_memory=False)
    settings = {"processing_guarantee": "exactly_once_v2", "num_standby_replicas": 1}
    apps = {name: cluster.app(topology, "rolling-app", name, **settings).start() for name in "ab"}
    keys = [f"k{i % 17}".encode() for i in range(200)]
    rounds = 0
    for name in "abab":
        eventually(lambda: shared(*apps.values(), tasks=3))
        cluster.write("rolling", [(key, b"x", T0) for key in keys])
        rounds += 1
        apps[name].close()
        apps[name] = cluster.app(topology, "rolling-app", name, **settings).start()
    eventually(lambda: end_of(cluster, "rolling-out") == rounds * len(keys))
    assert outputs(cluster, "rolling-out") == {
        key: list(range(1, rounds * count + 1)) for key, count in Counter(keys).items()
    }
    eventually(lambda: sum(committed(cluster, "rolling-app").values()) >= rounds * len(keys))


def test_the_group_can_be_looked_at_from_outside_like_any_consumer_group(cluster):
    cluster.create(2, "seen", "seen-out")
    with cluster.app(count_per_key("seen", "seen-out"), "seen-app", num_stream_threads=2) as app:
        app.wait_until_running()
        eventually(lambda: shared(app, tasks=2))
        described = cluster.admin.describe_consumer_groups(["seen-app"])["seen-app"].result(30)
    assert described.partition_assignor == "moldau-streams"
    seen = sorted(
        (one.topic, one.partition) for member in described.members for one in member.assignment.topic_partitions
    )
    assert seen == [("seen", 0), ("seen", 1)]
    assert all("StreamThread" in member.client_id for member in described.members)
