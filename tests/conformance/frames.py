"""Requests as bare bytes: built with kio, sent over a plain socket, answers read back with kio.

kio is an encoder that is not ours and knows every API of Kafka 4.3, so a message that it writes and an answer that it
can read are evidence that two independent readings of the protocol agree.
"""

from __future__ import annotations

import datetime as dt
import io
import socket
import struct
import uuid
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from kio.index import load_payload_module, load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from kio.static.constants import EntityType

CORRELATION_ID = 0x5EED
CLIENT_ID = b"frames"
TIMEOUT_S = 15.0
RECEIVED_BYTES_MAX = 64 << 20

EMPTY: dict[str, Any] = {
    "bool": False,
    "string": "",
    "bytes": b"",
    "records": b"",
    "uuid": uuid.UUID(int=0),
    "float64": 0.0,
    "error_code": 0,
    "timedelta_i32": dt.timedelta(),
    "timedelta_i64": dt.timedelta(),
    "datetime_i64": dt.datetime.fromtimestamp(0, dt.UTC),
}
FILLED: dict[str, Any] = {
    **EMPTY,
    "string": "no-such-name",
    "bytes": b"four",
    "records": b"not a batch of records at all",
    "uuid": uuid.UUID(int=0xC0FFEE),
}


def build(kind: type[Any], values: dict[str, Any], length: int) -> Any:
    """An instance of a kio class: primitives from `values`, `length` elements in every array."""
    hints = get_type_hints(kind)
    arguments = {}
    for field in fields(kind):
        hint, primitive = hints[field.name], field.metadata.get("kafka_type")
        if field.name == "acks":
            # With 0 there would be no answer to look at.
            arguments[field.name] = -1
            continue
        tuple_hint = next((part for part in _parts(hint) if get_origin(part) is tuple), None)
        if tuple_hint is not None:
            element = get_args(tuple_hint)[0]
            arguments[field.name] = tuple(_value(element, primitive, values, length) for _ in range(length))
        else:
            arguments[field.name] = _value(hint, primitive, values, length)
    return kind(**arguments)


def _parts(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _value(hint: Any, primitive: str | None, values: dict[str, Any], length: int) -> Any:
    if primitive is None:
        (entity,) = (part for part in _parts(hint) if is_dataclass(part))
        assert isinstance(entity, type)
        return build(entity, values, length)
    if primitive == "error_code":
        from kio.schema.errors import ErrorCode

        return ErrorCode.none
    return values.get(primitive, 0)


def header(api_key: int, version: int) -> bytes:
    """The request header that this version has."""
    flexible = load_request_schema(api_key, version).__flexible__ if is_known(api_key, version) else True
    start = struct.pack(">hhih", api_key, version, CORRELATION_ID, len(CLIENT_ID)) + CLIENT_ID
    return start + (b"\x00" if flexible else b"")


def is_known(api_key: int, version: int) -> bool:
    """Whether kio has this version."""
    try:
        load_payload_module(api_key, version, EntityType.request)
    except Exception:  # noqa: BLE001 - kio raises several kinds for "no such version"
        return False
    return True


def body(api_key: int, version: int, values: dict[str, Any], length: int) -> bytes:
    """The encoded request without its header."""
    kind = load_request_schema(api_key, version)
    out = io.BytesIO()
    entity_writer(kind)(out, build(kind, values, length))
    return out.getvalue()


def framed(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


def connect(bootstrap_servers: str) -> socket.socket:
    host, port = bootstrap_servers.rsplit(":", 1)
    return socket.create_connection((host, int(port)), TIMEOUT_S)


def exchange(bootstrap_servers: str, frame: bytes, half_close: bool = False) -> bytes | None:
    """Send a frame on a connection of its own; the answer without its length, or None when it was closed.

    Raises TimeoutError when the broker does neither within `TIMEOUT_S`.
    """
    with connect(bootstrap_servers) as connection:
        try:
            connection.sendall(frame)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return receive(connection)
        except TimeoutError:
            raise
        except OSError:
            # Reset, broken pipe, not connected any more: all of them are the broker closing the connection.
            return None


def receive(connection: socket.socket) -> bytes | None:
    """One answer without its length; None when the connection is closed first."""
    prefix = _receive_exactly(connection, 4)
    if prefix is None:
        return None
    (size,) = struct.unpack(">i", prefix)
    assert 0 <= size <= RECEIVED_BYTES_MAX, f"the broker announced {size} bytes"
    return _receive_exactly(connection, size)


def _receive_exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        received = connection.recv(size - len(parts))
        if not received:
            return None
        parts += received
    return bytes(parts)


def parse(api_key: int, version: int, answer: bytes) -> Any:
    """The answer as kio's object; raises when it is not one, or has bytes left over."""
    kind = load_response_schema(api_key, version)
    head, position = entity_reader(kind.__header_schema__)(answer, 0)
    assert head.correlation_id == CORRELATION_ID
    response, size = entity_reader(kind)(answer[position:], 0)
    assert position + size == len(answer), "bytes are left over after the answer"
    return response


def error_codes(response: Any) -> Iterator[Any]:
    """Every error code in an answer, however deep."""
    if is_dataclass(response):
        for field in fields(response):
            value = getattr(response, field.name)
            if field.metadata.get("kafka_type") == "error_code":
                yield value
            else:
                yield from error_codes(value)
    elif isinstance(response, tuple):
        for element in response:
            yield from error_codes(element)
