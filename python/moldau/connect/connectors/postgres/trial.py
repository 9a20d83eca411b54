"""A try at the server that settings name, which takes no longer than they say (`connection.validation.timeout.ms`)."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import psycopg

from moldau.connect.connectors.postgres import catalog
from moldau.connect.connectors.postgres.connection import Connection, Server
from moldau.connect.connectors.postgres.errors import PostgresError
from moldau.connect.connectors.postgres.settings import Settings

_LOG = logging.getLogger(__name__)

_INT_MAX: Final = (1 << 31) - 1


class _Trial(threading.Thread):
    """A try at the server, in a thread of its own: looking up a name, or connecting, may take any time."""

    def __init__(self, server: Server, timeout_ms: int) -> None:
        super().__init__(name="postgres validation", daemon=True)
        self.error: Exception | None = None
        # Of each address of the server; a little longer, since whoever waits for the thread says what was waited for.
        seconds = {"connect_timeout": str(math.ceil(timeout_ms / 1000) + 1)}
        self._server = replace(server, parameters={**server.parameters, **seconds})
        self._timeout_ms = timeout_ms
        self._connection: Connection | None = None
        self._given_up = False
        self._lock = threading.Lock()

    def run(self) -> None:
        try:
            connection = self._server.connect("validation", statement_timeout_ms=self._timeout_ms)
            with self._lock:
                self._connection = connection
            try:
                if not self._given_up:
                    catalog.check_logical(catalog.server_state(connection))
            finally:
                with self._lock:
                    self._connection = None
                    connection.close()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is raised by whoever waits)
            self.error = error

    def give_up(self) -> None:
        """Nobody waits any more: a server that does not answer does not hold the thread."""
        with self._lock:
            self._given_up = True
            if self._connection is not None:
                # libpq then reads the end of the connection. It is closed by its own thread alone.
                with (
                    contextlib.suppress(OSError, psycopg.Error),
                    socket.socket(fileno=os.dup(self._connection.fileno())) as same,
                ):
                    same.shutdown(socket.SHUT_RDWR)


def server_errors(props: Mapping[str, str]) -> dict[str, list[str]]:
    """Whether the server can be reached and decodes its WAL; only worth asking when the fields are right."""
    settings = Settings(props)
    timeout_ms = min(settings.number("connection.validation.timeout.ms"), _INT_MAX)
    trial = _Trial(settings.server, timeout_ms)
    trial.start()
    trial.join(timeout_ms / 1000)
    error = trial.error
    if trial.is_alive() or isinstance(getattr(error, "__cause__", None), psycopg.errors.QueryCanceled):
        trial.give_up()
        said = f"Connection validation timed out after {timeout_ms} ms"
        _LOG.warning("%s: %s does not answer (connection.validation.timeout.ms)", said, settings.server)
        return {"database.hostname": [f"{said}: {settings.server} does not answer"]}
    if error is None:
        return {}
    if not isinstance(error, PostgresError):
        raise error
    field = "database.hostname"
    if "database.password" in error.hint:
        field = "database.user"
    elif "database.dbname" in error.hint:
        field = "database.dbname"
    _LOG.warning("Unable to connect: %s", error)
    return {field: [f"Unable to connect: {error}"]}
