"""The Protobuf file of a Connect schema, as Confluent's `ProtobufData` makes it, so that a registry has it once.

It is made as a descriptor, which registries turn into text. What Protobuf cannot say stands in `confluent.field_meta`,
which nobody imports: so Confluent's converter has it, and its registry and ours know that option.
"""

from __future__ import annotations

import base64
from typing import Final

from google.protobuf import wrappers_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from moldau.connect.converters.protobuf_names import (
    CONNECT_TYPE,
    DECIMAL,
    DECIMAL_PRECISION,
    DEFAULT_NAME,
    ENUM,
    FIELD_META,
    FILES,
    KEY,
    LOGICAL,
    PRECISION,
    SCALARS,
    SCALE,
    TAG,
    TYPE,
    UNION,
    UNSIGNED_WRAPPERS,
    VALUE,
    WRAPPERS,
    WRAPPERS_FILE,
    ProtobufSettings,
    enum_of,
    is_union,
    to_entry,
)
from moldau.connect.data import Schema, Type
from moldau.connect.errors import DataError

KINDS: Final = {name: FieldDescriptorProto.Type.Value(f"TYPE_{name.upper()}") for name in (
    *SCALARS.values(), "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64",
)}  # fmt: skip
SMALL: Final = {Type.INT8: "int8", Type.INT16: "int16"}


def file_of(schema: Schema | None, settings: ProtobufSettings) -> tuple[FileDescriptorProto, str]:
    """The file, and the full name of the message of `schema` in it. Raises `DataError` for what Protobuf cannot say."""
    if schema is None:
        raise DataError("a value without a schema cannot be written as Protobuf")
    if schema.type in WRAPPERS and schema.name not in LOGICAL:
        file = FileDescriptorProto()
        wrappers_pb2.DESCRIPTOR.CopyToProto(file)
        return file, WRAPPERS[schema.type]
    if schema.type is not Type.STRUCT or is_union(schema):
        raise DataError(
            f"{schema} is no struct, and Protobuf has messages only\nhint: the HoistField transform makes it one"
        )
    return _Maker(settings).file(schema)


def text_of(file: FileDescriptorProto) -> str:
    """A file as a registry takes it."""
    return base64.b64encode(file.SerializeToString(deterministic=True)).decode()


class _Maker:
    def __init__(self, settings: ProtobufSettings) -> None:
        self._settings = settings
        self._file = FileDescriptorProto(name="default", syntax="proto3")
        self._unnamed = 0

    def file(self, schema: Schema) -> tuple[FileDescriptorProto, str]:
        parts = [self._settings.scrubbed(part) for part in self._name(schema.name).split(".")]
        if len(parts) > 1:
            self._file.package = ".".join(parts[:-1])
        self._fill(self._file.message_type.add(name=parts[-1]), schema)
        return self._file, ".".join(parts)

    def _name(self, name: str | None) -> str:
        if name:
            return name
        self._unnamed += 1
        return f"{DEFAULT_NAME}{self._unnamed}"

    def _local(self, name: str | None) -> str:
        return self._settings.scrubbed(self._name(name).rpartition(".")[2])

    def _fill(self, message: DescriptorProto, schema: Schema) -> None:
        number = 1
        nullable: list[FieldDescriptorProto] = []
        for field in schema.fields:
            tag = (field.schema.parameters or {}).get(TAG)
            made = self._field(message, field.schema, self._settings.scrubbed(field.name), int(tag or number))
            number += tag is None
            if made is not None and self._is_optional(field.schema):
                nullable.append(made)
        for made in nullable:
            # Protobuf wants the oneofs that stand for `optional` behind the others.
            made.proto3_optional = True
            made.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{made.name}")

    def _is_optional(self, schema: Schema) -> bool:
        repeated = schema.type in {Type.ARRAY, Type.MAP}
        return self._settings.optional_for_nullables and schema.optional and not repeated

    def _field(
        self, message: DescriptorProto, schema: Schema, name: str, number: int, *, in_union: bool = False
    ) -> FieldDescriptorProto | None:
        """Adds the field, and what it needs to be declared; None for a oneof, whose members are fields."""
        repeated = schema.type in {Type.ARRAY, Type.MAP}
        if schema.type is Type.ARRAY:
            schema = _inner(schema.value_schema)
            if schema.type in {Type.ARRAY, Type.MAP} or is_union(schema):
                raise DataError(f"{name} is an array of {schema}, which Protobuf cannot repeat")
        if is_union(schema):
            self._oneof(message, schema)
            return None
        parameters: dict[str, str] = {}
        kind = self._kind(schema, name, parameters, in_union=in_union)
        field = message.field.add(name=name, number=number)
        field.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
        if kind in KINDS:
            field.type = KINDS[kind]
        else:
            field.type_name = kind
            self._declare(message, schema, kind)
        if parameters:
            field.options.Extensions[FIELD_META].params.update(parameters)
        return field

    def _declare(self, message: DescriptorProto, schema: Schema, kind: str) -> None:
        declared = {message.name, *(each.name for each in message.nested_type)}
        if schema.name in LOGICAL:
            self._import(FILES[kind])
        elif schema.type is Type.STRUCT:
            if kind not in declared:
                self._fill(message.nested_type.add(name=kind), schema)
        elif schema.type is Type.MAP:
            if kind in declared:
                raise DataError(f"two maps of {message.name} have entries called {kind}: give one another name")
            entry = message.nested_type.add(name=kind)
            for at, (name, part) in enumerate(((KEY, schema.key_schema), (VALUE, schema.value_schema)), 1):
                if self._field(entry, _inner(part), name, at) is None:
                    raise DataError(f"the {name} of a map cannot be a choice in Protobuf")
        elif enum_of(schema) is not None:
            self._enum(message, schema, kind)
        else:
            self._import(WRAPPERS_FILE)

    def _import(self, path: str) -> None:
        if path not in self._file.dependency:
            self._file.dependency.append(path)

    def _oneof(self, message: DescriptorProto, schema: Schema) -> None:
        index = len(message.oneof_decl)
        message.oneof_decl.add(name=self._local((schema.name or "").removeprefix(f"{UNION}.")))
        for field in schema.fields:
            tag = (field.schema.parameters or {}).get(TAG)
            if tag is None:
                raise DataError(
                    f"{field.name} of the choice {schema.name} has no parameter {TAG}, its number in Protobuf"
                )
            made = self._field(message, field.schema, self._settings.scrubbed(field.name), int(tag), in_union=True)
            if made is None:
                raise DataError(f"{field.name} of the choice {schema.name} is a choice, which Protobuf cannot have")
            made.oneof_index = index

    def _enum(self, message: DescriptorProto, schema: Schema, kind: str) -> None:
        name = self._local(schema.name) if schema.name else kind
        if any(each.name == name for each in message.enum_type):
            return
        enum = message.enum_type.add(name=name)
        prefix = f"{ENUM}."
        for parameter, number in (schema.parameters or {}).items():
            if parameter.startswith(prefix):
                enum.value.add(name=parameter.removeprefix(prefix), number=int(number))

    def _kind(self, schema: Schema, field_name: str, parameters: dict[str, str], *, in_union: bool) -> str:
        said = schema.parameters or {}
        if schema.name in LOGICAL:
            kind = LOGICAL[schema.name]
            if kind == DECIMAL:
                found = {PRECISION: said.get(DECIMAL_PRECISION), SCALE: said.get(SCALE)}
                parameters |= {name: text for name, text in found.items() if text is not None}
            return kind
        if schema.type is Type.STRUCT:
            name = self._local(schema.name)
            # A message and a field with one name would be two things.
            return f"{name}Message" if name == field_name else name
        if schema.type is Type.MAP:
            return to_entry(self._local(schema.name))
        enum = enum_of(schema)
        if enum is not None:
            return enum
        if schema.type in SMALL:
            parameters[CONNECT_TYPE] = SMALL[schema.type]
        typed = said.get(TYPE) if schema.type in {Type.INT32, Type.INT64} else None
        kind = typed or SCALARS[schema.type]
        if not self._settings.wraps(schema, in_union=in_union):
            return kind
        return UNSIGNED_WRAPPERS.get(kind, WRAPPERS[schema.type])


def _inner(schema: Schema | None) -> Schema:
    if schema is None:
        raise DataError("an array or a map has no schema for what is in it, which Protobuf needs")
    return schema
