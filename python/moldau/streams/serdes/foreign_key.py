"""What the two sides of a foreign-key join send each other, in Kafka's bytes, and the hash that tells stale answers.

A subscription: a byte with the version (1) and, in its first bit, whether there is no hash; the instruction; the hash;
the primary key; the partition of the left row. A response: version (0) and the same bit, the hash, the right value.
(`SubscriptionWrapperSerde`, `SubscriptionResponseWrapperSerde`, `CombinedKeySchema`, `Murmur3.hash128`.)
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, Final, NamedTuple

from moldau.streams.serdes.serde import Serde

_LENGTH: Final = struct.Struct(">i")
_HASH_BYTES: Final = 16
_NO_HASH: Final = 0x80
_SUBSCRIPTION_VERSION: Final = 1
_RESPONSE_VERSION: Final = 0

_SEED: Final = 104729
_C1: Final = 0x87C37B91114253D5
_C2: Final = 0x4CF5AD432745937F
_MASK: Final = 0xFFFFFFFFFFFFFFFF


class Instruction(IntEnum):
    """What the right side does with a subscription, and when it answers."""

    DELETE_KEY_NO_PROPAGATE = 0
    DELETE_KEY_AND_PROPAGATE = 1
    PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE = 2
    PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE = 3


class Subscription(NamedTuple):
    """A left row that wants to hear of a right one; `partition` is None when an old version did not say it."""

    hash: bytes | None
    instruction: Instruction
    key: Any
    partition: int | None


class Response(NamedTuple):
    """A right value for a left row; `partition` is that of the left row and not written."""

    hash: bytes | None
    value: Any
    partition: int | None = None


def subscription_serde(key: Serde[Any]) -> Serde[Subscription]:
    """The serde of subscriptions of rows with this kind of key."""
    write, read = key.serialize, key.deserialize

    def serialize(subscription: Subscription) -> bytes:
        value_hash, instruction, primary, partition = subscription
        version = 0 if partition is None else _SUBSCRIPTION_VERSION
        end = b"" if partition is None else _LENGTH.pack(partition)
        return _head(version, value_hash, instruction) + write(primary) + end

    def deserialize(data: bytes) -> Subscription:
        if len(data) < 2:
            raise ValueError(f"a subscription has 2 bytes or more, this has {len(data)}")
        version, value_hash, at = _split_head(data, 2)
        if version > _SUBSCRIPTION_VERSION:
            raise ValueError(f"a subscription of version {version} cannot be read, at most {_SUBSCRIPTION_VERSION}")
        end = len(data) - (_LENGTH.size if version else 0)
        if end < at:
            raise ValueError(f"a subscription of version {version} has {len(data)} bytes, that is too few")
        partition = _LENGTH.unpack_from(data, end)[0] if version else None
        return Subscription(value_hash, Instruction(data[1]), read(data[at:end]), partition)

    return Serde(f"Subscription({key.name})", serialize, deserialize, immutable=key.immutable)


def response_serde(value: Serde[Any]) -> Serde[Response]:
    """The serde of responses with this kind of right value; an empty one reads as none, as in Kafka."""
    write, read = value.serialize, value.deserialize

    def serialize(response: Response) -> bytes:
        data = b"" if response[1] is None else write(response[1])
        return _head(_RESPONSE_VERSION, response[0], None) + data

    def deserialize(data: bytes) -> Response:
        if not data:
            raise ValueError("a response has a byte or more, this has none")
        version, value_hash, at = _split_head(data, 1)
        if version != _RESPONSE_VERSION:
            raise ValueError(f"a response of version {version} cannot be read, only {_RESPONSE_VERSION}")
        return Response(value_hash, read(data[at:]) if at < len(data) else None)

    return Serde(f"Response({value.name})", serialize, deserialize, immutable=value.immutable)


def _head(version: int, value_hash: bytes | None, instruction: Instruction | None) -> bytes:
    first = version if value_hash is not None else version | _NO_HASH
    head = bytes([first]) if instruction is None else bytes([first, instruction])
    return head if value_hash is None else head + value_hash


def _split_head(data: bytes, length: int) -> tuple[int, bytes | None, int]:
    version = data[0] & ~_NO_HASH
    if data[0] & _NO_HASH:
        return version, None, length
    if len(data) < length + _HASH_BYTES:
        raise ValueError(f"a hash has {_HASH_BYTES} bytes, {len(data) - length} are left")
    return version, data[length : length + _HASH_BYTES], length + _HASH_BYTES


def foreign_prefix(foreign_key: bytes) -> bytes:
    """What the keys of all subscriptions to one right row begin with."""
    return _LENGTH.pack(len(foreign_key)) + foreign_key


def primary_of(key: bytes) -> bytes:
    """The primary key in the key of a subscription."""
    (length,) = _LENGTH.unpack_from(key)
    return key[_LENGTH.size + length :]


def value_hash_of(data: bytes) -> bytes:
    """MurmurHash3 (x64, 128 bits) with Kafka's seed, both halves big-endian."""
    length = len(data)
    h1 = h2 = _SEED
    blocks = length // 16
    for low, high in struct.iter_unpack("<QQ", data[: blocks * 16]):
        h1 ^= _mixed(low, _C1, 31, _C2)
        h1 = (((h1 << 27 | h1 >> 37) & _MASK) + h2) * 5 + 0x52DCE729 & _MASK
        h2 ^= _mixed(high, _C2, 33, _C1)
        h2 = (((h2 << 31 | h2 >> 33) & _MASK) + h1) * 5 + 0x38495AB5 & _MASK
    tail = data[blocks * 16 :]
    if len(tail) > 8:
        h2 ^= _mixed(int.from_bytes(tail[8:], "little"), _C2, 33, _C1)
    if tail:
        h1 ^= _mixed(int.from_bytes(tail[:8], "little"), _C1, 31, _C2)
    h1, h2 = h1 ^ length, h2 ^ length
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    h1, h2 = _finished(h1), _finished(h2)
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    return struct.pack(">QQ", h1, h2)


def _mixed(word: int, factor: int, turn: int, then: int) -> int:
    word = word * factor & _MASK
    return ((word << turn | word >> 64 - turn) & _MASK) * then & _MASK


def _finished(half: int) -> int:
    half = (half ^ half >> 33) * 0xFF51AFD7ED558CCD & _MASK
    half = (half ^ half >> 33) * 0xC4CEB9FE1A85EC53 & _MASK
    return half ^ half >> 33
