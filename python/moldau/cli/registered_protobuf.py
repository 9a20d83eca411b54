"""Protobuf messages as JSON and back, by the descriptors that a registry gives (`format=serialized`)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from google.protobuf import descriptor_pool, json_format
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from moldau.cli.registry_client import RegistryConnection

NESTING_MAX = 100


def files_of(registry: RegistryConnection, schema: dict[str, Any], name: str = "schema.proto") -> list[bytes]:
    """The descriptors of a schema and of all that it imports, each after those that it needs, the schema's own last."""
    found: dict[str, bytes] = {}

    def collect(name: str, schema: dict[str, Any]) -> None:
        for reference in schema.get("references", ()):
            if reference["name"] not in found:
                place = reference["subject"], "versions", str(reference["version"])
                answer = registry.ask("GET", "subjects", *place, query={"format": "serialized"})
                collect(reference["name"], answer)
        file = FileDescriptorProto.FromString(base64.b64decode(schema["schema"], validate=True))
        file.name = name
        found[name] = file.SerializeToString()

    collect(name, schema)
    return list(found.values())


def reading(files: list[bytes]) -> Callable[[bytes, int], str]:
    """What reads messages of the last of `files`: which one it is stands before each of them.

    Raises:
        ValueError: the descriptors do not go together.
    """
    schema = _last_of(files)

    def read(content: bytes, start: int) -> str:
        indexes, start = _message_indexes(content, start)
        kind = _message(schema, indexes)
        try:
            message = GetMessageClass(kind).FromString(content[start:])
        except DecodeError as error:
            raise ValueError(f"the bytes are no {kind.full_name}: {error}") from error
        return json_format.MessageToJson(message, indent=None, preserving_proto_field_name=True, ensure_ascii=False)

    return read


def writing(files: list[bytes], name: str | None = None) -> Callable[[bytes], bytes]:
    """What writes messages of the last of `files`, from JSON: the first one of the file, or that of this name.

    Args:
        name: as it stands in the file (`Order`, `Order.Line`), or with the package.

    Raises:
        ValueError: the descriptors do not go together.
        LookupError: the file has no such message.
    """
    schema = _last_of(files)
    known = dict(_named(schema.message_types_by_name.values(), ()))
    if not known:
        raise LookupError("the schema has no message")
    if name is None:
        kind, indexes = next(iter(known.values()))
    else:
        inside = name.removeprefix(f"{schema.package}.") if schema.package else name
        if inside not in known:
            raise LookupError(f"the schema has no message {name}, only {', '.join(known)}")
        kind, indexes = known[inside]
    prefix = b"\0" if indexes == (0,) else b"".join(map(_zigzag, (len(indexes), *indexes)))

    def write(content: bytes) -> bytes:
        try:
            message = json_format.Parse(content, GetMessageClass(kind)(), descriptor_pool=kind.file.pool)
        except json_format.ParseError as error:
            raise ValueError(f"no {kind.full_name}: {error}") from error
        return prefix + message.SerializeToString(deterministic=True)

    return write


def _named(kinds: Iterable[Any], place: tuple[int, ...]) -> Iterator[tuple[str, tuple[Descriptor, tuple[int, ...]]]]:
    """Every message by its name in the file, with the way to it."""
    for index, kind in enumerate(kinds):
        name = kind.full_name.removeprefix(f"{kind.file.package}.") if kind.file.package else kind.full_name
        yield name, (kind, (*place, index))
        yield from _named(kind.nested_types, (*place, index))


def _zigzag(number: int) -> bytes:
    """A count or an index, which is never negative, as a varint."""
    number <<= 1
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _last_of(files: list[bytes]) -> FileDescriptor:
    pool = descriptor_pool.DescriptorPool()
    parsed = [FileDescriptorProto.FromString(content) for content in files]
    given = {file.name for file in parsed}
    try:
        for file in parsed:
            for dependency in file.dependency:
                if dependency not in given:
                    _add_well_known(pool, dependency)
            pool.Add(file)
        return pool.FindFileByName(parsed[-1].name)
    except (TypeError, KeyError) as error:
        raise ValueError(f"its descriptors do not go together: {error}") from error


def _add_well_known(pool: descriptor_pool.DescriptorPool, name: str) -> None:
    file = FileDescriptorProto()
    descriptor_pool.Default().FindFileByName(name).CopyToProto(file)
    for dependency in file.dependency:
        _add_well_known(pool, dependency)
    pool.Add(file)


def _message_indexes(content: bytes, position: int) -> tuple[list[int], int]:
    """The way to the message in its file: a count and so many zigzag numbers, or a single 0 for the first message."""
    count, position = _varint(content, position)
    if not 0 <= count <= NESTING_MAX:
        raise ValueError(f"{count} is no number of message indexes")
    indexes = []
    for _ in range(count):
        index, position = _varint(content, position)
        indexes.append(index)
    return indexes or [0], position


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if position >= len(content):
            raise ValueError("the bytes end inside of the message indexes")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
    raise ValueError("a message index has more than 64 bits")


def _message(file: FileDescriptor, indexes: list[int]) -> Descriptor:
    messages: Any = list(file.message_types_by_name.values())
    found: list[Descriptor] = []
    for index in indexes:
        if not 0 <= index < len(messages):
            raise ValueError(f"the schema has no message {'.'.join(map(str, indexes))}")
        found.append(messages[index])
        messages = found[-1].nested_types
    return found[-1]
