"""Which class a record becomes, and how its instances are made: from a schema and a class with type hints.

A record is made an instance of the dataclass or msgspec Struct that its field is annotated with, an enum a member of
the Enum. The fast way fills the slots or attributes of a bare instance; a class that does more than hold its fields
(an `__init__` of its own, fields that the schema does not have) is called with keywords instead.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from moldau.client.serdes.names import NAMED, Names, name_and_inside

Shape = tuple[type, str, dict[str, str], bool]
"""The class, how ("slots", "attributes" or "call"), its attribute for each field, whether it has a `__post_init__`."""


class ShapeError(TypeError):
    """A class cannot hold what the schema describes."""


class Shapes:
    """The classes behind the records and enums of a schema; made for `AvroDecoder`."""

    def __init__(self, schema: str, references: Sequence[str], into: type) -> None:
        """Match `into`, and the classes that its annotations name, to the records of `schema`.

        Raises:
            ShapeError: a class is no dataclass and no Struct, or one record would be two classes.
        """
        self.shapes: dict[str, Shape] = {}
        self.symbols: dict[str, dict[str, object]] = {}
        self._names = Names(schema, references)
        self._match(self._names.root, into, "")
        if not self.shapes:
            raise ShapeError(f"the schema describes no record that {into.__name__} could hold")

    def _match(self, node: Any, hint: Any, namespace: str) -> None:
        node, namespace = self._names.resolved(node, namespace)
        if isinstance(node, list):
            for branch in node:
                self._match(branch, hint, namespace)
            return
        kind = node["type"]
        if kind in NAMED:
            full, inside = name_and_inside(node, namespace)
            if kind == "enum":
                self._match_enum(full, node, hint)
            elif kind != "fixed":
                self._match_record(full, node, hint, inside)
        elif kind == "array":
            self._match(node["items"], _argument(hint, Sequence, 0), namespace)
        elif kind == "map":
            self._match(node["values"], _argument(hint, Mapping, 1), namespace)

    def _match_enum(self, full: str, node: dict[str, Any], hint: Any) -> None:
        for kind in _classes(hint):
            if issubclass(kind, enum.Enum):
                by_value = {member.value: member for member in kind}
                by_name = dict(kind.__members__)
                found = {symbol: by_value.get(symbol, by_name.get(symbol)) for symbol in node["symbols"]}
                self.symbols[full] = {symbol: member for symbol, member in found.items() if member is not None}

    def _match_record(self, full: str, node: dict[str, Any], hint: Any, inside: str) -> None:
        candidates = [kind for kind in _classes(hint) if attributes_of(kind) is not None]
        simple = full.rpartition(".")[2]
        named = [kind for kind in candidates if kind.__name__ == simple]
        if not named and len(candidates) != 1:
            return
        (kind, *_) = named or candidates
        if full in self.shapes:
            if self.shapes[full][0] is not kind:
                raise ShapeError(f"{full} would be both {self.shapes[full][0].__name__} and {kind.__name__}")
            return
        self.shapes[full] = shape_of(kind, [field["name"] for field in node["fields"]])
        hints = typing.get_type_hints(kind)
        attributes = attributes_of(kind) or {}
        for field in node["fields"]:
            name = attributes.get(field["name"])
            if name is not None:
                self._match(field["type"], hints.get(name), inside)


def attributes_of(kind: type) -> dict[str, str] | None:
    """From each field's name as it is written to the attribute that holds it; None for a class without fields."""
    written = getattr(kind, "__struct_encode_fields__", None)
    if written is not None:
        return dict(zip(written, kind.__struct_fields__, strict=True))  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(kind):
        return {field.name: field.name for field in dataclasses.fields(kind)}
    return None


def shape_of(kind: type, fields: Sequence[str]) -> Shape:
    """How instances of `kind` are made from a record with these fields."""
    attributes = attributes_of(kind) or {}
    taken = {field: attributes[field] for field in fields if field in attributes}
    post_init = hasattr(kind, "__post_init__")
    if len(taken) < len(attributes) or not _only_holds(kind):
        # An attribute that `__init__` does not take (`field(init=False)`) is the class's own business.
        accepted = {field: name for field, name in taken.items() if name not in _not_taken(kind)}
        return kind, "call", accepted, post_init
    slots = all(type(getattr(kind, name, None)) is types.MemberDescriptorType for name in taken.values())
    return kind, "slots" if slots else "attributes", taken, post_init


def _only_holds(kind: type) -> bool:
    """Whether making an instance is filling its fields, and nothing else."""
    if hasattr(kind, "__struct_fields__"):
        return True
    generated = getattr(getattr(kind.__init__, "__code__", None), "co_filename", "") == "<string>"  # type: ignore[misc]
    pseudo = any(  # an InitVar is an argument of `__post_init__`, and no field
        field._field_type is dataclasses._FIELD_INITVAR  # type: ignore[attr-defined]  # noqa: SLF001
        for field in kind.__dataclass_fields__.values()  # type: ignore[attr-defined]
    )
    return generated and not pseudo and not _not_taken(kind) and getattr(kind, "__new__") is object.__new__  # noqa: B009 (mypy)


def _not_taken(kind: type) -> set[str]:
    if not dataclasses.is_dataclass(kind):
        return set()
    return {field.name for field in dataclasses.fields(kind) if not field.init}


def _classes(hint: Any) -> list[type]:
    """The classes that a hint names: itself, or those of a union."""
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        return [hint]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(hint) for kind in _classes(part)]
    if typing.get_origin(hint) is typing.Annotated:
        return _classes(typing.get_args(hint)[0])
    return []


def _argument(hint: Any, container: type, index: int) -> Any:
    """The argument of the list or the mapping that a hint names, through a union with None."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        found = (_argument(part, container, index) for part in typing.get_args(hint))
        return next((each for each in found if each is not None), None)
    if isinstance(origin, type) and issubclass(origin, container):
        arguments = typing.get_args(hint)
        return arguments[index] if index < len(arguments) else None
    return None
