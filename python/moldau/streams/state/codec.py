"""How a store keeps keys and values in memory: as they are when nobody can change them, otherwise as bytes.

Kept as they are, an update costs no serialisation at all; bytes are made once per flush and entry. Bytes are the only
safe form for a dict or an ordinary dataclass: a callback may change it in place after it was put.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moldau.streams.operators.contract import ValueAndTimestamp
from moldau.streams.serdes import Serde
from moldau.streams.state.formats import split_timestamped, timestamped_bytes


def _same(value: Any) -> Any:
    return value


class Codec:
    """Both directions for one side of a store: between what callers use, what is kept, and what is written."""

    __slots__ = ("as_bytes", "from_bytes", "inward", "kept_as_is", "outward")

    def __init__(self, serde: Serde[Any]) -> None:
        self.kept_as_is = serde.immutable
        self.inward: Callable[[Any], Any] = _same if serde.immutable else serde.serialize
        self.outward: Callable[[Any], Any] = _same if serde.immutable else serde.deserialize
        self.as_bytes: Callable[[Any], bytes] = serde.serialize if serde.immutable else _same
        self.from_bytes: Callable[[bytes], Any] = serde.deserialize if serde.immutable else _same


def timestamped(serde: Serde[Any]) -> Serde[ValueAndTimestamp[Any]]:
    """The serde of `(value, timestamp)` pairs as Kafka lays them down in a store."""
    serialize, deserialize = serde.serialize, serde.deserialize

    def write(pair: ValueAndTimestamp[Any]) -> bytes:
        return timestamped_bytes(serialize(pair[0]), pair[1])

    def read(data: bytes) -> ValueAndTimestamp[Any]:
        value, timestamp = split_timestamped(data)
        return deserialize(value), timestamp

    return Serde(f"Timestamped({serde.name})", write, read, immutable=serde.immutable)
