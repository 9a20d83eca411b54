"""An S3 of moto's, as a server of its own with one bucket."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from urllib.request import Request, urlopen


@contextlib.contextmanager
def moto_under_test(bucket: str) -> Iterator[str]:
    """Its address."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        with urlopen(Request(f"{url}/{bucket}", method="PUT"), timeout=30) as answer:
            assert answer.status == 200
        yield url
    finally:
        server.stop()
