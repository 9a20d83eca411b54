"""uvicorn's HTTP/1.1 over httptools (a parser in C), with the limit that it lacks.

It keeps whatever stands around a body (the address, headers, trailers, lengths of chunks) until the request is whole,
and a sender who never ends would fill the memory.
"""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX: Final = 64 * 1024


class BoundedHttp(HttpToolsProtocol):
    """One connection. What of a request is no body may have 64 KiB, or as much as its body has."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._received_bytes = 0
        self._body_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        super().data_received(data)
        around = self._received_bytes - self._body_bytes
        if around > HEAD_BYTES_MAX + self._body_bytes and not self.transport.is_closing():
            self.send_400_response("The request has more than 64 KiB around its body.")

    def on_message_begin(self) -> None:
        self._received_bytes = self._body_bytes = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)
