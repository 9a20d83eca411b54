"""How bytes say which schema wrote them: Confluent's two wire formats.

0x00, schema id (four bytes, big-endian), payload       the prefix; every client knows it
header __key_schema_id or __value_schema_id:            the payload stands alone; since confluent-kafka 2.10
0x01, GUID of the schema (sixteen bytes)
"""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

PREFIX_BYTES: Final = 5
GUID_HEADER_BYTES: Final = 17
HEADERS: Final = {MessageField.KEY: "__key_schema_id", MessageField.VALUE: "__value_schema_id"}

Framed = tuple[int | str, int]
"""The id, or the GUID as text, and where the payload begins."""


def prefix_of(schema_id: int) -> bytes:
    """The prefix of a payload that this schema wrote."""
    return b"\0" + schema_id.to_bytes(4, "big")


def unframed(data: bytes, context: SerializationContext | None) -> Framed:
    """Which schema wrote `data`.

    Raises:
        SerializationError: neither a header nor a prefix says it.
    """
    headers: Any = context.headers if context is not None else None
    if headers and context is not None:
        stated = _header(headers, HEADERS.get(context.field, HEADERS[MessageField.VALUE]))
        if stated is not None:
            return _stated(stated), 0
    if len(data) < PREFIX_BYTES:
        raise SerializationError(
            f"{len(data)} bytes are too few for a schema's id and a payload: not written with a schema registry"
        )
    if data[0] != 0:
        raise SerializationError(
            f"it begins with byte {data[0]}, not with 0 and a schema's id: not written with a schema registry"
        )
    return int.from_bytes(data[1:PREFIX_BYTES], "big"), PREFIX_BYTES


def _header(headers: Any, name: str) -> bytes | None:
    if isinstance(headers, dict):
        return headers.get(name)
    for key, value in headers:
        if key == name:
            return bytes(value) if value is not None else None
    return None


def _stated(header: bytes) -> int | str:
    if len(header) == GUID_HEADER_BYTES and header[0] == 1:
        return str(uuid.UUID(bytes=header[1:]))
    if len(header) == PREFIX_BYTES and header[0] == 0:
        return int.from_bytes(header[1:], "big")
    raise SerializationError(f"the header with the schema's id holds {header.hex()}, which is none")


def is_bare_bytes(text: str) -> bool:
    """Whether the whole value is `bytes`: Confluent's serializers write those without their length."""
    schema = json.loads(text)
    return schema == "bytes" or (isinstance(schema, dict) and schema.get("type") == "bytes")
