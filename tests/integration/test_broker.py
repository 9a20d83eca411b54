"""The embedded broker under a real client."""

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_INVALID, Producer, TopicPartition
from confluent_kafka.admin import NewPartitions, NewTopic
from tests.integration.clients import admin, consume, consumer, create_topic, produce, read_partition

import moldau
from moldau.config.settings import SettingsError
from moldau.observe import metrics
from moldau.server.boot import Node, StartError


def test_a_broker_is_ready_in_a_blink(tmp_path):
    with moldau.Broker():
        pass
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        with moldau.Broker():
            times.append(time.perf_counter() - begun)
    # The goal is 300 ms; a machine that builds and tests at once gets some air.
    assert sorted(times)[2] < 1.0


def test_what_is_produced_is_consumed_in_order(shared_broker):
    values = [b"%d" % number for number in range(1000)]
    acknowledged = produce(shared_broker, "in-order", values, key=b"k")
    assert acknowledged == [(0, offset) for offset in range(1000)]
    reader = consumer(shared_broker, "in-order")
    reader.subscribe(["in-order"])
    assert [message.value() for message in consume(reader, 1000)] == values
    reader.close()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_comes_back_as_it_was(shared_broker, codec):
    values = [b"value-%d" % number * 20 for number in range(100)]
    produce(shared_broker, f"compressed-{codec}", values, **{"compression.type": codec})
    assert [message.value() for message in read_partition(shared_broker, f"compressed-{codec}")] == values


def test_an_idempotent_producer_gets_its_ids_and_its_records_through(shared_broker):
    produce(shared_broker, "idempotent", [b"a", b"b"], **{"enable.idempotence": True})
    assert [message.value() for message in read_partition(shared_broker, "idempotent")] == [b"a", b"b"]


def test_two_members_share_the_partitions_of_a_topic(shared_broker):
    create_topic(shared_broker, "shared", 6)
    members = [consumer(shared_broker, "sharing") for _ in range(2)]
    for member in members:
        member.subscribe(["shared"])
    deadline = time.monotonic() + 20
    while sorted(len(member.assignment()) for member in members) != [3, 3]:
        assert time.monotonic() < deadline, [member.assignment() for member in members]
        for member in members:
            member.poll(0.1)
    owned = [partition.partition for member in members for partition in member.assignment()]
    assert sorted(owned) == list(range(6))
    for member in members:
        member.close()


def test_committed_offsets_are_where_the_next_member_goes_on(shared_broker):
    produce(shared_broker, "resumed", [b"%d" % number for number in range(10)])
    first = consumer(shared_broker, "resuming")
    first.subscribe(["resumed"])
    for message in consume(first, 4):
        last = message
    first.commit(message=last, asynchronous=False)
    first.close()
    second = consumer(shared_broker, "resuming")
    second.subscribe(["resumed"])
    assert consume(second, 1)[0].offset() == 4
    second.close()


def test_a_topic_can_be_created_grown_described_and_deleted(shared_broker, eventually):
    client = admin(shared_broker)
    client.create_topics([NewTopic("life", 2, config={"retention.ms": "60000"})])["life"].result(10)
    client.create_partitions([NewPartitions("life", 4)])["life"].result(10)
    assert len(client.list_topics("life", timeout=10).topics["life"].partitions) == 4
    produce(shared_broker, "life", [b"x"])
    client.delete_topics(["life"])["life"].result(10)
    eventually(lambda: "life" not in client.list_topics(timeout=10).topics)


def test_a_topic_with_the_name_of_a_deleted_one_is_empty(shared_broker, eventually):
    produce(shared_broker, "reborn", [b"old"])
    client = admin(shared_broker)
    client.delete_topics(["reborn"])["reborn"].result(10)
    client.create_topics([NewTopic("reborn", 1)])["reborn"].result(10)
    produce(shared_broker, "reborn", [b"new"])
    assert [message.value() for message in read_partition(shared_broker, "reborn")] == [b"new"]


def test_without_auto_creation_an_unknown_topic_stays_unknown():
    with moldau.Broker(auto_create_topics_enable=False) as broker:
        assert admin(broker).list_topics("nowhere", timeout=10).topics["nowhere"].error is not None
        assert admin(broker).list_topics(timeout=10).topics == {}


def test_settings_have_effect(shared_broker):
    with moldau.Broker(num_partitions=5) as broker:
        produce(broker, "wide", [b"x"])
        assert len(admin(broker).list_topics("wide", timeout=10).topics["wide"].partitions) == 5


def test_a_restart_keeps_topics_records_and_commits(tmp_path):
    with moldau.Broker(tmp_path) as broker:
        produce(broker, "kept", [b"%d" % number for number in range(50)])
        reader = consumer(broker, "keeping")
        reader.subscribe(["kept"])
        reader.commit(message=consume(reader, 20)[-1], asynchronous=False)
        reader.close()
        cluster = admin(broker).list_topics(timeout=10).cluster_id
    with moldau.Broker(tmp_path) as broker:
        assert admin(broker).list_topics(timeout=10).cluster_id == cluster
        assert [message.value() for message in read_partition(broker, "kept")] == [b"%d" % n for n in range(50)]
        reader = consumer(broker, "keeping")
        (committed,) = reader.committed([TopicPartition("kept", 0)], timeout=20)
        assert committed.offset == 20
        assert produce(broker, "kept", [b"50"]) == [(0, 50)]
        reader.close()


def test_what_groups_have_committed_goes_with_the_topic_that_keeps_it(broker, eventually):
    create_topic(broker, "orders")
    at = TopicPartition("orders", 0)

    def committed():
        client = consumer(broker, "billing")
        (found,) = client.committed([at], timeout=20)
        client.close()
        return found.offset

    def commit(offset):
        client = consumer(broker, "billing")
        client.commit(offsets=[TopicPartition("orders", 0, offset)], asynchronous=False)
        client.close()

    commit(3)
    assert committed() == 3
    administrator = admin(broker)
    administrator.delete_topics(["__consumer_offsets"])["__consumer_offsets"].result()
    eventually(lambda: committed() == OFFSET_INVALID)
    commit(5)
    assert committed() == 5


def test_several_directories_share_the_partitions_and_are_named_in_the_metadata(tmp_path, eventually):
    folders = [tmp_path / name for name in "abc"]
    settings = {"log.dirs": ",".join(map(str, folders))}
    for _ in range(2):
        with moldau.Broker(tmp_path / "a", **settings) as broker:
            if not (folders[0] / "meta.properties").exists() or not list(tmp_path.glob("*/spread-*")):
                create_topic(broker, "spread", 6)
                produce(broker, "spread", [b"x"] * 20)
            eventually(lambda: all(len(list(folder.glob("spread-*"))) == 2 for folder in folders))
            node = broker._node
            eventually(lambda reports=node._directory_reports: reports.assignments() == ())
            partitions = node.shell.metadata.machine.image.topics["spread"].partitions.values()
            assert {each.directories[0] for each in partitions} == set(node.shell.directory_ids.values())


def test_many_restarts_do_not_wear_a_directory_out(tmp_path):
    for turn in range(5):
        with moldau.Broker(tmp_path) as broker:
            assert produce(broker, "again", [b"x"]) == [(0, turn)]


def test_a_temporary_folder_goes_with_its_broker():
    broker = moldau.Broker().start()
    path = broker.path
    produce(broker, "short-lived", [b"x"])
    assert (path / "short-lived-0").is_dir()
    broker.close()
    assert not path.exists()


def test_a_broker_that_is_closed_can_be_started_again(tmp_path):
    broker = moldau.Broker(tmp_path)
    for offset in range(2):
        broker.start()
        assert produce(broker, "twice", [b"x"]) == [(0, offset)]
        broker.close()
    broker.close()


def test_two_brokers_live_in_one_process():
    with moldau.Broker() as one, moldau.Broker() as other:
        produce(one, "mine", [b"x"])
        assert "mine" not in admin(other).list_topics(timeout=10).topics


def test_a_directory_in_use_is_refused(tmp_path):
    with moldau.Broker(tmp_path), pytest.raises(StartError, match="in use"):
        moldau.Broker(tmp_path).start()


def test_a_port_in_use_is_refused_and_leaves_nothing_open(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=str(port)):
            moldau.Broker(tmp_path, port=port).start()
    with moldau.Broker(tmp_path, port=port) as broker:
        assert broker.bootstrap_servers == f"127.0.0.1:{port}"


def all_topics(port):
    """What a node answers to a request for the metadata of all topics."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(struct.pack(">ihhihi", 14, 3, 1, 7, -1, -1))
        answer = connection.makefile("rb")
        (length,) = struct.unpack(">i", answer.read(4))
        return answer.read(length)


def test_who_comes_by_a_fixed_port_finds_the_topics_before_another_port_is_known(tmp_path, monkeypatch):
    with moldau.Broker(tmp_path) as broker:
        create_topic(broker, "orders")
        port = int(broker.bootstrap_servers.rpartition(":")[2])
    early = []
    register = Node._register

    async def ask_before_it_registers(node, *arguments):
        early.append(await asyncio.to_thread(all_topics, port))
        await register(node, *arguments)

    monkeypatch.setattr(Node, "_register", ask_before_it_registers)
    listeners = {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},OTHER://127.0.0.1:0",
        "listener_security_protocol_map": "PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT",
    }
    with moldau.Broker(tmp_path, **listeners) as broker:
        assert [b"orders" in answer for answer in early] == [True]
        assert produce(broker, "orders", [b"x"]) == [(0, 0)]


def test_every_number_that_a_broker_reports_is_declared(broker):
    produce(broker, "counted", [b"x"] * 10)
    numbers = broker.metrics()
    assert {name for name in numbers if metrics.find(name) is None} == set()
    assert set(metrics.METRICS) <= set(numbers)
    assert numbers["produced_messages"] == 10
    assert numbers["partitions"] == 2
    assert numbers["requests_0"] >= 1


def test_a_misspelled_setting_is_refused_at_once():
    with pytest.raises(SettingsError, match=r"num\.partitions"):
        moldau.Broker(num_partition=3)


def test_a_client_that_sends_rubbish_only_loses_its_own_connection(shared_broker):
    host, port = shared_broker.bootstrap_servers.split(":")
    two_billion = b"\x7f\xff\xff\xff"
    # JoinGroup 5 up to its array of protocols, which claims two billion elements.
    join = struct.pack(">hhih", 11, 5, 1, -1) + b"\x00\x01g" + bytes(8) + b"\x00\x00\xff\xff\x00\x01c" + two_billion
    hostile = [
        two_billion * 4,
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">ihhih", 12, 11, 9, 1, -1),
        struct.pack(">i", len(join)) + join,
    ]
    for frame in hostile:
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(frame)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
    produce(shared_broker, "after-rubbish", [b"x"])


CHILD = """
import sys, threading
import moldau
with moldau.Broker(sys.argv[1]) as broker:
    print(broker.bootstrap_servers, flush=True)
    threading.Event().wait()
"""


def start_child(path: Path) -> tuple[subprocess.Popen, str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, child.stdout.readline().strip()


@pytest.mark.parametrize("turn", range(3))
def test_kill_dash_nine_keeps_every_acknowledged_record(tmp_path, turn):
    child, address = start_child(tmp_path)
    acknowledged = []
    producer = Producer(
        {"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 1, "message.timeout.ms": 3000}
    )
    deadline = time.monotonic() + 30
    number = 0
    while len(acknowledged) < 2000 * (turn + 1):
        assert time.monotonic() < deadline
        producer.produce(
            "survivors", b"%d" % number, on_delivery=lambda error, m: error or acknowledged.append(int(m.value()))
        )
        number += 1
        producer.poll(0)
        if number % 500 == 0:
            time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    producer.flush(5)
    with moldau.Broker(tmp_path) as broker:
        stored = [int(message.value()) for message in read_partition(broker, "survivors")]
    assert stored == sorted(set(stored))
    assert set(acknowledged) <= set(stored)


def test_a_broker_left_running_is_closed_when_the_process_ends(tmp_path):
    program = (
        "import moldau, json; b = moldau.Broker(); b.start(); print(json.dumps([str(b.path), b.bootstrap_servers]))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    path, _ = json.loads(ended.stdout)
    assert not Path(path).exists()


def test_a_forked_child_leaves_its_parents_broker_alone(broker):
    child = os.fork()
    if child == 0:
        broker.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert broker.path.exists()
    produce(broker, "still-here", [b"x"])
