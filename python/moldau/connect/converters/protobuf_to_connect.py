"""The Connect schema of a Protobuf message, as Confluent's `ProtobufData` makes it.

Oneofs are structs with a field for each member, before the other fields. A message that contains itself is refused:
schemas of Connect cannot.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, OneofDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from moldau.connect.converters.protobuf_names import (
    CONNECT_TYPE,
    DECIMAL,
    DECIMAL_PRECISION,
    ENTRY,
    ENUM,
    FIELD_META,
    KEY,
    LOGICAL,
    PRECISION,
    SCALE,
    TAG,
    TYPE,
    UNION,
    UNWRAPPED,
    VALUE,
    WRAPPER,
    ProtobufSettings,
    from_entry,
)
from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Time, Timestamp, Type
from moldau.connect.errors import DataError

FieldOf = Any
"""A `FieldDescriptor`. Its stubs do not know that a field of a message has the descriptor of one."""
SMALL: Final = {"int8": Type.INT8, "int16": Type.INT16}
KINDS: Final = {
    **dict.fromkeys(("int32", "sint32", "sfixed32"), Type.INT32),
    **dict.fromkeys(("uint32", "fixed32", "int64", "uint64", "sint64", "fixed64", "sfixed64"), Type.INT64),
    "float": Type.FLOAT32,
    "double": Type.FLOAT64,
    "bool": Type.BOOLEAN,
    "string": Type.STRING,
    "bytes": Type.BYTES,
}
LOGICAL_MESSAGES: Final = {name: logical for logical, name in LOGICAL.items()}
BUILDERS: Final = {
    Date.LOGICAL_NAME: Date.builder,
    Time.LOGICAL_NAME: Time.builder,
    Timestamp.LOGICAL_NAME: Timestamp.builder,
}


class ProtobufReading:
    """What a message is in Connect."""

    def __init__(self, settings: ProtobufSettings) -> None:
        self._settings = settings
        self._open: set[str] = set()

    def connect_schema(self, message: Descriptor, version: int | None = None) -> Schema:
        """The schema. `version` is the registry's. Raises `DataError` when Connect has no such schema."""
        return self._message(message, version).build()

    def _message(self, message: Descriptor, version: int | None) -> SchemaBuilder:
        if self._settings.wrapper_for_raw_primitives and message.full_name in UNWRAPPED:
            return SchemaBuilder(UNWRAPPED[message.full_name]).version(version)
        if message.full_name in self._open:
            raise DataError(f"{message.full_name} contains itself, which a schema of Connect cannot")
        self._open.add(message.full_name)
        builder = SchemaBuilder.struct().name(message.full_name if self._settings.enhanced else message.name)
        for oneof in real_oneofs(message):
            if self._settings.flatten_unions:
                for field in oneof.fields:
                    builder.field(field.name, self._field(field, in_union=True))
            else:
                builder.field(union_field(oneof, self._settings), self._union(oneof))
        for field in message.fields:
            if not is_of_oneof(field):
                builder.field(field.name, self._field(field))
        self._open.remove(message.full_name)
        return builder.version(version)

    def _union(self, oneof: OneofDescriptor) -> Schema:
        name = oneof.full_name if self._settings.enhanced else oneof.name
        builder = SchemaBuilder.struct().name(f"{UNION}.{name}").optional()
        for field in oneof.fields:
            builder.field(field.name, self._field(field, in_union=True))
        return builder.build()

    def _field(self, field: FieldOf, *, in_union: bool = False) -> Schema:
        settings = self._settings
        builder = self._typed(field)
        if field.is_repeated and builder.build().type is not Type.MAP:
            builder = SchemaBuilder.array(builder.optional()).optional()
        if in_union:
            builder.optional()
            wrapped = field.message_type is not None and field.message_type.full_name in UNWRAPPED
            if settings.wrapper_for_nullables and wrapped:
                builder.parameter(WRAPPER, "true")
        elif settings.optional_for_nullables:
            if has_optional_keyword(field):
                builder.optional()
        elif not settings.wrapper_for_nullables:
            builder.optional()
        return builder.parameter(TAG, str(field.number)).build()

    def _typed(self, field: FieldOf) -> SchemaBuilder:
        if field.message_type is not None:
            return self._of_message(field).optional()
        if field.enum_type is not None:
            return self._enum(field).optional()
        kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        found = KINDS[kind]
        if found is Type.INT32:
            small = SMALL.get(_meta(field).get(CONNECT_TYPE, ""))
            if small is not None:
                return SchemaBuilder(small)
        builder = SchemaBuilder(found)
        if found in {Type.INT32, Type.INT64} and kind != found.value:
            builder.parameter(TYPE, kind)
        return builder

    def _of_message(self, field: FieldOf) -> SchemaBuilder:
        message = field.message_type
        name = message.full_name
        if name == DECIMAL:
            said = _meta(field)
            builder = Decimal.builder(_whole(said.get(SCALE)) or 0)
            precision = _whole(said.get(PRECISION))
            return builder if precision is None else builder.parameter(DECIMAL_PRECISION, str(precision))
        if name in LOGICAL_MESSAGES:
            return BUILDERS[LOGICAL_MESSAGES[name]]()
        if self._settings.wrapper_for_nullables and name in UNWRAPPED:
            return SchemaBuilder(UNWRAPPED[name])
        if is_map(field):
            keys, values = (self._field(each) for each in message.fields)
            return SchemaBuilder.map(keys, values).name(from_entry(name if self._settings.enhanced else message.name))
        return self._message(message, None)

    def _enum(self, field: FieldOf) -> SchemaBuilder:
        enum = field.enum_type
        builder = SchemaBuilder.int32() if self._settings.int_for_enums else SchemaBuilder.string()
        builder.name(enum.full_name if self._settings.enhanced else enum.name).parameter(ENUM, enum.name)
        for value in enum.values:
            builder.parameter(f"{ENUM}.{value.name}", str(value.number))
        return builder


def real_oneofs(message: Descriptor) -> list[OneofDescriptor]:
    """The oneofs of the text, without those that stand for `optional`."""
    return [oneof for oneof in message.oneofs if not any(is_proto3_optional(field) for field in oneof.fields)]


def is_of_oneof(field: FieldOf) -> bool:
    """Whether a field is a member of a oneof of the text."""
    return field.containing_oneof is not None and not is_proto3_optional(field)


def union_field(oneof: OneofDescriptor, settings: ProtobufSettings) -> str:
    """The name of the field that stands for a oneof."""
    return f"{oneof.name}_{oneof.index}" if settings.index_for_unions else oneof.name


def is_map(field: FieldOf) -> bool:
    """Whether a field is a map: declared as one, or repeats a message that is called an entry and looks like one."""
    message = field.message_type
    if message is None or not field.is_repeated or not message.name.endswith(ENTRY):
        return False
    return [each.name for each in message.fields] == [KEY, VALUE] and not any(
        each.is_repeated for each in message.fields
    )


def is_proto3_optional(field: FieldOf) -> bool:
    """Whether a field of proto3 has the word `optional`."""
    oneof = field.containing_oneof
    if oneof is None or len(oneof.fields) != 1:
        return False
    message = DescriptorProto()
    field.containing_type.CopyToProto(message)
    return next(each.proto3_optional for each in message.field if each.name == field.name)


def has_optional_keyword(field: FieldOf) -> bool:
    """The same for proto2 as well, where the word is the rule."""
    if is_proto3_optional(field):
        return True
    if field.containing_oneof is not None or field.is_repeated or field.is_required:
        return False
    file = FileDescriptorProto()
    field.file.CopyToProto(file)
    return file.syntax not in {"proto3", "editions"}


def is_optional(field: FieldOf, settings: ProtobufSettings) -> bool:
    """Whether a field without a value is null rather than zero."""
    return has_optional_keyword(field) if settings.optional_for_proto2 else is_proto3_optional(field)


def _meta(field: FieldOf) -> dict[str, str]:
    options = field.GetOptions()
    if not options.HasExtension(FIELD_META):
        return {}
    return dict(options.Extensions[FIELD_META].params)


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
