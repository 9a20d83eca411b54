"""`moldau api-versions`: what a broker says it can do, asked with bare frames.

No client library stands between: the request is written by kio, sent over a plain socket, and what comes back is shown
as it is. So this works on a broker that no library can talk to, which is when one wants to know.
"""

from __future__ import annotations

import io
import socket
import struct
from typing import Any, Final

from moldau.cli.connection import Connection
from moldau.cli.outcome import RefusedError, TimedOutError
from moldau.cli.output import Output

API_KEY: Final = 18
VERSION: Final = 3
CORRELATION_ID: Final = 1
ANSWER_BYTES_MAX: Final = 1 << 20
"""A real answer has a few kilobytes: more means that something else than a Kafka broker is speaking."""

COLUMNS: Final = ("key", "name", "lowest", "highest")


def list_api_versions(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """List the APIs that a broker serves, with their versions."""
    with connection.knock() as channel:
        channel.settimeout(connection.timeout_s)
        try:
            answer = _ask(channel)
        except TimeoutError as error:
            raise TimedOutError(f"no answer within {connection.timeout_s:g} s") from error
        except (OSError, struct.error) as error:
            raise RefusedError(f"the connection ended in the middle of the answer: {error}") from error
    output.records([_record(row) for row in answer.api_keys], COLUMNS)


def _record(row: Any) -> dict[str, Any]:
    from kio.schema.index import api_key_map

    name = api_key_map.get(row.api_key)
    return {
        "key": int(row.api_key),
        "name": "".join(map(str.capitalize, name.split("_"))) if name is not None else None,
        "lowest": int(row.min_version),
        "highest": int(row.max_version),
    }


def _ask(channel: socket.socket) -> Any:
    """One round: the request, and the answer decoded. A broker too old for it answers with version 0 (KIP-511)."""
    from kio.schema.api_versions.v0.response import ApiVersionsResponse as OldestResponse
    from kio.schema.api_versions.v3.response import ApiVersionsResponse

    channel.sendall(_request())
    body = _receive(channel)
    (error_code,) = struct.unpack_from(">h", body)
    response: Any = OldestResponse if error_code == 35 else ApiVersionsResponse
    answer = _decode(response, body)
    if error_code not in (0, 35):
        raise RefusedError(f"the broker answered with the error {answer.error_code.name}")
    return answer


def _request() -> bytes:
    from kio.schema.api_versions.v3.request import ApiVersionsRequest
    from kio.serial import entity_writer
    from kio.static.primitive import i16, i32

    header_class = ApiVersionsRequest.__header_schema__
    header = header_class(
        request_api_key=i16(API_KEY),
        request_api_version=i16(VERSION),
        correlation_id=i32(CORRELATION_ID),
        client_id="moldau-cli",
    )
    from moldau.cli import VERSION as OUR_VERSION

    request = ApiVersionsRequest(client_software_name="moldau-cli", client_software_version=OUR_VERSION)
    buffer = io.BytesIO()
    entity_writer(header_class)(buffer, header)
    entity_writer(ApiVersionsRequest)(buffer, request)
    content = buffer.getvalue()
    return struct.pack(">i", len(content)) + content


def _receive(channel: socket.socket) -> bytes:
    """The answer behind its header, which for ApiVersions is the correlation id alone in every version."""
    (size,) = struct.unpack(">i", _exactly(channel, 4))
    if not 6 <= size <= ANSWER_BYTES_MAX:
        raise RefusedError(f"this is no Kafka broker: it announces an answer of {size} bytes")
    content = _exactly(channel, size)
    (correlation_id,) = struct.unpack_from(">i", content)
    if correlation_id != CORRELATION_ID:
        raise RefusedError("this is no Kafka broker: its answer belongs to no question of ours")
    return content[4:]


def _exactly(channel: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        received = channel.recv(size - len(content))
        if not received:
            raise RefusedError("the broker closed the connection", "is this the port of a Kafka listener without TLS?")
        content += received
    return bytes(content)


def _decode(response: Any, body: bytes) -> Any:
    from kio.serial import entity_reader
    from kio.serial.errors import SerialError

    try:
        answer, _read = entity_reader(response)(body, 0)
    except (SerialError, ValueError, OverflowError) as error:
        raise RefusedError(f"this is no answer of a Kafka broker: {error}") from error
    return answer
