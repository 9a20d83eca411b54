"""A registry on a socket: alone in the foreground, or in a thread of its own beside something else."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from moldau.http import HttpServer, Ready, ServiceThread, run_until_a_signal
from moldau.registry.errors import LeaderGoneError, forwarding_failed
from moldau.registry.registry import Registry
from moldau.registry.rest.app import FORWARDED, Answer, Asked, RegistryApp
from moldau.registry.settings import RegistrySettings

if TYPE_CHECKING:
    import httpx

FORWARD_TIMEOUT_S: Final = 30.0
PASSED_ON: Final = (b"accept", b"content-type", b"authorization")


class RegistryServer:
    """A registry and its HTTP server. All methods belong to the event loop's thread."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._http = HttpServer(self._serve, settings.host, settings.port)
        self._app: RegistryApp | None = None
        self._client: httpx.AsyncClient | None = None
        self.registry: Registry | None = None

    @property
    def url(self) -> str:
        """Where a client finds it."""
        return self._http.url

    async def start(self) -> None:
        """Return when everything in the topic was read, and requests are answered.

        Raises:
            HttpAddressError: the address cannot be listened on.
            StoreOpenError: the topic cannot be used.
            RegistryError: the cluster does not answer.
        """
        self._http.bind()
        self.registry = Registry(self._settings, self._settings.advertised_url or self._http.url)
        self._app = RegistryApp(self.registry, self._forward)
        try:
            await self.registry.open()
            await self._http.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Answer what was asked, then give the lead away."""
        await self._http.stop()
        if self._client is not None:
            await self._client.aclose()
        if self.registry is not None:
            await self.registry.close()

    async def _serve(self, scope: object, receive: object, send: object) -> None:
        assert self._app is not None
        await self._app(scope, receive, send)  # type: ignore[arg-type]

    async def _forward(self, url: str, asked: Asked) -> Answer:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=FORWARD_TIMEOUT_S)
        place = asked.path + (b"?" + asked.query if asked.query else b"")
        headers = {name: asked.headers[name] for name in PASSED_ON if name in asked.headers}
        try:
            answer = await self._client.request(
                asked.method,
                url + place.decode(),
                content=asked.content,
                headers={**headers, FORWARDED: b"true"},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise LeaderGoneError(url) from error
        except httpx.HTTPError as error:
            raise forwarding_failed(f"{url}: {error or type(error).__name__}") from error
        content_type = answer.headers.get("content-type")
        return Answer(answer.status_code, answer.content, content_type.encode() if content_type else None)


def run(settings: RegistrySettings, ready: Ready) -> None:
    """Run in the foreground until SIGTERM or SIGINT.

    Raises what `RegistryServer.start` raises.
    """
    run_until_a_signal(partial(serve, settings), ready)


async def serve(settings: RegistrySettings, stop: asyncio.Event, ready: Ready) -> None:
    """Run until `stop` is set; `ready` is called with the URL once requests are answered."""
    server = RegistryServer(settings)
    await server.start()
    try:
        ready(server.url)
        await stop.wait()
    finally:
        await server.stop()


class RegistryThread(ServiceThread):
    """A registry with an event loop of its own, for a program that has something else to do.

    `start` raises what `RegistryServer.start` raises.
    """

    def __init__(self, settings: RegistrySettings) -> None:
        super().__init__(partial(serve, settings), "moldau-registry")
