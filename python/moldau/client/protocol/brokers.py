"""Who there is to ask: the bootstrap servers, and every broker that one of them has named since."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, NamedTuple

from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.ending import Ending
from moldau.client.protocol.errors import (
    ConnectionLostError,
    ProtocolError,
    SecuritySettingError,
    UnreachableError,
)
from moldau.client.protocol.questions import METADATA
from moldau.client.protocol.security import security_of
from moldau.version import VERSION

DEFAULT_PORT: Final = 9092
CONNECT_TIMEOUT_MS: Final = 10_000
REQUEST_TIMEOUT_MS: Final = 30_000
_SOFTWARE: Final = "moldau"


class Address(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Brokers:
    """The brokers of one cluster, and how to talk to them. May be used from several threads."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Read what settings say, by librdkafka's names: `bootstrap.servers`, `client.id`, security, timeouts.

        Raises:
            SecuritySettingError: there is no address, or security that is not known here.
        """
        self.client_id = str(settings.get("client.id") or _SOFTWARE)
        self.request_timeout_s = int(settings.get("request.timeout.ms") or REQUEST_TIMEOUT_MS) / 1000
        self._connect_timeout_s = int(settings.get("socket.connection.setup.timeout.ms") or CONNECT_TIMEOUT_MS) / 1000
        self._security = security_of(settings)
        self._bootstrap = addresses_of(str(settings.get("bootstrap.servers") or ""))
        self._named: list[Address] = []
        self._turn = 0
        self._lock = threading.Lock()

    def open(self, address: Address, ending: Ending | None = None) -> BrokerConnection:
        """A connection that is ready to be asked. It is given up when `ending` comes.

        Raises:
            ProtocolError: nobody is there, or one side does not trust the other.
        """
        failure: OSError | None = None
        try:
            found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        except OSError as error:
            found, failure = [], error
        for family, kind, protocol, _, place in found:
            try:
                plain = socket.socket(family, kind, protocol)
            except OSError as error:
                # A name may have an IPv6 address where the machine has no IPv6.
                failure = error
                continue
            try:
                with _ended_by(ending or Ending(), plain):
                    plain.settimeout(self._connect_timeout_s)
                    plain.connect(place)
                    return self.begin(plain, address.host)
            except OSError as error:
                failure = error
                plain.close()
            except BaseException:
                plain.close()
                raise
        raise UnreachableError(f"cannot connect to {address}: {(failure and failure.strerror) or failure}") from failure

    def begin(self, plain: socket.socket, host: str) -> BrokerConnection:
        """The same over a connection that was made already; `host` is whom a certificate has to name.

        Raises:
            ProtocolError: it ended, or one side does not trust the other. It is closed then.
        """
        timeout_s = self._connect_timeout_s
        plain.settimeout(timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = BrokerConnection(self._security.open(plain, host), self.client_id)
        try:
            connection.greet(_SOFTWARE, VERSION, timeout_s)
            if self._security.mechanism is not None:
                connection.log_in(lambda wait_s: self._security.log_in(connection, wait_s), timeout_s)
        except BaseException:
            connection.close()
            raise
        return connection

    def open_any(self, ending: Ending | None = None) -> BrokerConnection:
        """A connection to whoever answers first, beginning after the one that was asked last; `ending` as in `open`.

        Raises:
            ProtocolError: nobody answers; what the last one failed with.
        """
        with self._lock:
            known = [*self._bootstrap, *(one for one in self._named if one not in self._bootstrap)]
            self._turn += 1
            turn = self._turn % len(known)
        failure: ProtocolError | None = None
        for address in known[turn:] + known[:turn]:
            try:
                connection = self.open(address, ending)
                with (ending or Ending()).ends(connection.abort):
                    self._learn(connection)
            except ConnectionLostError as error:
                failure = error
            else:
                return connection
        assert failure is not None
        raise failure

    def _learn(self, connection: BrokerConnection) -> None:
        """Remember the others, for the day on which no bootstrap server is there."""

        def build(version: int) -> dict[str, Any]:
            return {"topics": (), "allow_auto_topic_creation": False}

        answer = connection.ask(METADATA, build, self.request_timeout_s)
        with self._lock:
            self._named = [Address(str(one.host), int(one.port)) for one in answer.brokers]


@contextmanager
def _ended_by(ending: Ending, plain: socket.socket) -> Iterator[None]:
    """Have a socket shut down when the ending comes. TLS takes the socket itself over, so it has another name here."""
    with plain.dup() as handle, ending.ends(partial(_shut, handle)):
        yield


def _shut(handle: socket.socket) -> None:
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


def addresses_of(servers: str) -> list[Address]:
    """`bootstrap.servers` as addresses; a listener's name before one (`SSL://`) is left out, as librdkafka does.

    Raises:
        SecuritySettingError: one of them is none, or there is none.
    """
    found = []
    for text in filter(None, (one.strip() for one in servers.split(","))):
        plain = text.rpartition("://")[2]
        host, separator, port = plain.rpartition(":")
        if not separator or plain.endswith("]"):
            host, port = plain, str(DEFAULT_PORT)
        host = host.strip("[]")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise SecuritySettingError(f"bootstrap.servers: {text!r} is no address\nhint: host:port, localhost:9092")
        found.append(Address(host, int(port)))
    if not found:
        raise SecuritySettingError("bootstrap.servers: must be given")
    return found
