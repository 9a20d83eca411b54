from uuid import UUID

import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata.brokers import BeginControlledShutdown
from moldau.control.metadata.configs import AlterConfigs, ConfigChange
from moldau.control.metadata.image import ConfigResource
from moldau.control.metadata.records import ConfigRecord, PartitionRecord, TopicRecord
from moldau.control.metadata.topics import (
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    NewPartitions,
    NewTopic,
    TopicRef,
)
from moldau.errors import ApiError, ErrorCode


def refused(cluster, topic):
    """The code with which one topic is refused; nothing may be written for it."""
    before = len(cluster.log)
    (answer,) = cluster.run(CreateTopics((topic,)))
    assert answer.message, "a refusal says why"
    assert len(cluster.log) == before
    return answer.code


def test_a_topic_stands_in_the_log_before_its_configs_and_these_before_its_partitions():
    cluster = Cluster()
    decision = cluster.decide(CreateTopics((NewTopic("orders", 2, 1, configs=(("retention.ms", "1"),)),)))
    assert [type(record) for record in decision.records] == [
        TopicRecord, ConfigRecord, PartitionRecord, PartitionRecord,
    ]  # fmt: skip


def test_a_created_topic_is_told_with_its_partitions_replicas_and_configs():
    cluster = Cluster()
    (answer,) = cluster.run(CreateTopics((NewTopic("orders", 4, 1, configs=(("retention.ms", "60000"),)),)))
    assert (answer.code, answer.message) == (ErrorCode.NONE, None)
    assert (answer.partition_count, answer.replication_factor) == (4, 1)
    assert answer.topic_id == cluster.image.topics["orders"].id
    told = {config.key.name: config for config in answer.configs}
    assert (told["retention.ms"].text, told["retention.ms"].source) == ("60000", 1)
    assert (told["cleanup.policy"].text, told["cleanup.policy"].source) == ("delete", 5)


def test_what_the_client_leaves_open_comes_from_the_node():
    cluster = Cluster(1, 2, num_partitions="6", default_replication_factor="2")
    (answer,) = cluster.run(CreateTopics((NewTopic("orders"),)))
    assert (answer.partition_count, answer.replication_factor) == (6, 2)


@pytest.mark.parametrize("name", ["", ".", "..", "a" * 250, "bad name", "slash/ed", "ö", "a\0b", "a\n"])
def test_a_name_that_no_topic_can_have_is_refused(name):
    assert refused(Cluster(), NewTopic(name, 1, 1)) == ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize("name", ["a", "a" * 249, "A-z_0.9", "...", "__consumer_offsets"])
def test_a_name_within_the_rules_is_taken(name):
    Cluster().topic(name)


def test_two_topics_that_differ_in_dot_and_underscore_alone_would_share_their_metrics():
    cluster = Cluster()
    cluster.topic("a.b_c")
    assert refused(cluster, NewTopic("a_b.c", 1, 1)) == ErrorCode.INVALID_TOPIC_EXCEPTION
    cluster.topic("a-b_c")


class Unwalked(dict):
    """A table that nobody walks through."""

    def _walk(self):
        raise AssertionError("all topics are looked at")

    __iter__ = keys = values = items = _walk


def test_the_more_topics_there_are_the_same_a_new_one_costs():
    cluster = Cluster()
    cluster.topic("a.b_c")
    cluster.image.topics = Unwalked(cluster.image.topics)
    cluster.topic("a.c_c")
    assert refused(cluster, NewTopic("a_c.c", 1, 1)) == ErrorCode.INVALID_TOPIC_EXCEPTION


def test_the_name_of_a_topic_that_is_gone_keeps_no_other_out():
    cluster = Cluster()
    cluster.topic("a.b_c")
    cluster.run(DeleteTopics((TopicRef("a.b_c"),)))
    cluster.topic("a_b.c")


def test_a_topic_that_exists_is_said_to_exist_even_with_dots_in_its_name():
    cluster = Cluster()
    cluster.topic("a.b")
    assert refused(cluster, NewTopic("a.b", 1, 1)) == ErrorCode.TOPIC_ALREADY_EXISTS


@pytest.mark.parametrize("count", [0, -2, -(2**31)])
def test_an_impossible_partition_count_is_refused(count):
    assert refused(Cluster(), NewTopic("t", count, 1)) == ErrorCode.INVALID_PARTITIONS


@pytest.mark.parametrize("factor", [0, -2, 2, 32767])
def test_an_impossible_replication_factor_is_refused(factor):
    assert refused(Cluster(), NewTopic("t", 1, factor)) == ErrorCode.INVALID_REPLICATION_FACTOR


def test_a_replication_factor_above_the_number_of_brokers_is_lowered_when_the_node_is_told_so():
    cluster = Cluster(clamp=True)
    (answer,) = cluster.run(CreateTopics((NewTopic("t", 1, 3),)))
    assert (answer.code, answer.replication_factor) == (ErrorCode.NONE, 1)


def test_no_topic_can_be_created_while_every_broker_is_fenced_or_stopping():
    cluster = Cluster()
    cluster.run(BeginControlledShutdown(1, cluster.image.brokers[1].epoch))
    assert refused(cluster, NewTopic("t", 1, 1)) == ErrorCode.INVALID_REPLICATION_FACTOR
    assert refused(cluster, NewTopic("t", assignments=((0, (1,)),))) == ErrorCode.INVALID_REPLICA_ASSIGNMENT


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (NewTopic("t", -1, 1, ((0, (1,)),)), ErrorCode.INVALID_REQUEST),
        (NewTopic("t", 1, -1, ((0, (1,)),)), ErrorCode.INVALID_REQUEST),
        (NewTopic("t", assignments=((0, ()),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (9,)),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (1, 1)),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (1,)), (0, (2,)))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (1,)), (2, (2,)))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((1, (1,)),)), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("t", assignments=((0, (1,)), (1, (1, 2)))), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_an_assignment_by_hand_that_is_not_possible_is_refused(topic, code):
    assert refused(Cluster(1, 2), topic) == code


def test_an_assignment_by_hand_is_taken_as_it_is():
    cluster = Cluster(1, 2)
    (answer,) = cluster.run(CreateTopics((NewTopic("t", assignments=((1, (1, 2)), (0, (2, 1)))),)))
    assert (answer.partition_count, answer.replication_factor) == (2, 2)
    partitions = cluster.image.topics["t"].partitions
    assert (partitions[0].replicas, partitions[0].leader) == ((2, 1), 2)
    assert (partitions[1].replicas, partitions[1].leader) == ((1, 2), 1)


@pytest.mark.parametrize(
    "config",
    [
        ("nope", "1"),
        ("retention.ms", "abc"),
        ("retention.ms", "9" * 400),
        ("cleanup.policy", "nothing"),
        ("min.insync.replicas", "0"),
        ("compression.type", "rar"),
        ("retention.ms", None),
        ("follower.replication.throttled.replicas", "x" * 40_000),
    ],
)
def test_a_config_that_is_unknown_or_impossible_refuses_the_topic(config):
    assert refused(Cluster(), NewTopic("t", 1, 1, configs=(config,))) == ErrorCode.INVALID_CONFIG


def test_configs_that_contradict_each_other_refuse_the_topic():
    lags = (("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4"))
    assert refused(Cluster(), NewTopic("t", 1, 1, configs=lags)) == ErrorCode.INVALID_CONFIG


def test_a_name_given_twice_is_answered_once_and_not_created():
    cluster = Cluster()
    answers = cluster.run(CreateTopics((NewTopic("t", 1, 1), NewTopic("u", 1, 1), NewTopic("t", 2, 1))))
    assert [(answer.name, answer.code) for answer in answers] == [
        ("u", ErrorCode.NONE),
        ("t", ErrorCode.INVALID_REQUEST),
    ]
    assert list(cluster.image.topics) == ["u"]


def test_the_metadata_log_cannot_be_created_by_a_client():
    assert refused(Cluster(), NewTopic("__cluster_metadata", 1, 1)) == ErrorCode.INVALID_REQUEST


def test_one_bad_topic_does_not_hinder_the_others():
    cluster = Cluster()
    answers = cluster.run(CreateTopics((NewTopic("bad name", 1, 1), NewTopic("good", 1, 1))))
    assert [answer.code for answer in answers] == [ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.NONE]
    assert list(cluster.image.topics) == ["good"]


def test_validate_only_says_what_would_happen_and_writes_nothing():
    cluster = Cluster()
    decision = cluster.decide(CreateTopics((NewTopic("good", 2, 1), NewTopic("x", 0, 1)), validate_only=True))
    assert decision.records == ()
    assert [answer.code for answer in decision.response] == [ErrorCode.NONE, ErrorCode.INVALID_PARTITIONS]
    assert decision.response[0].partition_count == 2


@pytest.mark.parametrize("topics", [(NewTopic("t", 10_001, 1),), (NewTopic("t", 9_000, 1), NewTopic("u", 2_000, 1))])
def test_too_many_partitions_at_once_are_refused_as_a_whole(topics):
    decision = Cluster().decide(CreateTopics(topics))
    assert [(answer.name, answer.code) for answer in decision.response] == [
        (topic.name, ErrorCode.POLICY_VIOLATION) for topic in topics
    ]
    assert decision.records == ()


def test_a_hostile_partition_count_costs_nothing():
    assert refused(Cluster(), NewTopic("t", 2**31 - 1, 1)) == ErrorCode.POLICY_VIOLATION
    cluster = Cluster()
    cluster.topic("t")
    ((_, outcome),) = cluster.run(CreatePartitions((NewPartitions("t", 2**31 - 1),)))
    assert outcome.code == ErrorCode.POLICY_VIOLATION


def grow(cluster, name="orders", count=5, assignments=None, *, validate_only=False):
    ((answered, outcome),) = cluster.run(CreatePartitions((NewPartitions(name, count, assignments),), validate_only))
    assert answered == name
    return outcome


def test_a_topic_grows_and_its_old_partitions_stay_as_they_are():
    cluster = Cluster()
    before = dict(cluster.topic().partitions)
    assert grow(cluster).code == ErrorCode.NONE
    after = cluster.image.topics["orders"].partitions
    assert sorted(after) == [0, 1, 2, 3, 4]
    assert {index: after[index] for index in before} == before


def test_validate_only_does_not_grow():
    cluster = Cluster()
    cluster.topic()
    assert grow(cluster, validate_only=True).code == ErrorCode.NONE
    assert len(cluster.image.topics["orders"].partitions) == 3


@pytest.mark.parametrize(
    ("name", "count", "assignments", "code"),
    [
        ("nope", 5, None, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        ("orders", 3, None, ErrorCode.INVALID_PARTITIONS),
        ("orders", 2, None, ErrorCode.INVALID_PARTITIONS),
        ("orders", 0, None, ErrorCode.INVALID_PARTITIONS),
        ("orders", -1, None, ErrorCode.INVALID_PARTITIONS),
        ("orders", 5, ((1,),), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("orders", 4, ((7,),), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("orders", 4, ((1, 1),), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_a_growth_that_is_not_possible_is_refused(name, count, assignments, code):
    cluster = Cluster()
    cluster.topic()
    outcome = grow(cluster, name, count, assignments)
    assert (outcome.code, bool(outcome.message)) == (code, True)
    assert len(cluster.image.topics["orders"].partitions) == 3


@pytest.mark.parametrize("name", ["__consumer_offsets", "__share_group_state", "__transaction_state"])
def test_a_topic_whose_partitions_say_who_keeps_what_does_not_grow(name):
    cluster = Cluster()
    cluster.topic(name)
    outcome = grow(cluster, name, 5)
    assert (outcome.code, name in outcome.message) == (ErrorCode.INVALID_TOPIC_EXCEPTION, True)
    assert len(cluster.image.topics[name].partitions) == 3


def test_a_topic_named_twice_does_not_grow():
    cluster = Cluster()
    cluster.topic()
    answers = cluster.run(CreatePartitions((NewPartitions("orders", 4), NewPartitions("orders", 5))))
    assert [(name, outcome.code) for name, outcome in answers] == [("orders", ErrorCode.INVALID_REQUEST)]
    assert len(cluster.image.topics["orders"].partitions) == 3


def test_a_topic_is_deleted_by_name_or_by_id_with_its_configs():
    cluster = Cluster()
    cluster.topic("by-name", retention_ms="1")
    by_id = cluster.topic("by-id")
    answers = cluster.run(DeleteTopics((TopicRef("by-name"), TopicRef(id=by_id.id))))
    assert [(answer.name, answer.code) for answer in answers] == [
        ("by-name", ErrorCode.NONE),
        ("by-id", ErrorCode.NONE),
    ]
    assert cluster.image.topics == {}
    assert cluster.image.topics_by_id == {}
    assert cluster.image.configs_of(2, "by-name") == {}


def test_a_topic_of_the_same_name_created_later_is_another_topic():
    cluster = Cluster()
    first = cluster.topic("t", retention_ms="1")
    cluster.run(DeleteTopics((TopicRef("t"),)))
    second = cluster.topic("t")
    assert first.id != second.id
    assert cluster.image.configs_of(2, "t") == {}


@pytest.mark.parametrize(
    ("ref", "code"),
    [
        (TopicRef("nope"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TopicRef(id=UUID(int=5)), ErrorCode.UNKNOWN_TOPIC_ID),
        (TopicRef(), ErrorCode.INVALID_REQUEST),
        (TopicRef("orders", UUID(int=5)), ErrorCode.INVALID_REQUEST),
    ],
)
def test_a_topic_that_cannot_be_found_is_not_deleted(ref, code):
    cluster = Cluster()
    cluster.topic()
    (answer,) = cluster.run(DeleteTopics((ref,)))
    assert (answer.code, bool(answer.message)) == (code, True)
    assert "orders" in cluster.image.topics


def test_a_topic_named_twice_stays():
    cluster = Cluster()
    topic = cluster.topic()
    for refs in [(TopicRef("orders"), TopicRef("orders")), (TopicRef("orders"), TopicRef(id=topic.id))]:
        answers = cluster.run(DeleteTopics(refs))
        assert {answer.code for answer in answers} == {ErrorCode.INVALID_REQUEST}
    assert "orders" in cluster.image.topics


def test_nothing_is_deleted_where_the_operator_has_switched_it_off():
    cluster = Cluster(delete_topic_enable="false")
    cluster.topic()
    with pytest.raises(ApiError) as refusal:
        cluster.decide(DeleteTopics((TopicRef("orders"),)))
    assert refusal.value.code == ErrorCode.TOPIC_DELETION_DISABLED


def test_defaults_follow_a_dynamic_broker_config():
    cluster = Cluster()
    change = (ConfigChange("log.retention.ms", 0, "1234"),)
    cluster.run(AlterConfigs(((ConfigResource(4, ""), change),)))
    cluster.topic()
    assert cluster.machine.configs.topic("orders", "retention.ms") == 1234
