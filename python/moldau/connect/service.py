"""A Connect worker with its REST interface: alone in the foreground, or in a thread beside something else."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from moldau.client import AdminClient
from moldau.connect.errors import ConfigError
from moldau.connect.plugins import Plugins
from moldau.connect.rest.api import Api
from moldau.connect.rest.app import ConnectApp
from moldau.connect.runtime.config_provider import ConfigResolver, providers_of
from moldau.connect.runtime.config_stores import ConfigStore, TopicConfigStore
from moldau.connect.runtime.daemon_threads import DaemonThreads
from moldau.connect.runtime.fenced_writer import FencedWriter
from moldau.connect.runtime.group import GroupMembership
from moldau.connect.runtime.herder import Herder, Stores
from moldau.connect.runtime.membership import Alone, Membership
from moldau.connect.runtime.offsets import FileOffsetStore, OffsetStore, TopicOffsetStore
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.runtime.status_stores import MemoryStatusStore, StatusStore, TopicStatusStore
from moldau.connect.runtime.worker import Worker
from moldau.http import HttpServer, Ready, ServiceThread, run_until_a_signal

logger: Final = logging.getLogger("moldau.connect")

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8083
ASK_TIMEOUT_S: Final = 15.0
GIVE_UP_S: Final = 45.0
"""How long a start that nobody wants any more has to notice it, longer than a cluster is waited for."""

ConnectorConfig = Mapping[str, str | None]


class ConnectWorker:
    """A worker and its HTTP server. All methods belong to the event loop's thread."""

    def __init__(self, settings: WorkerSettings, connectors: Sequence[ConnectorConfig] = ()) -> None:
        """`connectors` are created, or given the configuration they have here, once the worker has started."""
        self._settings = settings
        self._connectors = connectors
        host, port = listener_of(settings)
        self._http = HttpServer(self._serve, host, port)
        # What of a start or an end hangs in somebody's code is not waited for at the end of the process.
        self._threads = DaemonThreads(3, "connect-service")
        self._app: ConnectApp | None = None
        self.herder: Herder | None = None
        self.api: Api | None = None

    @property
    def url(self) -> str:
        """Where a client finds it."""
        return self._http.url

    async def start(self) -> None:
        """Return when the worker has read its topics, and requests are answered.

        Raises:
            HttpAddressError: the address cannot be listened on.
            ConfigError: a setting, a topic or a connector's configuration cannot be used.
            ConnectError: the cluster does not answer.
        """
        self._http.bind()
        try:
            await self._in_a_thread(self._start_worker)
            await self._http.start()
            await self._in_a_thread(self._create_connectors)
        except BaseException:
            await self.stop()
            raise

    async def _in_a_thread(self, call: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _start_worker(self) -> None:
        settings = self._settings
        for folder in reversed([each.strip() for each in (settings["plugin.path"] or "").split(",") if each.strip()]):
            if folder not in sys.path:
                sys.path.insert(0, folder)
        plugins = Plugins()
        offsets, configs, statuses = _stores(settings)
        worker = Worker(settings, plugins, ConfigResolver(providers_of(settings.given)), offsets, statuses.put_topic)
        worker_id = advertised(settings, self._http.url)
        url = f"http://{worker_id}/"
        membership: Membership = GroupMembership(settings, url, configs) if settings.distributed else Alone(url)
        herder = Herder(worker, Stores(configs, statuses), membership, worker_id)
        self.api = Api(herder, plugins, settings, _ClusterId(settings))
        self._app = ConnectApp(self.api)
        # Kept before it starts: what has started when the rest cannot is stopped with it.
        self.herder = herder
        herder.start()

    def _create_connectors(self) -> None:
        assert self._app is not None
        for config in self._connectors:
            name = config.get("name") or ""
            self._app.put_connector(name, dict(config))

    async def stop(self) -> None:
        """Answer what was asked, stop the connectors and keep their offsets."""
        try:
            await self._http.stop()
        finally:
            if self._app is not None:
                self._app.close()
            if self.herder is not None:
                await self._in_a_thread(self.herder.stop)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        assert self._app is not None
        await self._app(scope, receive, send)


class _ClusterId:
    """Asks once."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._found = ""

    def __call__(self) -> str:
        if not self._found:
            metadata = AdminClient(self._settings.own_clients().admin).list_topics(timeout=ASK_TIMEOUT_S)
            self._found = str(metadata.cluster_id or "")
        return self._found


def _stores(settings: WorkerSettings) -> tuple[OffsetStore, ConfigStore, StatusStore]:
    if not settings.distributed:
        return FileOffsetStore(Path(settings["offset.storage.file.filename"])), ConfigStore(), MemoryStatusStore()
    clients = settings.own_clients()
    configs = settings.topic("config")
    writer = FencedWriter(configs.name, settings["group.id"], clients.producer) if settings.fences_leaders else None
    return (
        TopicOffsetStore(settings.topic("offset"), clients),
        TopicConfigStore(configs, clients, writer),
        TopicStatusStore(settings.topic("status"), clients),
    )


def listener_of(settings: WorkerSettings) -> tuple[str, int]:
    """Host and port of the REST interface. Raises ConfigError."""
    given = settings["listeners"]
    if given is None:
        return DEFAULT_HOST, DEFAULT_PORT
    parts = urlsplit(given.split(",")[0].strip())
    if parts.scheme.lower() != "http":
        raise ConfigError(f"listeners={given}: the REST interface is served over http://host:port")
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"listeners={given}: {error}") from error
    return parts.hostname or "0.0.0.0", DEFAULT_PORT if port is None else port


def advertised(settings: WorkerSettings, url: str) -> str:
    """How this worker calls itself in statuses: host:port under which the others reach it."""
    parts = urlsplit(url)
    host = settings["rest.advertised.host.name"] or parts.hostname
    return f"{host}:{settings['rest.advertised.port'] or parts.port}"


def run(settings: WorkerSettings, connectors: Sequence[ConnectorConfig], ready: Ready) -> None:
    """Run in the foreground until SIGTERM or SIGINT. Raises what `ConnectWorker.start` raises."""
    run_until_a_signal(partial(serve, settings, connectors), ready)


async def serve(
    settings: WorkerSettings, connectors: Sequence[ConnectorConfig], stop: asyncio.Event, ready: Ready
) -> None:
    """Run until `stop` is set; `ready` is called with the URL once requests are answered."""
    worker = ConnectWorker(settings, connectors)
    starting = asyncio.create_task(worker.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            # Asked to stop in the middle of the start: what waits for the cluster gives up by itself.
            await asyncio.wait({starting}, timeout=GIVE_UP_S)
        if not starting.done():
            logger.error("the start of the worker has not ended within %g s, and is left to itself", GIVE_UP_S)
            starting.cancel()
            await asyncio.wait({starting})
            return
        starting.result()
        if not stop.is_set():
            ready(worker.url)
        await stopping
    finally:
        stopping.cancel()
        await worker.stop()


class ConnectThread(ServiceThread):
    """A worker with an event loop of its own, for a program that has something else to do.

    `start` raises what `ConnectWorker.start` raises.
    """

    def __init__(self, settings: WorkerSettings, connectors: Sequence[ConnectorConfig] = ()) -> None:
        super().__init__(partial(serve, settings, connectors), "moldau-connect")
