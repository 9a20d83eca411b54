"""`moldau up` and `moldau broker`: run a node in the foreground until a signal stops it."""

from __future__ import annotations

import ipaddress
import logging
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from moldau.cli.connect_worker import ConnectBeside
from moldau.cli.connection import DEFAULT_PORT
from moldau.cli.outcome import RefusedError
from moldau.cli.output import log_to_stderr, say
from moldau.cli.registry import RegistryBeside
from moldau.cli.settings_file import read_settings
from moldau.collector import keep_what_is_there, look_seldom
from moldau.config import Value
from moldau.config.settings import EMBEDDED, BrokerSettings, Given, Origin
from moldau.observe.logs import LogFormat

if TYPE_CHECKING:
    from moldau.server.boot import Node, NodeOptions

LOOPBACK: Final = "127.0.0.1"
HTTP_PORT: Final = 9644
"""Where `moldau up` serves metrics; Redpanda's nodes have theirs there too."""

LogLines = Annotated[LogFormat, Parameter(name="--log-format")]
Override = Annotated[list[str] | None, Parameter(name="--override")]


def up(
    *,
    data: Annotated[Path | None, Parameter(name=["--data", "-d"])] = None,
    port: Annotated[int | None, Parameter(name=["--port", "-p"])] = None,
    host: str | None = None,
    override: Override = None,
    registry: Annotated[bool, Parameter(negative="--no-registry")] = True,
    registry_port: int = 8081,
    connect: Annotated[bool, Parameter(negative="--no-connect")] = True,
    connect_port: int = 8083,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
    log_format: LogLines = "auto",
) -> None:
    """Start a node for this machine: no file needed, one process, until Ctrl-C.

    Parameters
    ----------
    data
        Where to keep everything. Without it the node starts empty and forgets everything when it stops.
    port
        Port of the Kafka listener, 9092 without it; 0 takes any free one.
    host
        Address to listen on, 127.0.0.1 without it: only this machine can come by that one. 0.0.0.0 lets everybody in
        who can reach this machine.
    override
        Any broker setting, as key=value; may be given many times.
    registry
        Run a schema registry beside the node.
    registry_port
        Its port; 0 takes any free one.
    connect
        Run a Connect worker beside the node.
    connect_port
        Its port; 0 takes any free one.
    verbose
        Log everything.
    log_format
        Log lines for eyes (text) or for programs (json); auto: text at a terminal, json elsewhere.
    """
    log_to_stderr(logging.INFO if verbose else logging.WARNING, log_format)
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moldau-")))
        listener = f"PLAINTEXT://{_in_brackets(host or LOOPBACK)}:{DEFAULT_PORT if port is None else port}"
        base: dict[str, Value] = {
            **EMBEDDED,
            "listeners": (listener,),
            "log.dirs": (str(folder),),
            "moldau.fsync.enable": data is not None,
            "moldau.http.listener": f"{_in_brackets(host or LOOPBACK)}:{HTTP_PORT}",
        }
        # What was said on the command line wins over the environment, what was not said does not.
        flags = [Given("log.dirs", str(data), Origin("flag", "--data"))] if data is not None else []
        if host is not None or port is not None:
            flags.append(Given("listeners", listener, Origin("flag", "--host and --port")))
        settings = read_settings(None, [*flags, *(override or ())], base)
        several: list[RegistryBeside | ConnectBeside] = []
        if registry:
            several.append(RegistryBeside(host or LOOPBACK, registry_port))
        if connect:
            several.append(ConnectBeside(host or LOOPBACK, connect_port))
        beside = _Beside(several)
        # A second node on this machine is no reason to refuse: metrics that nobody asked for are a gift.
        gift = settings.value("moldau.http.listener") == base["moldau.http.listener"]
        from moldau.server.boot import NodeOptions

        options = NodeOptions(format_new=True, any_http_port=gift)
        _run(settings, _announce_up(settings, data, beside), options, beside)


def broker(
    file: Path,
    /,
    *,
    override: Override = None,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
    log_format: LogLines = "auto",
) -> None:
    """Run a broker from a server.properties, as kafka-server-start does.

    Variables KAFKA_… win over the file, --override wins over both.

    Parameters
    ----------
    file
        The settings, as Apache Kafka reads them.
    override
        Any broker setting, as key=value; may be given many times.
    verbose
        Log everything.
    log_format
        Log lines for eyes (text) or for programs (json); auto: text at a terminal, json elsewhere.
    """
    log_to_stderr(logging.DEBUG if verbose else logging.INFO, log_format)
    settings = read_settings(file, override or [])
    from moldau.server.boot import NodeOptions

    _run(settings, _announce(settings), NodeOptions())


def _run(
    settings: BrokerSettings,
    ready: Callable[[Node], None],
    options: NodeOptions,
    beside: _Beside | None = None,
) -> None:
    for warning in settings.warnings:
        say(f"warning: {warning}")
    from moldau.server.boot import StartError
    from moldau.server.run import serve

    def started(node: Node) -> None:
        keep_what_is_there()
        ready(node)

    look_seldom()
    try:
        serve(settings, options, started, (lambda: None) if beside is None else beside.close)
    except StartError as error:
        raise RefusedError(str(error), error.hint) from error


class _Beside:
    """What runs beside the node: one after the other, each when the one before has said how it went."""

    def __init__(self, several: Sequence[RegistryBeside | ConnectBeside]) -> None:
        self._several = list(several)
        self._closing = threading.Event()

    def start(self, address: str, number: int = 0) -> None:
        """Returns at once; at last it is said how to stop."""
        if self._closing.is_set():
            return
        if number < len(self._several):
            self._several[number].start(address, then=lambda: self.start(address, number + 1))
        else:
            say("stop     Ctrl-C")

    def close(self) -> None:
        """Stop all of them, while the node still answers."""
        self._closing.set()
        for each in self._several:
            each.close()


def _announce_up(settings: BrokerSettings, data: Path | None, beside: _Beside) -> Callable[[Node], None]:
    announce = _announce(settings)

    def ready(node: Node) -> None:
        announce(node)
        if data is None:
            say("         gone when it stops; --data DIR keeps it")
        if any(not _is_loopback(endpoint.host) for endpoint in node.endpoints):
            say("warning: everybody who can reach this address can read and write everything")
        address = f"{_in_brackets(_reachable(node.endpoints[0].host))}:{node.endpoints[0].port}"
        beside.start(address)

    return ready


def _reachable(host: str) -> str:
    """Where a client on this machine finds what listens on `host`."""
    return {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)


def _announce(settings: BrokerSettings) -> Callable[[Node], None]:
    def ready(node: Node) -> None:
        for endpoint in node.endpoints:
            # On stdout, alone on its line: scripts wait for it and read the port.
            print(f"kafka    {_in_brackets(endpoint.host)}:{endpoint.port}", flush=True)
        if node.monitoring.url is not None:
            say(f"metrics  {node.monitoring.url}/metrics")
        say(f"data     {', '.join(settings.log_directories)}")

    return ready


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
