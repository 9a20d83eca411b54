"""A topology over a real broker: what comes out, what is committed, what a restart and a second instance change."""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import ConfigResource
from tests.integration.streams.cluster import committed, eventually
from tests.integration.streams.topologies import HOUR_MS, T0, count_per_key, count_per_value, doubled, hourly_revenue

from moldau.streams import EmitStrategy, Materialized, StreamsBuilder, TimeWindows
from moldau.streams.runtime import State
from moldau.streams.runtime.directory import StateDirectoryError
from moldau.streams.runtime.internal_topics import InternalTopicError
from moldau.streams.runtime.layout import MissingTopicsError

BOTH = pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])


def number(data):
    return struct.unpack(">q", data)[0]


def order(amount, status="COMPLETED"):
    return json.dumps({"amount": amount, "status": status}).encode()


@BOTH
def test_hourly_revenue_of_the_guide(cluster, guarantee):
    orders, revenue, app_id = f"orders-{guarantee}", f"revenue-{guarantee}", f"revenue-app-{guarantee}"
    cluster.create(4, orders, revenue)
    cluster.write(
        orders,
        [
            (b"ann", order(10.0), T0 + 1),
            (b"bob", order(5.0), T0 + 2),
            (b"ann", order(7.0, "REFUNDED"), T0 + 3),
            (b"ann", order(-1.0), T0 + 4),
            (b"ann", order(2.5), T0 + 5),
            (b"ann", order(1.0), T0 + HOUR_MS),
            # Too late: its window has closed with the record before.
            (b"ann", order(100.0), T0 + 6),
        ],
    )
    app = cluster.app(hourly_revenue(orders, revenue), app_id, processing_guarantee=guarantee).start()
    app.wait_until_running()
    eventually(lambda: len(cluster.read(revenue)) >= 4)
    app.close()
    out = sorted(
        (message.key()[:-8].decode(), number(message.key()[-8:]), struct.unpack(">d", message.value())[0])
        for message in cluster.read(revenue)
    )
    assert out == [("ann", T0, 10.0), ("ann", T0, 12.5), ("ann", T0 + HOUR_MS, 1.0), ("bob", T0, 5.0)]
    dropped = [task["dropped"] for thread in app.metrics()["threads"].values() for task in thread["tasks"].values()]
    assert not dropped, "a closed application has no tasks"
    assert app.state is State.NOT_RUNNING


@BOTH
def test_a_restart_resumes_where_the_application_ended(cluster, guarantee):
    source, sink, app_id = f"resume-{guarantee}", f"resumed-{guarantee}", f"resume-app-{guarantee}"
    cluster.create(2, source, sink)
    keys = [f"k{i % 7}".encode() for i in range(200)]
    cluster.write(source, [(key, b"x", T0) for key in keys])
    with cluster.app(count_per_key(source, sink), app_id, processing_guarantee=guarantee):
        eventually(lambda: len(cluster.read(sink)) == 200)
    cluster.write(source, [(key, b"x", T0) for key in keys])
    with cluster.app(count_per_key(source, sink), app_id, "another-machine", processing_guarantee=guarantee) as again:
        again.wait_until_running()
        eventually(lambda: len(cluster.read(sink)) >= 400)
        restored = sum(thread["restored"] for thread in again.metrics()["threads"].values())
        assert restored >= 7, "the state came from the changelog"
    counts: dict[bytes, list[int]] = {}
    for message in cluster.read(sink):
        counts.setdefault(message.key(), []).append(number(message.value()))
    expected = Counter(keys)
    assert counts == {key: list(range(1, 2 * count + 1)) for key, count in expected.items()}


@BOTH
def test_two_instances_share_the_work_and_hand_it_over(cluster, guarantee):
    source, sink, app_id = f"shared-{guarantee}", f"shared-out-{guarantee}", f"shared-app-{guarantee}"
    cluster.create(4, source, sink)
    keys = [f"k{i % 23}".encode() for i in range(300)]
    first = cluster.app(count_per_key(source, sink), app_id, "a", processing_guarantee=guarantee).start()
    cluster.write(source, [(key, b"x", T0) for key in keys])
    first.wait_until_running()
    eventually(lambda: len(cluster.read(sink)) == 300)
    second = cluster.app(count_per_key(source, sink), app_id, "b", processing_guarantee=guarantee).start()
    second.wait_until_running()

    def tasks(app):
        return {task for thread in app.metrics()["threads"].values() for task in thread["tasks"]}

    eventually(lambda: len(tasks(first)) == 2 and len(tasks(second)) == 2)
    assert tasks(first) | tasks(second) == {"0_0", "0_1", "0_2", "0_3"}
    cluster.write(source, [(key, b"x", T0) for key in keys])
    eventually(lambda: len(cluster.read(sink)) == 600)
    first.close()
    eventually(lambda: len(tasks(second)) == 4)
    cluster.write(source, [(key, b"x", T0) for key in keys])
    eventually(lambda: len(cluster.read(sink)) == 900)
    second.close()
    counts: dict[bytes, list[int]] = {}
    for message in cluster.read(sink):
        counts.setdefault(message.key(), []).append(number(message.value()))
    assert counts == {key: list(range(1, 3 * count + 1)) for key, count in Counter(keys).items()}


def test_a_changed_key_goes_through_a_repartition_topic(cluster):
    cluster.create(3, "words")
    cluster.create(1, "word-counts")
    cluster.write("words", [(f"k{i}".encode(), f"w{i % 10}".encode(), T0) for i in range(500)])
    app = cluster.app(count_per_value("words", "word-counts"), "word-app", repartition_purge_interval_ms=0).start()
    eventually(lambda: len(cluster.read("word-counts")) == 500)
    last = {message.key(): number(message.value()) for message in cluster.read("word-counts")}
    assert last == {f"w{i}".encode(): 50 for i in range(10)}
    topics = cluster.admin.list_topics(timeout=10).topics
    assert len(topics["word-app-counts-repartition"].partitions) == 3
    assert len(topics["word-app-counts-changelog"].partitions) == 3
    # What everybody has read is deleted.
    eventually(lambda: not cluster.read("word-app-counts-repartition"))
    app.close()


def test_internal_topics_have_the_settings_of_kafka(cluster):
    cluster.create(2, "configured")
    app = cluster.app(hourly_revenue("configured", "configured-out"), "configured-app").start()
    app.close()
    resource = ConfigResource(ConfigResource.Type.TOPIC, "configured-app-hourly-revenue-store-changelog")
    config = cluster.admin.describe_configs([resource])[resource].result(10)
    assert config["cleanup.policy"].value == "compact,delete"
    # The window's retention (its size here) and a day.
    assert int(config["retention.ms"].value) == HOUR_MS + 86_400_000
    assert config["message.timestamp.type"].value == "CreateTime"


def test_an_internal_topic_of_another_width_is_refused(cluster):
    cluster.create(2, "narrow")
    cluster.create(5, "narrow-app-counts-changelog")
    app = cluster.app(count_per_key("narrow", "narrow-out"), "narrow-app")
    with pytest.raises(InternalTopicError, match="narrow-app-counts-changelog has 5 partitions and needs 2"):
        app.start()
    assert app.state is State.ERROR


def test_a_topic_that_is_not_there_is_named_at_the_start(cluster):
    app = cluster.app(doubled("nowhere", "out"), "nowhere-app")
    with pytest.raises(MissingTopicsError, match="there is no topic nowhere"):
        app.start()


def test_committed_offsets_carry_the_partition_time_of_kafka_streams(cluster):
    cluster.create(1, "timed", "timed-out")
    cluster.write("timed", [(b"k", struct.pack(">q", 1), T0 + 5), (b"k", struct.pack(">q", 2), T0 + 3)])
    with cluster.app(doubled("timed", "timed-out"), "timed-app"):
        eventually(lambda: len(cluster.read("timed-out")) == 2)
    assert committed(cluster, "timed-app") == {("timed", 0): 2}
    future = cluster.admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions("timed-app", [TopicPartition("timed", 0)])]
    )["timed-app"]
    metadata = future.result(10).topic_partitions[0].metadata
    assert base64.b64decode(metadata) == b"\x02" + struct.pack(">q", T0 + 5)


def test_stream_time_goes_on_after_a_restart(cluster):
    cluster.create(1, "again", "again-out")
    cluster.write("again", [(b"k", struct.pack(">q", 1), T0 + 7)])
    with cluster.app(doubled("again", "again-out"), "again-app", "a"):
        eventually(lambda: len(cluster.read("again-out")) == 1)
    with cluster.app(doubled("again", "again-out"), "again-app", "b") as app:
        (thread,) = app.wait_until_running().metrics()["threads"].values()
        assert thread["tasks"]["0_0"]["stream_time"] == T0 + 7


@BOTH
def test_state_on_disk_is_restored_from_where_it_ends_also_after_a_crash(cluster, guarantee):
    source, sink, app_id = f"disk-{guarantee}", f"disk-out-{guarantee}", f"disk-app-{guarantee}"
    cluster.create(1, source, sink)
    topology = count_per_key(source, sink, in_memory=False)
    cluster.write(source, [(f"k{i}".encode(), b"x", T0) for i in range(100)])
    with cluster.app(topology, app_id, processing_guarantee=guarantee):
        eventually(lambda: len(cluster.read(sink)) == 100)
    cluster.write(source, [(b"k7", b"x", T0)])
    with cluster.app(topology, app_id, processing_guarantee=guarantee) as again:
        eventually(lambda: len(cluster.read(sink)) == 101)
        assert sum(thread["restored"] for thread in again.metrics()["threads"].values()) == 0
    assert number(cluster.read(sink)[-1].value()) == 2


def test_two_instances_with_state_on_disk_need_two_folders(cluster):
    cluster.create(1, "folder", "folder-out")
    topology = count_per_key("folder", "folder-out", in_memory=False)
    with cluster.app(topology, "folder-app", "same"):
        second = cluster.app(topology, "folder-app", "same")
        with pytest.raises(StateDirectoryError, match="another instance of the application keeps its state in"):
            second.start()


def test_threads_of_one_instance_hand_tasks_with_state_on_disk_over(cluster):
    cluster.create(4, "threads", "threads-out")
    keys = [f"k{i % 23}".encode() for i in range(300)]
    topology = count_per_key("threads", "threads-out", in_memory=False)
    cluster.write("threads", [(key, b"x", T0) for key in keys])
    with cluster.app(topology, "threads-app", num_stream_threads=2) as app:
        app.wait_until_running()
        eventually(lambda: len(cluster.read("threads-out")) == 300)
        with cluster.app(topology, "threads-app", "b") as second:
            second.wait_until_running()
            app.wait_until_running()
            cluster.write("threads", [(key, b"x", T0) for key in keys])
            eventually(lambda: len(cluster.read("threads-out")) == 600)
    last = {message.key(): number(message.value()) for message in cluster.read("threads-out")}
    assert last == {key: 2 * count for key, count in Counter(keys).items()}


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "on disk"])
def test_windows_that_were_emitted_when_they_closed_are_not_emitted_again_after_a_restart(cluster, in_memory):
    source, sink = f"closing-{in_memory}", f"closing-out-{in_memory}"
    cluster.create(1, source, sink)

    def topology():
        builder = StreamsBuilder()
        store = Materialized.as_("windows").with_retention("1h")
        (
            builder.stream(source, key=str, value=str)
            .group_by_key()
            .windowed_by(TimeWindows.of_size_with_no_grace("10s"))
            .emit_strategy(EmitStrategy.on_window_close())
            .count(store.with_store_type("in_memory") if in_memory else store)
            .to_stream()
            .to(sink, value=int)
        )
        return builder.build()

    def out():
        return [(number(one.key()[-8:]) - T0, number(one.value())) for one in cluster.read(sink)]

    settings = {"processing_guarantee": "exactly_once_v2", "emit_interval_ms": 0}
    with cluster.app(topology(), f"{source}-app", **settings):
        cluster.write(source, [(b"k", b"x", T0 + second * 1000) for second in (0, 3, 11, 25)])
        eventually(lambda: out() == [(0, 2), (10_000, 1)])
    with cluster.app(topology(), f"{source}-app", **settings):
        cluster.write(source, [(b"k", b"x", T0 + second * 1000) for second in (26, 31)])
        eventually(lambda: out() == [(0, 2), (10_000, 1), (20_000, 2)])
