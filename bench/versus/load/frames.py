"""Requests packed by hand, and many connections served by one thread: a load that costs less than what it measures.

Only what the workloads send is here: the old, not flexible versions where there are any, because they are the same
work for a broker and less for the one who packs them.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

CONNECT_TIMEOUT_S = 60
COORDINATOR_TIMEOUT_S = 60
FIND_COORDINATOR, FIND_COORDINATOR_VERSION = 10, 1


def text(value: str | None) -> bytes:
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value.encode())) + value.encode()


def blob(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value


def compact_text(value: str | None) -> bytes:
    """A compact nullable string of fewer than 127 bytes, which is what these loads send."""
    raw = b"" if value is None else value.encode()
    assert len(raw) < 127
    return bytes([0 if value is None else len(raw) + 1]) + raw


def frame(api_key: int, version: int, body: bytes, *, flexible: bool = False) -> bytes:
    """A request with its size in front; every one has correlation id 1, since answers come in order."""
    header = struct.pack(">hhi", api_key, version, 1) + text("bench-wire") + (b"\x00" if flexible else b"")
    return struct.pack(">i", len(header) + len(body)) + header + body


def connect(bootstrap_servers: str) -> socket.socket:
    host, port = bootstrap_servers.split(":")
    connection = socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Connections:
    """Sockets that wait for answers together. Frames are small, so sending never waits long."""

    def __init__(self, bootstrap_servers: str, count: int) -> None:
        self._sockets = [connect(bootstrap_servers) for _ in range(count)]
        self._waiting: list[deque[Any]] = [deque() for _ in range(count)]
        self._received = [bytearray() for _ in range(count)]
        self._selector = selectors.DefaultSelector()
        for number, connection in enumerate(self._sockets):
            self._selector.register(connection, selectors.EVENT_READ, number)

    def __len__(self) -> int:
        return len(self._sockets)

    def send(self, number: int, request: bytes, tag: object) -> None:
        """Send on one of the connections; `tag` comes back with the answer."""
        self._waiting[number].append(tag)
        self._sockets[number].sendall(request)

    def answers(self, timeout_s: float) -> Iterator[tuple[Any, bytes]]:
        """The tag and the bytes behind the correlation id of whatever is there within `timeout_s`."""
        for key, _events in self._selector.select(max(0.0, timeout_s)):
            buffer = self._received[key.data]
            more = self._sockets[key.data].recv(1 << 20)
            if not more:
                raise ConnectionError("the broker closed the connection")
            buffer += more
            while len(buffer) >= 4:
                end = 4 + int.from_bytes(buffer[:4])
                if len(buffer) < end:
                    break
                body = bytes(buffer[8:end])
                del buffer[:end]
                yield self._waiting[key.data].popleft(), body

    def close(self) -> None:
        self._selector.close()
        for connection in self._sockets:
            connection.close()


def ask(bootstrap_servers: str, request: bytes, timeout_s: float = CONNECT_TIMEOUT_S) -> bytes:
    """One request on a connection of its own; the bytes behind the correlation id."""
    with connect(bootstrap_servers) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(request)
        received = bytearray()
        while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4]):
            more = connection.recv(1 << 20)
            if not more:
                raise ConnectionError("the broker closed the connection")
            received += more
        return bytes(received[8:])


def wait_for_coordinator(bootstrap_servers: str, key: str, kind: int = 0) -> None:
    """Ask for the coordinator of a group (or transactional id, kind 1) until there is one.

    It is this question that makes a broker create the internal topic.
    """
    request = frame(FIND_COORDINATOR, FIND_COORDINATOR_VERSION, text(key) + struct.pack(">b", kind))
    deadline = time.monotonic() + COORDINATOR_TIMEOUT_S
    while True:
        (code,) = struct.unpack_from(">h", ask(bootstrap_servers, request), 4)
        if code == 0:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"no coordinator of {key!r}: error code {code}")
        time.sleep(0.05)
