"""A store asked from anywhere: from the instance that has the key, from the one that does not, over HTTP."""

from __future__ import annotations

import json

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.streams.cluster import eventually
from tests.integration.streams.topologies import HOUR_MS, T0, count_per_key, hourly_revenue

from moldau.observe.streams import ALL as STREAMS
from moldau.streams import Materialized, SessionWindows, StreamsBuilder, StreamsError, Windowed
from moldau.streams.runtime.queries import StoreNotAvailableError


def order(amount):
    return json.dumps({"amount": amount, "status": "COMPLETED"}).encode()


def two_instances(cluster, topology, application_id, **settings):
    instances = [
        cluster.app(topology, application_id, name, application_server="127.0.0.1:0", **settings).start()
        for name in ("a", "b")
    ]

    def shared():
        owned = [
            {task for thread in app.metrics()["threads"].values() for task in thread["tasks"]} for app in instances
        ]
        return all(owned) and len(set.union(*owned)) == 4 * len(topology.sub_topologies())

    eventually(shared)
    for app in instances:
        app.wait_until_running()
    return instances


@pytest.mark.parametrize("in_memory", [True, False])
def test_every_key_is_found_from_every_instance(cluster, in_memory):
    name = f"asked-{in_memory}"
    cluster.create(4, name, f"{name}-out")
    topology = count_per_key(name, f"{name}-out", in_memory=in_memory)
    instances = two_instances(cluster, topology, f"{name}-app")
    cluster.write(name, [(f"k{i % 20:02}".encode(), b"x", T0) for i in range(100)])
    eventually(lambda: len(cluster.read(f"{name}-out")) == 100)
    for app in instances:
        store = app.store("counts")
        assert [store.get(f"k{i:02}") for i in range(20)] == [5] * 20
        assert store.get("nobody") is None
        assert sorted(store.all()) == [(f"k{i:02}", 5) for i in range(20)]
        assert sorted(store.range("k03", "k05")) == [("k03", 5), ("k04", 5), ("k05", 5)]
        assert len(list(store.prefix_scan("k1"))) == 10
        answer = httpx.get(f"http://{app.application_server}/streams/{name}-app/stores/counts/k07")
        assert answer.json() == {"store": "counts", "entries": [{"key": "k07", "value": 5, "timestamp": T0}]}
        assert httpx.get(f"http://{app.application_server}/streams/{name}-app/stores/counts/nobody").status_code == 404
    with pytest.raises(StreamsError, match="there is no store count\nhint: there are: counts"):
        instances[0].store("count")


def test_hourly_revenue_is_asked_of_the_instance_that_does_not_have_the_key(cluster):
    cluster.create(4, "asked-orders", "asked-revenue")
    instances = two_instances(cluster, hourly_revenue("asked-orders", "asked-revenue"), "asked-revenue-app")
    customers = [f"customer-{i}" for i in range(12)]
    cluster.write("asked-orders", [(name.encode(), order(10.0), T0) for name in customers])
    cluster.write("asked-orders", [(name.encode(), order(2.5), T0 + HOUR_MS) for name in customers])
    eventually(lambda: len(cluster.read("asked-revenue")) == 24)
    for app in instances:
        store = app.store("hourly-revenue-store")
        for name in customers:
            assert store.fetch(name, T0 + HOUR_MS) == 2.5
        assert store.fetch("customer-1", T0 + HOUR_MS, T0 + 2 * HOUR_MS) == [(T0 + HOUR_MS, 2.5)]
        latest = dict(store.fetch_all(T0 + HOUR_MS, T0 + HOUR_MS))
        assert latest == {Windowed(name, T0 + HOUR_MS, T0 + 2 * HOUR_MS): 2.5 for name in customers}
        url = f"http://{app.application_server}/streams/asked-revenue-app/stores/hourly-revenue-store"
        (entry,) = httpx.get(f"{url}/customer-1", params={"from": T0 + HOUR_MS}).json()["entries"]
        assert (entry["value"], entry["window_start"]) == (2.5, T0 + HOUR_MS)
        listed = httpx.get(f"http://{app.application_server}/streams/asked-revenue-app/stores").json()
        assert listed == {"stores": ["hourly-revenue-store"]}


@pytest.mark.parametrize("in_memory", [True, False])
def test_sessions_and_versions_are_asked_of_either_instance(cluster, in_memory):
    name = f"visits-{in_memory}".lower()
    cluster.create(4, name, f"{name}-prices", f"{name}-out")
    topology = visits_and_prices(name, in_memory=in_memory)
    instances = two_instances(cluster, topology, f"{name}-app")
    people = [f"p{i}" for i in range(8)]
    times = [T0, T0 + 30_000, T0 + 600_000]
    cluster.write(name, [(person.encode(), b"x", time) for time in times for person in people])
    prices = [(b"1.0", T0), (b"2.0", T0 + 1000)]
    cluster.write(f"{name}-prices", [(person.encode(), price, time) for price, time in prices for person in people])
    last = Windowed("p1", T0 + 600_000, T0 + 600_000)
    first = Windowed("p1", T0, T0 + 30_000)
    for app in instances:
        visits, history = app.store("visits"), app.store("prices")
        eventually(lambda visits=visits: len(list(visits.all())) == 2 * len(people))
        eventually(lambda history=history: dict(history.all()) == dict.fromkeys(people, 2.0))
        assert visits.fetch("p1") == [(first, 2), (last, 1)]
        assert visits.fetch("p1", T0 + 10, T0 + 20) == [(first, 2)]
        assert visits.find_sessions("p1", T0 + 30_001, T0 + 600_000) == [(last, 1)]
        assert (visits.fetch_session("p1", T0, T0 + 30_000), visits.fetch_session("p1", T0, T0)) == (2, None)
        assert dict(visits.fetch_all(T0 + 40_000, T0 + HOUR_MS)) == {
            Windowed(person, T0 + 600_000, T0 + 600_000): 1 for person in people
        }
        assert [history.get("p1", as_of) for as_of in (T0 - 1, T0, T0 + 999, T0 + 1000)] == [None, 1.0, 1.0, 2.0]
        url = f"http://{app.application_server}/streams/{name}-app/stores"
        assert httpx.get(f"{url}/visits/p1", params={"from": T0 + 40_000}).json()["entries"] == [
            {"key": "p1", "value": 1, "window_start": T0 + 600_000, "window_end": T0 + 600_000}
        ]
        assert httpx.get(f"{url}/prices/p1", params={"as_of": T0 + 5}).json()["entries"] == [
            {"key": "p1", "value": 1.0, "timestamp": T0}
        ]
        assert httpx.get(f"{url}/visits/p1", params={"as_of": T0}).status_code == 400
        with pytest.raises(StreamsError, match="store visits does not know what was true before\nhint: "):
            visits.get("p1", as_of=T0)


def visits_and_prices(name, *, in_memory):
    """Sessions of one topic, versions of another's rows."""
    kind = "in_memory" if in_memory else "rocksdb"
    builder = StreamsBuilder()
    grouped = builder.stream(name, value=str).group_by_key()
    visits = Materialized.as_("visits").with_retention("1d").with_store_type(kind)
    grouped.windowed_by(SessionWindows.of_inactivity_gap_with_no_grace("1m")).count(visits)
    history = Materialized.as_("prices").with_history_retention("1d").with_store_type(kind)
    prices = builder.stream(f"{name}-prices", value=str).map_values(float, value=float)
    prices.to_table(history).to(f"{name}-out")
    return builder.build()


def test_a_part_that_nobody_has_is_said_and_found_again_when_somebody_does(cluster):
    cluster.create(4, "moved", "moved-out")
    topology = count_per_key("moved", "moved-out")
    first, second = two_instances(cluster, topology, "moved-app")
    cluster.write("moved", [(f"k{i}".encode(), b"x", T0) for i in range(20)])
    eventually(lambda: len(cluster.read("moved-out")) == 20)
    quiet = cluster.app(topology, "moved-app", "c").start()
    second.close()
    quiet.wait_until_running()
    # It has some of the partitions and answers no queries.
    with pytest.raises(StoreNotAvailableError, match=r"store counts: partition .* is being moved or restored"):
        list(first.store("counts", timeout_s=0.2).all())
    url = f"http://{first.application_server}/streams/moved-app/stores/counts"
    quiet.close()
    eventually(lambda: len(list(first.store("counts").all())) == 20)
    assert len(httpx.get(url).json()["entries"]) == 20


def test_metrics_say_what_was_done_and_how_far_it_is_in_values_and_for_prometheus(cluster):
    cluster.create(2, "measured", "measured-out")
    cluster.write("measured", [(f"k{i % 7}".encode(), b"x", T0) for i in range(100)] + [(None, b"no key", T0)])
    topology = count_per_key("measured", "measured-out", in_memory=False)
    settings = {"application_server": "127.0.0.1:0", "metrics_recording_level": "DEBUG"}
    with cluster.app(topology, "measured-app", **settings) as app:
        eventually(lambda: len(cluster.read("measured-out")) == 100)
        (thread,) = app.metrics()["threads"].values()
        tasks = thread["tasks"].values()
        assert (thread["records"], sum(task["records"] for task in tasks)) == (101, 101)
        assert sum(sum(task["lag"].values()) for task in tasks) == 0
        assert [count for task in tasks for count in task["dropped"].values()] == [1]
        assert all(task["state_bytes"] > 0 for task in tasks)
        shown = httpx.get(f"http://{app.application_server}/metrics").text
    families = {one.name: one for one in text_string_to_metric_families(shown)}
    of_tasks = families["kafka_streams_stream_task_metrics_process"].samples
    assert sum(sample.value for sample in of_tasks) == 101
    assert {sample.labels["task_id"] for sample in of_tasks} == {"0_0", "0_1"}
    (dropped,) = families["kafka_streams_stream_task_metrics_dropped_records"].samples
    assert dropped.labels["processor_node_id"].startswith("KSTREAM-AGGREGATE-")
    nodes = families["kafka_streams_stream_processor_node_metrics_process"].samples
    assert sum(one.value for one in nodes if one.labels["processor_node_id"].startswith("KSTREAM-SINK-")) == 100
    (state,) = families["moldau_streams_state"].samples
    assert state.labels == {"application_id": "measured-app", "state": "RUNNING"}
    assert {family.name.removesuffix("_total") for family in STREAMS} == set(families)
