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
from collections.abc import Callable
from typing import Any, Final

from moldau.client.protocol.errors import (
    AnswerTooLargeError,
    ConnectionLostError,
    ForeignAnswerError,
    ProtocolError,
    UnansweredError,
    UnservedError,
)
from moldau.client.protocol.questions import API_VERSIONS, SPOKEN, Build, Values
from moldau.wire.codec import message_codec
from moldau.wire.layout import FLEXIBLE_SINCE

ANSWER_BYTES_MAX: Final = 100 << 20
"""What is taken at most, if nobody says otherwise; librdkafka's `receive.message.max.bytes`."""
RECEIVE_BYTES: Final = 1 << 20
GREETING_BYTES_MAX: Final = 1 << 20
"""The first answer has a few kilobytes: more means that something else than a Kafka broker is speaking."""
_FEATURES_SINCE: Final = 3
_UNSUPPORTED_VERSION: Final = 35
_NO_GREETING: Final = "\nhint: is this the port of a Kafka listener, and is security.protocol that of the listener?"
_OTHERS: Final = {b"\x15\x03": "TLS\nhint: security.protocol=ssl, or sasl_ssl", b"HT": "HTTP"}
"""Who else may be speaking, by how each begins: an alert of TLS, `HTTP/1.1 400`."""


class BrokerConnection:
    """Asks one question at a time. Only `abort` may be called from another thread."""

    def __init__(self, connection: socket.socket, client_id: str) -> None:
        self._socket = connection
        self._client_id = client_id.encode()
        self._correlation_id = 0
        self._versions: dict[int, tuple[int, int]] = {}
        self.served: Any = None
        """What the broker has said that it serves, its answer to ApiVersions; `None` before it was greeted."""
        self._authenticate: Callable[[float], int] | None = None
        self._authenticate_again_at = float("inf")

    def greet(self, software: str, version: str, timeout_s: float) -> None:
        """Ask what the broker serves: its answer becomes `served`.

        One too old for the question answers in its first version, which names no features; those are asked for again.
        """
        spoken = SPOKEN[API_VERSIONS][1]
        names = {"client_software_name": software, "client_software_version": version}
        body = self._exchange(API_VERSIONS, spoken, names, timeout_s)
        if len(body) < 2:
            raise self._foreign("it is too short")
        (error_code,) = struct.unpack_from(">h", body)
        if error_code not in {0, _UNSUPPORTED_VERSION}:
            raise self._foreign(f"it answers with the error {error_code} when it is asked what it serves")
        answer = self._read(API_VERSIONS, spoken if error_code == 0 else 0, body)
        if error_code:
            newest = next((row.max_version for row in answer.api_keys if row.api_key == API_VERSIONS), 0)
            if newest >= _FEATURES_SINCE:
                version_spoken = min(int(newest), spoken)
                again = self._exchange(API_VERSIONS, version_spoken, names, timeout_s)
                answer = self._read(API_VERSIONS, version_spoken, again)
        self.served = answer
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

    def version_of(self, api_key: int, among: tuple[int, int] | None = None) -> int:
        """The newest version that both sides know, `among` those from one to another.

        Raises:
            UnservedError: there is none.
        """
        lowest, highest = SPOKEN[api_key]
        if among is not None:
            lowest, highest = max(lowest, among[0]), min(highest, among[1])
        served_from, served_to = self._versions.get(api_key, (0, -1))
        version = min(highest, served_to)
        if version < max(lowest, served_from):
            name = _name(api_key)
            raise UnservedError(
                f"this broker does not serve {name}"
                if served_to < 0
                else f"this broker serves {name} in the versions {served_from} to {served_to}, "
                f"not in those from {lowest} to {highest}"
            )
        return version

    def feature_level(self, name: str) -> int:
        """The level that the cluster has agreed on for a feature, as far as this broker has heard; 0 for none."""
        levels = getattr(self.served, "finalized_features", ())
        return next((int(one.max_version_level) for one in levels if one.name == name), 0)

    def ask(
        self,
        api_key: int,
        build: Build,
        timeout_s: float,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        among: tuple[int, int] | None = None,
    ) -> Any:
        """Ask one question and wait for its answer; `among` as for `version_of`.

        Raises:
            AnswerTooLargeError: it has more than `answer_bytes_max`; the connection has ended with that.
            ConnectionLostError: the connection ended.
            UnansweredError: no answer came in time; the connection has ended with that.
            ForeignAnswerError: what came is no answer of a Kafka broker.
            UnservedError: the broker does not serve it; the connection is still good.
            AuthenticationError: the session was over and another login was refused.
        """
        if self._authenticate is not None and time.monotonic() > self._authenticate_again_at:
            self.log_in(self._authenticate, timeout_s)
        version = self.version_of(api_key, among)
        body = self._exchange(api_key, version, build(version), timeout_s, answer_bytes_max)
        return self._read(api_key, version, body)

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

    def _exchange(
        self, api_key: int, version: int, values: Values, timeout_s: float, answer_bytes_max: int = GREETING_BYTES_MAX
    ) -> bytes:
        """The body of the answer."""
        deadline = time.monotonic() + timeout_s
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(self._frame(api_key, version, values))
            content = self._receive(deadline, answer_bytes_max)
        except TimeoutError as error:
            self.close()
            raise UnansweredError(f"no answer within {timeout_s:g} s") from error
        except OSError as error:
            self.close()
            raise self._lost(f"the connection ended: {error.strerror or error}") from error
        except ProtocolError:
            self.close()
            raise
        flexible = version >= FLEXIBLE_SINCE[api_key] and api_key != API_VERSIONS
        return bytes(content[_tagged_fields(content) :] if flexible else content)

    def _frame(self, api_key: int, version: int, values: Values) -> bytes:
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        header = struct.pack(">hhih", api_key, version, self._correlation_id, len(self._client_id)) + self._client_id
        if version >= FLEXIBLE_SINCE[api_key]:
            header += b"\0"
        content = header + message_codec(api_key, version, "request").encode(values)
        return struct.pack(">i", len(content)) + content

    def _receive(self, deadline: float, bytes_max: int) -> memoryview:
        start = self._exactly(4, deadline)
        (size,) = struct.unpack(">i", start)
        if size > bytes_max and self._versions:
            raise AnswerTooLargeError(
                f"a broker announces an answer of {size} bytes, more than the {bytes_max} that are taken\n"
                "hint: receive.message.max.bytes says how much that is; it has to be more than the largest batch"
            )
        if not 4 <= size <= bytes_max:
            other = _OTHERS.get(bytes(start[:2]))
            raise self._foreign(f"it announces an answer of {size} bytes" if other is None else f"it speaks {other}")
        content = memoryview(self._exactly(size, deadline))
        (correlation_id,) = struct.unpack_from(">i", content)
        if correlation_id != self._correlation_id:
            raise self._foreign("its answer belongs to no question of ours")
        return content[4:]

    def _exactly(self, size: int, deadline: float) -> bytearray:
        content = bytearray(min(size, RECEIVE_BYTES))
        at = 0
        while at < size:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._socket.settimeout(remaining)
            if at == len(content):
                # Memory follows what has come, not what was announced.
                content += bytes(min(size - at, at))
            with memoryview(content) as whole, whole[at:] as room:
                received = self._socket.recv_into(room)
            if not received:
                raise self._lost("the broker closed the connection")
            at += received
        return content

    def _read(self, api_key: int, version: int, body: bytes) -> Any:
        try:
            return message_codec(api_key, version, "response").decode(body)
        except ValueError as error:
            raise self._foreign(str(error)) from error

    def _lost(self, why: str) -> ConnectionLostError:
        return ConnectionLostError(why if self._versions else f"{why}{_NO_GREETING}")

    def _foreign(self, why: str) -> ForeignAnswerError:
        self.close()
        return ForeignAnswerError(f"this is no Kafka broker: {why}")


def _name(api_key: int) -> str:
    from kio.schema.index import api_key_map

    return "".join(map(str.capitalize, api_key_map[api_key].split("_")))


def _tagged_fields(content: memoryview) -> int:
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


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 35:
            return value, at
