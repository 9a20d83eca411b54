"""Protocol Buffers: a schema is the text of a `.proto` file, or a `FileDescriptorProto` in base64.

confluent-kafka sends the second and reads it back with `format=serialized`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from moldau.registry.compat import uncompared
from moldau.registry.languages.language import (
    Incompatibility,
    ParsedSchema,
    Policy,
    ResolvedReference,
    SchemaError,
)


@dataclass(frozen=True, slots=True)
class ProtobufSchema:
    """The text as it came; `is_descriptor` says which of the two it is."""

    text: str
    is_descriptor: bool

    def canonical(self) -> str:
        return self.text

    def formatted(self, name: str) -> str:
        if name == "serialized" and not self.is_descriptor:
            raise SchemaError("this schema was registered as text; its descriptor is not known")
        return self.text

    def normalized(self) -> ProtobufSchema:
        return self

    def equivalent(self, other: ParsedSchema) -> bool:
        return isinstance(other, ProtobufSchema) and self.text == other.text

    def top_level_fields(self) -> frozenset[str]:
        return frozenset()


class Protobuf:
    """proto2 and proto3."""

    name: Final = "PROTOBUF"

    def parse(self, text: str, references: Sequence[ResolvedReference], *, strict: bool) -> ProtobufSchema:
        if _is_descriptor(text):
            return ProtobufSchema(text, is_descriptor=True)
        if not any(word in text for word in ("message", "enum", "syntax", "extend", "import", "option")):
            raise SchemaError("neither the text of a .proto file nor a file descriptor in base64")
        return ProtobufSchema(text, is_descriptor=False)

    def check(self, reader: ParsedSchema, writer: ParsedSchema, policy: Policy) -> list[Incompatibility]:
        return uncompared.check(self.name, reader, writer)


def _is_descriptor(text: str) -> bool:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.message import DecodeError

    try:
        FileDescriptorProto.FromString(content)
    except DecodeError:
        return False
    return True
