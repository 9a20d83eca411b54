"""Brokers that are killed, run out of disk, or are given directories that are not theirs."""

import contextlib
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tests.integration.clients import admin, consume, consumer, produce, read_partition

import moldau
from moldau.server.boot import StartError

CHILD = """
import resource, sys, threading
limit = int(sys.argv[2])
if limit:
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
import moldau
with moldau.Broker(sys.argv[1]) as broker:
    print(broker.bootstrap_servers, flush=True)
    threading.Event().wait()
"""


@contextlib.contextmanager
def child_broker(path: Path, *, file_bytes_max: int = 0):
    """A broker in a process of its own; it is killed at the end."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(file_bytes_max)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = child.stdout.readline().strip()
        assert address, child.stderr.read()
        yield SimpleNamespace(bootstrap_servers=address, kill=lambda: child.send_signal(signal.SIGKILL))
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("turn", range(3))
def test_topics_that_were_acknowledged_survive_a_kill_with_all_their_partitions(tmp_path, turn):
    created = []
    with child_broker(tmp_path) as broker:
        client = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "socket.timeout.ms": 2000})
        with contextlib.suppress(KafkaException):
            for number in range(10_000):
                name = f"t{number}"
                creation = client.create_topics([NewTopic(name, 3)], request_timeout=2)[name]
                if number == 3 + 5 * turn:
                    # Somewhere between the request and its answer, a little later each time.
                    threading.Timer(turn * 0.002, broker.kill).start()
                creation.result(5)
                created.append(name)
    assert created
    with moldau.Broker(tmp_path) as broker:
        topics = admin(broker).list_topics(timeout=10).topics
        assert {name: len(topics[name].partitions) for name in created} == dict.fromkeys(created, 3)
        for name in (created[0], created[-1]):
            assert len(produce(broker, name, [b"x"] * 9)) == 9


@pytest.mark.parametrize("turn", range(3))
def test_offsets_whose_commit_was_acknowledged_survive_a_kill(tmp_path, turn):
    acknowledged = [0]
    with child_broker(tmp_path) as broker:
        produce(broker, "read", [b"%d" % number for number in range(2000)])
        reader = consumer(broker, "readers")
        reader.subscribe(["read"])
        consume(reader, 1)

        def commit_until_killed():
            # A commit that is waited for never returns once its broker is gone; the thread stays behind.
            with contextlib.suppress(KafkaException):
                for offset in range(1, 100_000):
                    (committed,) = reader.commit(offsets=[TopicPartition("read", 0, offset)], asynchronous=False)
                    if committed.error is not None:
                        return
                    acknowledged[0] = offset

        threading.Thread(target=commit_until_killed, daemon=True).start()
        deadline = time.monotonic() + 30
        while acknowledged[0] < 20 * (turn + 1):
            assert time.monotonic() < deadline
            time.sleep(0.001)
    with moldau.Broker(tmp_path) as broker:
        late = consumer(broker, "readers")
        (committed,) = late.committed([TopicPartition("read", 0)], timeout=20)
        late.close()
    # The commit that was on its way when the broker died may or may not have been written.
    assert committed.offset in (acknowledged[0], acknowledged[0] + 1)


def test_five_producers_lose_nothing_that_was_acknowledged_when_the_broker_is_killed(tmp_path):
    acknowledged: list[set[int]] = [set() for _ in range(5)]
    with child_broker(tmp_path) as broker:
        threads = [
            threading.Thread(target=produce_until_it_fails, args=(broker, f"load-{index}", acknowledged[index]))
            for index in range(5)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while min(len(each) for each in acknowledged) < 500:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        broker.kill()
        for thread in threads:
            thread.join()
    with moldau.Broker(tmp_path) as broker:
        for index, wanted in enumerate(acknowledged):
            stored = [int(message.value()) for message in read_partition(broker, f"load-{index}")]
            assert stored == sorted(set(stored))
            assert wanted <= set(stored)


def produce_until_it_fails(broker, topic, acknowledged):
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 1,
            "message.timeout.ms": 2000,
        }
    )
    failed = threading.Event()

    def delivered(error, message):
        if error is None:
            acknowledged.add(int(message.value()))
        else:
            failed.set()

    for number in range(10_000_000):
        if failed.is_set():
            break
        with contextlib.suppress(BufferError, KafkaException):
            producer.produce(topic, b"%d" % number, on_delivery=delivered)
        producer.poll(0 if number % 200 else 0.01)
    producer.purge()
    producer.flush(5)


def test_a_file_that_cannot_grow_stops_its_partition_and_nothing_else(tmp_path):
    limit = 2 * 1024 * 1024
    with child_broker(tmp_path, file_bytes_max=limit) as broker:
        refused, stored = [], []
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0, "message.timeout.ms": 3000})
        for number in range(60):
            value = b"%02d" % number + random.Random(number).randbytes(60_000)
            producer.produce("full", value, on_delivery=lambda error, m: (refused if error else stored).append(m))
            producer.flush(5)
            if refused:
                break
        assert refused
        assert len(stored) > 20
        assert len(produce(broker, "other", [b"x"] * 10)) == 10
        count = len(stored)
    with moldau.Broker(tmp_path) as broker:
        kept = read_partition(broker, "full")
        assert [message.value()[:2] for message in kept[:count]] == [b"%02d" % number for number in range(count)]
        assert len(produce(broker, "full", [b"x"])) == 1


def test_the_directory_of_another_node_is_refused_with_what_to_do(tmp_path):
    with moldau.Broker(tmp_path):
        pass
    with pytest.raises(StartError, match="belongs to node 1, not 2") as caught:
        moldau.Broker(tmp_path, node_id=2).start()
    assert "node.id=1" in caught.value.hint


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="file"):
        moldau.Broker(tmp_path / "file").start()


def test_thousands_of_idle_connections_are_carried(broker):
    import socket

    host, port = broker.bootstrap_servers.split(":")
    lowest, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(2000, (lowest - 500) // 2)
    with contextlib.ExitStack() as idle:
        for _ in range(count):
            idle.enter_context(socket.create_connection((host, int(port)), timeout=10))
        assert len(produce(broker, "still-served", [b"x"])) == 1
        assert broker.metrics()["connections_open"] >= count
