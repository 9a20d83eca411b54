"""A broker inside a Python process: `with moldau.Broker() as broker: ...`.

The node runs its event loop in a thread of its own and its sockets in threads of Rust, so the caller's thread is free
to be an ordinary client of it. It installs no signal handlers. Without a path it lives in a temporary folder that is
never forced to disk and is removed at the end; with one, it is as durable as any broker.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from moldau.config import Value
from moldau.config.settings import EMBEDDED, BrokerSettings, Given, Origin, load
from moldau.server.boot import Node, NodeOptions, StartError
from moldau.server.core_types import Endpoint
from moldau.server.measure import measure

logger: Final = logging.getLogger("moldau.server.embedded")

START_TIMEOUT_S: Final = 60.0
STOP_GRACE_MS: Final = 500

_running: Final[weakref.WeakSet[Broker]] = weakref.WeakSet()


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
        self._given = {name.replace("_", "."): value for name, value in settings.items()}
        self._endpoints: list[Endpoint] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._node: Node | None = None
        self._owner = os.getpid()
        # What is wrong with the settings is said here and not by the thread later.
        self._settings(self._path or Path(tempfile.gettempdir()))

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for any client.

        Raises:
            RuntimeError: the broker does not run.
        """
        if not self._endpoints:
            raise RuntimeError("the broker does not run: use it in a with block, or call start()")
        return ",".join(f"{endpoint.host}:{endpoint.port}" for endpoint in self._endpoints)

    @property
    def path(self) -> Path:
        """Where the data lives.

        Raises:
            RuntimeError: the broker has no folder yet, because it was not started.
        """
        if self._path is None:
            raise RuntimeError("the broker was not started")
        return self._path

    @property
    def http_url(self) -> str | None:
        """Where `/metrics`, `/livez` and `/readyz` are served; None without `moldau_http_listener="127.0.0.1:0"`.

        Raises:
            RuntimeError: the broker does not run.
        """
        if self._node is None or not self._endpoints:
            raise RuntimeError("the broker does not run")
        return self._node.monitoring.url

    def metrics(self) -> dict[str, int]:
        """What the broker counts and measures, by the names of `moldau.observe.metrics`.

        Raises:
            RuntimeError: the broker does not run.
        """
        if self._node is None or not self._endpoints:
            raise RuntimeError("the broker does not run")
        return measure(self._node.shell.core)

    def start(self) -> Self:
        """Start the broker and return when clients may connect.

        Raises:
            StartError: its folder or its port cannot be used.
            RuntimeError: it runs already.
        """
        if self._thread is not None:
            raise RuntimeError("the broker runs already")
        self._owner = os.getpid()
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="moldau-"))
        self._failure = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="moldau-broker", daemon=True)
        self._thread.start()
        started = ready.wait(START_TIMEOUT_S)
        if self._failure is not None or not started:
            failure = self._failure or StartError(f"the broker did not start within {START_TIMEOUT_S:.0f} seconds")
            self.close()
            raise failure
        _running.add(self)
        return self

    def close(self) -> None:
        """Stop the broker; a temporary folder goes with it. Does nothing when it does not run."""
        if os.getpid() != self._owner:
            return
        thread, self._thread = self._thread, None
        if thread is not None:
            if self._loop is not None and self._stop is not None and thread.is_alive():
                self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()
        self._endpoints = []
        _running.discard(self)
        if self._temporary and self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = ",".join(f"{endpoint.host}:{endpoint.port}" for endpoint in self._endpoints) or "not running"
        return f"<moldau.Broker {where}>"

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            self._failure = error
            if ready.is_set():
                logger.exception("the broker at %s has died", self._path)
            # Otherwise start() raises it in the caller's thread.
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        assert self._path is not None
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._node = node = Node(self._settings(self._path), NodeOptions(format_new=True))
        await node.start()
        self._endpoints = node.endpoints
        ready.set()
        await self._stop.wait()
        await node.stop(STOP_GRACE_MS)

    def _settings(self, path: Path) -> BrokerSettings:
        ours: dict[str, object] = {
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "log.dirs": str(path),
            "moldau.fsync.enable": not self._temporary,
        }
        given = ours | self._given
        overrides = [Given(name, _as_text(value), Origin("flag", f"Broker({name})")) for name, value in given.items()]
        base: Mapping[str, Value] = EMBEDDED
        return load(overrides=overrides, base=base)


def _as_text(value: object) -> str:
    """A Python value as it would stand in a properties file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


@atexit.register
def _close_all() -> None:
    for broker in list(_running):
        broker.close()
