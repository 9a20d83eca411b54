"""Settings of an application: names in two spellings, what goes to which client, every mistake at once."""

from __future__ import annotations

import pytest

from moldau.streams.runtime import StreamsConfig
from moldau.streams.runtime.settings import StreamsSettingsError, load

GIVEN = {"application.id": "app", "bootstrap.servers": "here:9092"}


def test_a_dict_and_keywords_say_the_same():
    dotted = load({**GIVEN, "num.stream.threads": "3", StreamsConfig.COMMIT_INTERVAL_MS_CONFIG: 500})
    keywords = load(
        None,
        {
            "application_id": "app",
            "bootstrap_servers": "here:9092",
            "num_stream_threads": 3,
            "commit_interval_ms": "500ms",
        },
    )
    assert dotted == keywords
    assert dotted.num_stream_threads == 3


def test_exactly_once_commits_more_often_unless_told_otherwise():
    assert load(GIVEN).commit_interval_ms == 30_000
    assert load({**GIVEN, "processing.guarantee": "exactly_once_v2"}).commit_interval_ms == 100
    assert load({**GIVEN, "processing.guarantee": "exactly_once_v2", "commit.interval.ms": 7}).commit_interval_ms == 7


def test_every_mistake_is_reported_at_once_with_the_nearest_name():
    with pytest.raises(StreamsSettingsError) as refused:
        load(
            {
                "bootstrap.servers": "here:9092",
                "num.stream.thread": 2,
                "processing.guarantee": "exactly_once",
                "enable.auto.commit": True,
                "consumer.group.id": "mine",
                "num.standby.replicas": -1,
                "processing.exception.handler": "LogAndGoOn",
            }
        )
    text = str(refused.value)
    assert len(refused.value.problems) == 7
    assert "num.stream.thread: there is no such setting; did you mean num.stream.threads?" in text
    assert "processing.guarantee: must be at_least_once or exactly_once_v2, not 'exactly_once'" in text
    assert "enable.auto.commit: is not for you to set: offsets are committed by the application" in text
    assert "consumer.group.id: is not for you to set: it is the application.id" in text
    assert "num.standby.replicas: must be" in text
    assert "application.id: must be given" in text
    assert "processing.exception.handler: there is no handler 'LogAndGoOn': give a function, or one of" in text


def test_what_is_for_clients_goes_to_those_who_read_it():
    settings = load(
        {
            **GIVEN,
            "auto.offset.reset": "latest",
            "linger.ms": 5,
            "security.protocol": "ssl",
            "consumer.fetch.min.bytes": 7,
            "main.consumer.fetch.min.bytes": 9,
            "producer.compression.type": "zstd",
            "topic.min.insync.replicas": 2,
        }
    )
    main, restore = settings.consumer("c"), settings.restore_consumer("r")
    producer, admin = settings.producer("p", "t"), settings.admin("a")
    assert (main["auto.offset.reset"], main["fetch.min.bytes"], restore["fetch.min.bytes"]) == ("latest", 9, 7)
    assert "linger.ms" not in main
    assert (producer["linger.ms"], producer["compression.type"]) == (5, "zstd")
    assert "auto.offset.reset" not in producer
    assert all(one["security.protocol"] == "ssl" for one in (main, restore, producer, admin))
    assert settings.topic_config == {"min.insync.replicas": "2"}


def test_exactly_once_is_transactions_on_one_side_and_committed_reads_on_the_other():
    settings = load({**GIVEN, "processing.guarantee": "exactly_once_v2"})
    assert settings.producer("p", "app-1")["transactional.id"] == "app-1"
    assert settings.producer("p", "app-1")["transaction.timeout.ms"] == 10_000
    assert settings.consumer("c")["isolation.level"] == "read_committed"
    assert settings.restore_consumer("r")["isolation.level"] == "read_committed"
    assert "transactional.id" not in load(GIVEN).producer("p", "app-1")
