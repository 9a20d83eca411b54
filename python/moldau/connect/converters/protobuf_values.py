"""Values of Connect as messages of Protobuf, and messages as values of Connect.

For each schema the way is worked out once. A writer fills a message that is there; a reader looks at one.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message_factory import GetMessageClass

from moldau.connect.converters.protobuf_names import ENUM, KEY, LOGICAL, VALUE, ProtobufSettings, is_union
from moldau.connect.converters.protobuf_names import enum_of as enum_of_schema
from moldau.connect.converters.protobuf_to_connect import (
    FieldOf,
    is_map,
    is_of_oneof,
    is_optional,
    real_oneofs,
    union_field,
)
from moldau.connect.data import Date, Decimal, Schema, Struct, Time, Timestamp, Type
from moldau.connect.data.logical import from_unscaled, scale_of, to_bytes
from moldau.connect.errors import DataError

Fill = Callable[[Any, Any], None]
"""Puts a value into a message."""
Read = Callable[[Any], Any]
"""Makes a value of Connect of a message's."""
UNSIGNED: Final[dict[int, int]] = {
    **dict.fromkeys((FieldDescriptorProto.TYPE_UINT32, FieldDescriptorProto.TYPE_FIXED32), 32),
    **dict.fromkeys((FieldDescriptorProto.TYPE_UINT64, FieldDescriptorProto.TYPE_FIXED64), 64),
}
MILLISECOND_NS: Final = 1_000_000


def writer_of(schema: Schema, message: Descriptor, settings: ProtobufSettings) -> Callable[[Any], Any]:
    """What makes a message of a value of `schema`. Raises ValueError, TypeError and DataError when it does not fit."""
    made = GetMessageClass(message)
    fill = _Writers(settings).of_message(schema, message)

    def write(value: Any) -> Any:
        found = made()
        fill(found, value)
        return found

    return write


class _Writers:
    def __init__(self, settings: ProtobufSettings) -> None:
        self._settings = settings

    def of_message(self, schema: Schema, message: Descriptor) -> Fill:
        if schema.name in LOGICAL:
            return LOGICAL_FILLS[schema.name]
        if schema.type is not Type.STRUCT:
            value = message.fields_by_name[VALUE]
            return self._scalar(schema, value)
        return self._struct(schema, message)

    def _struct(self, schema: Schema, message: Descriptor) -> Fill:
        fills: list[tuple[Any, Fill]] = []
        for field in schema.fields:
            default = None if self._settings.ignore_defaults else field.schema.default_value
            if is_union(field.schema):
                fills.append((default, self._union(field.schema, message)))
            else:
                fills.append((default, self._field(field.schema, self._found(message, field.name))))

        def fill(target: Any, value: Any) -> None:
            if value.__class__ is not Struct or (value.schema is not schema and value.schema != schema):
                raise DataError(f"a value is not of {schema} but {getattr(value, 'schema', value)!r:.80}")
            for (default, put), each in zip(fills, value.values, strict=True):
                if each is not None:
                    put(target, each)
                elif default is not None:
                    put(target, default)

        return fill

    def _found(self, message: Descriptor, name: str) -> FieldOf:
        field = message.fields_by_name.get(self._settings.scrubbed(name))
        if field is None:
            raise DataError(f"{message.full_name} has no field {name}")
        return field

    def _union(self, schema: Schema, message: Descriptor) -> Fill:
        puts = [self._field(field.schema, self._found(message, field.name)) for field in schema.fields]

        def fill(target: Any, value: Any) -> None:
            if value.__class__ is not Struct or len(value.values) != len(puts):
                raise DataError(f"a value is not of {schema} but {getattr(value, 'schema', value)!r:.80}")
            for put, each in zip(puts, value.values, strict=True):
                if each is not None:
                    put(target, each)
                    return
            raise DataError(f"no member of the choice {schema.name} has a value")

        return fill

    def _field(self, schema: Schema, field: FieldOf) -> Fill:
        name = field.name
        if schema.type is Type.MAP:
            return self._map(schema, field)
        if schema.type is not Type.ARRAY:
            if field.message_type is None:
                return self._scalar(schema, field)
            fill = self.of_message(schema, field.message_type)

            def put(target: Any, value: Any) -> None:
                inner = getattr(target, name)
                inner.SetInParent()
                fill(inner, value)

            return put
        element = _known(schema.value_schema)
        if field.message_type is None:
            convert = self._converted(element, field)
            return lambda target, value: getattr(target, name).extend(
                value if convert is None else [convert(each) for each in value]
            )
        fill_element = self.of_message(element, field.message_type)

        def put_all(target: Any, value: Any) -> None:
            add = getattr(target, name).add
            for each in value:
                if each is None:
                    raise DataError(f"{name} has null in it, which Protobuf cannot repeat")
                fill_element(add(), each)

        return put_all

    def _map(self, schema: Schema, field: FieldOf) -> Fill:
        name, entry = field.name, field.message_type
        keys = self._field(_known(schema.key_schema), entry.fields_by_name[KEY])
        values = self._field(_known(schema.value_schema), entry.fields_by_name[VALUE])
        declared = entry.GetOptions().map_entry
        made = GetMessageClass(entry)

        def put(target: Any, value: Any) -> None:
            holder = getattr(target, name)
            for key, each in value.items():
                # What is declared as a map takes no entries.
                pair = made() if declared else holder.add()
                if key is not None:
                    keys(pair, key)
                if each is not None:
                    values(pair, each)
                if declared and entry.fields_by_name[VALUE].message_type is not None:
                    holder[getattr(pair, KEY)].MergeFrom(getattr(pair, VALUE))
                elif declared:
                    holder[getattr(pair, KEY)] = getattr(pair, VALUE)

        return put

    def _scalar(self, schema: Schema, field: FieldOf) -> Fill:
        name, convert = field.name, self._converted(schema, field)
        if convert is None:
            return lambda target, value: setattr(target, name, value)
        return lambda target, value: setattr(target, name, convert(value))

    @staticmethod
    def _converted(schema: Schema, field: FieldOf) -> Read | None:
        if field.type in UNSIGNED:
            mask = (1 << UNSIGNED[field.type]) - 1
            return lambda value: value & mask
        if field.type == FieldDescriptorProto.TYPE_ENUM and schema.type is Type.STRING:
            prefix = f"{ENUM}."
            numbers = {
                name.removeprefix(prefix): int(number)
                for name, number in (schema.parameters or {}).items()
                if name.startswith(prefix)
            }
            return lambda value: _number(numbers, value, field)
        if schema.type is Type.BYTES:
            return bytes
        if schema.type in {Type.INT8, Type.INT16, Type.INT32, Type.INT64} and enum_of_schema(schema) is None:
            return _whole
        return None


def _number(numbers: dict[str, int], value: str, field: FieldOf) -> int:
    found = numbers.get(value)
    if found is None:
        raise DataError(f"{value!r} is no value of the enum {field.enum_type.name}")
    return found


def _whole(value: Any) -> int:
    if value.__class__ is not int:
        raise DataError(f"{value!r:.80} is no whole number")
    return int(value)


def _known(schema: Schema | None) -> Schema:
    if schema is None:
        raise DataError("an array or a map has no schema for what is in it, which Protobuf needs")
    return schema


def _fill_decimal(target: Any, value: decimal.Decimal) -> None:
    scale = scale_of(value)
    unscaled = Decimal.unscaled(value, scale)
    target.value = to_bytes(unscaled)
    target.precision = len(str(abs(unscaled)))
    target.scale = scale


def _fill_date(target: Any, value: dt.date) -> None:
    target.year, target.month, target.day = value.year, value.month, value.day


def _fill_time(target: Any, value: dt.time) -> None:
    target.hours, target.minutes, target.seconds = value.hour, value.minute, value.second
    target.nanos = value.microsecond // 1000 * MILLISECOND_NS


def _fill_timestamp(target: Any, value: dt.datetime) -> None:
    seconds, milliseconds = divmod(Timestamp.from_logical(value), 1000)
    target.seconds, target.nanos = seconds, milliseconds * MILLISECOND_NS


LOGICAL_FILLS: Final[dict[str | None, Fill]] = {
    Decimal.LOGICAL_NAME: _fill_decimal,
    Date.LOGICAL_NAME: _fill_date,
    Time.LOGICAL_NAME: _fill_time,
    Timestamp.LOGICAL_NAME: _fill_timestamp,
}
LOGICAL_READS: Final[dict[str | None, Read]] = {
    Decimal.LOGICAL_NAME: lambda each: from_unscaled(int.from_bytes(each.value, "big", signed=True), each.scale),
    Date.LOGICAL_NAME: lambda each: dt.date(each.year, each.month, each.day),
    Time.LOGICAL_NAME: lambda each: dt.time(
        each.hours, each.minutes, each.seconds, each.nanos // MILLISECOND_NS * 1000
    ),
    Timestamp.LOGICAL_NAME: lambda each: Timestamp.to_logical(each.seconds * 1000 + each.nanos // MILLISECOND_NS),
}


def reader_of(schema: Schema, message: Descriptor, settings: ProtobufSettings) -> Read:
    """What makes a value of `schema` of a message."""
    return _Readers(settings).of_message(schema, message)


class _Readers:
    def __init__(self, settings: ProtobufSettings) -> None:
        self._settings = settings

    def of_message(self, schema: Schema, message: Descriptor) -> Read:
        if schema.name in LOGICAL_READS:
            return LOGICAL_READS[schema.name]
        if schema.type is not Type.STRUCT:
            value = self._value(schema, message.fields_by_name[VALUE]) or _same
            return lambda each: value(each.value)
        return self._struct(schema, message)

    def _struct(self, schema: Schema, message: Descriptor) -> Read:
        settings = self._settings
        gets: list[Callable[[Any], Any]] = []
        oneofs = {union_field(oneof, settings): oneof for oneof in real_oneofs(message)}
        for field in schema.fields:
            if not settings.flatten_unions and field.name in oneofs and is_union(field.schema):
                gets.append(self._union(field.schema, oneofs[field.name]))
            else:
                gets.append(self._get(field.schema, message.fields_by_name[field.name]))
        return lambda each: Struct.of(schema, [get(each) for get in gets])

    def _union(self, schema: Schema, oneof: Any) -> Callable[[Any], Any]:
        name, size = oneof.name, len(schema.fields)
        members = {}
        for field in schema.fields:
            found = next(each for each in oneof.fields if each.name == field.name)
            members[field.name] = field.index, self._value(field.schema, found) or _same

        def get(message: Any) -> Any:
            which = message.WhichOneof(name)
            if which is None:
                return None
            index, read = members[which]
            values: list[Any] = [None] * size
            values[index] = read(getattr(message, which))
            return Struct.of(schema, values)

        return get

    def _get(self, schema: Schema, field: FieldOf) -> Callable[[Any], Any]:
        name, read = field.name, self._value(schema, field) or _same
        scalar = field.message_type is None or field.is_repeated
        always = scalar and not is_optional(field, self._settings) and not is_of_oneof(field)
        if always or field.is_repeated:
            return lambda message: read(getattr(message, name))
        if self._settings.struct_for_nulls:
            return lambda message: read(getattr(message, name))
        return lambda message: read(getattr(message, name)) if message.HasField(name) else None

    def _value(self, schema: Schema, field: FieldOf) -> Read | None:
        """None where the value is taken as it is."""
        if is_map(field) and schema.type is Type.MAP:
            return self._map(schema, field)
        if field.is_repeated:
            element = self._single(_known(schema.value_schema), field)
            return list if element is None else lambda values: [element(each) for each in values]
        return self._single(schema, field)

    def _single(self, schema: Schema, field: FieldOf) -> Read | None:
        if field.message_type is not None:
            return self.of_message(schema, field.message_type)
        if field.enum_type is not None and schema.type is Type.STRING:
            names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
            unknown = f"UNKNOWN_ENUM_VALUE_{field.enum_type.name}_"
            return lambda number: names.get(number) or f"{unknown}{number}"
        if UNSIGNED.get(field.type) == 64:
            return lambda number: number - (1 << 64) if number >> 63 else number
        return None

    def _map(self, schema: Schema, field: FieldOf) -> Read:
        entry = field.message_type
        if entry.GetOptions().map_entry:
            keys = self._single(_known(schema.key_schema), entry.fields_by_name[KEY]) or _same
            values = self._single(_known(schema.value_schema), entry.fields_by_name[VALUE]) or _same
            return lambda pairs: {keys(key): values(pairs[key]) for key in pairs}
        key = self._get(_known(schema.key_schema), entry.fields_by_name[KEY])
        value = self._get(_known(schema.value_schema), entry.fields_by_name[VALUE])
        return lambda pairs: {key(pair): value(pair) for pair in pairs}


def _same(value: Any) -> Any:
    return value
