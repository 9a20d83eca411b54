"""What goes wrong around an application: bad records, a failing callback, a broker that is away."""

from __future__ import annotations

import json
import random
import struct
import sys

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic
from tests.integration.streams.cluster import committed, eventually
from tests.integration.streams.topologies import T0, count_per_key, doubled

from moldau.streams.dsl.builder import StreamsBuilder
from moldau.streams.errors import CallbackExitError
from moldau.streams.runtime import Response, State, UncaughtResponse


def packed(value):
    return struct.pack(">q", value)


def with_a_bad_one(cluster, name):
    cluster.create(1, name, f"{name}-out")
    cluster.write(name, [(b"a", packed(1), T0), (b"bad", b"no number", T0 + 1), (b"c", packed(3), T0 + 2)])


def test_a_record_that_cannot_be_read_stops_the_application(cluster):
    with_a_bad_one(cluster, "unreadable")
    app = cluster.app(doubled("unreadable", "unreadable-out"), "unreadable-app").start()
    assert app.wait_until_stopped(30)
    assert app.state is State.ERROR
    assert "unreadable-0 at offset 1" in str(app.failure)
    assert "a Long has 8 bytes, this has 9" in str(app.failure.__cause__)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_record_that_cannot_be_read_is_left_out_and_copied_to_the_dead_letters(cluster, guarantee):
    name = f"tolerant-{guarantee}"
    with_a_bad_one(cluster, name)
    cluster.create(1, f"{name}-dead")
    app = cluster.app(
        doubled(name, f"{name}-out"),
        f"{name}-app",
        deserialization_exception_handler="org.apache.kafka.streams.errors.LogAndContinueExceptionHandler",
        errors_dead_letter_queue_topic_name=f"{name}-dead",
        processing_guarantee=guarantee,
    ).start()
    eventually(lambda: len(cluster.read(f"{name}-out")) == 2)
    (dead,) = eventually(lambda: cluster.read(f"{name}-dead"))
    assert (dead.key(), dead.value(), dead.timestamp()[1]) == (b"bad", b"no number", T0 + 1)
    headers = dict(dead.headers())
    assert headers["__streams.errors.exception"] == b"ValueError"
    assert headers["__streams.errors.message"] == b"a Long has 8 bytes, this has 9"
    assert headers["__streams.errors.topic"] == name.encode()
    assert (headers["__streams.errors.partition"], headers["__streams.errors.offset"]) == (b"0", b"1")
    assert b"Traceback" in headers["__streams.errors.stacktrace"]
    (thread,) = app.metrics()["threads"].values()
    assert thread["tasks"]["0_0"]["skipped"] == 1
    app.close()


def refuses_two(source, sink):
    def checked(value):
        if value == 2:
            raise ArithmeticError("two is not allowed")
        return value

    builder = StreamsBuilder()
    builder.stream(source, key=str, value=int).map_values(checked).to(sink, value=int)
    return builder.build()


def test_a_callback_that_raises_is_handled_by_its_own_handler(cluster):
    cluster.create(1, "raising", "raising-out")
    cluster.write("raising", [(b"k", packed(value), T0) for value in (1, 2, 3)])
    seen = []

    def decide(failure):
        seen.append((failure.topic, failure.offset, str(failure.error)))
        return Response.CONTINUE

    with cluster.app(refuses_two("raising", "raising-out"), "raising-app", processing_exception_handler=decide):
        eventually(lambda: len(cluster.read("raising-out")) == 2)
    assert seen == [("raising", 1, "two is not allowed")]


@pytest.mark.parametrize("end", [lambda _: sys.exit(3), lambda _: interrupted()], ids=["exit", "interrupt"])
def test_a_callback_that_would_end_the_process_ends_the_instance_and_says_so(cluster, end, request):
    name = f"ends-{request.node.callspec.id}"
    cluster.create(1, name, f"{name}-out")
    cluster.write(name, [(b"a", b"x", T0)])
    builder = StreamsBuilder()
    builder.stream(name, value=str).map_values(end, value=str).to(f"{name}-out")
    app = cluster.app(
        builder.build(), f"{name}-app", processing_exception_handler="LogAndContinueProcessingExceptionHandler"
    ).start()
    assert app.wait_until_stopped(30)
    assert app.state is State.ERROR
    assert isinstance(app.failure, CallbackExitError)
    assert isinstance(app.failure.__cause__, SystemExit | KeyboardInterrupt)
    assert (name, 0) not in committed(cluster, f"{name}-app")


def interrupted():
    raise KeyboardInterrupt


def test_a_thread_that_fails_can_be_replaced(cluster):
    cluster.create(1, "replacing", "replacing-out")
    cluster.write("replacing", [(b"k", packed(value), T0) for value in (1, 2, 3)])
    failures = []
    allowed = set()

    def checked(value):
        if value == 2 and value not in allowed:
            raise ArithmeticError("not yet")
        return value

    builder = StreamsBuilder()
    builder.stream("replacing", key=str, value=int).map_values(checked).to("replacing-out", value=int)
    app = cluster.app(builder.build(), "replacing-app")

    def replace(error):
        failures.append(error)
        allowed.add(2)
        return UncaughtResponse.REPLACE_THREAD

    app.set_uncaught_exception_handler(replace)
    app.start()
    eventually(
        lambda: {message.value() for message in cluster.read("replacing-out")} == {packed(1), packed(2), packed(3)}
    )
    assert len(failures) == 1
    app.close()
    assert app.state is State.NOT_RUNNING


def test_a_handler_that_fails_itself_ends_the_instance(cluster):
    with_a_bad_one(cluster, "undecided")
    app = cluster.app(doubled("undecided", "undecided-out"), "undecided-app")

    def undecided(error):
        raise LookupError("no idea")

    app.set_uncaught_exception_handler(undecided)
    app.start()
    assert app.wait_until_stopped(30)
    assert app.state is State.ERROR
    assert "undecided-0 at offset 1" in str(app.failure)


def test_an_application_that_is_closed_while_it_starts_does_not_run(cluster):
    cluster.create(1, "closed-early")
    topology = count_per_key("closed-early", "closed-early-out", in_memory=False)
    app = cluster.app(topology, "closed-early-app")
    app.set_state_listener(lambda new, old: new is State.REBALANCING and app.close(timeout_s=0))
    app.start()
    assert app.wait_until_stopped(30)
    assert app.metrics()["threads"] == {}
    # Its folder is free.
    cluster.app(topology, "closed-early-app").start().wait_until_running()


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_broker_that_was_away_is_waited_for(own_cluster, guarantee):
    cluster = own_cluster
    cluster.create(2, "before", "after")
    app = cluster.app(count_per_key("before", "after"), "patient-app", processing_guarantee=guarantee).start()
    cluster.write("before", [(f"k{i % 5}".encode(), b"x", T0) for i in range(100)])
    eventually(lambda: len(cluster.read("after")) == 100)
    cluster.broker.kill()
    cluster.broker.restart()
    cluster.write("before", [(f"k{i % 5}".encode(), b"x", T0) for i in range(100)])
    eventually(lambda: len(cluster.read("after")) >= 200, 90)
    app.close()
    last = {message.key(): struct.unpack(">q", message.value())[0] for message in cluster.read("after")}
    assert last == {f"k{i}".encode(): 40 for i in range(5)}


def test_a_fenced_thread_gives_its_work_up_and_does_it_again_from_the_last_commit(cluster):
    cluster.create(2, "fenced", "fenced-out")
    keys = [f"k{i % 5}".encode() for i in range(2000)]
    app = cluster.app(
        count_per_key("fenced", "fenced-out", in_memory=False), "fenced-app", processing_guarantee="exactly_once_v2"
    ).start()
    app.wait_until_running()
    cluster.write("fenced", [(key, b"x", T0) for key in keys])
    eventually(lambda: cluster.read("fenced-out"))
    # Another process takes the thread's transactional id, as the coordinator does when a transaction times out.
    process = json.loads((cluster.folder / "a" / "fenced-app" / "kafka-streams-process-metadata").read_text())
    zombie_of = f"fenced-app-{process['processId']}-1"
    other = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": zombie_of})
    other.init_transactions(30)
    cluster.write("fenced", [(key, b"x", T0) for key in keys])
    eventually(lambda: len(cluster.read("fenced-out")) >= 2 * len(keys), 60)
    assert app.failure is None
    app.close()
    counts: dict[bytes, list[int]] = {}
    for message in cluster.read("fenced-out"):
        counts.setdefault(message.key(), []).append(struct.unpack(">q", message.value())[0])
    assert counts == {f"k{i}".encode(): list(range(1, 801)) for i in range(5)}


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_record_that_the_cluster_refuses_is_left_out_once(cluster, guarantee):
    source, sink = f"refused-{guarantee}", f"refused-out-{guarantee}"
    cluster.create(1, source, f"{source}-dead")
    (created,) = cluster.admin.create_topics([NewTopic(sink, 1, config={"max.message.bytes": "1000"})]).values()
    created.result(30)
    # Random, so that no compression makes the one in the middle fit.
    values = [b"small", random.Random(1).randbytes(5000).hex().encode(), b"after"]
    refused = []

    def decide(failure):
        refused.append((failure.topic, len(failure.value)))
        return Response.CONTINUE

    builder = StreamsBuilder()
    builder.stream(source, key=str, value=str).to(sink)
    app = cluster.app(
        builder.build(),
        f"{source}-app",
        processing_guarantee=guarantee,
        production_exception_handler=decide,
        errors_dead_letter_queue_topic_name=f"{source}-dead",
        **{"producer.linger.ms": 0, "producer.batch.num.messages": 1},
    ).start()
    cluster.write(source, [(b"k", value, T0) for value in values])
    eventually(lambda: [message.value() for message in cluster.read(sink)] == [b"small", b"after"])
    eventually(lambda: committed(cluster, f"{source}-app") == {(source, 0): 3})
    assert refused == [(sink, 10_000)]
    assert app.failure is None
    (dead,) = eventually(lambda: cluster.read(f"{source}-dead"))
    assert (dead.key(), dead.value()) == (b"k", values[1])
    headers = dict(dead.headers())
    assert headers["__streams.errors.topic"] == sink.encode()
    assert b"MSG_SIZE_TOO_LARGE" in headers["__streams.errors.message"]
    app.close()


def test_a_record_that_the_cluster_refuses_is_in_the_dead_letters_when_the_application_has_stopped(cluster):
    cluster.create(1, "fatal", "fatal-dead")
    (created,) = cluster.admin.create_topics([NewTopic("fatal-out", 1, config={"max.message.bytes": "100"})]).values()
    created.result(30)
    builder = StreamsBuilder()
    builder.stream("fatal", key=str, value=str).to("fatal-out")
    app = cluster.app(builder.build(), "fatal-app", errors_dead_letter_queue_topic_name="fatal-dead").start()
    value = random.Random(2).randbytes(500).hex().encode()
    cluster.write("fatal", [(b"k", value, T0)])
    assert app.wait_until_stopped(30)
    assert "fatal-out" in str(app.failure)
    assert [dead.value() for dead in cluster.read("fatal-dead")] == [value]


def test_a_dead_letter_that_cannot_be_written_ends_the_application(cluster):
    cluster.create(1, "buried", "buried-out")
    (created,) = cluster.admin.create_topics([NewTopic("buried-dead", 1, config={"max.message.bytes": "100"})]).values()
    created.result(30)
    cluster.write("buried", [(b"bad", random.Random(3).randbytes(500), T0)])
    app = cluster.app(
        doubled("buried", "buried-out"),
        "buried-app",
        deserialization_exception_handler="continue",
        production_exception_handler="continue",
        errors_dead_letter_queue_topic_name="buried-dead",
    ).start()
    assert app.wait_until_stopped(30)
    assert "a dead letter could not be written to buried-dead" in str(app.failure)
    assert committed(cluster, "buried-app") == {}


def test_an_input_that_is_made_anew_is_read_from_its_start(cluster):
    cluster.create(1, "anew", "anew-out")
    cluster.write("anew", [(b"k", packed(value), T0) for value in range(20)])
    app = cluster.app(doubled("anew", "anew-out"), "anew-app").start()
    eventually(lambda: committed(cluster, "anew-app") == {("anew", 0): 20})
    app.close()
    cluster.admin.delete_topics(["anew"])["anew"].result(30)
    eventually(lambda: "anew" not in cluster.admin.list_topics(timeout=10).topics)
    cluster.create(1, "anew")
    cluster.write("anew", [(b"k", packed(value), T0) for value in (100, 101)])
    with cluster.app(doubled("anew", "anew-out"), "anew-app"):
        eventually(lambda: len(cluster.read("anew-out")) == 22)
        eventually(lambda: committed(cluster, "anew-app") == {("anew", 0): 2})
    assert [message.value() for message in cluster.read("anew-out")][20:] == [packed(200), packed(202)]
