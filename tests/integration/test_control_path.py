"""Requests that Python answers, by many connections at once, without a client library in between."""

import socket
import struct
import threading
import time

HEARTBEAT = 12


def frame(api_key: int, version: int, correlation_id: int, body: bytes) -> bytes:
    """A request with a header of version 1 and no client id."""
    header = struct.pack(">hhih", api_key, version, correlation_id, -1)
    return struct.pack(">i", len(header) + len(body)) + header + body


def receive(connection: socket.socket) -> tuple[int, bytes]:
    def exactly(count: int) -> bytes:
        received = b""
        while len(received) < count:
            part = connection.recv(count - len(received))
            assert part, "the connection was closed"
            received += part
        return received

    (length,) = struct.unpack(">i", exactly(4))
    answer = exactly(length)
    return struct.unpack(">i", answer[:4])[0], answer[4:]


def connect(broker) -> socket.socket:
    host, port = broker.bootstrap_servers.split(":")
    return socket.create_connection((host, int(port)), timeout=60)


HEARTBEAT_OF_NOBODY = b"\x00\x05group" + struct.pack(">i", 1) + b"\x00\x06member"


def test_no_request_is_forgotten_when_many_connections_ask_at_once(broker):
    """A wake-up that gets lost between the threads of the server and the event loop hangs everybody for good."""
    connections, requests = 24, 300
    answered = [0] * connections

    def ask(index: int) -> None:
        with connect(broker) as connection:
            for number in range(requests):
                connection.sendall(frame(HEARTBEAT, 0, number, HEARTBEAT_OF_NOBODY))
                correlation_id, _ = receive(connection)
                assert correlation_id == number
                answered[index] += 1

    threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(connections)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert answered == [requests] * connections


def test_pipelined_requests_are_answered_in_their_order(broker):
    with connect(broker) as connection:
        connection.sendall(b"".join(frame(HEARTBEAT, 0, number, HEARTBEAT_OF_NOBODY) for number in range(200)))
        assert [receive(connection)[0] for _ in range(200)] == list(range(200))


def test_a_connection_that_goes_away_while_it_is_answered_harms_nobody(broker):
    for _ in range(50):
        with connect(broker) as connection:
            connection.sendall(frame(HEARTBEAT, 0, 1, HEARTBEAT_OF_NOBODY) * 10)
    with connect(broker) as connection:
        connection.sendall(frame(HEARTBEAT, 0, 7, HEARTBEAT_OF_NOBODY))
        assert receive(connection)[0] == 7
