"""The ASGI side: which handler a request is for, its body within limits, its answer as JSON, forwarding to the leader.

Paths are matched before they are decoded, because a subject may contain a slash. `/contexts/.ctx/…` is the same as
`/…` with every subject in that context.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from moldau.registry.errors import (
    IncompatibleError,
    LeaderGoneError,
    RegistryError,
    body_too_large,
    internal_error,
    leader_unknown,
    malformed,
)
from moldau.registry.names import DEFAULT_CONTEXT, parse_subject
from moldau.registry.registry import NotLeaderError, Registry
from moldau.registry.rest.call import Call
from moldau.registry.rest.routes import ROUTES, Route
from moldau.registry.rest.subjects import RawText

logger: Final = logging.getLogger("moldau.registry.rest")

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
CONTENT_TYPES: Final = (CONTENT_TYPE, "application/vnd.schemaregistry+json", "application/json")
LOOK_AGAIN_S: Final = 0.2
FORWARDED: Final = "x-forward"
"""The header that Confluent's registries put on a request that they pass on: the next one does not pass it on again."""

Forward = Callable[[str, Request, bytes], Awaitable[Response]]


class RegistryApp:
    """Serves one registry."""

    def __init__(self, registry: Registry, forward: Forward) -> None:
        """`forward(url, request, body)` passes a request on to the registry at `url`."""
        self._registry = registry
        self._forward = forward

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        content_type = _content_type(request.headers.get("accept", ""))
        try:
            content = await self._body(request)
            try:
                answer = await self._handle(request, content)
            except NotLeaderError as error:
                if FORWARDED in request.headers:
                    raise leader_unknown() from error
                answer = await self._ask_the_leader(error.url, request, content)
        except RegistryError as error:
            return _json(self._error(error), content_type, error.status)
        except Exception:
            logger.exception("%s %s failed", request.method, request.url.path)
            return _json(internal_error().to_json(), content_type, 500)
        if isinstance(answer, Response):
            return answer
        if answer is None:
            return Response(status_code=204)
        if isinstance(answer, RawText):
            return Response(answer.encode(), media_type=content_type)
        return _json(answer, content_type)

    async def _ask_the_leader(self, url: str, request: Request, content: bytes) -> Any:
        """Pass a write on. A leader that is gone is named until its session ends; then this registry may lead."""
        deadline = asyncio.get_running_loop().time() + self._registry.settings.leader_timeout_s
        while True:
            try:
                response = await self._forward(url, request, content)
                # Whoever asked here for a write may ask here for what was written.
                await self._registry.store.catch_up()
                return response
            except LeaderGoneError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(LOOK_AGAIN_S)
            try:
                return await self._handle(request, content)
            except NotLeaderError as error:
                url = error.url

    def _error(self, error: RegistryError) -> dict[str, Any]:
        body = error.to_json()
        if isinstance(error, IncompatibleError):
            body["error_code"] = self._registry.settings.incompatible_code
        return body

    async def _body(self, request: Request) -> bytes:
        limit = self._registry.settings.request_bytes_max
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > limit:
            raise body_too_large(limit)
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise body_too_large(limit)
            parts.append(part)
        return b"".join(parts)

    async def _handle(self, request: Request, content: bytes) -> Any:
        raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
        try:
            segments = [unquote_to_bytes(part).decode() for part in raw.split(b"/") if part]
            query = parse_qs(request.scope["query_string"].decode(), keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise malformed("the address is not UTF-8") from error
        segments, context = _without_context(segments)
        route, path = _route(request.method, segments)
        call = Call(self._registry, *_in_context(route, path, query, context), content)
        return await route.handle(call)


def _without_context(segments: list[str]) -> tuple[list[str], str]:
    if len(segments) < 3 or segments[0] != "contexts":
        return segments, DEFAULT_CONTEXT
    given = segments[1]
    return segments[2:], parse_subject(given).context if given.startswith(":") else given


def _in_context(
    route: Route, path: dict[str, str], query: dict[str, list[str]], context: str
) -> tuple[Mapping[str, str], Mapping[str, list[str]]]:
    """Every subject that names no context is in this one."""
    if context == DEFAULT_CONTEXT:
        return path, query
    prefix = f":{context}:"

    def inside(subject: str) -> str:
        return subject if subject.startswith((":.", ":*:")) else prefix + subject

    if "subject" in path or route.path in ("/config", "/mode"):
        path = {**path, "subject": inside(path.get("subject", ""))}
    for name in ("subject", "subjectPrefix"):
        if name in route.query:
            query = {**query, name: [inside(each) for each in query.get(name, [""])]}
    return path, query


TABLE: Final[dict[int, list[tuple[list[str], dict[str, Route]]]]] = {}


def _fill_table() -> None:
    by_path: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = route
    for path, methods in by_path.items():
        parts = [part for part in path.split("/") if part]
        TABLE.setdefault(len(parts), []).append((parts, methods))


_fill_table()


def _route(method: str, segments: list[str]) -> tuple[Route, dict[str, str]]:
    allowed: set[str] = set()
    for parts, methods in TABLE.get(len(segments), ()):
        if not all(part.startswith("{") or part == segment for part, segment in zip(parts, segments, strict=True)):
            continue
        found = methods.get("GET" if method == "HEAD" else method)
        if found is not None:
            pairs = zip(parts, segments, strict=True)
            return found, {part[1:-1]: segment for part, segment in pairs if part.startswith("{")}
        allowed |= set(methods)
    if allowed:
        raise RegistryError(405, 405, f"{method} is not for this address; {', '.join(sorted(allowed))} is")
    raise RegistryError(404, 404, "There is nothing at this address")


def _content_type(accept: str) -> str:
    wanted = {part.partition(";")[0].strip() for part in accept.lower().split(",")}
    return next((each for each in CONTENT_TYPES if each in wanted), CONTENT_TYPE)


def _json(body: Any, content_type: str, status: int = 200) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, media_type=content_type)
