"""Record caches on a real broker: less goes downstream, and what is true at the end is the same."""

from __future__ import annotations

import struct
from collections import Counter

import pytest
from tests.integration.streams.cluster import eventually
from tests.integration.streams.topologies import T0, count_per_key

KEYS = 20
RECORDS = 3000


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_an_application_with_a_cache_says_less_and_ends_with_the_same_counts(cluster, guarantee):
    source, sink = f"cached-{guarantee}", f"cached-counts-{guarantee}"
    cluster.create(2, source, sink)
    keys = [f"k{number % KEYS}".encode() for number in range(RECORDS)]
    settings = {
        "processing_guarantee": guarantee,
        "statestore_cache_max_bytes": 1024 * 1024,
        "commit_interval_ms": 200,
    }
    for part, total in ((keys[:2000], 2000), (keys[2000:], RECORDS)):
        # The rest is counted by another instance, which has the state of the first.
        cluster.write(source, [(key, b"x", T0) for key in part])
        with cluster.app(count_per_key(source, sink), f"cached-app-{guarantee}", **settings) as app:
            app.wait_until_running()
            eventually(lambda total=total: sum(latest(cluster, sink).values()) == total)
    assert latest(cluster, sink) == dict.fromkeys(keys, RECORDS // KEYS)
    said = Counter(message.key() for message in cluster.read(sink))
    assert sum(said.values()) < RECORDS / 2


def test_closing_sends_on_what_waits_for_a_commit(cluster):
    cluster.create(1, "cached-close", "cached-close-counts")
    cluster.write("cached-close", [(b"k", b"x", T0)] * 50)
    app = cluster.app(
        count_per_key("cached-close", "cached-close-counts"),
        "cached-close-app",
        statestore_cache_max_bytes=1024 * 1024,
        commit_interval_ms=600_000,
    ).start()
    app.wait_until_running()
    eventually(lambda: sum(thread["records"] for thread in app.metrics()["threads"].values()) == 50)
    assert cluster.read("cached-close-counts") == []
    app.close()
    assert [number(message) for message in cluster.read("cached-close-counts")] == [50]


def latest(cluster, topic):
    return {message.key(): number(message) for message in cluster.read(topic)}


def number(message):
    return struct.unpack(">q", message.value())[0]
