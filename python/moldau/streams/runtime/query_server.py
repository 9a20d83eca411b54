"""Queries over HTTP: an instance answers for what it has, and for the whole application when a person asks.

    GET /metrics                                      what the instance has done, for Prometheus
    GET /streams/{app}/stores                         the stores there are
    GET /streams/{app}/stores/{store}?from=&to=       every entry (of windows that start, sessions that are in the span)
    GET /streams/{app}/stores/{store}/{key}?from=&to= one key; a window store's windows that start in the span, sessions
    GET /streams/{app}/stores/{store}/{key}?as_of=    one key of a versioned store, as it was then

With `stale=true` copies answer as well, and what is being restored.
Keys are text as the store's key type reads it: text as it is, numbers in digits, everything else as JSON. 503 says that
a part of the store is on its way. Instances ask each other with POST to the same store, in bytes.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import threading
import urllib.request
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from moldau.http import HttpServer
from moldau.observe.exposition import CONTENT_TYPE
from moldau.streams.errors import StreamsError
from moldau.streams.runtime.queries import Entry, LocalTasks, Query, Router, StoreNotAvailableError, StoreSerdes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

logger: Final = logging.getLogger("moldau.streams")

_ASK_TIMEOUT_S: Final = 10.0
_START_TIMEOUT_S: Final = 30.0
_MS_MAX: Final = 2**63 - 1


def ask_instance(application_id: str, server: str, query: Query, partition: int | None) -> Mapping[int, list[Entry]]:
    """What another instance has; nothing if it does not answer: it may have just gone."""
    body = msgspec.json.encode({"query": query, "partition": partition})
    request = urllib.request.Request(
        f"http://{server}/streams/{application_id}/stores/{query.store}",
        body,
        {"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_ASK_TIMEOUT_S) as answer:  # noqa: S310
            return msgspec.json.decode(answer.read(), type=dict[int, list[Entry]])
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        logger.info("%s did not answer a query: %s", server, error)
        return {}


class QueryServer:
    """The HTTP side of one instance, in a thread of its own."""

    def __init__(self, application_id: str, address: str) -> None:
        """Take the address (`host:port`, 0 for any free port); nothing is answered before `start`."""
        host, _, port = address.rpartition(":")
        if not port.isdigit():
            raise StreamsError(
                f"application.server: {address!r} is no address\nhint: host:port, such as 127.0.0.1:7070"
            )
        self._application_id = application_id
        self._http = HttpServer(self._serve, host.strip("[]") or "127.0.0.1", int(port))
        self._http.bind()
        self.address = f"{host or '127.0.0.1'}:{self._http.port}"
        self._app: Any = None
        self._local: LocalTasks | None = None
        self._router: Router | None = None
        self._metrics: Callable[[], bytes] | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{application_id}-queries", daemon=True)

    def start(self, local: LocalTasks, router: Router, metrics: Callable[[], bytes]) -> None:
        """Answer queries, and Prometheus."""
        self._local, self._router, self._metrics = local, router, metrics
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S):
            raise StreamsError(f"the server for queries on {self.address} did not start")

    def close(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._until_stopped())
        self._loop.close()

    async def _until_stopped(self) -> None:
        self._app = self._routes()
        await self._http.start()
        self._ready.set()
        await self._stop.wait()
        await self._http.stop()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)

    def _routes(self) -> Any:
        from starlette.applications import Starlette
        from starlette.routing import Route

        base = f"/streams/{self._application_id}/stores"
        return Starlette(
            routes=[
                Route("/metrics", self._show_metrics),
                Route(base, self._list),
                Route(base + "/{store}", self._peer, methods=["POST"]),
                Route(base + "/{store}", self._person),
                Route(base + "/{store}/{key:path}", self._person),
            ]
        )

    async def _list(self, request: Request) -> Response:
        assert self._local is not None
        return _json({"stores": self._local.stores()})

    async def _show_metrics(self, request: Request) -> Response:
        from starlette.responses import Response as Plain

        assert self._metrics is not None
        return Plain(await asyncio.to_thread(self._metrics), headers={"Content-Type": CONTENT_TYPE})

    async def _peer(self, request: Request) -> Response:
        from starlette.responses import Response as Plain

        assert self._local is not None
        asked = msgspec.json.decode(await request.body(), type=_Asked)
        try:
            found = await asyncio.to_thread(self._local.ask, asked.query, asked.partition)
        except StreamsError as error:
            return _json({"error": str(error)}, 404)
        return Plain(msgspec.json.encode(found), media_type="application/json")

    async def _person(self, request: Request) -> Response:
        assert self._local is not None
        assert self._router is not None
        try:
            serdes = self._local.serdes(request.path_params["store"])
            query = _query(request, serdes)
            entries = await asyncio.to_thread(self._router.ask, query, _ASK_TIMEOUT_S)
        except StoreNotAvailableError as error:
            return _json({"error": str(error)}, 503)
        except StreamsError as error:
            return _json({"error": str(error)}, 404)
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        if query.operation == "get" and not entries:
            return _json({"error": f"there is no key {request.path_params['key']}"}, 404)
        return _json({"store": query.store, "entries": [_shown(entry, serdes) for entry in entries]})


class _Asked(msgspec.Struct):
    query: Query
    partition: int | None


def _query(request: Request, serdes: StoreSerdes) -> Query:
    start, end = int(request.query_params.get("from", 0)), int(request.query_params.get("to", _MS_MAX))
    store, text = request.path_params["store"], request.path_params.get("key")
    stale = request.query_params.get("stale") == "true"
    if text is None:
        return Query(store, "all", start=start, end=end, stale=stale)
    key = serdes.key.serialize(_key(text, serdes))
    if "as_of" in request.query_params:
        if serdes.kind != "versioned":
            raise ValueError(f"as_of: store {store} is of kind {serdes.kind} and keeps no versions")
        return Query(store, "get", key, as_of=int(request.query_params["as_of"]), stale=stale)
    return Query(store, "fetch" if serdes.windowed else "get", key, start=start, end=end, stale=stale)


def _key(text: str, serdes: StoreSerdes) -> Any:
    return text if serdes.key.name in {"String", "UUID"} else json.loads(text)


def _shown(entry: Entry, serdes: StoreSerdes) -> dict[str, Any]:
    shown = {
        "key": _plain(serdes.key.deserialize(entry.key)),
        "value": _plain(serdes.value.deserialize(entry.value)),
        "timestamp": entry.timestamp,
        "window_start": entry.start,
        "window_end": entry.end,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else msgspec.to_builtins(value)


def _json(content: Any, status: int = 200) -> Response:
    from starlette.responses import Response as Plain

    return Plain(msgspec.json.encode(content), status, media_type="application/json")
