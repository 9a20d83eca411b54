"""How far an application has come, as its group tells it: behind what nobody sees, and with its leader's epoch."""

from __future__ import annotations

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from tests.integration.streams.cluster import committed, eventually

from moldau.streams import StreamsBuilder

PATIENCE_S = 30.0


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_markers_and_aborted_records_at_the_end_of_an_input_leave_no_lag(cluster, guarantee):
    source, sink, app_id = f"marked-{guarantee}", f"unmarked-{guarantee}", f"marked-app-{guarantee}"
    cluster.create(1, source, sink)
    builder = StreamsBuilder()
    builder.stream(source, key=bytes, value=bytes).to(sink)
    app = cluster.app(builder.build(), app_id, processing_guarantee=guarantee)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": source})
    producer.init_transactions(PATIENCE_S)
    with app:
        for end, ended in ((2, producer.commit_transaction), (4, producer.abort_transaction)):
            producer.begin_transaction()
            producer.produce(source, b"v", b"k")
            assert producer.flush(PATIENCE_S) == 0
            ended(PATIENCE_S)
            eventually(lambda end=end: committed(cluster, app_id) == {(source, 0): end})
    # Aborted records are seen by those only who do not ask for committed ones.
    assert len(cluster.read(sink)) == (1 if guarantee == "exactly_once_v2" else 2)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_beside_an_offset_stands_the_epoch_of_its_leader(cluster, guarantee):
    source, app_id = f"epochs-{guarantee}", f"epochs-app-{guarantee}"
    cluster.create(1, source)
    builder = StreamsBuilder()
    builder.stream(source, key=bytes, value=bytes).for_each(lambda key, value: None)
    cluster.write(source, [(b"k", b"v", 1)])
    with cluster.app(builder.build(), app_id, processing_guarantee=guarantee):
        eventually(lambda: committed(cluster, app_id) == {(source, 0): 1})
    future = cluster.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(app_id)])[app_id]
    (told,) = future.result(PATIENCE_S).topic_partitions
    assert told.leader_epoch == 0
