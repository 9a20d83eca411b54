"""Global tables: whole on every instance, there before the first record, kept up to date, not read twice."""

from __future__ import annotations

import logging

import pytest
from tests.integration.streams.cluster import eventually
from tests.integration.streams.topologies import T0

from moldau.streams.dsl.builder import StreamsBuilder
from moldau.streams.dsl.options import Materialized
from moldau.streams.runtime import State

BOTH = pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "on disk"])


def enriched(name, *, in_memory):
    builder = StreamsBuilder()
    store = Materialized.as_("countries")
    table = builder.global_table(
        f"{name}-countries",
        materialized=store.with_store_type("in_memory") if in_memory else store,
        key=str,
        value=str,
    )
    (
        builder.stream(name, key=str, value=str)
        .left_join(table, lambda key, value: value, lambda value, country: f"{value}={country}")
        .to(f"{name}-out", value=str)
    )
    return builder.build()


def values(cluster, name):
    return [message.value().decode() for message in cluster.read(f"{name}-out")]


@BOTH
def test_a_global_table_is_there_before_the_first_record_and_follows_its_topic(cluster, in_memory):
    name = f"global-{in_memory}"
    # Other numbers of partitions than the stream: each instance has all of them.
    cluster.create(2, name, f"{name}-out")
    cluster.create(5, f"{name}-countries")
    cluster.write(f"{name}-countries", [(f"c{i}".encode(), f"land {i}".encode(), T0) for i in range(500)])
    cluster.write(name, [(b"k", f"c{i}".encode(), T0) for i in range(100)])
    topology = enriched(name, in_memory=in_memory)
    with cluster.app(topology, f"{name}-app") as app, cluster.app(topology, f"{name}-app", "b") as other:
        eventually(lambda: len(values(cluster, name)) == 100)
        assert values(cluster, name) == [f"c{i}=land {i}" for i in range(100)]
        cluster.write(f"{name}-countries", [(b"c7", b"new", T0 + 1), (b"c8", None, T0 + 1)])
        for one in (app, other):
            store = one.store("countries")
            eventually(lambda store=store: (store.get("c7"), store.get("c8")) == ("new", None))
            assert len(list(store.all())) == 499
        cluster.write(name, [(b"k", b"c7", T0 + 2), (b"k", b"c8", T0 + 2)])
        eventually(lambda: values(cluster, name)[100:] == ["c7=new", "c8=None"])
    assert "countries" not in "".join(
        topic for topic in cluster.admin.list_topics(timeout=10).topics if topic.endswith("-changelog")
    )


def test_a_global_table_on_disk_is_read_on_from_where_it_ends(cluster, caplog):
    caplog.set_level(logging.INFO, logger="moldau.streams")
    cluster.create(1, "again-g", "again-g-out")
    cluster.create(2, "again-g-countries")
    cluster.write("again-g-countries", [(f"c{i}".encode(), b"x", T0) for i in range(300)])
    topology = enriched("again-g", in_memory=False)
    with cluster.app(topology, "again-g-app") as app:
        app.wait_until_running()
    assert "global tables: 300 records in" in caplog.text
    cluster.write("again-g-countries", [(b"c1", b"y", T0)])
    caplog.clear()
    with cluster.app(topology, "again-g-app") as app:
        assert app.store("countries").get("c1") == "y"
        assert app.store("countries").get("c2") == "x"
    assert "global tables: 1 records in" in caplog.text


def test_a_global_table_of_a_topic_that_was_made_anew_begins_anew(cluster, caplog):
    cluster.create(1, "anew-g", "anew-g-out")
    cluster.create(2, "anew-g-countries")
    cluster.write("anew-g-countries", [(f"c{i}".encode(), b"x", T0) for i in range(100)])
    topology = enriched("anew-g", in_memory=False)
    with cluster.app(topology, "anew-g-app"):
        pass
    cluster.admin.delete_topics(["anew-g-countries"])["anew-g-countries"].result(30)
    eventually(lambda: "anew-g-countries" not in cluster.admin.list_topics(timeout=10).topics)
    cluster.create(2, "anew-g-countries")
    cluster.write("anew-g-countries", [(b"other", b"z", T0)])
    with cluster.app(topology, "anew-g-app") as app:
        assert list(app.store("countries").all()) == [("other", "z")]
    assert "the global table of anew-g-countries is read from the start" in caplog.text


def test_a_record_of_a_global_table_that_cannot_be_read_stops_the_start(cluster):
    cluster.create(1, "broken-g", "broken-g-out", "broken-g-countries")
    cluster.write("broken-g-countries", [(b"\xff\xff", b"x", T0)])
    app = cluster.app(enriched("broken-g", in_memory=True), "broken-g-app")
    with pytest.raises(Exception, match="broken-g-countries-0 at offset 0"):
        app.start()
    assert app.state is State.ERROR
