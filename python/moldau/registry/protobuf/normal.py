"""The normal form of a file: what means the same is written the same.

Names are written out, maps as maps, everything whose order means nothing is in order. The order of messages means
something: it is in the bytes before a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from moldau.registry.protobuf.elements import (
    SCALARS,
    Enum,
    Extend,
    Extensions,
    Field,
    File,
    Group,
    MapType,
    Message,
    OneOf,
    Quoted,
    Range,
    Reserved,
    Service,
    Word,
)
from moldau.registry.protobuf.linking import Linked
from moldau.registry.protobuf.normal_options import NormalOptions, number
from moldau.registry.protobuf.types import Types, joined


def normalized(linked: Linked) -> File:
    """The normal form. A name that stands for nothing stays as it is."""
    return _Normal(linked.types, linked.file).file()


class _Normal:
    def __init__(self, types: Types, file: File) -> None:
        self._types = types
        self._options = NormalOptions(types)
        self._file = file

    def file(self) -> File:
        file, package = self._file, self._file.package or ""
        return File(
            "proto3" if file.is_proto3 else None,
            file.package,
            tuple(sorted(set(file.imports), key=lambda each: (each.kind, each.path))),
            self._options.all(file.options, package),
            tuple(self._message(each, package) for each in file.messages),
            tuple(self._enum(each, package) for each in file.enums),
            self._extends(file.extends, package),
            tuple(self._service(each, package) for each in file.services),
        )

    def _message(self, message: Message, outer: str) -> Message:
        scope = joined(outer, message.name)
        oneofs = [self._oneof(each, scope) for each in message.oneofs if each.fields or each.groups]
        return replace(
            message,
            fields=self._fields(message.fields, scope),
            oneofs=tuple(sorted(oneofs, key=_first_number)),
            groups=self._groups(message.groups, scope),
            messages=tuple(self._message(each, scope) for each in message.messages if each.map_type is None),
            enums=tuple(self._enum(each, scope) for each in message.enums),
            reserved=_reserved(message.reserved),
            extensions=self._extensions(message.extensions, scope),
            extends=self._extends(message.extends, scope),
            options=self._options.all(message.options, scope),
        )

    def _fields(self, fields: Iterable[Field], scope: str) -> tuple[Field, ...]:
        return tuple(sorted((self._field(each, scope) for each in fields), key=lambda each: each.number))

    def _field(self, field: Field, scope: str) -> Field:
        kind = self._types.map_of(field.type, scope)
        return replace(
            field,
            type=self._type(field.type, scope) if kind is None else self._map(kind, field, scope),
            label=field.label if kind is None else None,
            options=self._options.all(field.options, scope),
            default=_default(field.default),
            json_name=None if field.json_name == json_name(field.name) else field.json_name,
        )

    def _map(self, kind: MapType, field: Field, scope: str) -> MapType:
        if isinstance(field.type, str):
            entry = self._types.resolve(field.type, scope)
            scope = entry.name if entry else scope
        return MapType(kind.key, self._type(kind.value, scope))

    def _type(self, kind: str | MapType, scope: str) -> str:
        name = cast("str", kind)
        declared = None if name in SCALARS else self._types.resolve(name, scope)
        return name if declared is None else f".{declared.name}"

    def _groups(self, groups: Iterable[Group], scope: str) -> tuple[Group, ...]:
        found = (
            replace(each, message=self._message(each.message, scope), options=self._options.all(each.options, scope))
            for each in groups
        )
        return tuple(sorted(found, key=lambda each: each.number))

    def _oneof(self, oneof: OneOf, scope: str) -> OneOf:
        return replace(
            oneof,
            fields=self._fields(oneof.fields, scope),
            groups=self._groups(oneof.groups, scope),
            options=self._options.all(oneof.options, scope),
        )

    def _extensions(self, extensions: Iterable[Extensions], scope: str) -> tuple[Extensions, ...]:
        found = [
            Extensions((each,), self._options.all(extension.options, scope))
            for extension in extensions
            for each in extension.ranges
        ]
        return tuple(sorted(found, key=lambda each: each.ranges))

    def _extends(self, extends: Iterable[Extend], scope: str) -> tuple[Extend, ...]:
        together: dict[str, tuple[list[Field], list[Group]]] = {}
        for extend in extends:
            fields, groups = together.setdefault(self._type(extend.extendee, scope), ([], []))
            fields += extend.fields
            groups += extend.groups
        return tuple(
            Extend(name, self._fields(fields, scope), self._groups(groups, scope))
            for name, (fields, groups) in together.items()
        )

    def _enum(self, enum: Enum, outer: str) -> Enum:
        scope = joined(outer, enum.name)
        values = [replace(each, options=self._options.all(each.options, scope)) for each in enum.values]
        return replace(
            enum,
            values=tuple(sorted(values, key=lambda each: (each.number, each.name))),
            reserved=_reserved(enum.reserved),
            options=self._options.all(enum.options, scope),
        )

    def _service(self, service: Service, outer: str) -> Service:
        scope = joined(outer, service.name)
        methods = (
            replace(
                each,
                request=self._type(each.request, scope),
                response=self._type(each.response, scope),
                options=self._options.all(each.options, scope),
            )
            for each in service.methods
        )
        return replace(service, methods=tuple(methods), options=self._options.all(service.options, scope))


def json_name(name: str) -> str:
    """The name that a field has in JSON if it is given no other (protobuf.dev, "ProtoJSON Format")."""
    return re.sub("_+([^_]?)", lambda match: match[1].upper(), name)


def _first_number(oneof: OneOf) -> int:
    return min(each.number for each in oneof.members)


def _reserved(reserved: Iterable[Reserved]) -> tuple[Reserved, ...]:
    items = [item for each in reserved for item in each.items]
    ranges = sorted(item for item in items if isinstance(item, Range))
    names = sorted(item for item in items if isinstance(item, str))
    return (*(Reserved((item,)) for item in ranges), *(Reserved((item,)) for item in names))


def _default(default: Word | Quoted | None) -> Word | Quoted | None:
    return Word(number(default.text)) if isinstance(default, Word) else default
