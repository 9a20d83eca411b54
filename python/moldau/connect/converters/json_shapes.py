"""Structs of Connect as classes of msgspec: their JSON is written and read in one go, without a dictionary in between.

A shape has a field for each of the schema's. What JSON cannot say itself (a timestamp, a struct within) is made of what
it says afterwards. Whatever is not as it should be is left to the long way in `json_values`, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from moldau.connect.data import Date, Decimal, Schema, Struct, Time, Timestamp, Type
from moldau.connect.data.java_text import to_float32
from moldau.connect.data.schema import INTEGER_RANGES

Convert: TypeAlias = Callable[[Any], Any]
"""Makes a value of what stood in JSON."""
Inner: TypeAlias = Callable[[Schema], Convert]
"""The long way of a schema's values, null among them."""

LOGICAL: Final = {each.LOGICAL_NAME: each.to_logical for each in (Date, Time, Timestamp)}
SIMPLE: Final = {Type.STRING: str, Type.BOOLEAN: bool, Type.BYTES: bytes, Type.FLOAT64: float, Type.FLOAT32: float} | {
    kind: Annotated[int, msgspec.Meta(ge=low, le=high)] for kind, (low, high) in INTEGER_RANGES.items()
}


def shape_of(schema: Schema) -> Callable[..., Any] | None:
    """A class that takes the values of a struct and is written as its object; None if it cannot be."""
    return _defined(schema, [(f"f{field.index}", Any) for field in schema.fields])


def _defined(schema: Schema, fields: list[Any]) -> type[msgspec.Struct] | None:
    names = {f"f{field.index}": field.name for field in schema.fields}
    try:
        return msgspec.defstruct("Shape", fields, rename=names, gc=False)
    except ValueError:
        # A name with a quote or a backslash in it.
        return None


def quick_reader(schema: Schema, inner: Inner) -> Callable[[bytes | msgspec.Raw], Struct] | None:
    """What reads the JSON of a struct; None where only the long way does."""
    found = _struct(schema, inner) if schema.type is Type.STRUCT else None
    if found is None:
        return None
    shape, made = found
    decode = msgspec.json.Decoder(shape).decode
    return lambda payload: made(decode(payload))


def _struct(schema: Schema, inner: Inner) -> tuple[Any, Convert] | None:
    """The class, and what makes a struct of one that was read."""
    kinds = [_kind(field.schema, inner) for field in schema.fields]
    # Null and what is missing are seen to behind it.
    shape = _defined(schema, [(f"f{at}", kind | None, None) for at, (kind, _) in enumerate(kinds)])
    if shape is None:
        return None
    converts = [(at, convert) for at, (_, convert) in enumerate(kinds) if convert is not None]
    others = [inner(field.schema) for field in schema.fields]
    values_of = msgspec.structs.astuple

    def made(read: Any) -> Struct:
        values = list(values_of(read))
        for at, convert in converts:
            if values[at] is not None:
                values[at] = convert(values[at])
        if None in values:
            values = [other(None) if value is None else value for other, value in zip(others, values, strict=True)]
        return Struct.of(schema, values)

    return shape, made


def _kind(schema: Schema, inner: Inner) -> tuple[Any, Convert | None]:
    """What is to stand in JSON, and what makes a value of it unless it is one."""
    if schema.name in LOGICAL:
        return int, LOGICAL[schema.name]
    if schema.type is Type.STRUCT:
        return _struct(schema, inner) or (Any, inner(schema))
    if schema.type not in SIMPLE or schema.name == Decimal.LOGICAL_NAME:
        return Any, inner(schema)
    return SIMPLE[schema.type], to_float32 if schema.type is Type.FLOAT32 else None
