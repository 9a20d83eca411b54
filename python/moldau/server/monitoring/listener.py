"""The HTTP listener: `/metrics` for Prometheus, `/livez` and `/readyz` for whoever restarts or routes.

    /livez     200 as long as the event loop turns: restarting helps only when this fails
    /readyz    200 when clients may be sent here, 503 with the reasons when they may not

It is there from before the first partition is loaded, so that a long recovery is seen as one, and until the node is
down. starlette and uvicorn are imported by the node that has such a listener, not by others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from moldau.config.settings import BrokerSettings
from moldau.http import HttpAddressError, HttpServer
from moldau.observe.exposition import CONTENT_TYPE
from moldau.server.monitoring.health import Phase, checks
from moldau.server.monitoring.scrape import Scraper
from moldau.server.shell import Shell

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from moldau._core import Core

__all__ = ["HttpAddressError", "Monitoring"]


class Monitoring:
    """Tells who asks how the node is. All methods belong to the event loop's thread."""

    def __init__(self, core: Core, api_names: dict[int, str], settings: BrokerSettings) -> None:
        self.phase = Phase.STARTING
        self.shell: Shell | None = None
        """What is known of the node; None until there is something."""
        self._core = core
        self._scraper = Scraper(core, api_names, settings.integer("moldau.metrics.partitions.max"))
        self._server: HttpServer | None = None

    @property
    def url(self) -> str | None:
        """Where it is found, without a slash at the end; None when nothing listens."""
        return None if self._server is None else self._server.url

    async def listen(self, address: str, *, any_port: bool = False) -> None:
        """Serve on `host:port`; with `any_port` on a free one when that is taken.

        Raises:
            HttpAddressError: the address is in use, or not one of this machine.
        """
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or "0.0.0.0"
        server = HttpServer(self._app(), host, int(port))
        try:
            server.bind()
        except HttpAddressError:
            if not any_port:
                raise
            server = HttpServer(self._app(), host, 0)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Listen no more. Does nothing when nothing listens."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    async def metrics(self) -> bytes:
        """Everything that is measured, in Prometheus' text format."""
        text, groups = self._scraper.of_node(self.phase, self.shell)
        return await asyncio.to_thread(self._scraper.rest, text, groups)

    async def readiness(self) -> dict[str, Any]:
        """Whether clients may be sent here: `{"ready": …, "checks": [{"check": …, "ok": …, "reason": …}]}`."""
        directories = await asyncio.to_thread(self._core.directories)
        found = checks(self.phase, self.shell, directories)
        return {"ready": all(check.ok for check in found), "checks": [check.record() for check in found]}

    def _app(self) -> Starlette:
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse, PlainTextResponse
        from starlette.routing import Route

        async def metrics(_request: Request) -> Response:
            return PlainTextResponse(await self.metrics(), headers={"content-type": CONTENT_TYPE})

        async def livez(_request: Request) -> Response:
            return JSONResponse({"live": True})

        async def readyz(_request: Request) -> Response:
            found = await self.readiness()
            return JSONResponse(found, status_code=200 if found["ready"] else 503)

        return Starlette(routes=[Route("/metrics", metrics), Route("/livez", livez), Route("/readyz", readyz)])
