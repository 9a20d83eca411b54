"""A TCP proxy on the loopback interface between clients and a node, whose connections can be cut and delayed."""

from __future__ import annotations

import asyncio
import contextlib
import threading

CHUNK_BYTES = 1 << 16


class Proxy:
    """Listens on `port`, forwards to `target_port`. The loop runs in a thread of its own; `stop` ends it."""

    def __init__(self, target_port: int = 0) -> None:
        self.target_port = target_port
        self.delay_s = 0.0
        """How long each chunk of bytes is held back, in both directions."""
        self.refuses = False
        """Whether a new connection is closed at once."""
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self._thread.start()
        assert listening.wait(30)

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _run(self, listening: threading.Event) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self._loop.run_forever()
        server.close()
        self._cut()
        # Each connection ends by itself now that it is cut.
        if pending := asyncio.all_tasks(self._loop):
            self._loop.run_until_complete(asyncio.wait(pending, timeout=10))
        self._loop.close()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            node_reader, node_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, node_writer}
        self._writers |= ends
        try:
            await asyncio.gather(self._forward(reader, node_writer), self._forward(node_reader, writer))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whichever side ends first, the other has nobody to talk to.
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
