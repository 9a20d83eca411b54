"""What no compiler of Protobuf would take: names and numbers given twice, types that are not there, wrong labels."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from moldau.registry.protobuf.elements import (
    ENUM_MAX,
    SCALARS,
    Enum,
    Extend,
    Field,
    Group,
    MapType,
    Member,
    Message,
    Place,
    Quoted,
    Range,
    Reserved,
    Word,
    option_of,
    refusal,
)
from moldau.registry.protobuf.linking import Linked
from moldau.registry.protobuf.types import Declared, joined

KEYS: Final = SCALARS - {"double", "float", "bytes"}
"""What the key of a map may be."""


def check(linked: Linked) -> None:
    """Raises SchemaError for the first thing that is wrong, with its place."""
    file, package = linked.file, linked.file.package or ""
    for declared in linked.types.twice:
        raise refusal(declared.element.place, f"{declared.name} is declared twice")
    for message in file.messages:
        _message(linked, joined(package, message.name), message)
    for enum in file.enums:
        _enum(linked, joined(package, enum.name), enum)
    _extends(linked, package, file.extends)
    for service in file.services:
        _unique((method.name, method.place) for method in service.methods)
        scope = joined(package, service.name)
        for method in service.methods:
            for name in (method.request, method.response):
                if isinstance(found_type(linked, name, scope, method.place).element, Enum):
                    raise refusal(method.place, f"a method takes and returns messages, and {name} is an enum")


def found_type(linked: Linked, name: str, scope: str, place: Place) -> Declared:
    """The message or enum that a name stands for. Raises SchemaError if there is none."""
    found = linked.types.resolve(name, scope)
    if found is not None:
        return found
    paths = ", ".join(f'"{path}"' for path in linked.missing)
    hint = f"; it imports {paths}, and there is no reference of that name" if linked.missing else ""
    raise refusal(place, f"there is no message or enum {name}{hint}")


def _message(linked: Linked, scope: str, message: Message) -> None:
    members = [member for member, _ in message.members()]
    if message.map_type is not None:
        _map_entry(message)
    for field in members:
        _member(linked, scope, field)
    if linked.file.is_proto3 and message.extensions:
        raise refusal(message.extensions[0].place, "messages of proto3 have no extensions")
    _unique((field.name, field.place) for field in members)
    _unique((oneof.name, oneof.place) for oneof in message.oneofs)
    numbers: dict[int, str] = {}
    for field in members:
        if field.number in numbers:
            raise refusal(field.place, f"{field.name} has the number {field.number} of {numbers[field.number]}")
        numbers[field.number] = field.name
    _not_reserved(message.reserved, ((field.name, field.number, field.place) for field in members))
    for oneof in message.oneofs:
        if not (oneof.fields or oneof.groups):
            raise refusal(oneof.place, f"the oneof {oneof.name} has no fields")
    for nested in message.messages:
        _message(linked, joined(scope, nested.name), nested)
    for group in message.all_groups():
        _message(linked, joined(scope, group.message.name), group.message)
    for enum in message.enums:
        _enum(linked, joined(scope, enum.name), enum)
    _extends(linked, scope, message.extends)


def _map_entry(message: Message) -> None:
    """So descriptors write maps; protoc lets nobody write it by hand, but Confluent's registry prints it."""
    shape = [(each.name, each.number, each.label == "repeated") for each, oneof in message.members() if oneof is None]
    kind = message.map_type
    if sorted(shape) != [("key", 1, False), ("value", 2, False)] or kind is None or kind.key not in KEYS:
        raise refusal(message.place, f"{message.name} is no entry of a map")


def _extends(linked: Linked, scope: str, extends: Iterable[Extend]) -> None:
    for extend in extends:
        extendee = found_type(linked, extend.extendee, scope, extend.place)
        if isinstance(extendee.element, Enum):
            raise refusal(extend.place, f"{extend.extendee} is an enum, and only messages can be extended")
        allowed = sorted(each for extensions in extendee.element.extensions for each in extensions.ranges)
        for field in extend.members:
            _member(linked, scope, field)
            if field.label == "required":
                raise refusal(field.place, "an extension cannot be required")
            if not _is_in(allowed, field.number):
                message = f"{extendee.name} leaves the number {field.number} of {field.name} to no extension"
                raise refusal(field.place, message)


def _member(linked: Linked, scope: str, field: Member) -> None:
    if isinstance(field, Group):
        return
    if isinstance(field.type, MapType):
        if field.type.key not in KEYS:
            raise refusal(field.place, f"the key of a map is a whole number, bool or string, not {field.type.key}")
        if field.type.value not in SCALARS:
            found_type(linked, field.type.value, scope, field.place)
        return
    declared = None
    if field.type not in SCALARS:
        declared = found_type(linked, field.type, scope, field.place)
        if linked.types.map_of(field.type, scope) is not None and field.label != "repeated":
            raise refusal(field.place, f"{field.name} has entries of a map, and is not repeated")
    _default(linked, field, declared)


def _default(linked: Linked, field: Field, declared: Declared | None) -> None:
    if field.default is None:
        return
    if linked.file.is_proto3:
        raise refusal(field.place, "fields of proto3 have no default of their own")
    if field.label == "repeated" or (declared is not None and isinstance(declared.element, Message)):
        raise refusal(field.place, f"{field.name} cannot have a default")
    text = field.type in ("string", "bytes")
    if isinstance(field.default, Quoted) != text:
        raise refusal(field.place, f"the default of {field.name} is no {field.type}")
    values = declared.element.values if declared is not None and isinstance(declared.element, Enum) else ()
    if declared is not None and field.default.text not in {each.name for each in values}:
        raise refusal(field.place, f"{declared.name} has no value {field.default.text!r}, the default of {field.name}")


def _enum(linked: Linked, scope: str, enum: Enum) -> None:
    if not enum.values:
        raise refusal(enum.place, f"the enum {enum.name} has no values")
    if linked.file.is_proto3 and enum.values[0].number != 0:
        raise refusal(enum.values[0].place, "the first value of an enum has the number 0 in proto3")
    _unique((value.name, value.place) for value in enum.values)
    if option_of(enum.options, "allow_alias") != Word("true"):
        numbers: dict[int, str] = {}
        for value in enum.values:
            if value.number in numbers:
                message = f"{value.name} has the number {value.number} of {numbers[value.number]}"
                raise refusal(value.place, f"{message}; option allow_alias = true allows it")
            numbers[value.number] = value.name
    _not_reserved(enum.reserved, ((value.name, value.number, value.place) for value in enum.values))


def _unique(names: Iterable[tuple[str, Place]]) -> None:
    seen: set[str] = set()
    for name, place in names:
        if name in seen:
            raise refusal(place, f"{name!r} is declared twice")
        seen.add(name)


def _not_reserved(reserved: Iterable[Reserved], used: Iterator[tuple[str, int, Place]]) -> None:
    items = [item for each in reserved for item in each.items]
    names = {item for item in items if isinstance(item, str)}
    ranges = sorted(item for item in items if isinstance(item, Range))
    for before, after in pairwise(ranges):
        if after.first <= before.last:
            place = next(each.place for each in reserved if after in each.items)
            raise refusal(place, f"{after.first} is reserved twice")
    for name, number, place in used:
        if name in names:
            raise refusal(place, f"the name {name!r} is reserved")
        if _is_in(ranges, number):
            raise refusal(place, f"the number {number} of {name} is reserved")


def _is_in(ranges: list[Range], number: int) -> bool:
    """Whether a number is in one of these, which are in order and do not overlap."""
    index = bisect_right(ranges, (number, ENUM_MAX)) - 1
    return index >= 0 and number <= ranges[index].last
