"""An ASGI application on a socket, inside the event loop of whoever asks for it.

uvicorn is the server; what is taken away from it are its habits of a main program: it installs no signal handlers,
configures no logging, and its end is decided by `stop()`. The socket is bound here, before uvicorn starts, so that an
address in use is an error of ours with a hint in it and not a line in a log.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from moldau.errors import MoldauError

if TYPE_CHECKING:
    import uvicorn

BACKLOG: Final = 2048
STOP_GRACE_S: Final = 5


class HttpAddressError(MoldauError):
    """An address cannot be listened on; the message names it."""


class HttpServer:
    """Serves one ASGI application until `stop`. All methods belong to the event loop's thread."""

    def __init__(self, app: Any, host: str = "127.0.0.1", port: int = 0) -> None:
        """Nothing is bound before `start`. Port 0 takes a free one."""
        self._app = app
        self._host = host
        self._port = port
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._socket is None:
            raise RuntimeError("the server has no address yet")
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Where a client on this machine finds it, without a slash at the end."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        return f"http://{host}:{self.port}"

    def bind(self) -> None:
        """Take the address, so that `url` is known; who connects before `start` waits for it.

        Raises:
            HttpAddressError: the address is in use, or not one of this machine.
        """
        if self._socket is None:
            self._socket = _bind(self._host, self._port)

    async def start(self) -> None:
        """Bind, unless that was done, and return when requests are answered.

        Raises:
            HttpAddressError: the address is in use, or not one of this machine.
        """
        self.bind()
        assert self._socket is not None
        server = _server_of(self._app)
        self._server = server
        self._serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        while not server.started:
            if self._serving.done():
                self._serving.result()
                raise HttpAddressError(f"the HTTP server on {self._host}:{self._port} ended while it was starting")
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Answer what was asked, at most for a few seconds, and close. Does nothing when it was not started."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._socket is not None:
            self._socket.close()
        self._server = self._serving = self._socket = None


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves TCP_NODELAY off and a client that keeps its connection waits 40 ms for each body.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise HttpAddressError(f"cannot listen on {host}:{port} for HTTP: {error.strerror or error}") from error
    bound.setblocking(False)
    return bound


def _server_of(app: Any) -> uvicorn.Server:
    import uvicorn

    from moldau.http.protocol import BoundedHttp

    class QuietServer(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals belong to the program that embeds us."""
            yield

    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        log_config=None,
        access_log=False,
        interface="asgi3",
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=STOP_GRACE_S,
    )
    return QuietServer(config)
