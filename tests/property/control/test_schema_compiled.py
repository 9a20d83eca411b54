"""The code that is made for a message says what its layout says: of every message, in every version."""

import random
import struct
from dataclasses import fields
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moldau.control.groups import records as groups
from moldau.control.groups.consumer import records as consumer
from moldau.control.metadata.records import RECORD_TYPES
from moldau.control.schema import (
    BYTES,
    NEWEST,
    SELDOM,
    STRING,
    UUID_,
    SchemaError,
    UnusualError,
    decode,
    decode_by_layout,
    encode,
    encode_by_layout,
)
from moldau.control.schema_compiled import compiled
from moldau.control.transactions import records as transactions

MESSAGES = [
    *RECORD_TYPES.values(),
    groups.OffsetCommitKey,
    groups.OffsetCommitValue,
    groups.GroupMetadataKey,
    groups.GroupMetadataValue,
    consumer.GroupEpochValue,
    consumer.MemberValue,
    consumer.TargetEpochValue,
    consumer.TargetMemberValue,
    consumer.CurrentMemberValue,
    consumer.RegularExpressionValue,
    consumer.GroupKey,
    consumer.GroupAndNameKey,
    transactions.TransactionLogKey,
    transactions.TransactionLogValue,
]
NUMBERS = {
    "b": lambda chance: chance.randint(-(2**7), 2**7 - 1),
    "h": lambda chance: chance.randint(-(2**15), 2**15 - 1),
    "H": lambda chance: chance.randint(0, 2**16 - 1),
    "i": lambda chance: chance.randint(-(2**31), 2**31 - 1),
    "q": lambda chance: chance.randint(-(2**63), 2**63 - 1),
    "d": lambda chance: chance.uniform(-1e9, 1e9),
    "?": lambda chance: chance.random() < 0.5,
}
TEXTS = ("", "a", "orders", "\u00fc\U0001f980", "x" * 126, "x" * 127, "x" * 128, "x" * 20_000)
COUNTS = (0, 1, 1, 2, 3)
MANY = (126, 127, 128, 200)
UNUSUAL = (UnusualError, AttributeError, IndexError, TypeError, ValueError, OverflowError, struct.error)


def value_of(type_, chance):
    if type_ is UUID_:
        return UUID(int=chance.getrandbits(128))
    if type_.form:
        return NUMBERS[type_.form](chance)
    if type_ is STRING:
        return chance.choice(TEXTS)
    if type_ is BYTES:
        return chance.choice(TEXTS).encode()
    if type_.element is not None:
        count = chance.choice(MANY if type_.element.form and chance.random() < 0.2 else COUNTS)
        return tuple(value_of(type_.element, chance) for _ in range(count))
    if type_.message is not None:
        return message_of(type_.message, chance)
    assert type_.name == "?ClassicMetadata"
    return None if chance.random() < 0.5 else message_of(consumer.ClassicMetadata, chance)


def message_of(message, chance):
    """With nulls wherever some version may have one, defaults here and there, and now and then what no type carries."""
    values = {}
    for field in fields(message):
        spec = field.metadata["wire"]
        values[field.name] = value_of(spec.type, chance)
        if spec.nullable_since < NEWEST and chance.random() < 0.3:
            values[field.name] = None
        elif spec.tag is not None and chance.random() < 0.5:
            values[field.name] = spec.default
        elif chance.random() < 0.01:
            values[field.name] = chance.choice((None, 2**70, "x" * 40_000))
    return message(**values)


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except (SchemaError, AttributeError, TypeError) as error:
        return str(error)


def written(code, value):
    out = bytearray()
    try:
        code.write(out, value)
    except UNUSUAL:
        return None
    return bytes(out)


def read(code, raw):
    try:
        value, end = code.read(raw, 0)
    except UNUSUAL:
        return None
    return value if end == len(raw) else None


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
@pytest.mark.parametrize("seed", range(40))
def test_code_and_layout_agree(message, seed):
    chance = random.Random(f"{message.__name__} {seed}")
    version = chance.randint(message.lowest_version, message.highest_version)
    code = compiled(message, version, flexible=version >= message.flexible_since)
    value = message_of(message, chance)
    raw = outcome(encode_by_layout, value, version)
    if not isinstance(raw, bytes):
        assert written(code, value) is None
        return
    assert written(code, value) == raw
    assert read(code, raw) == decode_by_layout(message, version, raw)
    for _ in range(5):
        damaged = bytearray(raw)
        if damaged:
            damaged[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        damaged = bytes(damaged[: chance.randint(0, len(raw))]) + chance.randbytes(chance.choice((0, 0, 1, 3)))
        found = read(code, damaged)
        if found is not None:
            assert repr(found) == repr(decode_by_layout(message, version, damaged))


@settings(max_examples=200)
@given(st.sampled_from(MESSAGES), st.binary(max_size=60), st.integers(0, 40))
def test_what_the_code_makes_of_arbitrary_bytes_is_what_the_layout_makes_of_them(message, raw, version):
    version = min(message.lowest_version + version, message.highest_version)
    found = read(compiled(message, version, flexible=version >= message.flexible_since), raw)
    if found is not None:
        assert repr(found) == repr(decode_by_layout(message, version, raw))


def test_what_comes_often_is_refused_with_the_words_of_the_layout():
    value = groups.OffsetCommitKey("group", "topic", 3)
    raw = encode(value, 1)
    for _ in range(SELDOM + 1):
        assert encode(value, 1) == raw
        assert decode(groups.OffsetCommitKey, 1, raw) == value
    with pytest.raises(SchemaError, match="4294967296 is not an int32"):
        encode(groups.OffsetCommitKey("group", "topic", 2**32), 1)
    with pytest.raises(SchemaError, match="may not be null"):
        encode(groups.OffsetCommitKey(None, "topic", 3), 1)
    with pytest.raises(SchemaError, match="1 bytes are left over"):
        decode(groups.OffsetCommitKey, 1, raw + b"\x00")
    with pytest.raises(SchemaError, match="needs 4 bytes"):
        decode(groups.OffsetCommitKey, 1, memoryview(raw)[:-1])
    with pytest.raises(SchemaError, match="version 9 is unknown"):
        decode(groups.OffsetCommitKey, 9, raw)
