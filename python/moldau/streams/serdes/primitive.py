"""Serdes of Kafka's own simple types, byte for byte: big-endian numbers, UTF-8 text."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from moldau.streams.serdes.serde import Serde


def _number(name: str, layout: str) -> Serde[Any]:
    """A serde of one number of fixed width; other widths are refused with both lengths."""
    packed = struct.Struct(layout)
    unpack = packed.unpack

    def deserialize(data: bytes) -> Any:
        try:
            return unpack(data)[0]
        except struct.error:
            raise ValueError(f"a {name} has {packed.size} bytes, this has {len(data)}") from None

    return Serde(name, packed.pack, deserialize, immutable=True)


def _boolean_from(data: bytes) -> bool:
    if data not in {b"\x00", b"\x01"}:
        raise ValueError(f"a Boolean is one byte, 0 or 1, not {data!r}")
    return data == b"\x01"


def _by_type(value: Any) -> bytes:
    """Bytes of a value by what it is; for sinks whose type nobody named."""
    for kind, serialize in _WRITERS:
        if isinstance(value, kind):
            return serialize(value)
    from moldau.streams.serdes.structured import encode_json

    return encode_json(value)


def _not_readable(data: bytes) -> Any:
    raise TypeError("bytes that were written by type cannot be read back\nhint: name the type of the topic")


STRING: Final[Serde[str]] = Serde("String", str.encode, bytes.decode, immutable=True)
BYTES: Final[Serde[bytes]] = Serde("ByteArray", bytes, bytes, immutable=True)
LONG: Final = _number("Long", ">q")
INTEGER: Final = _number("Integer", ">i")
SHORT: Final = _number("Short", ">h")
DOUBLE: Final = _number("Double", ">d")
FLOAT: Final = _number("Float", ">f")
BOOLEAN: Final[Serde[bool]] = Serde(
    "Boolean", lambda value: b"\x01" if value else b"\x00", _boolean_from, immutable=True
)
UUID_TEXT: Final[Serde[UUID]] = Serde(
    "UUID", lambda value: str(value).encode(), lambda data: UUID(data.decode()), immutable=True
)
BY_TYPE: Final[Serde[Any]] = Serde("ByType", _by_type, _not_readable)

_WRITERS: Final[tuple[tuple[type, Callable[[Any], bytes]], ...]] = (
    (bytes, bytes),
    (str, str.encode),
    (bool, BOOLEAN.serialize),
    (int, LONG.serialize),
    (float, DOUBLE.serialize),
    (UUID, UUID_TEXT.serialize),
)

OF_TYPE: Final[dict[Any, Serde[Any]]] = {
    str: STRING,
    bytes: BYTES,
    int: LONG,
    float: DOUBLE,
    bool: BOOLEAN,
    UUID: UUID_TEXT,
}

_WIDTHS: Final = ((LONG, 8), (INTEGER, 4), (SHORT, 2), (DOUBLE, 8), (FLOAT, 4), (BOOLEAN, 1))


def width_of(serde: Serde[Any]) -> int | None:
    """How many bytes every value has; None if that depends on the value."""
    # By identity: the functions of a serde of somebody's own need have no hash, and may be equal to anything.
    return next((width for known, width in _WIDTHS if known is serde), None)
