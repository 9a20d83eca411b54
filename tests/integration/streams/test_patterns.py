"""Sources by pattern: topics that come after the application has started."""

from __future__ import annotations

import re
from collections import Counter

from tests.integration.streams.cluster import committed, eventually
from tests.integration.streams.test_kill import outputs
from tests.integration.streams.topologies import T0

from moldau.streams import Materialized, StreamsBuilder


def counted(prefix, sink):
    builder = StreamsBuilder()
    stream = builder.stream(re.compile(f"{prefix}-[a-z]+"), key=str, value=str)
    stream.group_by_key().count(Materialized.as_("counts")).to_stream().to(sink, value=int)
    return builder.build()


def test_a_topic_that_comes_later_and_matches_is_read_by_all_instances_and_no_task_stops(cluster):
    cluster.create(2, "later-a")
    cluster.create(2, "counted-later")
    settings = {"metadata.max.age.ms": 300}
    apps = [cluster.app(counted("later", "counted-later"), "later-app", name, **settings).start() for name in "ab"]
    for app in apps:
        app.wait_until_running()
    eventually(lambda: all(len(thread["tasks"]) == 1 for app in apps for thread in app.metrics()["threads"].values()))
    keys = [f"k{number}".encode() for number in range(20)]
    cluster.write("later-a", [(key, b"x", T0) for key in keys])
    eventually(lambda: len(cluster.read("counted-later")) == 20)
    closed = [thread["tasks_closed"] for app in apps for thread in app.metrics()["threads"].values()]
    cluster.create(2, "later-b", "later-2")
    cluster.write("later-b", [(key, b"x", T0) for key in keys])
    # The key's state is that of the other topic: they are read by one task.
    eventually(lambda: outputs(cluster, "counted-later") == {key: [1, 2] for key in keys})
    assert [thread["tasks_closed"] for app in apps for thread in app.metrics()["threads"].values()] == closed
    eventually(lambda: Counter(topic for topic, _ in committed(cluster, "later-app")) == {"later-a": 2, "later-b": 2})


def test_a_topic_that_does_not_fit_beside_a_store_is_left_out_and_said(cluster, caplog):
    cluster.create(2, "slim-a")
    cluster.create(1, "counted-slim")
    app = cluster.app(counted("slim", "counted-slim"), "slim-app", **{"metadata.max.age.ms": 300}).start()
    app.wait_until_running()
    cluster.create(3, "slim-b")
    eventually(lambda: "the topics that are there now cannot be read" in caplog.text)
    assert "slim-b" in caplog.text
    cluster.write("slim-a", [(b"k", b"x", T0)])
    eventually(lambda: len(cluster.read("counted-slim")) == 1)
    assert app.failure is None


def test_a_wider_topic_makes_more_tasks_where_there_is_no_state(cluster):
    cluster.create(1, "wide-a", "wide-out")
    builder = StreamsBuilder()
    builder.stream(re.compile("wide-[a-z]"), key=str, value=bytes).to("wide-out")
    app = cluster.app(builder.build(), "wide-app", **{"metadata.max.age.ms": 300}).start().wait_until_running()
    cluster.create(3, "wide-b")
    cluster.write("wide-b", [(b"k", str(partition).encode(), T0, partition) for partition in range(3)])
    eventually(lambda: sorted(message.value() for message in cluster.read("wide-out")) == [b"0", b"1", b"2"])
    assert {task for thread in app.metrics()["threads"].values() for task in thread["tasks"]} == {"0_0", "0_1", "0_2"}


def test_a_topic_that_is_deleted_is_done_without_until_there_is_one_of_its_name_again(cluster, monkeypatch):
    monkeypatch.setattr("moldau.client.fetching.machine.MISSING_S", 0.3)
    for user in ("environment", "session"):
        monkeypatch.setattr(f"moldau.streams.runtime.{user}.GONE_AFTER_MS", 500)
    cluster.create(2, "gone-a", "gone-b", "counted-gone")
    topology = counted("gone", "counted-gone")
    app = cluster.app(topology, "gone-app", **{"metadata.max.age.ms": 300}).start().wait_until_running()
    for topic in ("gone-a", "gone-b"):
        cluster.write(topic, [(b"k", b"x", T0)])
    eventually(lambda: outputs(cluster, "counted-gone") == {b"k": [1, 2]})
    cluster.admin.delete_topics(["gone-b"])["gone-b"].result(30)
    cluster.write("gone-a", [(b"k", b"x", T0)])
    eventually(lambda: outputs(cluster, "counted-gone") == {b"k": [1, 2, 3]})
    eventually(lambda: read_by(app) == {"gone-a"})
    cluster.write("gone-a", [(b"k", b"x", T0)])
    eventually(lambda: outputs(cluster, "counted-gone") == {b"k": [1, 2, 3, 4]})
    cluster.create(2, "gone-b")
    eventually(lambda: read_by(app) == {"gone-a", "gone-b"})
    assert app.failure is None


def read_by(app):
    """The topics that the tasks of an application read."""
    tasks = [task for thread in app._threads for task in thread.tasks.values()]
    return {topic for task in tasks for topic in task.inputs}
