from uuid import UUID

import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata import records as r
from moldau.control.metadata.configs import AlterConfigs, ConfigChange
from moldau.control.metadata.describe import Cursor, describe_topic_partitions, offline_replicas
from moldau.control.metadata.image import ConfigResource, ImageError, MetadataImage
from moldau.control.metadata.topics import CreatePartitions, DeleteTopics, NewPartitions, TopicRef
from moldau.errors import ApiError, ErrorCode

ID = UUID(int=9)


@pytest.mark.parametrize(
    "records",
    [
        [r.PartitionRecord(0, ID)],
        [r.RemoveTopicRecord(ID)],
        [r.TopicRecord("t", ID), r.TopicRecord("t", UUID(int=10))],
        [r.TopicRecord("t", ID), r.TopicRecord("u", ID)],
        [r.TopicRecord("t", ID), r.PartitionChangeRecord(0, ID, leader=1)],
        [r.BrokerRegistrationChangeRecord(1, 1, fenced=1)],
        [r.RegisterBrokerRecord(1, broker_epoch=5), r.BrokerRegistrationChangeRecord(1, 4, fenced=1)],
        [r.UnregisterBrokerRecord(1, 1)],
        [r.ProducerIdsRecord(1, 1, 1000), r.ProducerIdsRecord(1, 1, 1000)],
        [r.EndTransactionRecord()],
        [r.AbortTransactionRecord()],
        [r.BeginTransactionRecord(), r.BeginTransactionRecord()],
        [r.ClearElrRecord("nope")],
    ],
)
def test_a_record_that_contradicts_the_image_is_an_error_and_not_a_guess(records):
    image = MetadataImage()
    for record in records[:-1]:
        image.apply(record)
    with pytest.raises(ImageError):
        image.apply(records[-1])


def test_an_aborted_transaction_leaves_no_trace_and_no_delta():
    image = MetadataImage()
    for record in (r.BeginTransactionRecord("x"), r.TopicRecord("t", ID), r.AbortTransactionRecord("y")):
        image.apply(record)
    assert image == MetadataImage()
    assert not image.take_delta()


def test_nothing_of_a_transaction_counts_before_its_end():
    image = MetadataImage()
    image.apply(r.BeginTransactionRecord("x"))
    image.apply(r.TopicRecord("t", ID))
    assert image.topics == {}
    image.apply(r.EndTransactionRecord())
    assert list(image.topics) == ["t"]


def test_the_delta_says_what_is_new_what_has_changed_and_what_is_gone():
    cluster = Cluster()
    cluster.topic("stays")
    cluster.topic("goes")
    cluster.machine.take_delta()
    cluster.topic("comes", retention_ms="5")
    cluster.topic("comes-and-goes")
    cluster.run(CreatePartitions((NewPartitions("stays", 4),)))
    cluster.run(DeleteTopics((TopicRef("goes"), TopicRef("comes-and-goes"))))
    delta = cluster.machine.take_delta()
    assert [topic.name for topic in delta.created_topics] == ["comes"]
    assert [topic.name for topic in delta.changed_topics] == ["stays"]
    assert [topic.name for topic in delta.deleted_topics] == ["goes"]
    assert delta.changed_configs == (ConfigResource(2, "comes"),)
    assert not delta.brokers_changed
    assert not cluster.machine.take_delta()


def test_a_topic_deleted_and_created_again_is_gone_and_new_in_one_delta():
    cluster = Cluster()
    old = cluster.topic("t")
    cluster.machine.take_delta()
    cluster.run(DeleteTopics((TopicRef("t"),)))
    new = cluster.topic("t")
    delta = cluster.machine.take_delta()
    assert [topic.id for topic in delta.deleted_topics] == [old.id]
    assert [topic.id for topic in delta.created_topics] == [new.id]


def test_the_delta_of_a_replay_is_the_whole_cluster():
    cluster = Cluster()
    cluster.topic("t")
    cluster.run(AlterConfigs(((ConfigResource(2, "t"), (ConfigChange("retention.ms", 0, "1"),)),)))
    machine = cluster.reopened()
    delta = machine.take_delta()
    assert [topic.name for topic in delta.created_topics] == ["t"]
    assert delta.brokers_changed
    assert delta.features_changed


def pages(cluster, limit, names=()):
    cursor, seen = None, []
    while True:
        topics, cursor = describe_topic_partitions(cluster.machine.situation(), set(names), cursor, limit)
        page = [(topic.name, index) for topic in topics for index, _ in topic.partitions]
        assert len(page) <= limit
        seen.append(page)
        if cursor is None:
            return seen


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, 100])
def test_pages_show_every_partition_once_and_in_order(limit):
    cluster = Cluster()
    for name in ("b", "a", "c"):
        cluster.topic(name, 2)
    shown = pages(cluster, limit)
    assert [entry for page in shown for entry in page] == [(name, index) for name in "abc" for index in (0, 1)]


def test_a_page_says_which_topics_are_not_there_and_which_never_could_be():
    cluster = Cluster()
    cluster.topic("a")
    topics, _ = describe_topic_partitions(cluster.machine.situation(), {"a", "nope", "bad name"}, None, 100)
    assert {topic.name: topic.code for topic in topics} == {
        "a": ErrorCode.NONE,
        "nope": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        "bad name": ErrorCode.INVALID_TOPIC_EXCEPTION,
    }


@pytest.mark.parametrize("cursor", [Cursor("a", -1), Cursor("b", 0)])
def test_a_cursor_outside_of_what_was_asked_for_is_refused(cursor):
    cluster = Cluster()
    cluster.topic("a")
    with pytest.raises(ApiError) as refusal:
        describe_topic_partitions(cluster.machine.situation(), {"a"}, cursor, 10)
    assert refusal.value.code == ErrorCode.INVALID_REQUEST


def test_a_cursor_whose_topic_was_deleted_meanwhile_goes_on_with_the_next():
    cluster = Cluster()
    cluster.topic("a")
    cluster.topic("c")
    topics, cursor = describe_topic_partitions(cluster.machine.situation(), (), Cursor("b", 3), 10)
    assert [(topic.name, [index for index, _ in topic.partitions]) for topic in topics] == [("c", [0, 1, 2])]
    assert cursor is None


def test_replicas_of_fenced_brokers_are_offline():
    cluster = Cluster(1)
    cluster.join(2, unfence=False)
    partition = cluster.image.brokers[1] and cluster.topic("t").partitions[0]
    assert offline_replicas(cluster.machine.situation(), partition) == ()
    cluster.machine.apply(r.PartitionChangeRecord(0, cluster.image.topics["t"].id, replicas=(1, 2, 7)))
    partition = cluster.image.topics["t"].partitions[0]
    assert offline_replicas(cluster.machine.situation(), partition) == (2, 7)
