"""Clients that idle, send rubbish, announce more than they send, or do not read: bounded memory, others are served."""

from __future__ import annotations

import contextlib
import random
import resource
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bench.versus.broker_process import BrokerProcess, answers_metadata
from tests.fault.conftest import NodeFactory
from tests.fault.records import create_topic, numbered, produce, read

MIB = 1 << 20
API_VERSIONS_FRAME = struct.pack(">ihhih", 10, 18, 0, 1, -1)


@pytest.fixture
def node(new_node: NodeFactory) -> BrokerProcess:
    node = new_node()
    node.start()
    return node


def connect(node: BrokerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.port), 10)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)


def open_files(node: BrokerProcess) -> int:
    return sum(1 for _ in Path(f"/proc/{node.pid}/fd").iterdir())


def is_closed(connection: socket.socket) -> bool:
    # Not select(): in a long session of tests a descriptor may be above 1023.
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        return connection.recv(4096) == b""
    except ConnectionError:
        return True


def test_thousands_of_idle_connections_cost_little_and_hinder_nobody(node: BrokerProcess):
    count = 3000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip(f"this user may open {hard} files, the test needs {count + 200}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    before = node.usage().resident_bytes
    crowd = [connect(node) for _ in range(count)]
    try:
        for connection in crowd:
            connection.sendall(API_VERSIONS_FRAME)
        for connection in crowd:
            assert connection.recv(4)
        grown = node.usage().resident_bytes - before
        assert grown < count * 64 * 1024, f"{grown / count / 1024:.0f} KiB for each connection"
        create_topic(node.bootstrap_servers, "beside", 1)
        values = numbered(100)
        assert produce(node.bootstrap_servers, "beside", values) == (values, [])
        used = node.usage().cpu_s
        time.sleep(1)
        assert node.usage().cpu_s - used < 0.3, "idle connections cost no CPU"
    finally:
        for connection in crowd:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_that_idle_too_long_are_closed(new_node: NodeFactory):
    node = new_node(connections_max_idle_ms="1500")
    node.start()
    crowd = [connect(node) for _ in range(50)]
    wait_until(lambda: all(is_closed(connection) for connection in crowd), "all idle connections are closed")
    assert answers_metadata(node.port)


def test_random_bytes_from_many_connections_are_survived(node: BrokerProcess):
    chance = random.Random(7)
    before = node.usage().resident_bytes
    for _ in range(400):
        with connect(node) as connection:
            try:
                if chance.random() < 0.5:
                    connection.sendall(chance.randbytes(chance.randrange(1, 5000)))
                else:
                    # A plausible length, so that the rubbish reaches the decoders.
                    rubbish = struct.pack(">hh", chance.randrange(0, 93), chance.randrange(0, 14))
                    rubbish += chance.randbytes(chance.randrange(0, 600))
                    connection.sendall(struct.pack(">i", len(rubbish)) + rubbish)
            except ConnectionError:
                pass
    assert answers_metadata(node.port)
    assert node.usage().peak_resident_bytes - before < 64 * MIB


@pytest.mark.parametrize("size", [2**31 - 1, -1, -(2**31), 104857601], ids=["2-GB", "minus-one", "lowest", "one-over"])
def test_a_length_over_the_limit_closes_the_connection_before_memory_is_taken(node: BrokerProcess, size: int):
    before = node.usage().peak_resident_bytes
    for _ in range(50):
        with connect(node) as connection:
            connection.sendall(struct.pack(">i", size))
            connection.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    assert node.usage().peak_resident_bytes - before < 16 * MIB
    assert answers_metadata(node.port)


def test_announced_bytes_that_never_come_take_no_memory(node: BrokerProcess):
    before = node.usage().peak_resident_bytes
    crowd = [connect(node) for _ in range(100)]
    for connection in crowd:
        connection.sendall(struct.pack(">i", 100 * MIB) + struct.pack(">hhih", 0, 9, 1, -1) + bytes(1000))
    assert answers_metadata(node.port)
    time.sleep(0.3)
    assert node.usage().peak_resident_bytes - before < 64 * MIB, "100 connections have announced 10 GB"
    for connection in crowd:
        connection.close()
    assert answers_metadata(node.port)


def test_a_frame_cut_off_in_the_middle_leaves_nothing_behind(node: BrokerProcess):
    descriptors = open_files(node)
    for _ in range(300):
        with connect(node) as connection:
            connection.sendall(API_VERSIONS_FRAME[: random.Random(3).randrange(1, len(API_VERSIONS_FRAME))])
    wait_until(lambda: open_files(node) <= descriptors + 5, "the connections are let go of")


def fetch_frame(topic: str, correlation_id: int) -> bytes:
    name = topic.encode()
    body = struct.pack(">iiiibih", -1, 100, 1, 50 * MIB, 0, 1, len(name)) + name
    body += struct.pack(">iiqi", 1, 0, 0, 10 * MIB)
    payload = struct.pack(">hhih", 1, 4, correlation_id, -1) + body
    return struct.pack(">i", len(payload)) + payload


def test_a_reader_that_does_not_read_takes_bounded_memory_and_gets_all_in_the_end(node: BrokerProcess):
    create_topic(node.bootstrap_servers, "much", 1)
    values = [value + "z" * 20_000 for value in numbered(500)]
    assert produce(node.bootstrap_servers, "much", values) == (values, [])
    before = node.usage().peak_resident_bytes
    crowd = [connect(node) for _ in range(10)]
    asked = 40
    for connection in crowd:
        for number in range(asked):
            connection.sendall(fetch_frame("much", number))
    time.sleep(1.5)
    grown = node.usage().peak_resident_bytes - before
    assert grown < 128 * MIB, f"{grown / MIB:.0f} MiB for 4 GB that nobody reads"
    more = numbered(50, first=9000)
    assert produce(node.bootstrap_servers, "much", more) == (more, []), "others are served meanwhile"

    reader = crowd[0].makefile("rb")
    for number in range(asked):
        (size,) = struct.unpack(">i", reader.read(4))
        (correlation_id,) = struct.unpack(">i", reader.read(4))
        assert correlation_id == number
        left = size - 4
        assert left > 9 * MIB
        while left:
            left -= len(reader.read(min(left, MIB)))
    for connection in crowd:
        connection.close()
    assert read(node.bootstrap_servers, "much")[0] == values + more


def test_requests_without_a_pause_and_nobody_reading_the_answers_are_held_back(node: BrokerProcess):
    before = node.usage().peak_resident_bytes
    sent = 0
    with connect(node) as connection:
        connection.settimeout(1)
        lot = API_VERSIONS_FRAME * 1000
        try:
            while sent < 200 * MIB:
                sent += connection.send(lot)
        except TimeoutError:
            # The node has stopped reading: that is the back pressure.
            pass
        assert answers_metadata(node.port)
        assert node.usage().peak_resident_bytes - before < 64 * MIB
    assert sent < 200 * MIB
