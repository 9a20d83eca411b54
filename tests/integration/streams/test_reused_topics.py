"""Tables that are restored from the topic they read (`reuse.ktable.source.topics`), instead of a changelog."""

from __future__ import annotations

import struct

import pytest
from tests.integration.streams.cluster import committed, eventually
from tests.integration.streams.topologies import T0

from moldau.streams import Materialized, StreamsBuilder, Topology


def rows_per_value(rows: str, sink: str, kind: str) -> Topology:
    """How many rows have a value: that needs what a row was before."""
    builder = StreamsBuilder()
    table = builder.table(rows, value=str, materialized=Materialized.as_("rows").with_store_type(kind))
    table.group_by(lambda key, value: (value, key), key=str, value=str).count(store="counts").to(sink)
    return builder.build(optimization="all")


@pytest.mark.parametrize("kind", ["in_memory", "rocksdb"])
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_table_comes_back_from_its_topic_as_it_was_at_the_last_commit(cluster, guarantee, kind):
    name = f"{kind}-{guarantee}".replace("_", "-")
    rows, sink, app_id = f"rows-{name}", f"counted-{name}", f"reuse-{name}"
    cluster.create(1, rows, sink)
    cluster.write(rows, [(b"k1", b"a", T0), (b"k2", b"a", T0), (b"k3", b"c", T0)])

    def counts() -> dict[bytes, int]:
        return {one.key(): struct.unpack(">q", one.value())[0] for one in cluster.read(sink)}

    with cluster.app(rows_per_value(rows, sink, kind), app_id, processing_guarantee=guarantee) as app:
        app.wait_until_running()
        eventually(lambda: counts() == {b"a": 2, b"c": 1})
        eventually(lambda: committed(cluster, app_id)[rows, 0] >= 3)
    # While nobody is there the row becomes another: what it was before is known only up to the last commit.
    cluster.write(rows, [(b"k1", b"b", T0 + 1)])
    for instance in ("another-machine", "a"):
        with cluster.app(rows_per_value(rows, sink, kind), app_id, instance, processing_guarantee=guarantee) as app:
            app.wait_until_running()
            eventually(lambda: counts() == {b"a": 1, b"b": 1, b"c": 1})
            assert dict(app.store("rows").all()) == {"k1": "b", "k2": "a", "k3": "c"}
    topics = cluster.admin.list_topics(timeout=10).topics
    assert f"{app_id}-counts-changelog" in topics
    assert f"{app_id}-rows-changelog" not in topics
