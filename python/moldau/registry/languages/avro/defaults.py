"""Whether a JSON value can be the default of a field.

Source: Apache Avro specification 1.12, "Complex Types", table "field default values". Of a union any branch may have
the default, as since Avro 1.12.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from moldau.registry.languages.avro.types import MISSING, Array, AvroType, Enum, Fixed, Map, Record, Union

INT: Final = 1 << 31
LONG: Final = 1 << 63


def _is_integer(value: Any, bound: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -bound <= value < bound


def _is_number(value: Any) -> bool:
    # Java and fastavro take these words for what JSON has no number for.
    return (isinstance(value, int | float) and not isinstance(value, bool)) or value in ("NaN", "Infinity", "-Infinity")


def _is_bytes(value: Any) -> bool:
    return isinstance(value, str) and all(ord(letter) < 256 for letter in value)


PRIMITIVE: Final[dict[str, Callable[[Any], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "int": lambda value: _is_integer(value, INT),
    "long": lambda value: _is_integer(value, LONG),
    "float": _is_number,
    "double": _is_number,
    "bytes": _is_bytes,
    "string": lambda value: isinstance(value, str),
}


def is_default_for(value: Any, schema: AvroType) -> bool:
    """Whether `value` is a value of the type, written as a default is. Ends: a default is finite."""
    if isinstance(schema, Union):
        return any(is_default_for(value, branch) for branch in schema.branches)
    if isinstance(schema, Record):
        return isinstance(value, dict) and all(
            is_default_for(value[field.name], field.type) if field.name in value else field.default is not MISSING
            for field in schema.fields
        )
    if isinstance(schema, Enum):
        return isinstance(value, str) and value in schema.symbols
    if isinstance(schema, Fixed):
        return _is_bytes(value) and len(value) == schema.size
    if isinstance(schema, Array):
        return isinstance(value, list) and all(is_default_for(item, schema.items) for item in value)
    if isinstance(schema, Map):
        return isinstance(value, dict) and all(is_default_for(item, schema.values) for item in value.values())
    return PRIMITIVE[schema.kind](value)
