"""A line to a port of this machine on which every byte takes its time: `python -m bench.long_line PORT`.

It is long, not narrow: what is on its way does not wait for what is before it. It prints the port that it listens on,
and takes milliseconds from its standard input, one number a line: how long everything takes in each direction from then
on. It ends when its standard input does.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from contextlib import suppress

CHUNK_BYTES = 1 << 18


class Line:
    """Where it goes, and how long it is."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.delay_s = 0.0

    def accept(self, listener: socket.socket) -> None:
        """Connect whoever comes."""
        while True:
            near, _ = listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                near.close()
                continue
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                coming: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                threading.Thread(target=self._take, args=(one, coming), daemon=True).start()
                threading.Thread(target=_give, args=(other, coming), daemon=True).start()

    def _take(self, source: socket.socket, coming: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"more"
        while data:
            try:
                data = source.recv(CHUNK_BYTES)
            except OSError:
                data = b""
            coming.put((time.monotonic() + self.delay_s, data))


def _give(target: socket.socket, coming: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    with suppress(OSError):
        while True:
            due, data = coming.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                target.shutdown(socket.SHUT_RDWR)
                return
            target.sendall(data)


def main() -> None:
    line = Line(int(sys.argv[1]))
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=line.accept, args=(listener,), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for text in sys.stdin:
        line.delay_s = float(text) / 1000
        print("set", flush=True)


if __name__ == "__main__":
    main()
