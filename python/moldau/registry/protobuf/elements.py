"""What stands in a `.proto` file, as it is written: names are not looked up yet, comments are gone.

`place` is where an element begins. It does not count when elements are compared, and it is `NOWHERE` for what came
from a descriptor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from moldau.registry.languages.language import SchemaError

NUMBER_MAX: Final = 2**29 - 1
"""The largest number of a field."""

NAME_PARTS_MAX: Final = 100
NAME_LENGTH_MAX: Final = 1000
"""Parts and characters of one name: it is looked up in every scope that it may be of."""

ENUM_MAX: Final = 2**31 - 1

SCALARS: Final = frozenset(
    (
        *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64"),
        *("fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"),
    )
)


class Place(NamedTuple):
    """Both count from 1."""

    line: int
    column: int


NOWHERE: Final = Place(0, 0)


def refusal(place: Place, message: str) -> SchemaError:
    """The error for something at a place."""
    return SchemaError(message if place is NOWHERE else f"line {place.line}, column {place.column}: {message}")


# What an option can be set to.


class Word(NamedTuple):
    """A number, true, false or the name of an enum's value, as it is written."""

    text: str


class Quoted(NamedTuple):
    """A string without its quotes and escapes; bytes that are no UTF-8 are surrogates (PEP 383)."""

    text: str


class Aggregate(NamedTuple):
    """A message in text format. A key that is an extension stands in brackets; one that is repeated has a Listing."""

    entries: tuple[tuple[str, Value], ...]


class Listing(NamedTuple):
    """Several values."""

    values: tuple[Value, ...]


Value = Word | Quoted | Aggregate | Listing


class NamePart(NamedTuple):
    """A step of an option's name; one that is an extension stands in parentheses."""

    text: str
    is_extension: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """`option name = value;`, or one of a list in brackets."""

    name: tuple[NamePart, ...]
    value: Value
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def is_custom(self) -> bool:
        return self.name[0].is_extension


Options = tuple[Option, ...]


def option_of(options: Options, name: str) -> Value | None:
    """What one of Protobuf's own options is set to."""
    return next((each.value for each in options if each.name == (NamePart(name),)), None)


# What can be declared.


class MapType(NamedTuple):
    """`map<key, value>`."""

    key: str
    value: str


Label = Literal["optional", "required", "repeated"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field; `label` is None where none is written."""

    name: str
    number: int
    type: str | MapType
    label: Label | None = None
    options: Options = ()
    default: Word | Quoted | None = None
    json_name: str | None = None
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """A field of proto2 that declares its message at once; its name is the message's in lower case."""

    message: Message
    number: int
    label: Label | None = None
    options: Options = ()
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def name(self) -> str:
        return self.message.name.lower()


Member = Field | Group


@dataclass(frozen=True, slots=True)
class OneOf:
    """Fields of which at most one has a value."""

    name: str
    fields: tuple[Field, ...] = ()
    groups: tuple[Group, ...] = ()
    options: Options = ()
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def members(self) -> list[Member]:
        return [*self.fields, *self.groups]


class Range(NamedTuple):
    """Numbers, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """Numbers or names that are not to be used again."""

    items: tuple[Range | str, ...]
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Extensions:
    """Numbers that are left to extensions."""

    ranges: tuple[Range, ...]
    options: Options = ()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Extend:
    """Fields that are added to a message that is declared elsewhere."""

    extendee: str
    fields: tuple[Field, ...] = ()
    groups: tuple[Group, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def members(self) -> list[Member]:
        return [*self.fields, *self.groups]


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A name and its number."""

    name: str
    number: int
    options: Options = ()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum."""

    name: str
    values: tuple[EnumValue, ...] = ()
    reserved: tuple[Reserved, ...] = ()
    options: Options = ()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A message, with what is declared in it."""

    name: str
    fields: tuple[Field, ...] = ()
    oneofs: tuple[OneOf, ...] = ()
    groups: tuple[Group, ...] = ()
    messages: tuple[Message, ...] = ()
    enums: tuple[Enum, ...] = ()
    reserved: tuple[Reserved, ...] = ()
    extensions: tuple[Extensions, ...] = ()
    extends: tuple[Extend, ...] = ()
    options: Options = ()
    place: Place = field(default=NOWHERE, compare=False)

    def members(self) -> Iterator[tuple[Member, str | None]]:
        """Every field and group, with the oneof that it is in."""
        yield from ((each, None) for each in self.fields)
        yield from ((each, None) for each in self.groups)
        for oneof in self.oneofs:
            yield from ((each, oneof.name) for each in oneof.members)

    def all_groups(self) -> Iterator[Group]:
        """The groups that are declared in it, whatever they belong to."""
        yield from self.groups
        for oneof in self.oneofs:
            yield from oneof.groups
        for extend in self.extends:
            yield from extend.groups

    @property
    def map_type(self) -> MapType | None:
        """The type of the map that it is an entry of: so descriptors write maps."""
        if option_of(self.options, "map_entry") != Word("true"):
            return None
        types = {each.name: each.type for each in self.fields if isinstance(each.type, str)}
        return MapType(types.get("key", ""), types.get("value", ""))


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service."""

    name: str
    request: str
    response: str
    request_is_stream: bool = False
    response_is_stream: bool = False
    options: Options = ()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Service:
    """A service. It says nothing about data, and is kept as it is."""

    name: str
    methods: tuple[Method, ...] = ()
    options: Options = ()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Import:
    """`import "path";`"""

    path: str
    kind: Literal["", "public", "weak"] = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class File:
    """A whole file. `syntax` is None if it names none, which means proto2; `package` is None if it has none."""

    syntax: Literal["proto2", "proto3"] | None = None
    package: str | None = None
    imports: tuple[Import, ...] = ()
    options: Options = ()
    messages: tuple[Message, ...] = ()
    enums: tuple[Enum, ...] = ()
    extends: tuple[Extend, ...] = ()
    services: tuple[Service, ...] = ()

    @property
    def is_proto3(self) -> bool:
        return self.syntax == "proto3"
