"""Protobuf schemas as a registry has them: files of descriptors, and the way to a message that is before its bytes."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto

NESTING_MAX: Final = 100
WELL_KNOWN: Final = {"google/": "google.", "confluent/": "confluent_kafka.schema_registry.confluent."}
"""The packages that have the files that need not be registered. A file is known once its module is loaded."""


def linked(files: Sequence[FileDescriptorProto]) -> FileDescriptor:
    """The last of `files`, which stand behind those that they import; well-known ones need not be there.

    Raises:
        ValueError: the descriptors do not go together.
    """
    pool = descriptor_pool.DescriptorPool()
    given = {file.name for file in files}
    try:
        for file in files:
            for dependency in file.dependency:
                if dependency not in given:
                    _add_well_known(pool, dependency)
            pool.Add(file)
        return pool.FindFileByName(files[-1].name)
    except (TypeError, KeyError) as error:
        raise ValueError(f"its descriptors do not go together: {error}") from error


def _add_well_known(pool: descriptor_pool.DescriptorPool, name: str) -> None:
    for folder, package in WELL_KNOWN.items():
        if name.startswith(folder):
            module = name.removeprefix(folder).removesuffix(".proto").replace("/", ".")
            try:
                importlib.import_module(f"{package}{module}_pb2")
            except ImportError as error:
                raise KeyError(f"there is no well-known file {name}") from error
    file = FileDescriptorProto()
    descriptor_pool.Default().FindFileByName(name).CopyToProto(file)
    for dependency in file.dependency:
        _add_well_known(pool, dependency)
    pool.Add(file)


def named_messages(kinds: Iterable[Any], place: tuple[int, ...] = ()) -> Iterator[tuple[Descriptor, tuple[int, ...]]]:
    """Every message, those in others too, with the way to it."""
    for index, kind in enumerate(kinds):
        yield kind, (*place, index)
        yield from named_messages(kind.nested_types, (*place, index))


def written_indexes(indexes: Sequence[int]) -> bytes:
    """The way to a message as it stands before its bytes."""
    return b"\0" if tuple(indexes) == (0,) else b"".join(map(_zigzag, (len(indexes), *indexes)))


def message_indexes(content: bytes, position: int) -> tuple[list[int], int]:
    """The way to the message in its file, and where the message begins.

    It is a count and so many zigzag numbers, or a single 0 for the first message.

    Raises:
        ValueError: there is no such way in the bytes.
    """
    count, position = _varint(content, position)
    if not 0 <= count <= NESTING_MAX:
        raise ValueError(f"{count} is no number of message indexes")
    indexes = []
    for _ in range(count):
        index, position = _varint(content, position)
        indexes.append(index)
    return indexes or [0], position


def message_at(file: FileDescriptor, indexes: Sequence[int]) -> Descriptor:
    """The message to which a way leads. Raises ValueError when it leads nowhere."""
    messages: Any = list(file.message_types_by_name.values())
    found: list[Descriptor] = []
    for index in indexes:
        if not 0 <= index < len(messages):
            raise ValueError(f"the schema has no message {'.'.join(map(str, indexes))}")
        found.append(messages[index])
        messages = found[-1].nested_types
    return found[-1]


def _zigzag(number: int) -> bytes:
    """A count or an index, which is never negative, as a varint."""
    number <<= 1
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


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
