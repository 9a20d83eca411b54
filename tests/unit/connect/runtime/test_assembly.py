"""Where a source connector keeps its offsets, and what its producer may hold."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from moldau.connect.connectors.http import HttpSinkTask
from moldau.connect.errors import ConnectError
from moldau.connect.plugins import Plugins
from moldau.connect.runtime import assembly as assembly_module
from moldau.connect.runtime import clusters as clusters_module
from moldau.connect.runtime.assembly import Assembly
from moldau.connect.runtime.config_provider import ConfigResolver
from moldau.connect.runtime.connector_offsets import ConnectorOffsets
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.offsets import TopicOffsetStore
from moldau.connect.runtime.settings import WorkerSettings

WAIT_S = 30.0
ELSEWHERE = {
    "producer.override.bootstrap.servers": "there:9092",
    "consumer.override.bootstrap.servers": "there:9092",
    "admin.override.bootstrap.servers": "there:9092",
}


def assembly_of(support: str, more: Mapping[str, str] = MappingProxyType({})) -> tuple[Assembly, TopicOffsetStore]:
    settings = WorkerSettings(
        {
            "bootstrap.servers": "here:9092",
            "offset.storage.topic": "workers",
            "exactly.once.source.support": support,
            **more,
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


class Brokers:
    """Clusters that are asked for their ids, by address; `asked` are the addresses that were."""

    def __init__(self, ids: dict[str, str | None]) -> None:
        self._ids = ids
        self.asked: list[str] = []

    def admin_client(self, settings):
        return SimpleNamespace(describe_cluster=lambda **_timeouts: self._describe(settings["bootstrap.servers"]))

    def _describe(self, servers: str) -> Future[Any]:
        self.asked.append(servers)
        answer: Future[Any] = Future()
        if servers in self._ids:
            answer.set_result(SimpleNamespace(cluster_id=self._ids[servers]))
        else:
            answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT, "nobody is there")))
        return answer


def started(monkeypatch, brokers: Brokers, offsets: ConnectorOffsets) -> ConnectorOffsets:
    monkeypatch.setattr(clusters_module, "AdminClient", brokers.admin_client)
    monkeypatch.setattr(TopicOffsetStore, "start", lambda _store: None)
    offsets.start()
    return offsets


def test_a_cluster_under_another_spelling_is_the_same_and_is_asked_once(monkeypatch):
    assembly, _ = assembly_of("enabled")
    brokers = Brokers({"here:9092": "c1", "127.0.0.1:9092, here:9093": "c1"})
    config = {"producer.override.bootstrap.servers": "127.0.0.1:9092, here:9093"}
    for _ in range(3):
        offsets = assembly.offsets_for(config)
        # The herder's thread waits for nobody.
        assert sorted(brokers.asked) in ([], sorted(brokers._ids))
        assert started(monkeypatch, brokers, offsets).own is None
        assert offsets.topic == "workers"
    assert sorted(brokers.asked) == sorted(brokers._ids)


def test_a_cluster_that_has_no_id_is_asked_again_for_it_may_have_been_upgraded(monkeypatch):
    assembly, _ = assembly_of("enabled")
    brokers = Brokers({"here:9092": "c1", "there:9092": None})
    assert started(monkeypatch, brokers, assembly.offsets_for(ELSEWHERE)).own is not None
    brokers._ids["there:9092"] = "c1"
    assert started(monkeypatch, brokers, assembly.offsets_for(ELSEWHERE)).own is None


class SilentBrokers(Brokers):
    """Do not answer; `heard` when they are asked."""

    def __init__(self) -> None:
        super().__init__({})
        self.heard = threading.Event()

    def _describe(self, servers: str) -> Future[Any]:
        self.heard.set()
        return Future()


def test_who_is_stopped_waits_for_no_cluster_and_nobody_waits_for_who_asks(monkeypatch):
    assembly, _ = assembly_of("enabled")
    silent, stopped = SilentBrokers(), threading.Event()
    monkeypatch.setattr(clusters_module, "AdminClient", silent.admin_client)
    outcomes = []
    waiting = threading.Thread(
        target=lambda: outcomes.append(assembly.offsets_for(ELSEWHERE).start(stopped.is_set)), daemon=True
    )
    waiting.start()
    assert silent.heard.wait(WAIT_S)
    # Somebody else asks the same meanwhile, and is answered.
    answering = Brokers({"here:9092": "c1", "there:9092": "c1"})
    assert started(monkeypatch, answering, assembly.offsets_for(ELSEWHERE)).own is None
    stopped.set()
    waiting.join(WAIT_S)
    assert outcomes == [False]


def test_a_cluster_that_says_nothing_is_waited_for_so_long_and_not_longer(monkeypatch):
    monkeypatch.setattr(clusters_module, "ASK_TIMEOUT_S", 0.0)
    monkeypatch.setattr(clusters_module, "LOOK_S", 0.0)
    offsets, _ = offsets_for("enabled", ELSEWHERE)
    with pytest.raises(ConnectError, match="does not say which one it is: no answer"):
        started(monkeypatch, SilentBrokers(), offsets)


@pytest.mark.parametrize("ids", [("c1", "c2"), (None, None)])
def test_clusters_with_other_ids_or_none_are_not_the_same(monkeypatch, ids):
    offsets, _ = offsets_for("enabled", ELSEWHERE)
    assert started(monkeypatch, Brokers(dict(zip(("here:9092", "there:9092"), ids, strict=True))), offsets).own


def test_a_cluster_that_does_not_answer_is_not_taken_for_another_one(monkeypatch):
    offsets, _ = offsets_for("enabled", ELSEWHERE)
    with pytest.raises(ConnectError, match="there:9092 does not say which one it is: nobody is there"):
        started(monkeypatch, Brokers({"here:9092": "c1"}), offsets)


def test_the_workers_producer_settings_are_for_connectors_and_not_for_its_own_topics(monkeypatch):
    assembly, workers = assembly_of(
        "enabled", {"producer.bootstrap.servers": "there:9092", "consumer.bootstrap.servers": "third:9092"}
    )
    assert workers.clients.producer["bootstrap.servers"] == "here:9092"
    assert workers.clients.consumer["bootstrap.servers"] == "here:9092"
    offsets = assembly.offsets_for({})
    own = offsets.own
    assert own is not None
    found = [each["bootstrap.servers"] for each in (own.clients.producer, own.clients.consumer, own.clients.admin)]
    assert found == ["there:9092"] * 3
    assert started(monkeypatch, Brokers({"here:9092": "c1", "there:9092": "c1"}), offsets).own is None


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


@pytest.mark.parametrize(
    ("worker", "connector", "expected"),
    [
        ({}, {}, 300_000),
        ({"consumer.max.poll.interval.ms": "7000"}, {}, 7000),
        ({"consumer.max.poll.interval.ms": "7000"}, {"consumer.override.max.poll.interval.ms": "9000"}, 9000),
    ],
)
def test_a_sink_knows_how_long_a_put_may_take_whoever_set_it(monkeypatch, worker, connector, expected):
    monkeypatch.setattr(assembly_module, "Consumer", lambda _settings: None)
    config = {"topics": "t", **connector}
    parts = assembly_of("disabled", worker)[0]._sink_parts(TaskId("c", 0), HttpSinkTask(), config, config)
    assert parts.context.max_poll_interval_ms() == expected
