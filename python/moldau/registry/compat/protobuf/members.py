"""The fields of a message by their number, each with what its type stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from moldau.registry.languages.language import Incompatibility
from moldau.registry.protobuf.elements import Enum, Field, Group, MapType, Message, Word, option_of
from moldau.registry.protobuf.types import Declared, Types

WHOLE, TEXT = "a whole number", "text or bytes"

WIRE_GROUPS: Final = {
    **dict.fromkeys(("int32", "int64", "uint32", "uint64", "bool"), WHOLE),
    **dict.fromkeys(("sint32", "sint64"), "a whole number in zigzag"),
    **dict.fromkeys(("fixed32", "sfixed32"), "a whole number of 4 bytes"),
    **dict.fromkeys(("fixed64", "sfixed64"), "a whole number of 8 bytes"),
    "float": "a float",
    "double": "a double",
    **dict.fromkeys(("string", "bytes"), TEXT),
}
"""Types of one group have the same bytes (protobuf.dev, "Updating A Message Type"). An enum is a whole number."""


class Scalar(NamedTuple):
    """A scalar or an enum."""

    name: str
    group: str
    kind: str = "scalar"


class Map(NamedTuple):
    """A map."""

    key: Type
    value: Type
    name: str
    kind: str = "map"


class Named(NamedTuple):
    """A message. `declared` is None if nothing of the name is known: then only names can be compared."""

    name: str
    declared: Declared | None
    kind: str = "message"


Type = Scalar | Map | Named


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a message."""

    field: Field | Group
    oneof: str | None
    type: Type
    is_proto3: bool

    @property
    def label(self) -> str | None:
        return self.field.label

    @property
    def is_packed(self) -> bool:
        """Whether its numbers are written in one piece."""
        if self.label != "repeated" or not isinstance(self.type, Scalar) or self.type.group == TEXT:
            return False
        packed = option_of(self.field.options, "packed")
        return self.is_proto3 if packed is None else packed == Word("true")

    def path(self, path: str) -> str:
        """Where it is, within the message at a path."""
        return f"{path}/{self.oneof}/{self.field.number}" if self.oneof else f"{path}/{self.field.number}"


class Content:
    """The fields of one message. `declared` is the message."""

    def __init__(self, declared: Declared, types: Types) -> None:
        assert isinstance(declared.element, Message)
        self.declared = declared
        self.message = declared.element
        self.by_number: dict[int, Member] = {
            member.number: member_of(member, oneof, declared, types) for member, oneof in self.message.members()
        }

    @property
    def oneofs(self) -> dict[str, list[Member]]:
        found: dict[str, list[Member]] = {}
        for member in self.by_number.values():
            if member.oneof is not None:
                found.setdefault(member.oneof, []).append(member)
        return found


def member_of(field: Field | Group, oneof: str | None, declared: Declared, types: Types, scope: str = "") -> Member:
    """A field with what its type stands for; `scope` is where it is written, if not in the message `declared`."""
    scope = scope or declared.name
    is_proto3 = declared.file.is_proto3
    if isinstance(field, Group):
        group = types.resolve(field.message.name, scope)
        return Member(field, oneof, Named(field.message.name, group, "group"), is_proto3)
    return Member(field, oneof, type_of(field.type, scope, types), is_proto3)


def type_of(kind: str | MapType, scope: str, types: Types) -> Type:
    """What a type stands for."""
    entries = types.map_of(kind, scope)
    if entries is not None:
        key, value = type_of(entries.key, scope, types), type_of(entries.value, scope, types)
        return Map(key, value, f"map<{key.name}, {value.name}>")
    name = str(kind)
    if name in WIRE_GROUPS:
        return Scalar(name, WIRE_GROUPS[name])
    declared = types.resolve(name, scope)
    if declared is None:
        return Named(name.lstrip("."), None)
    if isinstance(declared.element, Enum):
        return Scalar(declared.name, WHOLE)
    return Named(declared.name, declared)


Found = Iterator[Incompatibility]


class Comparison(Protocol):
    """One check, as rules see it."""

    def content(self, reader: Declared, writer: Declared) -> Iterable[Incompatibility]:
        """Why messages of the writer cannot be read as messages of the reader."""

    def is_compared_by_name(self, reader: Declared, writer: Declared) -> bool:
        """Whether both are declared in the files that are compared, so that they are compared anyway."""


def broken(rule: str, path: str, message: str, facts: str = "") -> Incompatibility:
    """A rule that does not hold."""
    return Incompatibility(rule, path or "/", message, facts)
