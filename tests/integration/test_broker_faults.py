"""Faults from the test, seen by an ordinary client."""

import socket
import threading
import time

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from tests.integration.clients import admin, consume, consumer, create_topic, produce, read_partition

import moldau
from moldau.server.boot import StartError
from moldau.testing import BrokerProcess


def send(broker, value, **settings):
    """Produce one record without asking twice; returns the error it ended with."""
    outcome = []
    settings = {"linger_ms": 0, "message_timeout_ms": 20_000, **settings}
    producer = moldau.Producer(bootstrap_servers=broker.bootstrap_servers, **settings)
    producer.produce("orders", value, on_delivery=lambda error, _: outcome.append(error))
    assert producer.flush(timeout=30) == 0
    return outcome[0]


def values(broker, topic="orders"):
    return [message.value() for message in read_partition(broker, topic)]


@pytest.fixture(scope="module")
def process():
    """One for the module: an interpreter that has imported a broker costs a second of CPU, most tests nothing."""
    with BrokerProcess() as running:
        yield running


@pytest.fixture(params=["in this process", "in its own"])
def broker(request):
    """A broker without topics."""
    if request.param == "in this process":
        with moldau.Broker() as running:
            yield running
        return
    running = request.getfixturevalue("process")
    yield running
    client = admin(running)
    topics = [name for name in client.list_topics(timeout=30).topics if not name.startswith("__")]
    for future in client.delete_topics(topics).values() if topics else ():
        future.result(30)


# Requests that Rust answers


def test_a_refused_produce_is_tried_again_and_written_once(broker):
    with broker.refuse("Produce", error="NOT_ENOUGH_REPLICAS", times=3) as fault:
        assert send(broker, b"order") is None
        assert fault.met == 3
    assert values(broker) == [b"order"]


def test_an_error_that_is_final_reaches_the_caller_and_nothing_is_written(broker):
    create_topic(broker, "orders")
    with broker.refuse("Produce", error="TOPIC_AUTHORIZATION_FAILED"):
        assert send(broker, b"order").code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert values(broker) == []
    assert send(broker, b"order") is None


def test_an_answer_lost_after_the_append_makes_a_duplicate_only_without_idempotence(broker):
    with broker.drop("Produce", after="append", times=1) as fault:
        assert send(broker, b"idempotent", enable_idempotence=True) is None
        assert fault.met == 1
    assert values(broker) == [b"idempotent"]
    with broker.drop("Produce", after="append", times=1):
        assert send(broker, b"plain", enable_idempotence=False) is None
    assert values(broker) == [b"idempotent", b"plain", b"plain"]


def test_a_connection_cut_before_the_append_leaves_nothing_behind(broker):
    create_topic(broker, "orders")
    with broker.drop("Produce", times=1) as fault:
        send(broker, b"order", retries=0, enable_idempotence=False)
        assert fault.met == 1
    assert values(broker) == []


def test_a_refused_fetch_is_told_of_each_partition(broker):
    produce(broker, "orders", [b"a", b"b"])
    # librdkafka asks a partition that was refused again after ten times this.
    reader = consumer(broker, "unused", **{"fetch.error.backoff.ms": 10})
    with broker.refuse("Fetch", error="TOPIC_AUTHORIZATION_FAILED", times=1):
        reader.assign([TopicPartition("orders", 0, 0)])
        refused = reader.poll(30)
        assert refused.error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert (refused.topic(), refused.partition()) == ("orders", 0)
    assert [message.value() for message in consume(reader, 2)] == [b"a", b"b"]
    reader.close()


def test_a_delayed_fetch_comes_late(broker):
    produce(broker, "orders", [b"a"])
    reader = consumer(broker, "unused")
    with broker.delay("Fetch", ms=700) as fault:
        reader.assign([TopicPartition("orders", 0, 0)])
        begin = time.monotonic()
        consume(reader, 1)
        assert time.monotonic() - begin >= 0.7
        assert fault.met >= 1
    reader.close()


def test_unacknowledged_produce_that_is_refused_loses_its_connection_as_in_kafka(broker):
    create_topic(broker, "orders")
    with broker.refuse("Produce", error="NOT_ENOUGH_REPLICAS", times=1) as fault:
        send(broker, b"lost", acks="0")
        deadline = time.monotonic() + 30
        while not fault.met:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert send(broker, b"kept") is None
    assert values(broker) == [b"kept"]


# Requests that Python answers


def test_any_api_can_be_refused_by_its_name(broker):
    with broker.refuse("CreateTopics", error="POLICY_VIOLATION") as fault:
        with pytest.raises(KafkaException) as caught:
            create_topic(broker, "orders")
        assert caught.value.args[0].code() == KafkaError.POLICY_VIOLATION
        assert fault.met == 1
    create_topic(broker, "orders")


def test_a_delayed_heartbeat_loses_nothing(broker):
    produce(broker, "orders", [b"a"])
    with broker.delay("JoinGroup", ms=300, times=2):
        member = consumer(broker, "readers")
        member.subscribe(["orders"])
        assert consume(member, 1)[0].value() == b"a"
        member.close()


def test_faults_take_themselves_back_also_when_the_test_fails(broker):
    with pytest.raises(ZeroDivisionError), broker.refuse("CreateTopics", error="POLICY_VIOLATION"):
        _ = 1 / 0
    create_topic(broker, "orders")


def test_names_that_do_not_exist_are_refused_with_those_that_do(broker):
    with pytest.raises(ValueError, match="did you mean Produce"):
        broker.refuse("Produze", error="NOT_ENOUGH_REPLICAS")
    with pytest.raises(ValueError, match="did you mean NOT_ENOUGH_REPLICAS"):
        broker.refuse("Produce", error="NOT_ENOUGH_REPLICA")
    with pytest.raises(ValueError, match="say 'request'"):
        broker.drop("Produce", after="lunch")
    with pytest.raises(ValueError, match="meets no request"):
        broker.delay("Produce", ms=1, times=0)
    assert broker.delay("create_topics", ms=0).met == broker.delay(19, ms=0).met == 0


# The whole broker


def test_a_paused_broker_accepts_and_says_nothing_and_then_answers_everything(broker):
    create_topic(broker, "orders")
    host, port = broker.bootstrap_servers.split(":")
    with broker.pause():
        socket.create_connection((host, int(port)), timeout=10).close()
        with pytest.raises(KafkaException):
            admin(broker).list_topics(timeout=0.5)
        late = []
        producer = moldau.Producer(bootstrap_servers=broker.bootstrap_servers)
        producer.produce("orders", b"order", on_delivery=lambda error, _: late.append(error))
        assert producer.flush(timeout=0.5) == 1
    assert producer.flush(timeout=30) == 0
    assert late == [None]


def test_a_fetch_that_waits_is_not_answered_while_the_broker_is_paused(broker):
    produce(broker, "orders", [b"a"])
    reader = consumer(broker, "unused", **{"fetch.wait.max.ms": 100})
    reader.assign([TopicPartition("orders", 0, 0)])
    consume(reader, 1)
    broker.pause()
    assert reader.poll(0.5) is None
    broker.resume()
    produce(broker, "orders", [b"b"])
    assert consume(reader, 1)[0].value() == b"b"
    reader.close()


def test_a_killed_broker_comes_back_at_its_address_with_what_it_had_acknowledged(broker):
    address = broker.bootstrap_servers
    produce(broker, "orders", [b"%d" % number for number in range(100)])
    broker.kill()
    host, port = address.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=10)
    assert broker.bootstrap_servers == address
    broker.restart()
    assert broker.bootstrap_servers == address
    assert values(broker) == [b"%d" % number for number in range(100)]


def test_a_kill_leaves_no_mark_of_a_clean_shutdown_and_a_restart_does(tmp_path):
    mark = tmp_path / ".kafka_cleanshutdown"
    with moldau.Broker(tmp_path) as broker:
        produce(broker, "orders", [b"a"])
        broker.kill()
        assert not mark.exists()
        broker.restart()
        assert values(broker) == [b"a"]
    assert mark.exists()


def test_a_client_survives_a_kill_and_a_restart_under_load():
    with moldau.Broker() as broker:
        kill_three_times_under_load(broker)


def kill_three_times_under_load(broker):
    create_topic(broker, "orders")
    done = threading.Event()
    errors = []
    producer = moldau.Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True, "reconnect.backoff.max.ms": 100}
    )

    def load():
        for number in range(2000):
            producer.produce("orders", b"%d" % number, on_delivery=lambda error, _: errors.append(error))
            producer.poll(0.0005)
        producer.flush(timeout=60)
        done.set()

    thread = threading.Thread(target=load)
    thread.start()
    for _ in range(3):
        count = len(errors)
        while len(errors) < min(count + 100, 2000):
            time.sleep(0.001)
        broker.kill()
        broker.restart()
    thread.join()
    assert errors == [None] * 2000
    assert values(broker) == [b"%d" % number for number in range(2000)]


def test_a_broker_that_is_closed_or_was_never_started_cannot_be_restarted():
    broker = moldau.Broker()
    with pytest.raises(RuntimeError, match="call start"):
        broker.restart()
    with broker:
        pass
    broker.kill()
    with pytest.raises(RuntimeError, match="call start"):
        broker.restart()
    with pytest.raises(RuntimeError, match="does not run"):
        broker.pause()


@pytest.mark.parametrize("kind", [moldau.Broker, BrokerProcess])
def test_a_broker_that_was_not_started_says_so_whatever_it_is_asked(kind):
    broker = kind()
    for use in (lambda: broker.bootstrap_servers, lambda: broker.refuse("Produce", error="UNKNOWN_SERVER_ERROR")):
        with pytest.raises(RuntimeError, match="call start"):
            use()


def test_a_fault_of_a_broker_that_is_gone_is_taken_back_without_a_word(broker):
    fault = broker.refuse("Produce", error="NOT_ENOUGH_REPLICAS")
    broker.restart()
    fault.undo()
    assert fault.met == 0
    assert send(broker, b"order") is None


def test_a_killed_broker_can_be_closed_and_its_folder_goes():
    broker = moldau.Broker().start()
    path = broker.path
    broker.kill()
    broker.kill()
    broker.close()
    assert not path.exists()


def test_a_port_that_was_taken_meanwhile_is_named():
    with moldau.Broker() as broker:
        host, port = broker.bootstrap_servers.split(":")
    with socket.create_server((host, int(port))), pytest.raises(StartError, match=port):
        moldau.Broker(port=int(port)).start()
