"""A bucket whose weather can be chosen: moto's server of S3 behind what a store and a network do to requests.

moto keeps everything in memory, so the store that dies is played by what its client sees of it: connections that are
cut and refused, until it is back with all that it had.
"""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import obstore
from obstore.store import S3Store
from tests.fault.proxy import Proxy

BUCKET = "lake"
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
LOST = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
KEYS = {"aws.access.key.id": "key", "aws.secret.access.key": "secret"}


class StormyBucket:
    """`share` of the requests meet the weather: `fair`, `busy` (503), `slow`, `forgetful` (done, and answered 500)."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Silent(WSGIRequestHandler):
            def log(self, *_: Any) -> None:
                pass

        self.weather = "fair"
        self.share = 1.0
        self.chance = random.Random(0)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.proxy = Proxy(self._server.server_port)
        # Not through the proxy: whoever looks at the lake is not in the weather.
        self.store = S3Store(
            BUCKET,
            endpoint=f"http://127.0.0.1:{self._server.server_port}",
            access_key_id="key",
            secret_access_key="secret",
            region="us-east-1",
            client_options={"allow_http": True},
        )
        # What moto holds belongs to the process.
        self._call("POST", "/moto-api/reset")
        self._call("PUT", f"/{BUCKET}")

    @property
    def settings(self) -> dict[str, str]:
        """Of a sink that writes here."""
        return {
            "store.url": f"http://127.0.0.1:{self.proxy.port}",
            "s3.bucket.name": BUCKET,
            "s3.region": "us-east-1",
            "s3.part.size": str(5 << 20),
            "s3.part.retries": "1",
            "s3.retry.backoff.ms": "20",
            **KEYS,
        }

    def objects(self) -> dict[str, bytes]:
        """Everything in the bucket."""
        keys = [entry["path"] for lot in obstore.list(self.store) for entry in lot]
        return {key: bytes(obstore.get(self.store, key).bytes()) for key in keys}

    def stop(self) -> None:
        self.proxy.stop()
        self._server.shutdown()
        self._thread.join(30)
        self._server.server_close()

    def _call(self, method: str, path: str) -> None:
        from urllib.request import Request, urlopen

        with urlopen(Request(f"http://127.0.0.1:{self._server.server_port}{path}", method=method), timeout=30):
            pass

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["SERVER_PORT"] and self.weather != "fair" and self.chance.random() < self.share:
            if self.weather == "busy":
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                return _answer(start_response, "503 Slow Down", BUSY)
            if self.weather == "slow":
                time.sleep(self.chance.uniform(0.2, 1.5))
            if self.weather == "forgetful":
                content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                environ["wsgi.input"] = io.BytesIO(content)
                list(self._moto(environ, lambda *_: lambda _: None))
                return _answer(start_response, "500 Internal Server Error", LOST)
        return self._moto(environ, start_response)  # type: ignore[no-any-return]


def _answer(start_response: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]
