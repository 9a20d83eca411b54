"""Turns a file into a `FileDescriptorProto`, as protoc would: types are looked up, maps get their entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf import text_encoding
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

from moldau.registry.languages.language import SchemaError
from moldau.registry.protobuf import known
from moldau.registry.protobuf.checks import found_type
from moldau.registry.protobuf.elements import (
    SCALARS,
    Enum,
    Extend,
    Field,
    File,
    Group,
    MapType,
    Member,
    Message,
    OneOf,
    Option,
    Options,
    Place,
    Quoted,
    Range,
    Service,
    Word,
)
from moldau.registry.protobuf.linking import NAMELESS, Linked, link
from moldau.registry.protobuf.normal_options import number
from moldau.registry.protobuf.types import joined
from moldau.registry.protobuf.write_options import set_custom_option, set_option

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool


def write(linked: Linked) -> FileDescriptorProto:
    """The descriptor of the file, options of extensions included where the extension is known.

    Raises SchemaError, also for what only Protobuf's library finds.
    """
    writer = _Writer(linked, NAMELESS)
    proto = writer.file()
    pool = _pool(linked, proto)
    for options, each, scope in writer.custom:
        set_custom_option(pool, linked.types, options, each, scope)
    return proto


def pool_of(linked: Linked) -> DescriptorPool:
    """A pool that has the file and what it imports."""
    return _pool(linked, _Writer(linked, NAMELESS).file())


def _pool(linked: Linked, proto: FileDescriptorProto) -> DescriptorPool:
    from google.protobuf.descriptor_pool import DescriptorPool

    pool = DescriptorPool()
    for each in (*(_imported(linked, path, file) for path, file in linked.imported.items()), proto):
        try:
            pool.Add(each)
        except TypeError as error:
            raise SchemaError(f"Protobuf does not take it: {error}") from None
    return pool


def _imported(linked: Linked, path: str, file: File) -> FileDescriptorProto:
    if file is known.file(path):
        return _known(path)
    return _Writer(Linked(file, linked.imported, (), linked.types), path).file()


@cache
def _known(path: str) -> FileDescriptorProto:
    file = known.file(path)
    assert file is not None
    return _Writer(link(file, {}), path).file()


@dataclass(slots=True)
class _Writer:
    """Writes one file. `custom` are the options that can only be set when everything is there."""

    linked: Linked
    path: str
    custom: list[tuple[Any, Option, str]]

    def __init__(self, linked: Linked, path: str) -> None:
        self.linked, self.path, self.custom = linked, path, []

    def file(self) -> FileDescriptorProto:
        file, package = self.linked.file, self.linked.file.package or ""
        proto = FileDescriptorProto(name=self.path, package=package or None, syntax=file.syntax)
        for each in file.imports:
            if each.path not in self.linked.imported or each.path in proto.dependency:
                continue
            index = len(proto.dependency)
            proto.dependency.append(each.path)
            if each.kind == "public":
                proto.public_dependency.append(index)
            elif each.kind == "weak":
                proto.weak_dependency.append(index)
        for message in file.messages:
            self._message(proto.message_type.add(), message, package)
        for enum in file.enums:
            self._enum(proto.enum_type.add(), enum, package)
        self._extends(proto, file.extends, package)
        for service in file.services:
            self._service(proto.service.add(), service, package)
        self._options(proto, file.options, package)
        return proto

    def _message(self, proto: DescriptorProto, message: Message, outer: str) -> None:
        scope = joined(outer, message.name)
        proto.name = message.name
        for nested in message.messages:
            self._message(proto.nested_type.add(), nested, scope)
        for group in message.all_groups():
            self._message(proto.nested_type.add(), group.message, scope)
        for enum in message.enums:
            self._enum(proto.enum_type.add(), enum, scope)
        # Entries of maps come after the messages that are written, so these keep their numbers.
        for field in message.fields:
            self._member(proto, proto.field.add(), field, scope)
        for group in message.groups:
            self._member(proto, proto.field.add(), group, scope)
        for oneof in message.oneofs:
            self._oneof(proto, oneof, scope)
        self._optional_fields(proto)
        for reserved in message.reserved:
            for item in reserved.items:
                if isinstance(item, Range):
                    proto.reserved_range.add(start=item.first, end=item.last + 1)
                else:
                    proto.reserved_name.append(item)
        for extensions in message.extensions:
            for item in extensions.ranges:
                written = proto.extension_range.add(start=item.first, end=item.last + 1)
                self._options(written, extensions.options, scope)
        self._extends(proto, message.extends, scope)
        self._options(proto, message.options, scope)

    def _oneof(self, proto: DescriptorProto, oneof: OneOf, scope: str) -> None:
        index = len(proto.oneof_decl)
        written = proto.oneof_decl.add(name=oneof.name)
        self._options(written, oneof.options, scope)
        for member in oneof.members:
            field = proto.field.add(oneof_index=index)
            self._member(proto, field, member, scope)

    def _optional_fields(self, proto: DescriptorProto) -> None:
        """Fields of proto3 that are optional are each in a oneof of their own, which comes after those written."""
        for field in proto.field:
            if field.proto3_optional:
                field.oneof_index = len(proto.oneof_decl)
                proto.oneof_decl.add(name=f"_{field.name}")

    def _extends(self, proto: FileDescriptorProto | DescriptorProto, extends: Iterable[Extend], scope: str) -> None:
        for extend in extends:
            extendee = f".{found_type(self.linked, extend.extendee, scope, extend.place).name}"
            for group in extend.groups:
                if isinstance(proto, FileDescriptorProto):
                    self._message(proto.message_type.add(), group.message, scope)
            for member in extend.members:
                self._member(proto, proto.extension.add(extendee=extendee), member, scope)

    def _member(
        self,
        proto: FileDescriptorProto | DescriptorProto,
        written: FieldDescriptorProto,
        member: Member,
        scope: str,
    ) -> None:
        written.name, written.number = member.name, member.number
        label = member.label or "optional"
        if isinstance(member, Group):
            written.type = FieldDescriptorProto.TYPE_GROUP
            written.type_name = f".{joined(scope, member.message.name)}"
        elif isinstance(member.type, MapType):
            assert isinstance(proto, DescriptorProto)
            label = "repeated"
            written.type = FieldDescriptorProto.TYPE_MESSAGE
            written.type_name = f".{joined(scope, self._map_entry(proto, member, member.type, scope))}"
        else:
            self._type(written, member.type, scope, member.place)
            if member.label == "optional" and self.linked.file.is_proto3 and not written.extendee:
                written.proto3_optional = True
        written.label = FieldDescriptorProto.Label.Value(f"LABEL_{label.upper()}")
        if isinstance(member, Field):
            if member.json_name is not None:
                written.json_name = member.json_name
            if member.default is not None:
                written.default_value = _default(member.default, member.type)
        self._options(written, member.options, scope)

    def _type(self, written: FieldDescriptorProto, kind: str, scope: str, place: Place) -> None:
        if kind in SCALARS:
            written.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
            return
        declared = found_type(self.linked, kind, scope, place)
        written.type_name = f".{declared.name}"
        is_enum = isinstance(declared.element, Enum)
        written.type = FieldDescriptorProto.TYPE_ENUM if is_enum else FieldDescriptorProto.TYPE_MESSAGE

    def _map_entry(self, proto: DescriptorProto, field: Field, kind: MapType, scope: str) -> str:
        name = f"{_camel_case(field.name)}Entry"
        entry = proto.nested_type.add(name=name)
        entry.options.map_entry = True
        for number_, (part, text) in enumerate((("key", kind.key), ("value", kind.value)), 1):
            written = entry.field.add(name=part, number=number_, label=FieldDescriptorProto.LABEL_OPTIONAL)
            self._type(written, text, scope, field.place)
        return name

    def _enum(self, proto: EnumDescriptorProto, enum: Enum, outer: str) -> None:
        scope = joined(outer, enum.name)
        proto.name = enum.name
        for value in enum.values:
            written = proto.value.add(name=value.name, number=value.number)
            self._options(written, value.options, scope)
        for reserved in enum.reserved:
            for item in reserved.items:
                if isinstance(item, Range):
                    proto.reserved_range.add(start=item.first, end=item.last)
                else:
                    proto.reserved_name.append(item)
        self._options(proto, enum.options, scope)

    def _service(self, proto: ServiceDescriptorProto, service: Service, outer: str) -> None:
        scope = joined(outer, service.name)
        proto.name = service.name
        for method in service.methods:
            written = proto.method.add(
                name=method.name,
                input_type=f".{found_type(self.linked, method.request, scope, method.place).name}",
                output_type=f".{found_type(self.linked, method.response, scope, method.place).name}",
            )
            if method.request_is_stream:
                written.client_streaming = True
            if method.response_is_stream:
                written.server_streaming = True
            self._options(written, method.options, scope)
        self._options(proto, service.options, scope)

    def _options(self, element: Any, options: Options, scope: str) -> None:
        for option in options:
            if option.is_custom:
                element.options.SetInParent()
                self.custom.append((element.options, option, scope))
            else:
                set_option(element.options, option)


def _default(default: Word | Quoted, kind: str | MapType) -> str:
    if isinstance(default, Quoted):
        content = default.text.encode("utf-8", "surrogateescape")
        return text_encoding.CEscape(content, as_utf8=False) if kind == "bytes" else content.decode("utf-8", "replace")
    return number(default.text)


def _camel_case(name: str) -> str:
    """As protoc makes the name of a map's entry."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
