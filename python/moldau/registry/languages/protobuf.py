"""Protocol Buffers: a schema is the text of a `.proto` file, or a `FileDescriptorProto` in base64.

Java's serializer sends the first; confluent-kafka sends the second, and reads it back with `format=serialized`. Either
becomes the same file, is stored as text, and is found again whichever way it comes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from moldau.registry.languages.language import (
    Incompatibility,
    ParsedSchema,
    Policy,
    ResolvedReference,
    SchemaError,
)
from moldau.registry.protobuf.checks import check
from moldau.registry.protobuf.elements import File
from moldau.registry.protobuf.linking import Linked, link
from moldau.registry.protobuf.normal import normalized
from moldau.registry.protobuf.parser import parse
from moldau.registry.protobuf.printer import write

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

SERIALIZED: Final = "serialized"
"""The format of a descriptor in base64."""

_META_TAG: Final = b"\x82\x44"
"""What Confluent's options begin with in the bytes of a descriptor: field 1088, with a length."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\r\n]+={0,2}")


@dataclass(frozen=True)
class ProtobufSchema:
    """A file with what it imports."""

    linked: Linked

    @cached_property
    def text(self) -> str:
        """As it is stored."""
        return write(self.linked.file)

    @cached_property
    def normal_text(self) -> str:
        """The same for files that mean the same."""
        return write(normalized(self.linked))

    def canonical(self) -> str:
        return self.text

    def formatted(self, name: str) -> str:
        if name == SERIALIZED:
            from moldau.registry.protobuf import write_descriptor

            return base64.b64encode(write_descriptor.write(self.linked).SerializeToString()).decode("ascii")
        return self.text

    def normalized(self) -> ProtobufSchema:
        return ProtobufSchema(link(normalized(self.linked), self.linked.imported))

    def meaning(self) -> str:
        return self.normal_text

    def top_level_fields(self) -> frozenset[str]:
        return frozenset(member.name for message in self.linked.file.messages[:1] for member, _ in message.members())


class Protobuf:
    """proto2 and proto3."""

    name: Final = "PROTOBUF"

    def parse(self, text: str, references: Sequence[ResolvedReference], *, strict: bool) -> ProtobufSchema:
        files: dict[str, File] = {}
        for reference in references:
            try:
                files[reference.name] = _read(reference.text)
            except SchemaError as error:
                raise SchemaError(f"in the reference {reference.name!r}: {error}") from error
        parsed = ProtobufSchema(link(_read(text, files), files))
        if strict:
            from moldau.registry.protobuf import write_descriptor

            check(parsed.linked)
            write_descriptor.write(parsed.linked)
        return parsed

    def format_of(self, text: str) -> str:
        return SERIALIZED if _BASE64.fullmatch(text.strip()) else ""

    def check(self, reader: ParsedSchema, writer: ParsedSchema, policy: Policy) -> list[Incompatibility]:
        assert isinstance(reader, ProtobufSchema)
        assert isinstance(writer, ProtobufSchema)
        from moldau.registry.compat import protobuf

        return protobuf.check(reader.linked, writer.linked)


def _read(text: str, references: Mapping[str, File] | None = None) -> File:
    """The file. Without references a descriptor is read without options of extensions, which say nothing about data."""
    descriptor = _descriptor(text)
    if descriptor is None:
        return parse(text)
    from moldau.registry.protobuf import read_descriptor, write_descriptor

    file = read_descriptor.read(descriptor)
    if references is None:
        return file
    linked = link(file, references, with_meta=_META_TAG in descriptor.SerializeToString())
    if not linked.types.extensions:
        return file
    # Options of extensions are bytes until it is known what the extensions are.
    return read_descriptor.read(descriptor, write_descriptor.pool_of(linked))


def _descriptor(text: str) -> FileDescriptorProto | None:
    """The descriptor that a text in base64 is; None if it is none. No file's text consists of letters alone."""
    if not _BASE64.fullmatch(text.strip()):
        return None
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.message import DecodeError

    try:
        return FileDescriptorProto.FromString(base64.b64decode(text, validate=False))
    except (binascii.Error, ValueError, DecodeError):
        raise SchemaError("neither the text of a .proto file nor a file descriptor in base64") from None
