"""Where a source connector keeps its offsets, and what its producer may hold."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from moldau.connect.plugins import Plugins
from moldau.connect.runtime import assembly as assembly_module
from moldau.connect.runtime.assembly import Assembly
from moldau.connect.runtime.config_provider import ConfigResolver
from moldau.connect.runtime.connector_offsets import ConnectorOffsets
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.offsets import TopicOffsetStore
from moldau.connect.runtime.settings import WorkerSettings

ELSEWHERE = {
    "producer.override.bootstrap.servers": "there:9092",
    "consumer.override.bootstrap.servers": "there:9092",
    "admin.override.bootstrap.servers": "there:9092",
}


def assembly_of(support: str) -> tuple[Assembly, TopicOffsetStore]:
    settings = WorkerSettings(
        {
            "bootstrap.servers": "here:9092",
            "offset.storage.topic": "workers",
            "exactly.once.source.support": support,
        }
    )
    workers = TopicOffsetStore(settings.topic("offset"), settings.own_clients())
    return Assembly(settings, Plugins(), ConfigResolver({}), workers, lambda _topic, _task: None), workers


def offsets_for(support: str, config: dict[str, str]) -> tuple[ConnectorOffsets, TopicOffsetStore]:
    assembly, workers = assembly_of(support)
    return assembly.offsets_for(config), workers


def test_with_records_to_another_cluster_offsets_in_their_transactions_go_there_too():
    offsets, workers = offsets_for("enabled", ELSEWHERE)
    own = offsets.own
    assert own is not None
    assert own.topic.name == workers.topic.name == offsets.topic
    assert own.clients.producer["bootstrap.servers"] == "there:9092"
    assert own.clients.consumer["bootstrap.servers"] == "there:9092"


def test_where_only_the_producer_writes_elsewhere_its_offsets_are_read_there_too():
    offsets, _ = offsets_for("enabled", {"producer.override.bootstrap.servers": "there:9092"})
    own = offsets.own
    assert own is not None
    found = [each["bootstrap.servers"] for each in (own.clients.producer, own.clients.consumer, own.clients.admin)]
    assert found == ["there:9092"] * 3


def test_older_producers_are_shut_out_where_they_write(monkeypatch):
    made: list[dict[str, str]] = []

    def producer(settings):
        made.append(settings)
        return SimpleNamespace(init_transactions=lambda _timeout_s: None)

    monkeypatch.setattr(assembly_module, "Producer", producer)
    config = {"producer.override.bootstrap.servers": "there:9092"}
    assembly_of("enabled")[0].fence_producers("c", config, 2)
    assert [each["bootstrap.servers"] for each in made] == ["there:9092"] * 2


@pytest.mark.parametrize(
    ("support", "config"),
    [
        ("enabled", {}),
        ("disabled", {}),
        # Without transactions offsets need not be where records are.
        ("disabled", ELSEWHERE),
        ("enabled", {"producer.override.bootstrap.servers": "here:9092"}),
        ("enabled", {"offsets.storage.topic": "workers"}),
    ],
)
def test_the_workers_own_topic_is_enough_where_it_is_the_same(support, config):
    assert offsets_for(support, config)[0].own is None


@pytest.mark.parametrize("support", ["enabled", "disabled"])
def test_a_topic_of_its_own_goes_before_the_workers(support):
    offsets, _ = offsets_for(support, {"offsets.storage.topic": "mine"})
    assert offsets.topic == "mine"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"queue.buffering.max.kbytes": 32 << 10}),
        ({"max.request.size": "1048576"}, {"queue.buffering.max.kbytes": 32 << 10}),
        ({"max.request.size": "67108865"}, {"queue.buffering.max.kbytes": 2 * ((64 << 10) + 1)}),
        ({"buffer.memory": "1048576"}, {"buffer.memory": "1048576"}),
        ({"queue.buffering.max.messages": "7"}, {"queue.buffering.max.messages": "7"}),
    ],
)
def test_a_producer_holds_no_more_than_javas_unless_somebody_says_otherwise(given, expected):
    overrides = {f"producer.override.{name}": value for name, value in given.items()}
    settings = assembly_of("disabled")[0]._producer_settings(TaskId("c", 0), overrides)
    assert {name: value for name, value in settings.items() if "buffer" in name} == expected
