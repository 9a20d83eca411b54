"""Protobuf messages as JSON and back, by the descriptors that a registry gives (`format=serialized`)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from moldau.cli.registry_client import RegistryConnection
from moldau.client.serdes.protobuf_files import (
    linked,
    message_at,
    message_indexes,
    named_messages,
    written_indexes,
)


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
        indexes, start = message_indexes(content, start)
        kind = message_at(schema, indexes)
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
    messages = named_messages(schema.message_types_by_name.values())
    known = {_local_name(kind): (kind, indexes) for kind, indexes in messages}
    if not known:
        raise LookupError("the schema has no message")
    if name is None:
        kind, indexes = next(iter(known.values()))
    else:
        inside = name.removeprefix(f"{schema.package}.") if schema.package else name
        if inside not in known:
            raise LookupError(f"the schema has no message {name}, only {', '.join(known)}")
        kind, indexes = known[inside]
    prefix = written_indexes(indexes)

    def write(content: bytes) -> bytes:
        try:
            message = json_format.Parse(content, GetMessageClass(kind)(), descriptor_pool=kind.file.pool)
        except json_format.ParseError as error:
            raise ValueError(f"no {kind.full_name}: {error}") from error
        return prefix + message.SerializeToString(deterministic=True)

    return write


def _local_name(kind: Descriptor) -> str:
    """The name in its file, without the package."""
    return kind.full_name.removeprefix(f"{kind.file.package}.") if kind.file.package else kind.full_name


def _last_of(files: list[bytes]) -> FileDescriptor:
    return linked([FileDescriptorProto.FromString(content) for content in files])
