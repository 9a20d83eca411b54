"""A Connect worker in the foreground, and the one that `moldau up` runs beside its node."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moldau.cli.connect_client import ConnectorFile, read_connector
from moldau.cli.connection import Connection, pairs
from moldau.cli.outcome import AT_THE_END, NoConnectionError, RefusedError, UsageError
from moldau.cli.output import say
from moldau.collector import look_seldom
from moldau.errors import MoldauError

if TYPE_CHECKING:
    from moldau.connect.service import ConnectThread

logger: Final = logging.getLogger("moldau.connect")

LOOPBACK: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8083
WORKER_KEYS: Final = ("bootstrap.servers", "group.id", "key.converter", "offset.storage.file.filename")


def worker_settings(
    files: Sequence[Path],
    *,
    bootstrap: str | None,
    given: Sequence[str],
    address: tuple[str | None, int | None],
    standalone: Path | None,
) -> tuple[dict[str, str], list[dict[str, str | None]]]:
    """The settings of the worker and the connectors to run. Raises UsageError."""
    read = [read_connector(file) for file in files]
    settings: dict[str, str] = {}
    if read and _is_worker(read[0]):
        settings = {key: str(value) for key, value in read.pop(0).config.items()}
        files = files[1:]
    settings |= pairs(list(given))
    if bootstrap is not None:
        settings["bootstrap.servers"] = bootstrap
    if standalone is not None:
        settings["offset.storage.file.filename"] = str(standalone)
    host, port = address
    if host is not None or port is not None or "listeners" not in settings:
        place = host or LOOPBACK
        place = f"[{place}]" if ":" in place and not place.startswith("[") else place
        settings["listeners"] = f"http://{place}:{DEFAULT_PORT if port is None else port}"
    connectors = []
    for file, each in zip(files, read, strict=True):
        name = each.name
        if not name or "connector.class" not in each.config:
            raise UsageError(f"{file} describes no connector: it needs name and connector.class")
        texts = {key: None if value is None else _text(value) for key, value in each.config.items()}
        connectors.append({**texts, "name": name})
    return settings, connectors


def _is_worker(file: ConnectorFile) -> bool:
    return "connector.class" not in file.config and any(key in file.config for key in WORKER_KEYS)


def _text(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def run_worker(given: dict[str, str], connectors: Sequence[dict[str, str | None]]) -> None:
    """Run until a signal. Raises CommandError."""
    from moldau.connect.errors import ConfigError, ConnectError
    from moldau.connect.runtime.settings import WorkerSettings
    from moldau.connect.service import run
    from moldau.http import HttpAddressError

    try:
        settings = WorkerSettings(given)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    servers = settings["bootstrap.servers"]
    _knock(servers)

    def ready(url: str) -> None:
        print(f"connect  {url}", flush=True)
        if settings.distributed:
            say(f"group    {settings['group.id']} at {servers}")
        else:
            say(f"offsets  {settings['offset.storage.file.filename']}; nothing is shared with other workers")
        say("stop     Ctrl-C")

    look_seldom()
    AT_THE_END.append(leave_what_is_left)
    try:
        run(settings, connectors, ready)
    except (HttpAddressError, ConfigError) as error:
        raise RefusedError(str(error)) from error
    except ConnectError as error:
        raise (RefusedError if connectors else NoConnectionError)(str(error)) from error


def leave_what_is_left(code: int) -> None:
    """End the process when threads still run: tasks that were left to themselves, and plugins' own.

    The interpreter would wait for those that are no daemons, and the others may be in native code, which does not live
    through its end. Kafka's worker ends its machine as well, whether it was asked to stop or has failed.
    """
    left = [each for each in threading.enumerate() if each is not threading.main_thread()]
    if not left:
        return
    waited_for = sorted(each.name for each in left if not each.daemon)
    if waited_for:
        logger.warning("the worker ends while threads of its plugins still run: %s", ", ".join(waited_for))
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        # Nobody may be there any more to read it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _knock(servers: str) -> None:
    try:
        Connection(bootstrap_servers=servers).knock().close()
    except socket.gaierror as error:
        raise NoConnectionError(f"{servers} cannot be resolved: {error}") from error


class ConnectBeside:
    """The worker of `moldau up`: it starts when the node does, and whatever goes wrong with it is one line."""

    def __init__(self, host: str, port: int) -> None:
        self._host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        self._port = port
        self._worker: ConnectThread | None = None
        self._starting: threading.Thread | None = None

    def start(self, bootstrap_servers: str, then: Callable[[], None]) -> None:
        """Returns at once; the URL is printed when it answers, and `then` called after it or what went wrong."""
        from moldau.connect.runtime.settings import WorkerSettings
        from moldau.connect.service import ConnectThread

        listeners = f"http://{self._host}:{self._port}"
        settings = WorkerSettings({"bootstrap.servers": bootstrap_servers, "listeners": listeners})
        self._worker = ConnectThread(settings)
        self._worker.start_soon()
        self._starting = threading.Thread(target=self._announce, args=(self._worker, then), daemon=True)
        self._starting.start()

    @staticmethod
    def _announce(worker: ConnectThread, then: Callable[[], None]) -> None:
        try:
            print(f"connect  {worker.wait()}", flush=True)
        except MoldauError as error:
            say(f"connect not started: {error}")
        then()

    def close(self) -> None:
        """Stop it, while the node still answers."""
        if self._worker is not None and self._starting is not None:
            self._worker.close()
            self._starting.join()
