"""The way to a cluster, for every command that is a client: addresses, librdkafka settings, and its errors as ours.

A command first knocks at the door with a plain socket. librdkafka would only report a timeout when nobody is there;
so "no connection" is known at once and apart from "no answer in time". The commonest trap after that is an advertised
address that this machine cannot reach: the addresses that librdkafka failed to connect to are kept for the hint.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from cyclopts import Parameter

from moldau.cli.outcome import CommandError, NoConnectionError, RefusedError, TimedOutError, UsageError

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient

T = TypeVar("T")

DEFAULT_PORT: Final = 9092
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:\[\]]+)(?::([0-9]{1,5}))?")
_FAILED_ADDRESS: Final = re.compile(r"(?:^|//|: )([^\s/]+:[0-9]+)/[0-9]+: Connect to")
# librdkafka's own codes: it could not resolve, connect, or find any broker; it waited in vain.
_NOT_REACHED: Final = frozenset({-195, -193, -187})
_WAITED: Final = frozenset({-185, -192, -166, 7})


@Parameter(name="*")
@dataclass(frozen=True)
class Connection:
    """Where the cluster is."""

    bootstrap_servers: Annotated[
        str, Parameter(name=["--bootstrap-servers", "-b"], env_var="MOLDAU_BOOTSTRAP_SERVERS")
    ] = "localhost:9092"
    """Brokers to ask first, as host:port, separated by commas."""
    setting: Annotated[list[str] | None, Parameter(name=["--setting", "-X"], negative=())] = None
    """Any librdkafka setting, as key=value; may be given many times."""
    timeout_s: Annotated[float, Parameter(name="--timeout")] = 15.0
    """Seconds to wait for an answer."""
    unreachable: Annotated[set[str], Parameter(parse=False)] = field(default_factory=set)
    admins: Annotated[list[Any], Parameter(parse=False)] = field(default_factory=list)

    def admin(self) -> AdminClient:
        """A client for administration."""
        configuration = self._configuration()
        from confluent_kafka.admin import AdminClient

        client = AdminClient(configuration)
        self.admins.append(client)
        return client

    def consumer(self, group: str, **settings: Any) -> Consumer:
        """A consumer that commits nothing unless it is told to."""
        configuration = self._configuration()
        from confluent_kafka import Consumer

        return Consumer({**configuration, "group.id": group, "enable.auto.commit": False, **settings})

    def producer(self, **settings: Any) -> Producer:
        """A producer; `settings` come after those of `-X`."""
        configuration = self._configuration()
        from confluent_kafka import Producer

        return Producer({**configuration, **settings})

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
        reasons = []
        for host, port in self.servers():
            try:
                return socket.create_connection((host, port), timeout=min(self.timeout_s, 5.0))
            except OSError as error:
                reasons.append(f"{host}:{port} ({error.strerror or error})")
        raise NoConnectionError(
            f"nobody answers at {', '.join(reasons)}",
            "`moldau up` starts a node on this machine; -b says where another one is",
        )

    def _configuration(self) -> dict[str, Any]:
        self.knock().close()
        settings = dict(_key_and_value(text) for text in self.setting or ())
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "moldau-cli",
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
        return self.carry_out(lambda: future.result(self.timeout_s))

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
        return RefusedError(f"{message} ({error.name()})" if error.name() not in message else message)

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
            "reached from here: see advertised.listeners of the broker"
        )


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
