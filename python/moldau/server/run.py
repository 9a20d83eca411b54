"""A broker in the foreground: what `moldau up` and `moldau broker` run.

SIGTERM and SIGINT stop it in order: no new connections, running requests end, logs are closed and marked clean. A
second signal does not wait for that. Under systemd it tells when it is ready and when it stops (`Type=notify`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from typing import Final

from moldau.config.settings import BrokerSettings
from moldau.server.boot import Node, NodeOptions

logger: Final = logging.getLogger("moldau.server")

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def serve(
    settings: BrokerSettings,
    options: NodeOptions | None = None,
    ready: Callable[[Node], None] = lambda _node: None,
    leaving: Callable[[], None] = lambda: None,
) -> None:
    """Run a broker until a signal says to stop.

    Args:
        ready: called once clients may connect; `node.endpoints` says where.
        leaving: called in a thread before the node stops: it still answers, for those who have to say goodbye.

    Raises:
        StartError: a directory, the metadata log or an address cannot be used.
    """
    raise_open_files_limit()
    asyncio.run(_serve(settings, options or NodeOptions(), ready, leaving))


async def _serve(
    settings: BrokerSettings, options: NodeOptions, ready: Callable[[Node], None], leaving: Callable[[], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def on_signal(which: signal.Signals) -> None:
        if received:
            # Nobody waits twice. What is acknowledged survives this as it survives a kill.
            os._exit(128 + which)
        received.append(which)
        stop.set()

    for which in SIGNALS:
        loop.add_signal_handler(which, on_signal, which)
    node = Node(settings, options)
    await node.start()
    try:
        ready(node)
        notify_service_manager("READY=1")
        await stop.wait()
        logger.info("stopping: %s", received[0].name)
    finally:
        notify_service_manager("STOPPING=1")
        await asyncio.to_thread(leaving)
        await node.stop()
        for which in SIGNALS:
            loop.remove_signal_handler(which)


def raise_open_files_limit() -> None:
    """Let this process open as many files as it may: a partition takes up to three, a client one; Java does so too."""
    lowest, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if lowest != highest:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))
        except (OSError, ValueError) as error:
            logger.warning("cannot raise the limit of open files above %d: %s", lowest, error)


def notify_service_manager(state: str) -> None:
    """Tell systemd, if it started us with `Type=notify`; the protocol is one datagram (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            logger.warning("cannot tell the service manager %s: %s", state, error)
