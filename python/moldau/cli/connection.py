"""The way to a cluster, for every command that is a client: addresses, librdkafka settings, and its errors as ours.

A command first knocks at the door with a plain socket. librdkafka would only report a timeout when nobody is there;
so "no connection" is known at once and apart from "no answer in time". The commonest trap after that is an advertised
address that this machine cannot reach: the addresses that librdkafka failed to connect to are kept for the hint.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from cyclopts import Parameter

from moldau.cli.outcome import CommandError, NoConnectionError, RefusedError, TimedOutError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

    from moldau.cli.channel import Channel

T = TypeVar("T")

CLIENT_ID: Final = "moldau-cli"
DEFAULT_PORT: Final = 9092
LOOK_EVERY_S: Final = 0.25
PATIENCE_S: Final = 2.0
"""How long librdkafka may try an address that refuses before a command says so: a restart takes about that long."""
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:\[\]]+)(?::([0-9]{1,5}))?")
_FAILED_ADDRESS: Final = re.compile(r"(?:^|//|: )([^\s/]+:[0-9]+)/[0-9]+: Connect to")
# librdkafka's own codes: it could not resolve, connect, or find any broker; it waited in vain.
_NOT_REACHED: Final = frozenset({-195, -193, -187})
_WAITED: Final = frozenset({-185, -192, -166, 7})
_NEXT: Final = {
    3: "`moldau topic list` shows those that there are",
    36: "--if-absent makes that no failure",
    68: "`moldau group describe GROUP` shows who is in it; stop them first",
    69: "`moldau group list` shows those that there are",
}
"""What to do about errors of the protocol: no topic, a topic already, a group with members, no group."""


@Parameter(name="*")
@dataclass(frozen=True)
class Connection:
    """Where the cluster is."""

    bootstrap_servers: Annotated[
        str,
        Parameter(name=["--bootstrap-servers", "-b"], env_var="MOLDAU_BOOTSTRAP_SERVERS", group="Connection"),
    ] = "localhost:9092"
    """Brokers to ask first, as host:port, separated by commas."""
    setting: Annotated[list[str] | None, Parameter(name=["--setting", "-X"], negative=(), group="Connection")] = None
    """Any librdkafka setting, as key=value; may be given many times."""
    profile: Annotated[str | None, Parameter(name="--profile", env_var="MOLDAU_PROFILE", group="Connection")] = None
    """Take what is not said here from this profile (moldau profile)."""
    timeout_s: Annotated[float, Parameter(name="--timeout", group="Connection")] = 15.0
    """Seconds to wait for an answer."""
    unreachable: Annotated[set[str], Parameter(parse=False)] = field(default_factory=set)
    admins: Annotated[list[Any], Parameter(parse=False)] = field(default_factory=list)

    def admin(self) -> AdminClient:
        """A client for administration."""
        configuration = self._configuration()
        from confluent_kafka.admin import AdminClient

        client = _made(AdminClient, configuration)
        self.admins.append(client)
        return client

    def consumer(self, group: str, **settings: Any) -> Consumer:
        """A consumer that commits nothing unless it is told to."""
        configuration = self._configuration()
        from confluent_kafka import Consumer

        return _made(Consumer, {**configuration, "group.id": group, "enable.auto.commit": False, **settings})

    def producer(self, **settings: Any) -> Producer:
        """A producer; `settings` come after those of `-X`."""
        configuration = self._configuration()
        from confluent_kafka import Producer

        return _made(Producer, {**configuration, **settings})

    def channel(self, address: tuple[str, int] | None = None) -> Channel:
        """A connection that speaks the protocol itself, to the first server that answers, or to `address`.

        Raises:
            CommandError: nobody answers, or one side does not trust the other.
        """
        plain, host = self._first_answer() if address is None else (self.reach(*address), address[0])
        from moldau.cli.channel import Channel, as_outcome
        from moldau.client.protocol.brokers import Brokers
        from moldau.client.protocol.errors import ProtocolError

        patience = {"socket.connection.setup.timeout.ms": max(round(self.timeout_s * 1000), 1)}
        settings = {"client.id": CLIENT_ID, **patience, **self.settings(), "bootstrap.servers": self.bootstrap_servers}
        try:
            return Channel(Brokers(settings).begin(plain, host), self.timeout_s)
        except ProtocolError as error:
            plain.close()
            raise as_outcome(error) from error

    def coordinator_channel(self, description: ConsumerGroupDescription) -> Channel:
        """The same to the coordinator of a group that was described."""
        coordinator = description.coordinator
        return self.channel(None if coordinator is None else (coordinator.host, coordinator.port))

    def settings(self) -> dict[str, str]:
        """What `-X` and the profile say."""
        return pairs(self.setting)

    def servers(self) -> list[tuple[str, int]]:
        """The bootstrap servers as host and port.

        Raises:
            UsageError: one of them is no address.
        """
        addresses = []
        for text in self.bootstrap_servers.split(","):
            match = _ADDRESS.fullmatch(text.strip())
            if match is None or int(match[2] or DEFAULT_PORT) > 65535:
                raise UsageError(f"{text!r} is not an address", "write host:port, for example localhost:9092")
            addresses.append((match[1].strip("[]"), int(match[2] or DEFAULT_PORT)))
        return addresses

    def knock(self) -> socket.socket:
        """A plain connection to the first bootstrap server that accepts one.

        Raises:
            NoConnectionError: none does.
        """
        return self._first_answer()[0]

    def _first_answer(self) -> tuple[socket.socket, str]:
        reasons = []
        for host, port in self.servers():
            try:
                return socket.create_connection((host, port), timeout=min(self.timeout_s, 5.0)), host
            except OSError as error:
                reasons.append(f"{host}:{port} ({error.strerror or error})")
        raise NoConnectionError(
            f"nobody answers at {', '.join(reasons)}",
            "`moldau up` starts a node on this machine; -b says where another one is",
        )

    def reach(self, host: str, port: int) -> socket.socket:
        """A plain connection to a broker that another one named.

        Raises:
            NoConnectionError: there is none, with the trap explained.
        """
        try:
            return socket.create_connection((host, port), timeout=min(self.timeout_s, 5.0))
        except OSError as error:
            self.unreachable.add(f"{host}:{port}")
            reason = error.strerror or str(error)
            raise NoConnectionError(f"cannot connect to {host}:{port} ({reason})", self._hint()) from error

    def _configuration(self) -> dict[str, Any]:
        self.knock().close()
        settings = self.settings()
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": CLIENT_ID,
            "log_level": 0,
            "error_cb": self._note_error,
            "topic.metadata.refresh.interval.ms": 60_000,
            **settings,
        }

    def _note_error(self, error: KafkaError) -> None:
        match = _FAILED_ADDRESS.search(error.str())
        if match is not None:
            self.unreachable.add(match[1])

    def answer(self, future: Future[T]) -> T:
        """Wait for one answer of the admin client.

        Raises:
            CommandError: it was an error, or did not come.
        """
        return self.carry_out(lambda: self._result(future))

    def _result(self, future: Future[T]) -> T:
        """The result, or an early end: who was sent on to an address that refuses will wait in vain."""
        from concurrent.futures import TimeoutError as FutureTimeoutError

        started = time.monotonic()
        while True:
            passed = time.monotonic() - started
            try:
                return future.result(max(min(LOOK_EVERY_S, self.timeout_s - passed), 0.001))
            except FutureTimeoutError:
                if future.done() or passed >= self.timeout_s:
                    raise
                if passed >= PATIENCE_S and self.admins:
                    self.watch(self.admins[-1])

    def watch(self, client: AdminClient | Consumer) -> None:
        """Give up early when we were sent on to addresses of which none can be reached.

        Raises:
            NoConnectionError: it is so.
        """
        from confluent_kafka import KafkaException

        self._collect_errors()
        hint = self._hint()
        if hint is None:
            return
        try:
            brokers = client.list_topics(timeout=1.0).brokers.values()
        except KafkaException:
            return
        if {f"{broker.host}:{broker.port}" for broker in brokers} <= self.unreachable:
            raise NoConnectionError(f"cannot connect to {', '.join(sorted(self.unreachable))}", hint)

    def carry_out(self, call: Callable[[], T]) -> T:
        """Call something of confluent-kafka and give its errors their exit codes."""
        from concurrent.futures import TimeoutError as FutureTimeoutError

        from confluent_kafka import KafkaException

        try:
            return call()
        except KafkaException as exception:
            raise self.explained(exception.args[0]) from exception
        except FutureTimeoutError as exception:
            raise self._in_vain("") from exception

    def explained(self, error: KafkaError) -> CommandError:
        """An error of librdkafka or of the broker as one of ours."""
        message = error.str() or error.name()
        if error.code() in _WAITED | _NOT_REACHED:
            return self._in_vain(f": {message}")
        said = f"{message} ({error.name()})" if error.name() not in message else message
        return RefusedError(said, _NEXT.get(error.code()))

    def _in_vain(self, message: str) -> CommandError:
        """No answer came: because somebody cannot be reached, or because somebody who was reached says nothing."""
        self._collect_errors()
        if not self.unreachable:
            return TimedOutError(f"no answer within {self.timeout_s:g} s{message}")
        return NoConnectionError(f"cannot connect to {', '.join(sorted(self.unreachable))}", self._hint())

    def _collect_errors(self) -> None:
        """Let the admin clients call `_note_error` for what went wrong so far; producers and consumers poll anyway."""
        for client in self.admins:
            client.poll(0)

    def _hint(self) -> str | None:
        elsewhere = self.unreachable - {f"{host}:{port}" for host, port in self.servers()}
        if not elsewhere:
            return None
        return (
            f"{self.bootstrap_servers} answered and sent us on to {', '.join(sorted(elsewhere))}, which cannot be "
            "reached from here: set advertised.listeners of that broker to an address that this machine can reach"
        )


def _made(client: Callable[[dict[str, Any]], T], configuration: dict[str, Any]) -> T:
    """A client of the library; what it says about a setting is the user's mistake, not ours."""
    from confluent_kafka import KafkaException

    try:
        return client(configuration)
    except KafkaException as exception:
        raise UsageError(exception.args[0].str(), "-X takes the settings of librdkafka") from exception


def _key_and_value(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UsageError(f"{text!r} is not of the form key=value")
    return key.strip(), value


def pairs(texts: list[str] | None) -> dict[str, str]:
    """`key=value` texts as a mapping.

    Raises:
        UsageError: one of them is not of that form.
    """
    return dict(_key_and_value(text) for text in texts or ())
