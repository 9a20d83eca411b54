"""Bytes to requests and answers to bytes, for everything that Python handles.

`decode` gives kio's request object of exactly that version; `encode_response` takes a plain nested mapping with kio's
field names and writes it for any version: fields that the version does not have are dropped, fields that the handler
did not name take the protocol's default, times are plain milliseconds and error codes plain integers. So a handler
is written once for all versions of its API.

Nothing is allocated from a length before that many bytes were seen to be there, and the elements of one request are
counted: `MAX_ELEMENTS` bounds how long a hostile body can hold the event loop.

Source: the Kafka protocol guide (types), KIP-482 (compact types and tagged fields), KIP-893 (nullable structures).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

from kio.schema.errors import ErrorCode as KioErrorCode

from moldau.control.schema import Reader, SchemaError, write_unsigned_varint
from moldau.server.layout import ZERO_UUID, FieldLayout, StructLayout, message_layout, message_versions

MAX_ELEMENTS: Final = 1_000_000
"""Array elements in one request; the largest real requests (offset commits of big clusters) have some 10,000."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DecodeError(SchemaError):
    """The body does not follow the schema of its API key and version; the connection is not worth keeping."""


class EncodeError(SchemaError):
    """A handler answered with something the response cannot carry: a mistake in this package."""


class _Cursor(Reader):
    """A reader that also counts array elements, so that a small body cannot claim an endless answer."""

    __slots__ = ("elements",)

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.elements = 0

    def count(self, length: int) -> None:
        self.elements += length
        if length > self.remaining or self.elements > MAX_ELEMENTS:
            raise SchemaError(f"array of {length} elements at {self.position}, {self.remaining} bytes are left")


ReadFunction = Callable[[_Cursor], Any]
WriteFunction = Callable[[bytearray, Any], None]


# Primitive types: one reader and one writer each.


def _number(form: str) -> tuple[ReadFunction, WriteFunction]:
    packer = struct.Struct(form)

    size, unpack_from = packer.size, packer.unpack_from

    def read(cursor: _Cursor) -> Any:
        start = cursor.position
        if start + size > cursor.size:
            cursor.take(size)  # raises, and says what is missing
        cursor.position = start + size
        return unpack_from(cursor.data, start)[0]

    def write(out: bytearray, value: Any) -> None:
        out += packer.pack(value)

    return read, write


_NUMBERS: Final = {
    "int8": _number(">b"),
    "int16": _number(">h"),
    "int32": _number(">i"),
    "int64": _number(">q"),
    "uint8": _number(">B"),
    "uint16": _number(">H"),
    "uint32": _number(">I"),
    "uint64": _number(">Q"),
    "float64": _number(">d"),
    "bool": _number(">?"),
}
_CARRIED_BY: Final = {
    "error_code": "int16",
    "timedelta_i32": "int32",
    "timedelta_i64": "int64",
    "datetime_i64": "int64",
}


def _to_datetime(value: int) -> datetime | None:
    return None if value == -1 else _EPOCH + timedelta(milliseconds=value)


_FROM_NUMBER: Final[dict[str, Callable[[int], Any]]] = {
    "error_code": KioErrorCode,
    "timedelta_i32": lambda value: timedelta(milliseconds=value),
    "timedelta_i64": lambda value: timedelta(milliseconds=value),
    "datetime_i64": _to_datetime,
}


def _read_length(cursor: _Cursor, flexible: bool, short: bool) -> int:
    if flexible:
        length: int = cursor.unsigned_varint() - 1
    else:
        length = _NUMBERS["int16" if short else "int32"][0](cursor)
    if length < -1:
        raise SchemaError(f"length {length} at position {cursor.position}")
    return length


def _write_length(out: bytearray, length: int, flexible: bool, short: bool) -> None:
    if flexible:
        write_unsigned_varint(out, length + 1)
    else:
        out += struct.pack(">h" if short else ">i", length)


def _primitive_reader(kind: str, flexible: bool, nullable: bool) -> ReadFunction:
    if kind in _NUMBERS:
        return _NUMBERS[kind][0]
    if kind in _CARRIED_BY:
        read_number, convert = _NUMBERS[_CARRIED_BY[kind]][0], _FROM_NUMBER[kind]
        return lambda cursor: convert(read_number(cursor))
    if kind == "uuid":

        def read_uuid(cursor: _Cursor) -> UUID | None:
            value = UUID(bytes=bytes(cursor.take(16)))
            return None if nullable and value == ZERO_UUID else value

        return read_uuid
    text = kind == "string"

    def read_bytes(cursor: _Cursor) -> str | bytes | None:
        length = _read_length(cursor, flexible, text)
        if length == -1:
            if not nullable:
                raise SchemaError(f"null at position {cursor.position} in a field that may not be null")
            return None
        raw = cursor.take(length)
        return str(raw, "utf-8") if text else bytes(raw)

    return read_bytes


def _primitive_writer(kind: str, flexible: bool, nullable: bool) -> WriteFunction:
    if kind in _NUMBERS:
        return _NUMBERS[kind][1]
    if kind in _CARRIED_BY:
        write_number = _NUMBERS[_CARRIED_BY[kind]][1]
        if kind != "datetime_i64":
            return write_number
        return lambda out, value: write_number(out, -1 if value is None else value)
    if kind == "uuid":

        def write_uuid(out: bytearray, value: UUID | None) -> None:
            out += (value or ZERO_UUID).bytes

        return write_uuid
    text = kind == "string"

    def write_bytes(out: bytearray, value: str | bytes | None) -> None:
        if value is None:
            if not nullable:
                raise EncodeError("null in a field that may not be null")
            _write_length(out, -1, flexible, text)
            return
        raw = value.encode() if isinstance(value, str) else value
        _write_length(out, len(raw), flexible, text)
        out += raw

    return write_bytes


# Fields: a primitive, a structure, or an array of either.


def _field_reader(field: FieldLayout, flexible: bool) -> ReadFunction:
    if field.struct is not None:
        read_element = _struct_reader(field.struct)
        if field.nullable and not field.is_array:
            return lambda cursor: None if struct.unpack(">b", cursor.take(1))[0] < 0 else read_element(cursor)
    else:
        read_element = _primitive_reader(field.kind, flexible, field.nullable and not field.is_array)
    if not field.is_array:
        return read_element

    def read_array(cursor: _Cursor) -> tuple[Any, ...] | None:
        length = _read_length(cursor, flexible, False)
        if length == -1:
            if not field.nullable:
                raise SchemaError(f"{field.name} may not be null")
            return None
        cursor.count(length)
        return tuple([read_element(cursor) for _ in range(length)])

    return read_array


def _field_writer(field: FieldLayout, flexible: bool) -> WriteFunction:
    if field.struct is not None:
        write_element = _struct_writer(field.struct)
        if field.nullable and not field.is_array:
            return _nullable_struct_writer(write_element)
    else:
        write_element = _primitive_writer(field.kind, flexible, field.nullable and not field.is_array)
    if not field.is_array:
        return write_element

    def write_array(out: bytearray, value: Any) -> None:
        if value is None:
            if not field.nullable:
                raise EncodeError("null in an array that may not be null")
            _write_length(out, -1, flexible, False)
            return
        _write_length(out, len(value), flexible, False)
        for item in value:
            write_element(out, item)

    return write_array


def _nullable_struct_writer(write_struct: WriteFunction) -> WriteFunction:
    def write(out: bytearray, value: Any) -> None:
        out.append(0xFF if value is None else 1)
        if value is not None:
            write_struct(out, value)

    return write


# Structures.


def _struct_reader(layout: StructLayout) -> ReadFunction:
    readers = tuple((field.name, _field_reader(field, layout.flexible)) for field in layout.fields)
    tagged = {tag: (field.name, _field_reader(field, True)) for tag, field in layout.tagged.items()}
    kio_class = layout.kio_class

    def read(cursor: _Cursor) -> Any:
        values = {name: read_field(cursor) for name, read_field in readers}
        if layout.flexible:
            for _ in range(cursor.unsigned_varint()):
                tag = cursor.unsigned_varint()
                length = cursor.unsigned_varint()
                end = cursor.position + length
                if tag not in tagged:
                    cursor.take(length)
                    continue
                name, read_field = tagged[tag]
                values[name] = read_field(cursor)
                if cursor.position != end:
                    raise SchemaError(f"tagged field {name} does not fill its {length} bytes")
        return kio_class(**values)

    return read


def _struct_writer(layout: StructLayout) -> WriteFunction:
    writers = tuple((field, _field_writer(field, layout.flexible)) for field in layout.fields)
    tagged = tuple((tag, field, _field_writer(field, True)) for tag, field in layout.tagged.items())

    def write(out: bytearray, value: Mapping[str, Any]) -> None:
        if _spelling.checked and not value.keys() <= layout.names:
            _check_names(layout, value)
        for field, write_field in writers:
            try:
                write_field(out, value.get(field.name, field.default))
            except (EncodeError, struct.error, TypeError, AttributeError) as error:
                raise EncodeError(f"{layout.kio_class.__name__}.{field.name}: {error}") from error
        if not layout.flexible:
            return
        present = [(tag, write_field, value[field.name]) for tag, field, write_field in tagged if _is_set(field, value)]
        write_unsigned_varint(out, len(present))
        for tag, write_field, item in present:
            body = bytearray()
            write_field(body, item)
            write_unsigned_varint(out, tag)
            write_unsigned_varint(out, len(body))
            out += body

    return write


def _is_set(field: FieldLayout, value: Mapping[str, Any]) -> bool:
    """Whether `value` says something else about `field` than its default: only then a tagged field is written."""
    item = value.get(field.name, field.default)
    if field.struct is not None and not field.is_array and item is not None:
        inner = (*field.struct.fields, *field.struct.tagged.values())
        return field.nullable or any(_is_set(each, item) for each in inner)
    return bool(item != field.default and not (field.is_array and not item and not field.default))


# The two directions.


@cache
def _request_reader(api_key: int, version: int) -> ReadFunction:
    return _struct_reader(message_layout(api_key, version, "request"))


@cache
def _response_writer(api_key: int, version: int) -> WriteFunction:
    return _struct_writer(message_layout(api_key, version, "response"))


def decode(api_key: int, version: int, body: bytes) -> Any:
    """The request in `body` (without its header) as kio's object of that version.

    Bytes after the request are ignored, as Kafka does.

    Raises:
        UnknownMessageError: there is no such API key or version.
        DecodeError: the bytes do not follow the schema.
    """
    read = _request_reader(api_key, version)
    try:
        return read(_Cursor(body))
    except (SchemaError, ValueError, OverflowError, TypeError) as error:
        # ValueError: not UTF-8, no such enum member; OverflowError: a time beyond what a clock can show;
        # TypeError: kio's own checks.
        raise DecodeError(f"API key {api_key} version {version}: {error}") from error


def encode_response(api_key: int, version: int, answer: Mapping[str, Any]) -> bytes:
    """The body (without its header) of the response `answer`.

    Raises:
        UnknownMessageError: there is no such API key or version.
        EncodeError: a value does not fit its field.
    """
    out = bytearray()
    _response_writer(api_key, version)(out, answer)
    return bytes(out)


class _Spelling:
    """Whether the names of an answer are held against every version of its message."""

    checked = False


_spelling: Final = _Spelling()


def check_spelling() -> None:
    """From here on, refuse an answer with a field that no version of its message has.

    For tests: it loads every version of every message that is answered, which a broker has no time for. Without it
    such a field is dropped like one that this version lacks.
    """
    _spelling.checked = True


def _check_names(layout: StructLayout, value: Mapping[str, Any]) -> None:
    """A name that no version knows is a spelling mistake, which would otherwise be dropped in silence."""
    known = _names_in_any_version(layout.kio_class.__api_key__)  # type: ignore[attr-defined]
    misspelled = value.keys() - known.get(layout.kio_class.__name__, layout.names)
    if misspelled:
        raise EncodeError(f"{layout.kio_class.__name__} has no field {', '.join(sorted(misspelled))} in any version")


@cache
def _names_in_any_version(api_key: int) -> dict[str, frozenset[str]]:
    """By structure, the names of every field that some version of the response of `api_key` has."""
    names: dict[str, frozenset[str]] = {}
    for version in message_versions(api_key, "response"):
        pending = [message_layout(api_key, version, "response")]
        while pending:
            layout = pending.pop()
            structure = layout.kio_class.__name__
            names[structure] = names.get(structure, frozenset()) | layout.names
            pending += [field.struct for field in (*layout.fields, *layout.tagged.values()) if field.struct is not None]
    return names
