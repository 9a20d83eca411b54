"""Kafka's message schemas for records, declared once as dataclasses.

The protocol's requests come and go through kio; the records that live *inside* partitions (`__cluster_metadata`,
`__consumer_offsets`, `__transaction_state`) are ours to read and write, and this module is their codec:

    @dataclass(frozen=True, slots=True)
    class TopicRecord(Message, versions=(0, 0), flexible_since=0):
        name: str = wire(STRING)
        topic_id: UUID = wire(UUID_)

`encode(message, version)` gives the bytes, `decode(TopicRecord, version, data)` the object. Fields outside their
version range are left at their default; tagged fields are written only when they differ from it. Bytes left over,
lengths that point past the end and unknown versions raise `SchemaError`: nothing is allocated from a length that
was not checked against the bytes at hand.

How it is done: along the layout of the message, field by field. A message that comes often gets code of its own for
its usual cases (`schema_compiled`). That leaves everything else to the layout: what is refused, and how, is said here.

Source: the Kafka protocol guide (types), KIP-482 (compact types and tagged fields).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from uuid import UUID

from moldau.errors import MoldauError

if TYPE_CHECKING:
    from moldau.control.schema_compiled import Compiled

NEWEST: Final = 32767
LONGEST_STRING: Final = 32767
"""In bytes."""
ZERO_UUID: Final = UUID(int=0)
SELDOM: Final = 100
"""Messages of one kind that are read or written along their layout before code is made for it: that takes as long."""


class SchemaError(MoldauError):
    """Bytes that do not follow the schema, or a value that the schema cannot carry."""


class UnusualError(Exception):
    """What the code of a message leaves to its layout; no mistake by itself."""


_UNUSUAL: Final = (UnusualError, AttributeError, IndexError, TypeError, ValueError, OverflowError, struct.error)
"""What such code ends in for everything that the layout has to look at."""


class Reader:
    """A cursor over bytes that refuses to move past their end."""

    __slots__ = ("data", "position", "size")

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = memoryview(data)
        self.size = len(self.data)
        self.position = 0

    @property
    def remaining(self) -> int:
        return self.size - self.position

    def take(self, length: int) -> memoryview:
        start = self.position
        end = start + length
        if length < 0 or end > self.size:
            raise SchemaError(f"needs {length} bytes at position {start}, {self.size - start} are left")
        self.position = end
        return self.data[start:end]

    def unsigned_varint(self) -> int:
        # Replaying a log is mostly this function: no slice is made for a byte.
        data, position, size = self.data, self.position, self.size
        value = shift = 0
        while position < size:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.position = position
                return value
            shift += 7
            if shift > 28:
                raise SchemaError(f"varint at position {position} is longer than five bytes")
        raise SchemaError(f"varint at position {self.position} goes past the end")


def write_unsigned_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


@dataclass(frozen=True, slots=True)
class WireType:
    """How one type is written and read. Both functions are told whether the message version is flexible."""

    name: str
    write: Callable[[bytearray, Any, bool, int], None]
    read: Callable[[Reader, bool, int, bool], Any]
    default: Any
    form: str = ""
    """Of a type that always has the same size: how `struct` writes it."""
    element: WireType | None = None
    """Of an array."""
    message: type[Message] | None = None
    """Of a nested structure."""


def _fixed(name: str, form: str, default: object) -> WireType:
    packer = struct.Struct(form)

    def write(out: bytearray, value: Any, flexible: bool, version: int) -> None:
        try:
            out += packer.pack(value)
        except struct.error as error:
            raise SchemaError(f"{value!r} is not an {name}: {error}") from None

    def read(reader: Reader, flexible: bool, version: int, nullable: bool) -> Any:
        start = reader.position
        if start + packer.size > reader.size:
            reader.take(packer.size)  # raises, and says what is missing
        reader.position = start + packer.size
        return packer.unpack_from(reader.data, start)[0]

    return WireType(name, write, read, default, form=form[1:])


INT8: Final = _fixed("int8", ">b", 0)
INT16: Final = _fixed("int16", ">h", 0)
UINT16: Final = _fixed("uint16", ">H", 0)
INT32: Final = _fixed("int32", ">i", 0)
INT64: Final = _fixed("int64", ">q", 0)
FLOAT64: Final = _fixed("float64", ">d", 0.0)
BOOL: Final = _fixed("bool", ">?", False)


def _write_uuid(out: bytearray, value: UUID, flexible: bool, version: int) -> None:
    out += value.bytes


def _read_uuid(reader: Reader, flexible: bool, version: int, nullable: bool) -> UUID:
    return uuid_of(bytes(reader.take(16)))


@lru_cache(maxsize=1024)
def uuid_of(raw: bytes) -> UUID:
    """The partitions of a topic name it one after the other: one object will do, and costs less than a new one."""
    return UUID(bytes=raw)


UUID_: Final = WireType("uuid", _write_uuid, _read_uuid, ZERO_UUID, form="16s")


def _write_length(out: bytearray, length: int | None, flexible: bool, short: bool) -> None:
    if flexible:
        if length is not None and length < 0x7F:
            out.append(length + 1)
        else:
            write_unsigned_varint(out, 0 if length is None else length + 1)
    else:
        out += struct.pack(">h" if short else ">i", -1 if length is None else length)


def _read_length(reader: Reader, flexible: bool, short: bool, nullable: bool) -> int | None:
    if flexible:
        start = reader.position
        if start < reader.size and (byte := reader.data[start]) < 0x80:
            # Nearly every one has a single byte.
            reader.position, length = start + 1, byte - 1
        else:
            length = reader.unsigned_varint() - 1
    else:
        length = struct.unpack(">h" if short else ">i", reader.take(2 if short else 4))[0]
    if length < -1 or length > reader.remaining:
        raise SchemaError(f"length {length} at position {reader.position}, {reader.remaining} bytes are left")
    if length == -1:
        if not nullable:
            raise SchemaError(f"null at position {reader.position} in a field that may not be null")
        return None
    return length


def _write_string(out: bytearray, value: str | None, flexible: bool, version: int) -> None:
    raw = None if value is None else value.encode()
    if raw is not None and len(raw) > LONGEST_STRING:
        raise SchemaError(f"string of {len(raw)} bytes, the limit is {LONGEST_STRING}")
    _write_length(out, None if raw is None else len(raw), flexible, short=True)
    out += raw or b""


def _read_string(reader: Reader, flexible: bool, version: int, nullable: bool) -> str | None:
    length = _read_length(reader, flexible, True, nullable)
    if length is None:
        return None
    try:
        return str(reader.take(length), "utf-8")
    except UnicodeDecodeError as error:
        raise SchemaError(f"string before position {reader.position} is not UTF-8: {error.reason}") from None


STRING: Final = WireType("string", _write_string, _read_string, "")


def _write_bytes(out: bytearray, value: bytes | None, flexible: bool, version: int) -> None:
    _write_length(out, None if value is None else len(value), flexible, short=False)
    out += value or b""


def _read_bytes(reader: Reader, flexible: bool, version: int, nullable: bool) -> bytes | None:
    length = _read_length(reader, flexible, False, nullable)
    return None if length is None else bytes(reader.take(length))


BYTES: Final = WireType("bytes", _write_bytes, _read_bytes, b"")


def array(element: WireType) -> WireType:
    """A tuple of `element`."""

    def write(out: bytearray, value: tuple[Any, ...] | None, flexible: bool, version: int) -> None:
        _write_length(out, None if value is None else len(value), flexible, short=False)
        for item in value or ():
            element.write(out, item, flexible, version)

    def read(reader: Reader, flexible: bool, version: int, nullable: bool) -> tuple[Any, ...] | None:
        length = _read_length(reader, flexible, False, nullable)
        if length is None:
            return None
        if length <= 1:
            return (element.read(reader, flexible, version, False),) if length else ()
        return tuple(element.read(reader, flexible, version, False) for _ in range(length))

    return WireType(f"[]{element.name}", write, read, (), element=element)


def struct_of(message: type[Message]) -> WireType:
    """A nested structure; it has the version and the flexibility of the message around it."""

    def write(out: bytearray, value: Message, flexible: bool, version: int) -> None:
        _write_fields(out, value, version, flexible)

    def read(reader: Reader, flexible: bool, version: int, nullable: bool) -> Message:
        return _read_fields(message, reader, version, flexible)

    return WireType(message.__name__, write, read, None, message=message)


@dataclass(frozen=True, slots=True)
class Wire:
    type: WireType
    since: int
    until: int
    nullable_since: int
    tag: int | None
    default: Any


def wire(
    type_: WireType,
    *,
    since: int = 0,
    until: int = NEWEST,
    nullable_since: int = NEWEST + 1,
    tag: int | None = None,
    default: Any = ...,
) -> Any:
    """Declare a field: its type, the versions that have it, its tag if it is a tagged field."""
    chosen = type_.default if default is ... else default
    return field(default=chosen, metadata={"wire": Wire(type_, since, until, nullable_since, tag, chosen)})


class Message:
    """Base of every declared record or nested structure."""

    __slots__ = ()
    lowest_version: ClassVar[int] = 0
    highest_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = NEWEST + 1

    def __init_subclass__(cls, *, versions: tuple[int, int] | None = None, flexible_since: int | None = None) -> None:
        # A dataclass with slots is made twice; the second time without the keywords, and then it inherits nothing new.
        if versions is not None:
            cls.lowest_version, cls.highest_version = versions
        if flexible_since is not None:
            cls.flexible_since = flexible_since


MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of a message that one version has."""

    plain: tuple[tuple[str, WireType, bool], ...]
    """In their order: name, type, and whether null is allowed."""
    tagged: Mapping[int, tuple[str, Wire]]
    """By tag, the smallest first."""


_LAYOUTS: Final[dict[tuple[type[Message], int], Layout]] = {}


def layout_of(message: type[Message], version: int) -> Layout:
    layout = _LAYOUTS.get((message, version))
    if layout is None:
        layout = _LAYOUTS[message, version] = _laid_out(message, version)
    return layout


def _laid_out(message: type[Message], version: int) -> Layout:
    declared = [(f.name, f.metadata["wire"]) for f in fields(message)]  # type: ignore[arg-type]
    there = [(name, spec) for name, spec in declared if spec.since <= version <= spec.until]
    plain = ((name, spec.type, version >= spec.nullable_since) for name, spec in there if spec.tag is None)
    tagged = sorted((spec.tag, (name, spec)) for name, spec in there if spec.tag is not None)
    return Layout(tuple(plain), dict(tagged))


def _write_fields(out: bytearray, message: Message, version: int, flexible: bool) -> None:
    layout = layout_of(type(message), version)
    for name, type_, nullable in layout.plain:
        value = getattr(message, name)
        if value is None and not nullable:
            raise _null(message, name, version)
        type_.write(out, value, flexible, version)
    if flexible:
        _write_tagged(out, message, version, layout.tagged)


def _write_tagged(out: bytearray, message: Message, version: int, tagged: Mapping[int, tuple[str, Wire]]) -> None:
    if not tagged:
        out.append(0)
        return
    differing = [(tag, name, spec) for tag, (name, spec) in tagged.items() if getattr(message, name) != spec.default]
    write_unsigned_varint(out, len(differing))
    for tag, name, spec in differing:
        value = getattr(message, name)
        if value is None and version < spec.nullable_since:
            raise _null(message, name, version)
        body = bytearray()
        spec.type.write(body, value, True, version)
        write_unsigned_varint(out, tag)
        write_unsigned_varint(out, len(body))
        out += body


def _null(message: Message, name: str, version: int) -> SchemaError:
    return SchemaError(f"{type(message).__name__}.{name} may not be null in version {version}")


def _read_fields(message: type[MessageT], reader: Reader, version: int, flexible: bool) -> MessageT:
    layout = layout_of(message, version)
    values = {name: type_.read(reader, flexible, version, nullable) for name, type_, nullable in layout.plain}
    tagged = layout.tagged
    if flexible:
        for _ in range(reader.unsigned_varint()):
            tag = reader.unsigned_varint()
            body = Reader(reader.take(reader.unsigned_varint()))
            if tag in tagged:
                name, spec = tagged[tag]
                values[name] = spec.type.read(body, flexible, version, version >= spec.nullable_since)
    return message(**values)


def _check_version(message: type[Message], version: int) -> None:
    if not message.lowest_version <= version <= message.highest_version:
        raise SchemaError(
            f"{message.__name__} version {version} is unknown "
            f"(known: {message.lowest_version} to {message.highest_version})"
        )


_CODE: Final[dict[tuple[type[Message], int], Compiled]] = {}
_SEEN: Final[dict[tuple[type[Message], int], int]] = {}


def _code_for(message: type[Message], version: int) -> Compiled | None:
    """The code of a message that comes often; None for one that has not until now."""
    seen = _SEEN[message, version] = _SEEN.get((message, version), 0) + 1
    if seen <= SELDOM:
        return None
    _check_version(message, version)
    # Only now: most commands, and the start of a small node, read too little to need it.
    from moldau.control.schema_compiled import compiled

    code = _CODE[message, version] = compiled(message, version, flexible=version >= message.flexible_since)
    return code


def encode(message: Message, version: int) -> bytes:
    """The body of `message` in `version`, without any frame around it.

    Raises:
        SchemaError: the version is unknown, or a value does not fit its type.
    """
    code = _CODE.get((type(message), version)) or _code_for(type(message), version)
    if code is not None:
        out = bytearray()
        try:
            code.write(out, message)
        except _UNUSUAL:
            pass
        else:
            return bytes(out)
    return encode_by_layout(message, version)


def decode(message: type[MessageT], version: int, data: bytes | memoryview) -> MessageT:
    """Read one `message` that fills `data`.

    Raises:
        SchemaError: the version is unknown, bytes are missing, or bytes are left over.
    """
    code = _CODE.get((message, version)) or _code_for(message, version)
    if code is not None:
        raw = bytes(data)
        try:
            result: MessageT
            result, end = code.read(raw, 0)
        except _UNUSUAL:
            pass
        else:
            if end == len(raw):
                return result
    return decode_by_layout(message, version, data)


def encode_by_layout(message: Message, version: int) -> bytes:
    """What `encode` does with a message that has no code of its own, or with a value that is unusual."""
    _check_version(type(message), version)
    out = bytearray()
    _write_fields(out, message, version, version >= message.flexible_since)
    return bytes(out)


def decode_by_layout(message: type[MessageT], version: int, data: bytes | memoryview) -> MessageT:
    """What `decode` does with a message that has no code of its own, or with bytes that are unusual."""
    _check_version(message, version)
    reader = Reader(data)
    result = _read_fields(message, reader, version, version >= message.flexible_since)
    if reader.remaining:
        raise SchemaError(f"{reader.remaining} bytes are left over after {message.__name__} version {version}")
    return result


def registry(*messages: tuple[int, type[Message]]) -> Mapping[int, type[Message]]:
    """A table from record type to message; a number given twice is a programming error."""
    table: dict[int, type[Message]] = {}
    for number, message in messages:
        assert number not in table, f"record type {number} is declared twice"
        table[number] = message
    return table
