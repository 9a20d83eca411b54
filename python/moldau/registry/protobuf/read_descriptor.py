"""Turns a `FileDescriptorProto` into a file: types have their full names, maps are fields of a message of entries.

So does Confluent's registry write them. Map entries have to stay where they are: they count where messages do, and that
number is in the bytes before a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import text_encoding
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

from moldau.registry.languages.language import SchemaError
from moldau.registry.protobuf.elements import (
    NAME_LENGTH_MAX,
    NAME_PARTS_MAX,
    Aggregate,
    Enum,
    EnumValue,
    Extend,
    Extensions,
    Field,
    File,
    Group,
    Import,
    Label,
    Listing,
    Message,
    Method,
    NamePart,
    OneOf,
    Option,
    Options,
    Quoted,
    Range,
    Reserved,
    Service,
    Value,
    Word,
)
from moldau.registry.protobuf.normal import json_name
from moldau.registry.protobuf.values import NESTING_MAX

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message as ProtobufMessage

_LABELS: Final[dict[int, Label]] = {
    FieldDescriptorProto.LABEL_OPTIONAL: "optional",
    FieldDescriptorProto.LABEL_REQUIRED: "required",
    FieldDescriptorProto.LABEL_REPEATED: "repeated",
}

SHOWN_MAX: Final = 40

FIRST_OPTIONS: Final = (
    *("java_package", "java_outer_classname", "java_multiple_files", "java_generate_equals_and_hash"),
    *("java_string_check_utf8", "optimize_for", "go_package"),
)
"""The order in which Confluent's registry writes a file's options; the others follow by number."""


def read(proto: FileDescriptorProto, pool: DescriptorPool | None = None) -> File:
    """The file. With a pool that has what it imports, options of extensions are read as well; else they are left out.

    Raises SchemaError.
    """
    _check_names(proto)
    return _Reader(proto, pool).file()


def _check_names(message: ProtobufMessage) -> None:
    """What is called something has a name; Protobuf's library gives bytes for strings that are no UTF-8."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else (value,)
        if field.type == FieldDescriptor.TYPE_STRING:
            for each in values:
                if isinstance(each, bytes) or not _is_name(field.full_name, each):
                    raise SchemaError(f"the descriptor has a {field.name} that is none: {each[:SHOWN_MAX]!r}")
        if field.type == FieldDescriptor.TYPE_MESSAGE and not field.is_extension:
            for each in values:
                _check_names(each)


def _is_name(field: str, text: str) -> bool:
    if field == "google.protobuf.FileDescriptorProto.package" or field.endswith(("type_name", "_type", "extendee")):
        return text.count(".") <= NAME_PARTS_MAX and len(text) <= NAME_LENGTH_MAX
    if field.endswith("DescriptorProto.name") and field != "google.protobuf.FileDescriptorProto.name":
        return text.isidentifier() and len(text) <= NAME_LENGTH_MAX
    return True


class _Reader:
    def __init__(self, proto: FileDescriptorProto, pool: DescriptorPool | None) -> None:
        self._proto = proto
        self._pool = pool
        self._is_proto3 = proto.syntax == "proto3"

    def file(self) -> File:
        proto = self._proto
        if proto.syntax not in ("", "proto2", "proto3"):
            raise SchemaError(f"{proto.syntax} are not understood yet; proto2 and proto3 are")
        public, weak = set(proto.public_dependency), set(proto.weak_dependency)
        imports = tuple(
            Import(path, "public" if index in public else "weak" if index in weak else "")
            for index, path in enumerate(proto.dependency)
        )
        groups = _names_of_groups(proto.extension)
        return File(
            "proto3" if self._is_proto3 else "proto2" if proto.syntax else None,
            proto.package or None,
            imports,
            tuple(sorted(self._options(proto), key=_rank)),
            tuple(self._message(each, 1) for each in proto.message_type if each.name not in groups),
            tuple(self._enum(each) for each in proto.enum_type),
            self._extends(proto.extension, _by_name(proto.message_type), 0),
            tuple(self._service(each) for each in proto.service),
        )

    def _message(self, proto: DescriptorProto, depth: int) -> Message:
        if depth > NESTING_MAX:
            raise SchemaError(f"messages are nested deeper than {NESTING_MAX}")
        messages = _by_name(proto.nested_type)
        inside: list[list[Field | Group]] = [[] for _ in range(len(proto.oneof_decl) + 1)]
        for field in proto.field:
            of_a_oneof = field.HasField("oneof_index") and not field.proto3_optional
            if of_a_oneof and field.oneof_index >= len(proto.oneof_decl):
                raise SchemaError(f"the field {field.name} of {proto.name} is in a oneof that is not there")
            index = field.oneof_index if of_a_oneof else -1
            inside[index].append(self._member(field, messages, depth, in_oneof=bool(of_a_oneof)))
        groups = _names_of_groups((*proto.field, *proto.extension))
        oneofs = [
            OneOf(each.name, _fields(members), _groups(members), self._options(each))
            for each, members in zip(proto.oneof_decl, inside, strict=False)
            if members
        ]
        return Message(
            proto.name,
            _fields(inside[-1]),
            tuple(oneofs),
            _groups(inside[-1]),
            tuple(self._message(each, depth + 1) for each in proto.nested_type if each.name not in groups),
            tuple(self._enum(each) for each in proto.enum_type),
            (
                *(Reserved((Range(each.start, each.end - 1),)) for each in proto.reserved_range),
                *(Reserved((each,)) for each in proto.reserved_name),
            ),
            tuple(
                Extensions((Range(each.start, each.end - 1),), self._options(each)) for each in proto.extension_range
            ),
            self._extends(proto.extension, messages, depth),
            self._options(proto),
        )

    def _extends(
        self, fields: Iterable[FieldDescriptorProto], messages: Mapping[str, DescriptorProto], depth: int
    ) -> tuple[Extend, ...]:
        together: dict[str, list[Field | Group]] = {}
        for field in fields:
            member = self._member(field, messages, depth, in_oneof=False)
            together.setdefault(field.extendee, []).append(member)
        return tuple(Extend(name, _fields(members), _groups(members)) for name, members in together.items())

    def _member(
        self, proto: FieldDescriptorProto, messages: Mapping[str, DescriptorProto], depth: int, *, in_oneof: bool
    ) -> Field | Group:
        label = None if in_oneof else self._label(proto)
        if proto.type == FieldDescriptorProto.TYPE_GROUP:
            name = proto.type_name.rpartition(".")[2]
            message = messages.get(name)
            if message is None:
                raise SchemaError(f"the message of the group {proto.name} is not there")
            return Group(self._message(message, depth + 1), proto.number, label, self._options(proto))
        kind = proto.type_name or FieldDescriptorProto.Type.Name(proto.type).removeprefix("TYPE_").lower()
        return Field(
            proto.name,
            proto.number,
            kind,
            label,
            self._options(proto),
            _default(proto, kind) if proto.HasField("default_value") and not self._is_proto3 else None,
            proto.json_name if proto.HasField("json_name") and proto.json_name != json_name(proto.name) else None,
        )

    def _label(self, proto: FieldDescriptorProto) -> Label | None:
        label = _LABELS[proto.label]
        return label if label == "repeated" or proto.proto3_optional or not self._is_proto3 else None

    def _enum(self, proto: EnumDescriptorProto) -> Enum:
        return Enum(
            proto.name,
            tuple(EnumValue(each.name, each.number, self._options(each)) for each in proto.value),
            (
                *(Reserved((Range(each.start, each.end),)) for each in proto.reserved_range),
                *(Reserved((each,)) for each in proto.reserved_name),
            ),
            self._options(proto),
        )

    def _service(self, proto: ServiceDescriptorProto) -> Service:
        methods = tuple(
            Method(
                each.name,
                each.input_type,
                each.output_type,
                each.client_streaming,
                each.server_streaming,
                self._options(each),
            )
            for each in proto.method
        )
        return Service(proto.name, methods, self._options(proto))

    def _options(self, element: Any) -> Options:
        if not element.HasField("options"):
            return ()
        options: ProtobufMessage = element.options
        if self._pool is not None:
            options = self._with_extensions(options, self._pool)
        found: list[Option] = []
        for field, value in options.ListFields():
            if field.name == "uninterpreted_option" or (field.is_extension and self._pool is None):
                continue
            name = NamePart(field.full_name if field.is_extension else field.name, is_extension=field.is_extension)
            found += [Option((name,), each) for each in _values(field, value)]
        return tuple(found)

    @staticmethod
    def _with_extensions(options: ProtobufMessage, pool: DescriptorPool) -> ProtobufMessage:
        """The same options as a message that knows the extensions of the pool."""
        from google.protobuf.message import DecodeError
        from google.protobuf.message_factory import GetMessageClass

        try:
            descriptor = pool.FindMessageTypeByName(options.DESCRIPTOR.full_name)
        except KeyError:
            return options
        try:
            return GetMessageClass(descriptor).FromString(options.SerializeToString())
        except DecodeError:
            raise SchemaError(f"an option in {descriptor.full_name} is not what its extension says") from None


def _values(field: FieldDescriptor, value: Any) -> list[Value]:
    """One value, or each of a repeated field."""
    if not field.is_repeated:
        return [_value(field, value)]
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        key, content = entry.fields_by_name["key"], entry.fields_by_name["value"]
        # Protobuf's library hands the entries out in no order.
        each_key = sorted(value)
        return [Aggregate((("key", _value(key, each)), ("value", _value(content, value[each])))) for each in each_key]
    return [_value(field, each) for each in value]


def _value(field: FieldDescriptor, value: Any) -> Value:
    if field.message_type is not None:
        entries = []
        for inner, content in value.ListFields():
            values = _values(inner, content)
            key = f"[{inner.full_name}]" if inner.is_extension else inner.name
            entries.append((key, Listing(tuple(values)) if inner.is_repeated else values[0]))
        return Aggregate(tuple(entries))
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return Word(known.name if known is not None else str(value))
    if isinstance(value, str):
        return Quoted(value)
    if isinstance(value, bytes):
        return Quoted(value.decode("utf-8", "surrogateescape"))
    if isinstance(value, bool):
        return Word("true" if value else "false")
    return Word(str(value))


def _default(proto: FieldDescriptorProto, kind: str) -> Word | Quoted:
    if kind == "bytes":
        return Quoted(text_encoding.CUnescape(proto.default_value).decode("utf-8", "surrogateescape"))
    return Quoted(proto.default_value) if kind == "string" else Word(proto.default_value)


def _names_of_groups(fields: Iterable[FieldDescriptorProto]) -> set[str]:
    return {each.type_name.rpartition(".")[2] for each in fields if each.type == FieldDescriptorProto.TYPE_GROUP}


def _by_name(messages: Iterable[DescriptorProto]) -> dict[str, DescriptorProto]:
    return {each.name: each for each in messages}


def _fields(members: Iterable[Field | Group]) -> tuple[Field, ...]:
    return tuple(each for each in members if isinstance(each, Field))


def _groups(members: Iterable[Field | Group]) -> tuple[Group, ...]:
    return tuple(each for each in members if isinstance(each, Group))


def _rank(option: Option) -> int:
    name = option.name[0].text
    return FIRST_OPTIONS.index(name) if name in FIRST_OPTIONS else len(FIRST_OPTIONS)
