"""Changes of a table's rows in a repartition topic, in Kafka's bytes (`ChangedSerializer`, KIP-904).

The last byte says what is there: 0 an old value, 1 a new one, 2 both (the length of the new one in front, as a zigzag
varint); 3, 4 and 5 are the same with a byte before it that says whether the change is the latest.
"""

from __future__ import annotations

from typing import Any

from moldau.streams.serdes.serde import Serde


def change_serde(inner: Serde[Any]) -> Serde[Any]:
    """The serde of `(new, old, is_latest)` with at least one value."""
    write, read = inner.serialize, inner.deserialize

    def serialize(change: tuple[Any, Any, bool]) -> bytes:
        new, old, _ = change
        if new is not None and old is not None:
            new_bytes = write(new)
            return b"".join((_varint(len(new_bytes)), new_bytes, write(old), b"\x02"))
        if new is not None:
            return write(new) + b"\x01"
        if old is not None:
            return write(old) + b"\x00"
        raise ValueError("a change has an old value or a new one, this has neither")

    def deserialize(data: bytes) -> tuple[Any, Any, bool]:
        if not data or data[-1] > 5:
            raise ValueError(f"a change ends with a byte from 0 to 5, not {data[-1:]!r}")
        kind, body, is_latest = data[-1], data[:-1], True
        if kind >= 3:
            if body[-1:] not in {b"\x00", b"\x01"}:
                raise ValueError("the change does not say whether it is the latest")
            kind, body, is_latest = kind - 3, body[:-1], body[-1] == 1
        if kind == 0:
            return None, read(body), is_latest
        if kind == 1:
            return read(body), None, is_latest
        length, at = _read_varint(body)
        if length < 0 or at + length > len(body):
            raise ValueError(f"the new value has {length} bytes, the change only {len(body) - at}")
        return read(body[at : at + length]), read(body[at + length :]), is_latest

    return Serde(f"Change({inner.name})", serialize, deserialize, immutable=inner.immutable)


def _varint(length: int) -> bytes:
    value, parts = length << 1, bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(data: bytes) -> tuple[int, int]:
    value = 0
    for at, byte in enumerate(data[:5]):
        value |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at + 1
    raise ValueError("the length of the new value does not end")
