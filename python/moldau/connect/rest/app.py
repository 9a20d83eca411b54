"""The ASGI side: which handler a request is for, its body within limits, its answer as JSON.

Paths are matched before they are decoded, because the name of a connector may contain a slash. Handlers wait for
clusters and connectors, so each runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote_to_bytes

from moldau.connect.errors import ConnectError
from moldau.connect.rest.api import Api
from moldau.connect.rest.call import Answer, Call
from moldau.connect.rest.forwarding import Asked, answered
from moldau.connect.rest.routes import ROUTES, Route
from moldau.connect.runtime import deadlines
from moldau.connect.runtime.daemon_threads import DaemonThreads
from moldau.connect.runtime.refusals import BadRequestError, RefusedError

logger: Final = logging.getLogger("moldau.connect.rest")

BODY_BYTES_MAX: Final = 16 * 1024 * 1024
HANDLERS: Final = 16
HANDLERS_APART: Final = 2
"""Whoever asks whether the worker is well is answered, however many requests hang."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _GoneError(Exception):
    """Whoever asked has closed the connection."""


class NoRouteError(RefusedError):
    """Nothing at the address, or not with this method."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status  # type: ignore[misc]  # two of them share this class


class ConnectApp:
    """Serves one worker."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._threads = DaemonThreads(HANDLERS, "connect-rest")
        self._apart = DaemonThreads(HANDLERS_APART, "connect-health")

    def close(self) -> None:
        """Wait for no request any more."""
        for threads in (self._threads, self._apart):
            threads.shutdown(wait=False, cancel_futures=True)

    def put_connector(self, name: str, config: dict[str, str | None]) -> None:
        """Give a connector its configuration, by whichever worker may write it. Raises ConnectError."""
        content = json.dumps(config).encode()
        place = f"/connectors/{quote(name, safe='')}/config"
        answered(Asked("PUT", place, content), lambda: self._api.put_config(name, config), self._api.refresh)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except _GoneError:
            return
        content = answer.text or b""
        if answer.body is not None:
            content = json.dumps(answer.body, ensure_ascii=False).encode()
        headers = [(b"content-length", b"%d" % len(content))] if answer.status != 204 else []
        if content:
            headers.append((b"content-type", answer.content_type.encode()))
        if answer.location is not None:
            headers.append((b"location", answer.location.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        try:
            route, variables = route_of(scope["method"], path)
            query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            call = Call(self._api, variables, query, await _body(receive), headers)
            place = path.decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
            asked = Asked(scope["method"], place, call.content, _forward(route, call))
            answer = partial(answered, asked, partial(route.handle, call), self._api.refresh)
            body = await self._in_time(asked, answer, apart=route.apart)
        except _GoneError:
            raise
        except RefusedError as error:
            return _refusal(error.status, str(error))
        except ConnectError as error:
            return _refusal(500, str(error))
        except Exception as error:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            return _refusal(500, f"{type(error).__name__}: {error}")
        if isinstance(body, Answer):
            return body
        return Answer(204) if body is None else Answer(200, body)

    async def _in_time(self, asked: Asked, answer: Callable[[], Any], *, apart: bool) -> Any:
        """Raises RefusedError when there is no answer within a request's time. What is being done then goes on."""
        timeout_s = deadlines.of_request(asked.forward)
        threads = self._apart if apart else self._threads
        answering = asyncio.get_running_loop().run_in_executor(threads, answer)
        await asyncio.wait({answering}, timeout=timeout_s)
        if answering.done():
            return answering.result()
        answering.cancel()
        logger.warning(
            "%s %s has no answer after %g s: a connector or a cluster that it asks does not answer",
            asked.method,
            asked.place,
            timeout_s,
        )
        raise RefusedError("Request timed out")


def _forward(route: Route, call: Call) -> bool | None:
    """What a worker that passes a request on says about it; None when it is a user who asks."""
    if route.between_workers:
        return False
    return call.flag("forward") if "forward" in call.query else None


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, {"error_code": status, "message": message})


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            raise BadRequestError(f"the body is larger than {BODY_BYTES_MAX} bytes")
        more = message.get("more_body", False)
    return b"".join(parts)


def _table() -> dict[int, list[tuple[list[str], dict[str, Route]]]]:
    by_path: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = route
    table: dict[int, list[tuple[list[str], dict[str, Route]]]] = {}
    for path, methods in by_path.items():
        parts = [part for part in path.split("/") if part]
        table.setdefault(len(parts), []).append((parts, methods))
    return table


_TABLE: Final = _table()


def route_of(method: str, path: bytes) -> tuple[Route, dict[str, str]]:
    """The route of a request, and the variables of its path. Raises NoRouteError, BadRequestError."""
    try:
        segments = [unquote_to_bytes(part).decode() for part in path.split(b"/") if part]
    except ValueError as error:
        raise BadRequestError("the address is not UTF-8") from error
    allowed: set[str] = set()
    for parts, methods in _TABLE.get(len(segments), ()):
        pairs = list(zip(parts, segments, strict=True))
        if not all(part.startswith("{") or part == segment for part, segment in pairs):
            continue
        found = methods.get("GET" if method == "HEAD" else method)
        if found is not None:
            return found, {part[1:-1]: segment for part, segment in pairs if part.startswith("{")}
        allowed |= set(methods)
    if allowed:
        raise NoRouteError(405, f"{method} is not for this address; {', '.join(sorted(allowed))} is")
    raise NoRouteError(404, "There is nothing at this address")
