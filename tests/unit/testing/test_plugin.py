"""The pytest plugin, used as somebody's test suite uses it: in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = "moldau.testing.plugin"
TIMEOUT_S = 100


@pytest.fixture
def suite(tmp_path: Path):
    """Writes a test module and runs it; returns what pytest said."""

    def run(source: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(source)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", PLUGIN, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MOLDAU_TEST_BOOTSTRAP": "", **environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run


def passed(outcome: subprocess.CompletedProcess[str]) -> bool:
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return True


def test_a_test_sends_and_reads_with_nothing_but_the_fixtures(suite):
    assert passed(
        suite("""
import pytest

def test_round_trip(kafka_client, kafka_topic):
    kafka_client.send(kafka_topic, "a", ("key", b"b"))
    assert [(m.key(), m.value()) for m in kafka_client.read(kafka_topic, 2)] == [(None, b"a"), (b"key", b"b")]

def test_the_topic_of_another_test_is_another(kafka_client, kafka_topic):
    with pytest.raises(TimeoutError, match="0 of 1 records"):
        kafka_client.read(kafka_topic, 1, timeout=0.3)

@pytest.mark.kafka_topic(partitions=3, config={"retention.ms": "1000"})
def test_a_marker_says_how_the_topic_is_made(kafka_client, kafka_topic):
    assert len(kafka_client.admin.list_topics(kafka_topic, timeout=5).topics[kafka_topic].partitions) == 3

def test_a_group_of_its_own(kafka_client, kafka_topic):
    kafka_client.send(kafka_topic, "a")
    assert kafka_client.consumer(kafka_topic).consume(1, timeout=15)[0].value() == b"a"

def test_one_broker_for_the_session(kafka_broker, bootstrap_servers):
    assert kafka_broker.get_bootstrap_server() == kafka_broker.bootstrap_servers == bootstrap_servers
""")
    )


def test_settings_of_the_broker_are_overridden_by_a_fixture(suite):
    assert passed(
        suite("""
import pytest
from confluent_kafka import KafkaException

@pytest.fixture(scope="session")
def kafka_broker_settings():
    return {"auto_create_topics_enable": False}

def test_a_topic_is_not_created_by_use(kafka_client):
    with pytest.raises(KafkaException):
        kafka_client.send("nobody-made-me", "a", message_timeout_ms=2000)
""")
    )


def test_workers_of_xdist_have_brokers_of_their_own(suite, tmp_path: Path):
    outcome = suite(
        """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(4))
def test_each(kafka_client, kafka_topic, bootstrap_servers, number):
    kafka_client.send(kafka_topic, "a")
    pathlib.Path(f"worker-{os.environ['PYTEST_XDIST_WORKER']}").write_text(bootstrap_servers)
""",
        "-n2",
        "--dist=each",
    )
    assert passed(outcome)
    addresses = [path.read_text() for path in tmp_path.glob("worker-*")]
    assert len(addresses) == 2
    assert len(set(addresses)) == 2


def test_the_tests_run_against_a_cluster_that_is_already_there(suite):
    import moldau

    with moldau.Broker() as broker:
        outcome = suite(
            """
def test_it_is_that_one(kafka_broker, kafka_topic, kafka_client):
    assert kafka_broker.get_bootstrap_server() == BOOTSTRAP
    kafka_client.send(kafka_topic, "a")
""".replace("BOOTSTRAP", repr(broker.bootstrap_servers)),
            MOLDAU_TEST_BOOTSTRAP=broker.bootstrap_servers,
        )
        assert passed(outcome)
        assert moldau.AdminClient(bootstrap_servers=broker.bootstrap_servers).list_topics(timeout=5).topics == {}


def test_faults_are_gone_with_their_test_however_it_ends(suite):
    outcome = suite("""
import pytest

def test_refuses_everything_and_fails(kafka_faults):
    kafka_faults.refuse("Produce", error="NOT_ENOUGH_REPLICAS")
    kafka_faults.delay("CreateTopics", ms=60_000)
    kafka_faults.pause()
    kafka_faults.kill()
    raise ZeroDivisionError

def test_the_next_one_sees_nothing_of_it(kafka_client, kafka_topic):
    kafka_client.send(kafka_topic, "a")
    assert len(kafka_client.read(kafka_topic, 1)) == 1

def test_one_that_met_three_requests_says_so(kafka_client, kafka_topic, kafka_faults):
    with kafka_faults.refuse("Produce", error="NOT_ENOUGH_REPLICAS") as fault:
        kafka_client.producer(linger_ms=0).produce(kafka_topic, b"a")
        while fault.met < 3:
            pass
    kafka_client.send(kafka_topic, "b")
""")
    assert "1 failed, 2 passed" in outcome.stdout, outcome.stdout + outcome.stderr
    assert "ZeroDivisionError" in outcome.stdout


def test_a_cluster_that_is_not_ours_is_not_made_to_fail(suite):
    import moldau

    with moldau.Broker() as broker:
        outcome = suite("def test_it(kafka_faults): pass\n", MOLDAU_TEST_BOOTSTRAP=broker.bootstrap_servers)
    assert "1 skipped" in outcome.stdout


def test_a_mark_that_says_nonsense_is_refused(suite):
    outcome = suite("""
import pytest

@pytest.mark.kafka_topic(partition=3)
def test_it(kafka_topic):
    pass
""")
    assert outcome.returncode != 0
    assert "takes partitions and config" in outcome.stdout


def test_a_run_that_needs_no_broker_imports_no_client(suite):
    assert passed(
        suite("""
import sys

def test_it():
    assert not {"confluent_kafka", "moldau.server", "kio"} & sys.modules.keys()
""")
    )


def test_the_container_stands_where_the_one_of_testcontainers_stood():
    from moldau.testing import KafkaContainer

    with (
        KafkaContainer("confluentinc/cp-kafka:7.6.0")
        .with_kraft()
        .with_env("KAFKA_NUM_PARTITIONS", "3")
        .with_env("PATH", "/bin") as kafka
    ):
        host, port = kafka.get_bootstrap_server().split(":")
        assert host == "127.0.0.1"
        import moldau

        producer = moldau.Producer(bootstrap_servers=f"{host}:{port}")
        producer.produce("made-by-use", b"value")
        assert producer.flush(timeout=10) == 0
        assert len(producer.list_topics("made-by-use", timeout=5).topics["made-by-use"].partitions) == 3
    kafka.stop()


def test_the_container_takes_what_testcontainers_lets_one_say(tmp_path):
    from moldau.testing import KafkaContainer

    file = tmp_path / "kafka.env"
    file.write_text("# of the team\nKAFKA_NUM_PARTITIONS='2'\n\n")
    container = (
        KafkaContainer("confluentinc/cp-kafka:7.6.0", 9093)
        .with_cluster_id("MkU3OEVBNTcwNTJENDM2Qk")
        .with_env("KAFKA_BROKER_ID", 1)
        .with_env("KAFKA_LISTENERS", "PLAINTEXT://0.0.0.0:9093")
        .with_envs(KAFKA_ZOOKEEPER_CONNECT="zookeeper:2181", KAFKA_AUTO_CREATE_TOPICS_ENABLE="false")
        .with_env_file(file)
        .with_exposed_ports(9093)
        .with_bind_ports(9093)
        .with_name("kafka")
        .with_kwargs(mem_limit="1g")
        .waiting_for(object())
        .maybe_emulate_amd64()
    )
    with pytest.raises(RuntimeError, match="call start"):
        container.get_bootstrap_server()
    container.start(timeout=30)
    try:
        where = f"{container.get_container_host_ip()}:{container.get_exposed_port(9093)}"
        assert where == container.get_bootstrap_server()
        import moldau

        admin = moldau.AdminClient(bootstrap_servers=where)
        assert admin.describe_cluster().result(10).cluster_id == "MkU3OEVBNTcwNTJENDM2Qk"
        admin.create_topics([moldau.client.NewTopic("orders")])["orders"].result(10)
        assert len(admin.list_topics("orders", timeout=5).topics["orders"].partitions) == 2
    finally:
        container.stop(force=True)


def test_what_only_docker_could_do_is_refused_at_once():
    from moldau.testing import KafkaContainer

    container = KafkaContainer()
    assert not hasattr(container, "with_network_aliases")
    with pytest.raises(AttributeError, match="no with_network: there is no container"):
        container.with_network("net")
    with pytest.raises(AttributeError, match="no attribute 'with_krafd'"):
        container.with_krafd()
    with pytest.raises(ValueError, match="only PLAINTEXT"):
        KafkaContainer(security_protocol="SASL_PLAINTEXT")
