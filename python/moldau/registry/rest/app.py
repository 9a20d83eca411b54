"""The ASGI side: which handler a request is for, its body within limits, its answer as JSON, forwarding to the leader.

Paths are matched before they are decoded, because a subject may contain a slash. `/contexts/.ctx/…` is the same as
`/…` with every subject in that context.

ASGI is spoken without a framework: a look-up is a dictionary access, and whatever stands around it is its price.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote_to_bytes

import msgspec

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

CONTENT_TYPE: Final = b"application/vnd.schemaregistry.v1+json"
CONTENT_TYPES: Final = (CONTENT_TYPE, b"application/vnd.schemaregistry+json", b"application/json")
LOOK_AGAIN_S: Final = 0.2
FORWARDED: Final = b"x-forward"
"""The header that Confluent's registries put on a request that they pass on: the next one does not pass it on again."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `path` as it came, `headers` by their names in small letters."""

    method: str
    path: bytes
    query: bytes
    headers: Mapping[bytes, bytes]
    content: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; without a content type it is nothing at all (204)."""

    status: int
    content: bytes
    content_type: bytes | None


Forward = Callable[[str, Asked], Awaitable[Answer]]


class _GoneError(Exception):
    """Whoever asked has closed the connection."""


class RegistryApp:
    """Serves one registry."""

    def __init__(self, registry: Registry, forward: Forward) -> None:
        """`forward(url, asked)` passes a request on to the registry at `url`."""
        self._registry = registry
        self._forward = forward

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except _GoneError:
            return
        headers = []
        if answer.content_type is not None:
            headers = [(b"content-type", answer.content_type), (b"content-length", b"%d" % len(answer.content))]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        headers = dict(scope["headers"])
        content_type = _content_type(headers.get(b"accept", b""))
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        try:
            content = await self._body(headers, receive)
            asked = Asked(scope["method"], path, scope["query_string"], headers, content)
            try:
                body = await self._handle(asked)
            except NotLeaderError as error:
                if FORWARDED in headers:
                    raise leader_unknown() from error
                body = await self._ask_the_leader(error.url, asked)
        except RegistryError as error:
            return Answer(error.status, _json(self._error(error)), content_type)
        except _GoneError:
            raise
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            return Answer(500, _json(internal_error().to_json()), content_type)
        if isinstance(body, Answer):
            return body
        if body is None:
            return Answer(204, b"", None)
        return Answer(200, body.encode() if isinstance(body, RawText) else _json(body), content_type)

    async def _ask_the_leader(self, url: str, asked: Asked) -> Any:
        """Pass a write on. A leader that is gone is named until its session ends; then this registry may lead."""
        deadline = asyncio.get_running_loop().time() + self._registry.settings.leader_timeout_s
        while True:
            try:
                answer = await self._forward(url, asked)
                # Whoever asked here for a write may ask here for what was written.
                await self._registry.store.catch_up()
                return answer
            except LeaderGoneError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(LOOK_AGAIN_S)
            try:
                return await self._handle(asked)
            except NotLeaderError as error:
                url = error.url

    def _error(self, error: RegistryError) -> dict[str, Any]:
        body = error.to_json()
        if isinstance(error, IncompatibleError):
            body["error_code"] = self._registry.settings.incompatible_code
        return body

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return b""
        limit = self._registry.settings.request_bytes_max
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > limit:
            raise body_too_large(limit)
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise body_too_large(limit)
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    async def _handle(self, asked: Asked) -> Any:
        try:
            segments = _segments(asked.path)
            query = parse_qs(asked.query.decode(), keep_blank_values=True, errors="strict") if asked.query else {}
        except ValueError as error:
            raise malformed("the address is not UTF-8") from error
        segments, context = _without_context(segments)
        route, path = _route(asked.method, segments)
        call = Call(self._registry, *_in_context(route, path, query, context), asked.content)
        return await route.handle(call)


def _segments(path: bytes) -> list[str]:
    if b"%" not in path:
        return [part for part in path.decode().split("/") if part]
    return [unquote_to_bytes(part).decode() for part in path.split(b"/") if part]


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


TABLE: Final[dict[tuple[int, str], list[tuple[list[str], dict[str, Route]]]]] = {}
"""By the number of segments and the first of them, which is never a variable."""


def _fill_table() -> None:
    by_path: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = route
    for path, methods in by_path.items():
        parts = [part for part in path.split("/") if part]
        TABLE.setdefault(_place(parts), []).append((parts, methods))


def _place(segments: list[str]) -> tuple[int, str]:
    return len(segments), segments[0] if segments else ""


_fill_table()


def _route(method: str, segments: list[str]) -> tuple[Route, dict[str, str]]:
    allowed: set[str] = set()
    for parts, methods in TABLE.get(_place(segments), ()):
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


@lru_cache(maxsize=64)
def _content_type(accept: bytes) -> bytes:
    wanted = {part.partition(b";")[0].strip() for part in accept.lower().split(b",")}
    return next((each for each in CONTENT_TYPES if each in wanted), CONTENT_TYPE)


_json: Final = msgspec.json.Encoder().encode
