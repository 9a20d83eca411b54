"""A broker inside a Python process: `with moldau.Broker() as broker: ...`.

The node runs its event loop in a thread of its own and its sockets in threads of Rust, so the caller's thread is free
to be an ordinary client of it. It installs no signal handlers. Without a path it lives in a temporary folder that is
never forced to disk and is removed at the end; with one, it is as durable as any broker.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 (see the end of this module)
import logging
import os
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from moldau._core import Core
from moldau.config import Value
from moldau.config.environment import CLUSTER_ID
from moldau.config.settings import EMBEDDED, BrokerSettings, Given, Origin, load
from moldau.server.boot import Node, NodeOptions, StartError
from moldau.server.core_types import Endpoint
from moldau.server.faults import After, Fault, drop_kind, error_code
from moldau.server.measure import measure

logger: Final = logging.getLogger("moldau.server.embedded")

START_TIMEOUT_S: Final = 60.0
STOP_GRACE_MS: Final = 500

_running: Final[weakref.WeakSet[Broker]] = weakref.WeakSet()


class NotRunningError(RuntimeError):
    """A broker was used before its start or after its end."""

    def __init__(self) -> None:
        super().__init__("the broker does not run: use it in a with block, or call start()")


class Broker:
    """A broker of one node, for as long as the `with` block lasts.

        with moldau.Broker() as broker:
            producer = Producer({"bootstrap.servers": broker.bootstrap_servers})

    It can also be driven by hand with `start()` and `close()`; a broker that is still running when the process ends
    is closed then. After a fork it belongs to the parent: in the child every method leaves it alone.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, port: int = 0, **settings: object) -> None:
        """Prepare a broker; nothing runs before `start()`.

        Args:
            path: where the data lives; None takes a temporary folder and removes it at the end.
            port: where to listen on 127.0.0.1; 0 takes a free port.
            settings: Kafka's broker settings with underscores for dots: `auto_create_topics_enable=False`.

        Raises:
            SettingsError: a setting does not exist or cannot have that value.
        """
        self._temporary = path is None
        self._path = None if path is None else Path(path)
        self._port = port
        self._cluster_id: str | None = None
        self._given = {name.replace("_", "."): value for name, value in settings.items()}
        self._endpoints: list[Endpoint] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._kill = False
        self._failure: BaseException | None = None
        self._node: Node | None = None
        self._kept_ports: list[socket.socket] = []
        self._owner = os.getpid()
        # One thread at a time starts or stops it.
        self._changing = threading.RLock()
        # What is wrong with the settings is said here and not by the thread later.
        self._settings(self._path or Path(tempfile.gettempdir()), port)

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for any client.

        Raises:
            RuntimeError: the broker does not run.
        """
        if not self._endpoints:
            raise NotRunningError
        return ",".join(f"{endpoint.host}:{endpoint.port}" for endpoint in self._endpoints)

    @property
    def is_running(self) -> bool:
        """Whether clients may connect: it was started, and neither closed nor killed since."""
        return self._node is not None and os.getpid() == self._owner

    @property
    def path(self) -> Path:
        """Where the data lives.

        Raises:
            RuntimeError: the broker has no folder yet, because it was not started.
        """
        if self._path is None:
            raise NotRunningError
        return self._path

    @property
    def http_url(self) -> str | None:
        """Where `/metrics`, `/livez` and `/readyz` are served; None without `moldau_http_listener="127.0.0.1:0"`.

        Raises:
            RuntimeError: the broker does not run.
        """
        if self._node is None or not self._endpoints:
            raise NotRunningError
        return self._node.monitoring.url

    def metrics(self) -> dict[str, int]:
        """What the broker counts and measures, by the names of `moldau.observe.metrics`.

        Raises:
            RuntimeError: the broker does not run.
        """
        return measure(self.core)

    def start(self, timeout: float = START_TIMEOUT_S) -> Self:
        """Start the broker and return when clients may connect.

        Args:
            timeout: how many seconds that may take.

        Raises:
            StartError: its folder or its port cannot be used.
            RuntimeError: it runs already.
        """
        with self._changing:
            if self._thread is not None and self._owner == os.getpid():
                raise RuntimeError("the broker runs already")
            self._owner = os.getpid()
            if self._path is None:
                self._path = Path(tempfile.mkdtemp(prefix="moldau-"))
            self._failure = None
            self._kill = False
            ready = threading.Event()
            port = self._endpoints[0].port if self._endpoints else self._port
            self._thread = threading.Thread(target=self._run, args=(ready, port), name="moldau-broker", daemon=True)
            self._thread.start()
            _running.add(self)
            try:
                started = ready.wait(timeout)
                if self._failure is not None or not started:
                    raise self._failure or StartError(f"the broker did not start within {timeout:g} seconds")
            except BaseException:
                # Also a Ctrl-C while it was starting.
                self.close()
                raise
            self._give_ports_back()
            return self

    def close(self) -> None:
        """Stop the broker; a temporary folder goes with it. Does nothing when it does not run."""
        if os.getpid() != self._owner:
            return
        with self._changing:
            self._halt(kill=False)
            self._endpoints = []
            self._give_ports_back()
            if self._temporary and self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)
                self._path = None

    def _halt(self, *, kill: bool) -> None:
        thread = self._thread
        if thread is not None:
            self._kill = kill
            if self._loop is not None and self._stop is not None and thread.is_alive():
                self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()
            self._thread = None
        self._node = None
        _running.discard(self)

    # Faults

    def kill(self) -> None:
        """End the broker as `kill -9` ends one: connections are cut, nothing is flushed, nothing marked as clean.

        Its data and its port stay as they are, for `restart()`. Does nothing when it does not run.
        """
        self._check_owner()
        with self._changing:
            if self._thread is not None:
                self._halt(kill=True)
                self._keep_ports()

    def restart(self) -> Self:
        """Start it again where it was, with the data it had; one that still runs is stopped in order first.

        Raises:
            StartError: its folder or its port cannot be used.
            RuntimeError: it was never started, or has been closed.
        """
        self._check_owner()
        with self._changing:
            if not self._endpoints:
                raise RuntimeError("the broker was not started yet: call start()")
            if self._thread is not None:
                self._halt(kill=False)
                self._keep_ports()
            return self.start()

    def pause(self) -> Fault:
        """Accept connections, but answer nobody, until `resume()` or the end of the `with` block.

        Its clocks go on: a group member whose heartbeat is not answered in time has lost its place afterwards.

        Raises:
            RuntimeError: the broker does not run.
        """
        core = self.core
        core.set_paused(paused=True)

        def undo() -> int:
            core.set_paused(paused=False)
            return 0

        return Fault("pause", undo)

    def resume(self) -> None:
        """Answer everybody again; what came meanwhile is answered first. Raises RuntimeError if it does not run."""
        self.core.set_paused(paused=False)

    def refuse(self, api: str | int, error: str | int, times: int | None = None) -> Fault:
        """Answer requests of an API with an error, and do nothing of what they ask.

        Args:
            api: its name in Kafka's protocol, as "Produce" or "JoinGroup", or its key.
            error: the error's name, as "NOT_ENOUGH_REPLICAS", or its code.
            times: how many requests; None refuses all until it is undone.

        Raises:
            ValueError: there is no such API or error.
            RuntimeError: the broker does not run.
        """
        return Fault.added(self.core, api, "refuse", error_code(error), times)

    def delay(self, api: str | int, ms: int, times: int | None = None) -> Fault:
        """Look at requests of an API that many milliseconds later. Arguments and errors are those of `refuse`."""
        if ms < 0:
            raise ValueError(f"ms is {ms}: nothing can be answered before it was asked")
        return Fault.added(self.core, api, "delay", ms, times)

    def drop(self, api: str | int, after: After = "request", times: int | None = None) -> Fault:
        """Cut the connection of requests of an API.

        Args:
            after: "request" does nothing of what was asked; "append" does it, and cuts instead of answering: the
                client cannot know, and must ask again.

        The other arguments and the errors are those of `refuse`.
        """
        return Fault.added(self.core, api, drop_kind(after), 0, times)

    @property
    def core(self) -> Core:
        """The compiled node, for what has no method here. Raises RuntimeError if the broker does not run."""
        self._check_owner()
        if self._node is None or not self._node.endpoints:
            raise NotRunningError
        return self._node.shell.core

    def _check_owner(self) -> None:
        if os.getpid() != self._owner:
            raise RuntimeError("this broker belongs to the process that started it: this one was forked from it")

    def _keep_ports(self) -> None:
        """Hold the ports of a broker that is down, without listening: a client that dials is refused, and no other
        process is given the port, nor this client itself, as the local end of its own attempt to connect.
        """
        for endpoint in self._endpoints:
            kept = socket.socket(socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET)
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                kept.bind((endpoint.host, endpoint.port))
            except OSError:
                # Somebody was quicker; restart() will say so.
                kept.close()
            else:
                self._kept_ports.append(kept)

    def _give_ports_back(self) -> None:
        while self._kept_ports:
            self._kept_ports.pop().close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = ",".join(f"{endpoint.host}:{endpoint.port}" for endpoint in self._endpoints) or "not running"
        return f"<moldau.Broker {where}>"

    def _run(self, ready: threading.Event, port: int) -> None:
        try:
            asyncio.run(self._serve(ready, port))
        except BaseException as error:
            self._failure = error
            if ready.is_set():
                logger.exception("the broker at %s has died", self._path)
            # Otherwise start() raises it in the caller's thread.
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event, port: int) -> None:
        assert self._path is not None
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        node = Node(self._settings(self._path, port), NodeOptions(format_new=True))
        await node.start()
        self._node = node
        self._endpoints = node.endpoints
        ready.set()
        await self._stop.wait()
        if self._kill:
            await node.kill()
        else:
            await node.stop(STOP_GRACE_MS)

    def _settings(self, path: Path, port: int) -> BrokerSettings:
        ours: dict[str, object] = {
            "listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "log.dirs": str(path),
            "moldau.fsync.enable": not self._temporary,
        }
        given = ours | self._given
        overrides = [Given(name, _as_text(value), Origin("flag", f"Broker({name})")) for name, value in given.items()]
        base: Mapping[str, Value] = EMBEDDED
        environment = {CLUSTER_ID: self._cluster_id} if self._cluster_id else {}
        return load(environment=environment, overrides=overrides, base=base)


def _as_text(value: object) -> str:
    """A Python value as it would stand in a properties file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


def _close_all() -> None:
    for broker in list(_running):
        broker.close()


# Before `atexit`, where concurrent.futures has stopped its threads already and a broker could not stop in order. This
# is where concurrent.futures registers itself; what was registered last is called first, so it must be imported.
threading._register_atexit(_close_all)  # type: ignore[attr-defined]  # noqa: SLF001
