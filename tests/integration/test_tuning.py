"""The settings of the guide's tuning chapter do what they say, or say what takes their place."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

import moldau
from moldau import config
from moldau.config import Scope, Support

LINUX_DOUBLES = 2
"""What is asked of SO_SNDBUF and SO_RCVBUF, the system doubles for its own book-keeping (socket(7))."""

GUIDE = {
    "num.network.threads": Support.NO_EFFECT,
    "num.io.threads": Support.NO_EFFECT,
    "num.replica.fetchers": Support.NO_EFFECT,
    "socket.send.buffer.bytes": Support.HONOURED,
    "socket.receive.buffer.bytes": Support.HONOURED,
    "socket.request.max.bytes": Support.HONOURED,
    "log.dirs": Support.HONOURED,
    "log.segment.bytes": Support.HONOURED,
    "log.retention.hours": Support.HONOURED,
    "log.flush.interval.messages": Support.HONOURED,
    "log.flush.interval.ms": Support.HONOURED,
    "default.replication.factor": Support.HONOURED,
    "min.insync.replicas": Support.HONOURED,
    "replica.lag.time.max.ms": Support.NO_EFFECT,
}


def until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def create(broker, topic, partitions=1, **settings):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])[topic].result(30)


def produce(broker, topic, count, size=10, partition=0, **settings):
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, **settings})
    failures = []
    for _ in range(count):
        producer.produce(
            topic,
            b"x" * size,
            partition=partition,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
    assert producer.flush(30) == 0
    return failures


def flushed(folder: Path, topic: str) -> int:
    """The recovery point of partition 0: everything before it is on the disk."""
    try:
        lines = (folder / "recovery-point-offset-checkpoint").read_text().splitlines()[2:]
    except FileNotFoundError:
        return 0
    points = {tuple(line.split()[:2]): int(line.split()[2]) for line in lines}
    return points.get((topic, "0"), 0)


def server_sockets(port, stack):
    """Copies of the sockets of the broker in this process: those that have its port at our end."""
    found = {}
    for name in Path("/proc/self/fd").iterdir():
        try:
            copy = stack.enter_context(socket.socket(fileno=os.dup(int(name.name))))
            local, inode = copy.getsockname(), os.fstat(copy.fileno()).st_ino
        except OSError:
            # No socket, or one of those that went away while we looked.
            continue
        if local[1:2] == (port,):
            found[inode] = copy
    return list(found.values())


@pytest.mark.parametrize(("name", "support"), GUIDE.items())
def test_a_setting_of_the_guide_counts_or_says_what_takes_its_place(name, support):
    key = config.find(Scope.BROKER, name)
    assert key.support is support
    assert bool(key.reason) == (support is not Support.HONOURED)
    assert name in (Path(__file__).parents[2] / "docs" / "guides" / "tuning.md").read_text()


def test_records_are_on_the_disk_after_flush_interval_ms(tmp_path):
    # Kafka would also need log.flush.scheduler.interval.ms; here the one setting is enough.
    settings = {"log_flush_interval_ms": 50, "log_flush_offset_checkpoint_interval_ms": 50}
    with moldau.Broker(tmp_path, **settings) as broker:
        create(broker, "aged")
        produce(broker, "aged", 7)
        until(lambda: flushed(tmp_path, "aged") == 7, "the records were not flushed")


def test_a_topic_that_asks_for_it_later_is_flushed_by_age_as_well(tmp_path):
    with moldau.Broker(tmp_path, log_flush_offset_checkpoint_interval_ms=50) as broker:
        create(broker, "careless")
        create(broker, "careful", **{"flush.ms": "50"})
        produce(broker, "careless", 3)
        produce(broker, "careful", 3)
        until(lambda: flushed(tmp_path, "careful") == 3, "the records were not flushed")
        assert flushed(tmp_path, "careless") == 0


def test_records_are_on_the_disk_after_flush_interval_messages(tmp_path):
    settings = {"log_flush_interval_messages": 5, "log_flush_offset_checkpoint_interval_ms": 50}
    with moldau.Broker(tmp_path, **settings) as broker:
        create(broker, "counted")
        for _ in range(5):
            produce(broker, "counted", 1)
        until(lambda: flushed(tmp_path, "counted") == 5, "the records were not flushed")
        produce(broker, "counted", 1)
        assert flushed(tmp_path, "counted") == 5


def test_connections_have_the_socket_buffers_that_were_asked_for():
    with moldau.Broker(socket_send_buffer_bytes=65_536, socket_receive_buffer_bytes=49_152) as broker:
        host, _, port = broker.bootstrap_servers.rpartition(":")
        with socket.create_connection((host, int(port))), ExitStack() as stack:
            until(lambda: len(server_sockets(int(port), stack)) == 2, "the listener, and the connection of the client")
            for each in server_sockets(int(port), stack)[-2:]:
                assert each.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 65_536 * LINUX_DOUBLES
                assert each.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 49_152 * LINUX_DOUBLES


def test_a_request_above_the_maximum_costs_its_sender_the_connection():
    with moldau.Broker(socket_request_max_bytes=2_000) as broker:
        host, _, port = broker.bootstrap_servers.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall((2_001).to_bytes(4, "big"))
            assert client.recv(1) == b""


def test_partitions_are_spread_over_the_directories(tmp_path):
    directories = [tmp_path / "one", tmp_path / "two"]
    with moldau.Broker(tmp_path / "one", log_dirs=list(map(str, directories))) as broker:
        create(broker, "spread", 6)
        held = [len(list(directory.glob("spread-*"))) for directory in directories]
    assert held == [3, 3]


def test_segments_are_closed_at_log_segment_bytes(tmp_path):
    with moldau.Broker(tmp_path, log_segment_bytes=1_048_576) as broker:
        create(broker, "rolled")
        produce(broker, "rolled", 30, size=100_000, **{"linger.ms": 0, "batch.size": 100_000})
        segments = sorted((tmp_path / "rolled-0").glob("*.log"))
        assert len(segments) >= 3
        assert all(segment.stat().st_size <= 1_048_576 for segment in segments)


def test_replicas_that_there_are_not_are_refused_or_lowered():
    with moldau.Broker(default_replication_factor=3, moldau_replication_factor_clamp=False) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        with pytest.raises(KafkaException, match=r"INVALID_REPLICATION_FACTOR|Replication-factor"):
            admin.create_topics([NewTopic("three", 1)])["three"].result(30)
    with moldau.Broker(default_replication_factor=3) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic("three", 1)])["three"].result(30)


def test_min_insync_replicas_above_the_number_of_replicas_means_all_of_them():
    with moldau.Broker(min_insync_replicas=2) as broker:
        create(broker, "single")
        assert produce(broker, "single", 1, acks="all") == []
