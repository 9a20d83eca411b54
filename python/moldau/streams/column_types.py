"""Types and serdes as columns know them: which fields values have, and how keys and values are written."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any, Final

import msgspec
from msgspec import inspect

from moldau.streams.column_aggregates import NotColumnarError
from moldau.streams.serdes import Serde, primitive
from moldau.streams.serdes.structured import encode_json
from moldau.streams.trees import Tree

_PLAIN: Final[tuple[tuple[type, str], ...]] = (
    (inspect.AnyType, "any"),
    (inspect.BoolType, "bool"),
    (inspect.IntType, "int"),
    (inspect.FloatType, "float"),
    (inspect.StrType, "text"),
)
_ANY_OBJECT: Final = tuple(inspect.DictType(key, inspect.AnyType()) for key in (inspect.AnyType(), inspect.StrType()))
KEYS: Final = {id(primitive.STRING): "text", id(primitive.BYTES): "bytes", id(primitive.LONG): "long"}
_WRITTEN: Final = {
    id(primitive.STRING): "text",
    id(primitive.LONG): "long",
    id(primitive.DOUBLE): "double",
    id(primitive.BY_TYPE): "type",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a type: as Python calls it, as JSON does, and what the program is told of it."""

    name: str
    encoded: str
    spec: tuple[str, str, bool, tuple[Any, ...]]


def serde_name(serde: Serde[Any] | None) -> str:
    """What is said of a serde."""
    return "of no known type" if serde is None else serde.name


def name_of(told: Any) -> str:
    """What is said of a type."""
    kind = getattr(told, "cls", None)
    return type(told).__name__.removesuffix("Type") if kind is None else str(kind.__name__)


def json_kind(serde: Serde[Any] | None) -> Any:
    """The type that a serde reads JSON as, None if it does not, or with hooks of somebody's own."""
    decoder = getattr(getattr(serde, "deserialize", None), "__self__", None)
    if type(serde) is not Serde or not isinstance(decoder, msgspec.json.Decoder):
        return None
    plain = decoder.strict and decoder.dec_hook is None and decoder.float_hook is None
    return decoder.type if plain else None


def is_json(serde: Serde[Any] | None) -> bool:
    """Whether a serde writes JSON as columns do."""
    return type(serde) is Serde and serde.serialize is encode_json


def is_any_object(told: Any) -> bool:
    """Whether values of a type are JSON objects of any fields."""
    return isinstance(told, inspect.AnyType) or told in _ANY_OBJECT


def fields_of(told: Any, place: str) -> list[Field]:
    """The fields of a type whose values are JSON objects, each of one plain type."""
    if not isinstance(told, (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)):
        raise NotColumnarError(f"{place} are {name_of(told)}, not objects with fields")
    kind: Any = told.cls
    if isinstance(told, inspect.StructType) and (told.array_like or told.forbid_unknown_fields or told.tag is not None):
        raise NotColumnarError(f"{place}: {kind.__name__} has a form of its own (array, tag or forbidden fields)")
    if hasattr(kind, "__post_init__"):
        raise NotColumnarError(f"{place}: {kind.__name__} has a __post_init__")
    return [_field_of(field, f"{place}: {kind.__name__}.{field.name}", told) for field in told.fields]


def _field_of(field: inspect.Field, place: str, told: Any) -> Field:
    plain, nullable = field.type, False
    if isinstance(plain, inspect.UnionType) and plain.includes_none and len(plain.types) == 2:
        (plain,) = [one for one in plain.types if not isinstance(one, inspect.NoneType)]
        nullable = True
    name = next((name for kind, name in _PLAIN if type(plain) is kind and plain == kind()), None)
    if name is None:
        raise NotColumnarError(f"{place} is no plain text, number, bool or Any")
    if field.required:
        absent: tuple[Any, ...] = ("required",)
    elif isinstance(told, inspect.TypedDictType):
        absent = ("missing",)
    elif field.default is not msgspec.NODEFAULT:
        absent = "default", constant_of(field.default, place)
    else:
        raise NotColumnarError(f"{place} has a default that is made for each value")
    return Field(field.name, field.encode_name, (field.encode_name, name, nullable, absent))


def written_fields(told: Any, place: str) -> list[Field]:
    """The fields of a type as they are written, in their order."""
    if isinstance(told, inspect.StructType) and told.cls.__struct_config__.omit_defaults:
        raise NotColumnarError(f"{place}: {told.cls.__name__} leaves defaults out")
    return fields_of(told, place)


def completed(trees: dict[str, Tree], kind: Any, node: str) -> dict[str, Tree]:
    """What an object is made of, with its defaults."""
    told = inspect.type_info(kind) if isinstance(kind, type) else None
    if not isinstance(told, (inspect.StructType, inspect.DataclassType)):
        raise NotColumnarError(f"{node} makes a {kind}, which is no dict, dataclass or Struct")
    fields = written_fields(told, f"the values of {node}")
    defaults = {field.name: field.spec[3] for field in fields if field.spec[3][0] == "default"}
    names = [field.name for field in fields]
    if {*signature(kind).parameters} != {*names} or {*trees, *defaults} != {*names}:
        raise NotColumnarError(f"{node} makes a {kind.__name__} of other fields than it has")
    return {name: trees.get(name) or ("constant", defaults[name][1]) for name in names}


def constant_of(value: Any, place: str) -> Any:
    if value is None or type(value) in {bool, float, str}:
        return value
    if type(value) is int and -(1 << 63) <= value < 1 << 63:
        return value
    raise NotColumnarError(f"{place} has the constant {value!r}, which is no plain text, number of 64 bits or bool")


def written_as(serde: Serde[Any] | None, node: str) -> str:
    """How a register is written."""
    kind = "json" if is_json(serde) else _WRITTEN.get(id(serde))
    if kind is None:
        raise NotColumnarError(f"{node} writes {serde_name(serde)}, not JSON, text or a number of 8 bytes")
    return kind
