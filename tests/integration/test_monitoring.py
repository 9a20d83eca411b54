"""What Prometheus and whoever restarts nodes read from a real one."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections import Counter

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client.parser import text_string_to_metric_families

import moldau
from moldau.observe.exposition import CONTENT_TYPE
from moldau.observe.families import ALL

ANYWHERE = "127.0.0.1:0"


@pytest.fixture(scope="module")
def broker():
    with moldau.Broker(moldau_http_listener=ANYWHERE) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic("orders", 3, 1)])["orders"].result(30)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for number in range(300):
            producer.produce("orders", value=b"x" * 100, partition=number % 3)
        assert producer.flush(30) == 0
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": 'bil"l\\ing'})
        consumer.subscribe(["orders"])
        yield broker, consumer
        consumer.close()


def scrape(broker):
    response = httpx.get(f"{broker.http_url}/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == CONTENT_TYPE
    return response.text


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_text_passes_the_rules_of_the_format(broker):
    text = scrape(broker[0])
    lines = text.splitlines()
    for word in ("HELP", "TYPE"):
        named = Counter(line.split()[2] for line in lines if line.startswith(f"# {word} "))
        assert named.keys() == {family.name for family in ALL}
        assert set(named.values()) == {1}
    series = Counter(line.rpartition(" ")[0] for line in lines if not line.startswith("#"))
    assert set(series.values()) == {1}
    # Samples of a family stand together, behind its TYPE.
    current = ""
    for line in lines:
        if line.startswith("# TYPE"):
            current = line.split()[2]
        elif not line.startswith("#"):
            assert line.startswith(current)


def test_offsets_lag_and_traffic_have_the_names_that_dashboards_know(broker):
    node, consumer = broker
    size = 0
    deadline = time.monotonic() + 30
    while not consumer.assignment():
        assert time.monotonic() < deadline, "the group did not form"
        consumer.poll(0.1)
    consumer.commit(offsets=[TopicPartition("orders", 0, 40), TopicPartition("orders", 1, 100)], asynchronous=False)
    found = samples(scrape(node))
    for partition in ("0", "1", "2"):
        place = (("partition", partition), ("topic", "orders"))
        assert found["kafka_topic_partition_current_offset", *place] == 100
        assert found["kafka_topic_partition_oldest_offset", *place] == 0
        assert found["kafka_topic_partition_in_sync_replica", *place] == 1
        assert found["kafka_topic_partition_under_replicated_partition", *place] == 0
        assert found["kafka_log_log_numlogsegments", *place] == 1
        size += found["kafka_log_log_size", *place]
    group = ("consumergroup", 'bil"l\\ing')
    topic = ("topic", "orders")
    assert found["kafka_consumergroup_lag", group, ("partition", "0"), topic] == 60
    assert found["kafka_consumergroup_lag", group, ("partition", "1"), topic] == 0
    assert found["kafka_consumergroup_lag_sum", group, topic] == 60
    assert found["kafka_consumergroup_current_offset_sum", group, topic] == 140
    assert found["kafka_consumergroup_members", group] == 1
    assert found["kafka_server_brokertopicmetrics_messagesin_total", topic] == 300
    assert found["kafka_server_brokertopicmetrics_messagesin_total",] == 300
    assert found["kafka_server_brokertopicmetrics_bytesin_total", topic] == size > 30_000
    assert found["kafka_topic_partitions", topic] == 3
    assert found["kafka_brokers",] == 1
    assert found["kafka_controller_kafkacontroller_activecontrollercount",] == 1


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_groups_of_both_protocols_are_shown(broker, protocol):
    node, _ = broker
    group = f"of-protocol-{protocol}"
    consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": group, "group.protocol": protocol})
    consumer.subscribe(["orders"])
    deadline = time.monotonic() + 30
    while not consumer.assignment():
        assert time.monotonic() < deadline, "the group did not form"
        consumer.poll(0.1)
    consumer.commit(offsets=[TopicPartition("orders", 2, 70)], asynchronous=False)
    found = samples(scrape(node))
    consumer.close()
    assert found["kafka_consumergroup_members", ("consumergroup", group)] == 1
    place = (("consumergroup", group), ("partition", "2"), ("topic", "orders"))
    assert found["kafka_consumergroup_lag", *place] == 30


def test_requests_are_counted_and_timed_by_the_name_of_their_api(broker):
    found = samples(scrape(broker[0]))
    produce = ("request", "Produce")
    assert found["kafka_network_requestmetrics_requests_total", produce] >= 1
    assert found["kafka_network_requestmetrics_totaltimems_count", produce] >= 1
    assert found["kafka_network_requestmetrics_totaltimems_sum", produce] > 0
    everything = found["kafka_network_requestmetrics_totaltimems_bucket", ("le", "+Inf"), produce]
    assert everything == found["kafka_network_requestmetrics_totaltimems_count", produce]


def test_health_is_told_with_its_reasons(broker):
    url = broker[0].http_url
    assert httpx.get(f"{url}/livez").status_code == 200
    ready = httpx.get(f"{url}/readyz")
    assert ready.status_code == 200
    assert ready.json()["ready"] is True
    assert [check["check"] for check in ready.json()["checks"]] == [
        "serving",
        "metadata",
        "directories",
        "groups",
        "transactions",
    ]


def test_samples_are_bounded_and_what_is_left_out_is_said_once(caplog):
    with moldau.Broker(moldau_http_listener=ANYWHERE, moldau_metrics_partitions_max=5) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        for future in admin.create_topics([NewTopic("few", 4, 1), NewTopic("many", 40, 1)]).values():
            future.result(30)
        with caplog.at_level(logging.WARNING, "moldau.server.monitoring"):
            found = samples(scrape(broker))
            scrape(broker)
    shown = {dict(key[1:])["topic"] for key in found if key[0] == "kafka_topic_partition_current_offset"}
    assert shown == {"few"}
    assert found["moldau_metrics_left_out",] == 40
    assert found["kafka_server_replicamanager_partitioncount",] == 44
    assert len([record for record in caplog.records if "moldau.metrics.partitions.max=5" in record.message]) == 1


def test_a_broker_that_was_not_asked_listens_for_no_http(tmp_path):
    with moldau.Broker() as broker:
        assert broker.http_url is None


def test_an_address_in_use_is_an_error_with_the_setting_in_it():
    with moldau.Broker(moldau_http_listener=ANYWHERE) as broker:
        taken = broker.http_url.removeprefix("http://")
        with pytest.raises(Exception, match="cannot listen on") as refused, moldau.Broker(moldau_http_listener=taken):
            pass
    assert "moldau.http.listener" in refused.value.hint


@pytest.mark.parametrize("text", ["9644", "127.0.0.1:99999", "127.0.0.1:port", "::1:9644"])
def test_what_is_no_address_is_refused_before_anything_starts(text):
    with pytest.raises(Exception, match=r"moldau\.http\.listener"):
        moldau.Broker(moldau_http_listener=text)


def test_up_says_where_metrics_are(tmp_path):
    command = [sys.executable, "-m", "moldau", "up", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout:
                if line.startswith("metrics"):
                    break
            url = line.split()[1]
            assert "kafka_brokers 1" in httpx.get(url).text
            ready = httpx.get(url.replace("/metrics", "/readyz"))
            assert json.loads(ready.text)["ready"] is True
        finally:
            process.terminate()
