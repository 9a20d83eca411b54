"""An application is served where it was asked to be, and let go when it is told."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from moldau.http import HttpAddressError, HttpServer


async def greet(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", greet)])


def test_requests_are_answered_as_soon_as_start_returns_and_not_after_stop():
    async def scenario() -> None:
        server = HttpServer(APP)
        await server.start()
        url = server.url
        async with httpx.AsyncClient() as client:
            assert (await client.get(url)).text == "hello"
        await server.stop()
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(url)

    asyncio.run(scenario())


def test_an_address_in_use_is_named_in_the_error():
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(HttpAddressError, match=f"127.0.0.1:{port}.*in use"):
                await HttpServer(APP, port=port).start()

    asyncio.run(scenario())


def test_signal_handlers_are_left_alone():
    async def scenario() -> None:
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        server = HttpServer(APP)
        await server.start()
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        await server.stop()

    asyncio.run(scenario())


def test_stop_without_start_does_nothing():
    async def scenario() -> None:
        await HttpServer(APP).stop()

    asyncio.run(scenario())


def test_a_body_does_not_wait_for_the_acknowledgement_of_its_headers():
    async def scenario() -> None:
        server = HttpServer(APP)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"hello")
        (connection,) = server._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        writer.close()
        await server.stop()

    asyncio.run(scenario())


def test_who_connects_between_bind_and_start_is_answered():
    async def scenario() -> None:
        server = HttpServer(APP)
        server.bind()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await server.start()
        assert (await reader.read()).endswith(b"hello")
        writer.close()
        await server.stop()

    asyncio.run(scenario())


async def echo(scope, receive, send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def answered(head: bytes, piece: bytes, times: int, end: bytes = b"") -> bytes:
    """The first line of the answer to a request that is sent bit by bit, until it is over or nobody listens."""
    server = HttpServer(echo)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head)
    with contextlib.suppress(ConnectionError):
        for _ in range(times):
            writer.write(piece)
            await writer.drain()
        writer.write(end)
        await writer.drain()
    try:
        line = await reader.readline()
    except ConnectionError:
        # Closed with bytes of ours unread: the answer may be lost, the connection is.
        line = b"closed"
    writer.close()
    await server.stop()
    return line


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a-header: and its value\r\n" * 40),
        (b"GET / HTTP/1.1\r\nhost: x\r\nendless: ", b"x" * 1000),
        (b"GET /", b"x" * 1000),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"trailer: x\r\n" * 80),
    ],
    ids=["headers", "one-header", "address", "trailers"],
)
def test_a_request_without_end_costs_its_sender_the_connection(head, piece):
    line = asyncio.run(answered(head, piece, 10_000))
    assert b" 400 " in line or line in (b"closed", b"")


def test_a_large_body_in_small_chunks_is_a_body():
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    line = asyncio.run(answered(head, b"10\r\n0123456789abcdef\r\n" * 500, 40, b"0\r\n\r\n"))
    assert line.startswith(b"HTTP/1.1 200")


def test_requests_on_one_connection_do_not_add_up():
    async def scenario() -> None:
        server = HttpServer(APP)
        await server.start()
        async with httpx.AsyncClient(base_url=server.url, headers={"long": "x" * 30_000}) as client:
            for _ in range(5):
                assert (await client.get("/")).text == "hello"
        await server.stop()

    asyncio.run(scenario())
