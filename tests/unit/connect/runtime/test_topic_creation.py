"""Which group creates a topic, with how many partitions and which settings (KIP-158)."""

import pytest
from confluent_kafka import KafkaError

from moldau.connect.errors import ConfigError
from moldau.connect.runtime.topic_creation import groups_of, why_not_sent

DEFAULT = {"topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "3"}


def group_for(config, topic):
    return next(each for each in groups_of(config) if each.takes(topic))


def test_without_a_default_group_the_cluster_creates_topics():
    assert groups_of({"topic": "a"}) == []


def test_the_default_group_takes_every_topic():
    new = group_for({**DEFAULT, "topic.creation.default.retention.ms": "10"}, "any").new("any")

    assert (new.num_partitions, new.replication_factor, new.config) == (3, 1, {"retention.ms": "10"})


def test_the_first_group_that_includes_and_does_not_exclude_a_topic_takes_it():
    config = {
        **DEFAULT,
        "topic.creation.groups": "compacted, wide",
        "topic.creation.compacted.include": "users.*,customers",
        "topic.creation.compacted.exclude": ".*tmp",
        "topic.creation.compacted.cleanup.policy": "compact",
        "topic.creation.wide.include": ".*",
        "topic.creation.wide.partitions": "24",
    }

    assert group_for(config, "users-eu").config == {"cleanup.policy": "compact"}
    assert group_for(config, "users-eu").partitions == 3
    assert group_for(config, "users-tmp").partitions == 24
    assert group_for(config, "orders").partitions == 24


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"topic.creation.default.partitions": None}, "topic.creation.default.partitions"),
        ({"topic.creation.default.partitions": "many"}, "Not a number"),
        ({"topic.creation.default.partitions": "0"}, "at least 1"),
        ({"topic.creation.groups": "a"}, "topic.creation.a.include"),
        ({"topic.creation.groups": "a", "topic.creation.a.include": "("}, "Invalid regex"),
    ],
)
def test_a_group_that_cannot_be_used_is_named(change, told):
    with pytest.raises(ConfigError, match=told):
        groups_of({**DEFAULT, **change})


@pytest.mark.parametrize("code", [KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_a_topic_that_is_not_there_names_the_settings_that_create_it(code):
    said = why_not_sent(KafkaError(code))

    assert "topic.creation.default.partitions" in said
    assert "topic.creation.default.replication.factor" in said


def test_another_refusal_is_said_as_it_is():
    assert why_not_sent(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")) == "not allowed"


def test_a_record_that_is_too_large_names_the_settings():
    said = why_not_sent(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large"))
    assert said.startswith("too large: raise producer.override.max.request.size on the connector")
    assert "max.message.bytes" in said
