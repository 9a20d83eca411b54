"""One connection to one broker: a question goes out as a frame, its answer comes back as kio's object.

Frames are `int32 size`, header, body. Nothing is allocated from a length before it was checked, and what the broker
says is read by `moldau.wire.codec`, which trusts no length either. A connection that failed once is closed: the answer
to an old question would otherwise be taken for the answer to a new one.

Source: the Kafka protocol guide (headers), KIP-482 (header versions), KIP-511 (ApiVersions), KIP-368 (login again).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from moldau.client.protocol.errors import ConnectionLostError, ForeignAnswerError, ProtocolError, UnservedError
from moldau.wire.codec import message_codec
from moldau.wire.layout import FLEXIBLE_SINCE

ANSWER_BYTES_MAX: Final = 100 << 20
"""What librdkafka takes at most (`receive.message.max.bytes`)."""
RECEIVE_BYTES: Final = 1 << 20

METADATA: Final = 3
OFFSET_COMMIT: Final = 8
FIND_COORDINATOR: Final = 10
JOIN_GROUP: Final = 11
HEARTBEAT: Final = 12
LEAVE_GROUP: Final = 13
SYNC_GROUP: Final = 14
SASL_HANDSHAKE: Final = 17
API_VERSIONS: Final = 18
SASL_AUTHENTICATE: Final = 36

SPOKEN: Final[Mapping[int, tuple[int, int]]] = {
    METADATA: (1, 13),
    # From version 10 on topics are named by their ids.
    OFFSET_COMMIT: (2, 9),
    FIND_COORDINATOR: (0, 6),
    JOIN_GROUP: (0, 9),
    HEARTBEAT: (0, 4),
    LEAVE_GROUP: (0, 5),
    SYNC_GROUP: (0, 5),
    SASL_HANDSHAKE: (1, 1),
    SASL_AUTHENTICATE: (0, 2),
}
"""By API key, the versions that the lines of this package were written for."""
_API_VERSIONS_SPOKEN: Final = 4
_UNSUPPORTED_VERSION: Final = 35

Values = Mapping[str, Any]
Build = Callable[[int], Values]
"""The fields of a request in a version, by kio's names; times in milliseconds."""


class BrokerConnection:
    """Asks one question at a time. Only `abort` may be called from another thread."""

    def __init__(self, connection: socket.socket, client_id: str) -> None:
        self._socket = connection
        self._client_id = client_id.encode()
        self._correlation_id = 0
        self._versions: dict[int, tuple[int, int]] = {}
        self._authenticate: Callable[[float], int] | None = None
        self._authenticate_again_at = float("inf")

    def greet(self, software: str, version: str, timeout_s: float) -> None:
        """Ask what the broker serves. One too old for the question says so in its first version, with what it has."""
        spoken = _API_VERSIONS_SPOKEN
        names = {"client_software_name": software, "client_software_version": version}
        body = self._exchange(API_VERSIONS, spoken, names, timeout_s)
        if len(body) < 2:
            raise self._foreign("it is too short")
        (error_code,) = struct.unpack_from(">h", body)
        answer = self._read(API_VERSIONS, 0 if error_code == _UNSUPPORTED_VERSION else spoken, body)
        if error_code not in {0, _UNSUPPORTED_VERSION}:
            raise self._foreign(f"it answers with the error {error_code} when it is asked what it serves")
        self._versions = {int(row.api_key): (int(row.min_version), int(row.max_version)) for row in answer.api_keys}

    def log_in(self, authenticate: Callable[[float], int], timeout_s: float) -> None:
        """Authenticate now, and again before the session that the broker grants is over.

        Args:
            authenticate: talks to the broker through this connection; returns how long it believes us, ms, 0 for ever.
            timeout_s: for each question.
        """
        self._authenticate = None
        lifetime_ms = authenticate(timeout_s)
        self._authenticate = authenticate
        self._authenticate_again_at = time.monotonic() + lifetime_ms * 0.85 / 1000 if lifetime_ms else float("inf")

    def version_of(self, api_key: int) -> int:
        """The newest version that both sides know.

        Raises:
            UnservedError: there is none.
        """
        lowest, highest = SPOKEN[api_key]
        served_from, served_to = self._versions.get(api_key, (0, -1))
        version = min(highest, served_to)
        if version < max(lowest, served_from):
            raise UnservedError(
                f"the broker serves API {api_key} in the versions {served_from} to {served_to}, "
                f"which are not those from {lowest} to {highest}"
            )
        return version

    def ask(self, api_key: int, build: Build, timeout_s: float) -> Any:
        """Ask one question and wait for its answer.

        Raises:
            ConnectionLostError: the connection ended, or no answer came in time.
            ForeignAnswerError: what came is no answer of a Kafka broker.
            UnservedError: the broker does not serve it; the connection is still good.
            AuthenticationError: the session was over and another login was refused.
        """
        if self._authenticate is not None and time.monotonic() > self._authenticate_again_at:
            self.log_in(self._authenticate, timeout_s)
        version = self.version_of(api_key)
        return self._read(api_key, version, self._exchange(api_key, version, build(version), timeout_s))

    def abort(self) -> None:
        """End the connection from another thread; whoever waits for an answer is told that it is lost."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It is closed already.
            return

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _exchange(self, api_key: int, version: int, values: Values, timeout_s: float) -> bytes:
        """The body of the answer."""
        deadline = time.monotonic() + timeout_s
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(self._frame(api_key, version, values))
            content = self._receive(deadline)
        except TimeoutError as error:
            self.close()
            raise ConnectionLostError(f"no answer within {timeout_s:g} s") from error
        except OSError as error:
            self.close()
            raise ConnectionLostError(f"the connection ended: {error.strerror or error}") from error
        except ProtocolError:
            self.close()
            raise
        flexible = version >= FLEXIBLE_SINCE[api_key] and api_key != API_VERSIONS
        return content[_tagged_fields(content) :] if flexible else content

    def _frame(self, api_key: int, version: int, values: Values) -> bytes:
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        header = struct.pack(">hhih", api_key, version, self._correlation_id, len(self._client_id)) + self._client_id
        if version >= FLEXIBLE_SINCE[api_key]:
            header += b"\0"
        content = header + message_codec(api_key, version, "request").encode(values)
        return struct.pack(">i", len(content)) + content

    def _receive(self, deadline: float) -> bytes:
        (size,) = struct.unpack(">i", self._exactly(4, deadline))
        if not 4 <= size <= ANSWER_BYTES_MAX:
            raise self._foreign(f"it announces an answer of {size} bytes")
        content = self._exactly(size, deadline)
        (correlation_id,) = struct.unpack_from(">i", content)
        if correlation_id != self._correlation_id:
            raise self._foreign("its answer belongs to no question of ours")
        return content[4:]

    def _exactly(self, size: int, deadline: float) -> bytes:
        content = bytearray()
        while len(content) < size:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._socket.settimeout(remaining)
            received = self._socket.recv(min(size - len(content), RECEIVE_BYTES))
            if not received:
                raise ConnectionLostError("the broker closed the connection")
            content += received
        return bytes(content)

    def _read(self, api_key: int, version: int, body: bytes) -> Any:
        try:
            return message_codec(api_key, version, "response").decode(body)
        except ValueError as error:
            raise self._foreign(str(error)) from error

    def _foreign(self, why: str) -> ForeignAnswerError:
        self.close()
        return ForeignAnswerError(f"this is no Kafka broker: {why}")


def _tagged_fields(content: bytes) -> int:
    """How many bytes the tagged fields of a header take; nobody uses any yet."""
    try:
        count, at = _varint(content, 0)
        for _ in range(count):
            _, at = _varint(content, at)
            size, at = _varint(content, at)
            at += size
            if at > len(content):
                raise IndexError
    except IndexError:
        raise ForeignAnswerError("this is no Kafka broker: the header of its answer ends too early") from None
    return at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 35:
            return value, at
