"""Running a service: in the foreground until a signal, or in a thread of its own beside something else.

A service is a coroutine function of two arguments: it runs until the event is set, and calls the other one with its URL
once requests are answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self

Ready = Callable[[str], None]
Service = Callable[[asyncio.Event, Ready], Coroutine[Any, Any, None]]


def run_until_a_signal(service: Service, ready: Ready) -> None:
    """Run in the foreground until SIGTERM or SIGINT. Raises what the service raises."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for which in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(which, stop.set)
        await service(stop, ready)

    asyncio.run(main())


class ServiceThread:
    """A service with an event loop of its own, for a program that has something else to do."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._closed = False
        self._error: BaseException | None = None
        self.url = ""

    def start(self) -> str:
        """Return the URL when requests are answered. Raises what the service raises."""
        self.start_soon()
        return self.wait()

    def start_soon(self) -> None:
        """Return at once; `wait` says how it went."""
        self._thread.start()

    def wait(self) -> str:
        """Return the URL when requests are answered. Raises what the service raises."""
        self._started.wait()
        if self._error is not None:
            raise self._error
        return self.url

    def close(self) -> None:
        """Stop, also in the middle of the start; returns when everything is closed."""
        # The flag first: a thread that has no loop yet sees it once it has one.
        self._closed = True
        if self._loop is not None and self._stop is not None:
            # The loop may be closed by now: it failed, or was stopped before.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 (whatever it is, it belongs to whoever waits in `start`)
            self._error = error
        finally:
            self._started.set()

    async def _main(self) -> None:
        stop = asyncio.Event()
        self._stop, self._loop = stop, asyncio.get_running_loop()
        if self._closed:
            stop.set()

        def ready(url: str) -> None:
            self.url = url
            self._started.set()

        await self._service(stop, ready)
