"""From a request that Rust passed on to the bytes of its answer.

Every request ends in exactly one way: its handler's answer; an error in the shape of its response when the handler
refused or failed; or a closed connection when the body cannot be read or no error can be put into the answer. A
failure is logged with its traceback, and never leaves a client waiting.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from moldau.errors import ApiError, ErrorCode
from moldau.server.access import access_of
from moldau.server.codec import DecodeError, decode, encode_response
from moldau.server.eager import Running
from moldau.server.handlers import RequestContext, Route, ServeHot
from moldau.server.refusal import refuse
from moldau.server.work_time import WorkTime
from moldau.wire.layout import UnknownMessageError

logger: Final = logging.getLogger("moldau.server.dispatch")

PRODUCE: Final = 0
POLL_BATCH: Final = 128
"""Requests taken from the queue before the event loop gets its turn."""
TOGETHER: Final = 16
"""Answers that leave together. One that leaves alone wakes a thread of the server, and that costs about as much as a
decision; more than so many would keep the first of them waiting for others."""
TOGETHER_NS: Final = 1_000_000
"""How long the first of them waits for others."""
QUICK: Final = frozenset({8, 10, 12, 68})
"""OffsetCommit, FindCoordinator, Heartbeat, ConsumerGroupHeartbeat: what comes in crowds and is decided in well under a
millisecond. An answer waits for nothing else."""
PARKED_TOGETHER: Final = QUICK | {11, 14}
"""JoinGroup and SyncGroup as well: those that one decision answers, for all members of a group, leave together."""
QUICK_BODY_BYTES: Final = 4096
"""A commit of thousands of offsets is not quick."""


class Request(Protocol):
    """What dispatch needs of `moldau._core.Request`."""

    @property
    def connection_id(self) -> int: ...
    @property
    def listener(self) -> str: ...
    @property
    def principal(self) -> str | None: ...
    @property
    def client_host(self) -> str: ...
    @property
    def advertised_host(self) -> str: ...
    @property
    def advertised_port(self) -> int: ...
    @property
    def api_key(self) -> int: ...
    @property
    def api_version(self) -> int: ...
    @property
    def correlation_id(self) -> int: ...
    @property
    def client_id(self) -> str | None: ...
    @property
    def refusal(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    def respond(self, body: bytes, throttle_ms: int = 0, /) -> None: ...
    def serve_hot(self) -> None: ...
    def close(self) -> None: ...


class Dispatcher:
    """Hands requests to their handlers."""

    def __init__(
        self, shell: Any, routes: Mapping[int, Route], *, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._shell = shell
        self._routes = routes
        self._tokens = itertools.count(1)
        self._running = Running()
        self._clock_ns = clock_ns
        self._gathering = False
        self._beginning = False
        self._gathered: list[tuple[Request, bytes, int]] = []
        self._gathered_since_ns = 0

    def start_all(self, requests: Iterable[Request]) -> None:
        """`start` each; of those that are quick, what is answered at once leaves in groups."""
        try:
            for request in requests:
                body = request.body
                self._gathering = request.api_key in QUICK and len(body) <= QUICK_BODY_BYTES
                if not self._gathering:
                    self._send_gathered()
                self._start(request, body)
                if self._gathered and self._clock_ns() - self._gathered_since_ns >= TOGETHER_NS:
                    self._send_gathered()
        finally:
            self._gathering = False
            self._send_gathered()

    def start(self, request: Request) -> None:
        """Answer `request`, or begin to."""
        self._start(request, request.body)

    def _start(self, request: Request, body: bytes) -> None:
        self._beginning = True
        try:
            self._running.begin(self._serve(request, body))
        except Exception:
            # Others wait behind it, in the same turn.
            logger.exception("API key %d version %d failed", request.api_key, request.api_version)
            _close(request)
        finally:
            self._beginning = False

    async def drain(self, grace_s: float) -> None:
        """Wait for the running requests, then give the rest up: their connections close."""
        await self._running.drain(grace_s)
        self._send_gathered()

    async def _serve(self, request: Request, body: bytes) -> None:
        if request.refusal:
            self._refuse_as_asked(request, body)
            return
        route = self._routes.get(request.api_key)
        if route is None or route.handle is None:
            logger.error("no handler for API key %d, closing connection %d", request.api_key, request.connection_id)
            request.close()
            return
        try:
            decoded = decode(request.api_key, request.api_version, body)
        except (DecodeError, UnknownMessageError) as error:
            logger.warning("closing connection %d of %s: %s", request.connection_id, request.client_host, error)
            request.close()
            return
        try:
            work = WorkTime() if self._shell.core.limits_requests() else None
            handled = route.handle(self._shell, decoded, self._context(request))
            answer = await (handled if work is None else work.measure(handled))
            if isinstance(answer, ServeHot):
                request.serve_hot()
            else:
                self._respond(request, answer, work)
        except ApiError as error:
            self._refuse(request, decoded, error.code, error.message)
        except asyncio.CancelledError:
            request.close()
            raise
        except Exception:
            # The boundary between a mistake of ours and a client: the client gets an answer, we get the traceback.
            logger.exception("%s version %d failed", route.api.name, request.api_version)
            self._refuse(request, decoded, ErrorCode.UNKNOWN_SERVER_ERROR, None)

    def _respond(self, request: Request, answer: Mapping[str, Any], work: WorkTime | None) -> None:
        """Answer, and let a client wait that has used more than its quotas (KIP-219)."""
        throttle_ms: int = answer.get("throttle_time", 0)
        if work is not None:
            throttle_ms = max(throttle_ms, self._shell.core.charge_time(request.client_id, work.busy_ns))
        if throttle_ms:
            answer = {**answer, "throttle_time": throttle_ms}
        self._send(request, encode_response(request.api_key, request.api_version, answer), throttle_ms)

    def _send(self, request: Request, body: bytes, throttle_ms: int) -> None:
        # Those that waited for one decision go on one after the other, in one turn of the event loop.
        has_waited = not self._beginning and request.api_key in PARKED_TOGETHER
        if not (self._gathering or has_waited):
            _respond(request, body, throttle_ms)
            return
        if not self._gathered:
            self._gathered_since_ns = self._clock_ns()
            if has_waited:
                asyncio.get_running_loop().call_soon(self._send_gathered)
        self._gathered.append((request, body, throttle_ms))
        if len(self._gathered) >= TOGETHER or self._clock_ns() - self._gathered_since_ns >= TOGETHER_NS:
            self._send_gathered()

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        for request, body, throttle_ms in gathered:
            _respond(request, body, throttle_ms)

    def _refuse_as_asked(self, request: Request, body: bytes) -> None:
        """A test wants this request to fail (`moldau.testing`), whoever answers it otherwise."""
        try:
            decoded = decode(request.api_key, request.api_version, body)
        except (DecodeError, UnknownMessageError):
            request.close()
            return
        if request.api_key == PRODUCE and decoded.acks == 0:
            # Nobody reads an answer; Kafka says it like this.
            request.close()
        else:
            self._refuse(request, decoded, ErrorCode(request.refusal), "a test asked for this error")

    def _context(self, request: Request) -> RequestContext:
        return RequestContext(
            api_version=request.api_version,
            correlation_id=request.correlation_id,
            client_id=request.client_id,
            client_host=f"/{request.client_host}",
            listener=request.listener,
            advertised=(request.advertised_host, request.advertised_port),
            token=next(self._tokens),
            access=access_of(self._shell.access, request),
        )

    def _refuse(self, request: Request, decoded: Any, code: ErrorCode, message: str | None) -> None:
        try:
            body = refuse(request.api_key, request.api_version, decoded, code, message)
        except Exception:
            logger.exception("cannot put %s into the answer to API key %d", code.name, request.api_key)
            body = None
        if body is None:
            request.close()
        else:
            self._send(request, body, 0)


def _respond(request: Request, body: bytes, throttle_ms: int) -> None:
    """End a request with its answer. One that cannot be ended so must not take others along, nor be answered twice."""
    try:
        request.respond(body, throttle_ms)
    except Exception:
        logger.exception("cannot send the answer to API key %d", request.api_key)
        _close(request)


def _close(request: Request) -> None:
    try:
        request.close()
    except Exception:
        logger.exception("cannot close connection %d", request.connection_id)
