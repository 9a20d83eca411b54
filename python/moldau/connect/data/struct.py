"""`Struct`, a value with named fields, and the check that a value fits its schema.

A struct keeps its values in a list in the order of its schema. Whoever writes many (a source that makes a struct for
each row of a table) fills the list itself and calls `Struct.of`, which trusts it.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterator
from typing import Any, Self

from moldau.connect.data.schema import INTEGER_RANGES, Field, Schema, Type
from moldau.connect.errors import DataError

PYTHON_TYPES: dict[Type, tuple[type, ...]] = {
    Type.INT8: (int,),
    Type.INT16: (int,),
    Type.INT32: (int,),
    Type.INT64: (int,),
    Type.FLOAT32: (float,),
    Type.FLOAT64: (float,),
    Type.BOOLEAN: (bool,),
    Type.STRING: (str,),
    Type.BYTES: (bytes, bytearray, memoryview),
    Type.ARRAY: (list,),
    Type.MAP: (dict,),
}
LOGICAL_TYPES: dict[str, tuple[type, ...]] = {
    "org.apache.kafka.connect.data.Decimal": (decimal.Decimal,),
    "org.apache.kafka.connect.data.Date": (dt.date,),
    "org.apache.kafka.connect.data.Time": (dt.time,),
    "org.apache.kafka.connect.data.Timestamp": (dt.datetime,),
}


class Struct:
    """A value of a struct schema: `Struct(schema, id=7).put("name", "Ada")`.

    `values` is the list of values in the schema's order; `put` checks what it is given, `validate` checks all.
    """

    __slots__ = ("schema", "values")

    def __init__(self, schema: Schema, /, **fields: Any) -> None:
        if schema.type is not Type.STRUCT:
            raise DataError(f"a struct needs a schema of a struct, not {schema}")
        self.schema = schema
        self.values: list[Any] = [None] * len(schema.fields)
        for name, value in fields.items():
            self.put(name, value)

    @classmethod
    def of(cls, schema: Schema, values: list[Any]) -> Self:
        """A struct over `values`, one for each field and in order; neither copied nor checked."""
        struct = cls.__new__(cls)
        struct.schema = schema
        struct.values = values
        return struct

    def get(self, name: str) -> Any:
        """The value of a field, or the field's default when it has none. Raises `DataError` for an unknown field."""
        field = self.schema.by_name.get(name)
        if field is None:
            raise self._unknown(name)
        value = self.values[field.index]
        return field.schema.default_value if value is None else value

    def get_without_default(self, name: str) -> Any:
        """The value of a field as it was put."""
        return self.values[self.field(name).index]

    def put(self, name: str, value: Any) -> Self:
        """Set a field. Raises `DataError` when there is no such field, or the value does not fit its schema."""
        field = self.schema.by_name.get(name)
        if field is None:
            raise self._unknown(name)
        validate_value(field.schema, value, field)
        self.values[field.index] = value
        return self

    def field(self, name: str) -> Field:
        """The field with this name. Raises `DataError` when there is none."""
        field = self.schema.by_name.get(name)
        if field is None:
            raise self._unknown(name)
        return field

    def validate(self) -> None:
        """Raise `DataError` unless every field has a value that fits, or may do without one."""
        for field, value in zip(self.schema.fields, self.values, strict=True):
            if value is None and (field.schema.optional or field.schema.default_value is not None):
                continue
            validate_value(field.schema, value, field)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Pairs of name and value, defaults applied, in the schema's order."""
        for field, value in zip(self.schema.fields, self.values, strict=True):
            yield field.name, field.schema.default_value if value is None else value

    __getitem__ = get

    def __setitem__(self, name: str, value: Any) -> None:
        self.put(name, value)

    def __contains__(self, name: object) -> bool:
        return name in self.schema.by_name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Struct):
            return NotImplemented
        return self.values == other.values and self.schema == other.schema

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        pairs = zip(self.schema.fields, self.values, strict=True)
        said = ",".join(f"{field.name}={value}" for field, value in pairs if value is not None)
        return f"Struct{{{said}}}"

    def _unknown(self, name: str) -> DataError:
        known = ", ".join(self.schema.by_name)
        return DataError(f"{name!r} is not a field of {self.schema}, which has: {known or 'none'}")


def validate_value(schema: Schema, value: Any, where: Field | str = "the value") -> None:
    """Raise `DataError` unless `value` is one of `schema`, all the way down. `where` is for the message."""
    if value is None:
        if not schema.optional:
            raise DataError(f"{_place(where)} is required ({schema.type.name}) but is null")
        return
    kind = schema.type
    known = LOGICAL_TYPES.get(schema.name) if schema.name is not None else None
    if known is not None:
        if not isinstance(value, known) or (known[0] is dt.date and isinstance(value, dt.datetime)):
            raise _wrong_type(schema, known, value, where)
        return
    if kind is Type.STRUCT:
        _validate_struct(schema, value, where)
        return
    accepted = PYTHON_TYPES[kind]
    if value.__class__ not in accepted and not _is_kin(value, accepted, kind):
        raise _wrong_type(schema, accepted, value, where)
    limits = INTEGER_RANGES.get(kind)
    if limits is not None:
        if not limits[0] <= value <= limits[1]:
            raise DataError(f"{_place(where)}: {value} does not fit into {kind.name} ({limits[0]} to {limits[1]})")
    elif kind is Type.ARRAY:
        element = _inner(schema.value_schema, "elements", where)
        for entry in value:
            validate_value(element, entry, f"an element of {_place(where)}")
    elif kind is Type.MAP:
        key_schema = _inner(schema.key_schema, "keys", where)
        value_schema = _inner(schema.value_schema, "values", where)
        for key, entry in value.items():
            validate_value(key_schema, key, f"a key of {_place(where)}")
            validate_value(value_schema, entry, f"a value of {_place(where)}")


def _is_kin(value: Any, accepted: tuple[type, ...], kind: Type) -> bool:
    """Whether `value` is of a class derived from one of `accepted`; True and False are no integers here."""
    return isinstance(value, accepted) and (kind is Type.BOOLEAN or not isinstance(value, bool))


def _validate_struct(schema: Schema, value: Any, where: Field | str) -> None:
    if not isinstance(value, Struct):
        raise _wrong_type(schema, (Struct,), value, where)
    if value.schema is not schema and value.schema != schema:
        raise DataError(f"{_place(where)} is a struct of {value.schema}, which is not equal to {schema} of its field")
    value.validate()


def _inner(schema: Schema | None, what: str, where: Field | str) -> Schema:
    if schema is None:
        raise DataError(f"{_place(where)} has no schema for its {what}")
    return schema


def _place(where: Field | str) -> str:
    return where if isinstance(where, str) else f"field {where.name!r}"


def _wrong_type(schema: Schema, accepted: tuple[type, ...], value: Any, where: Field | str) -> DataError:
    names = " or ".join(each.__name__ for each in accepted)
    return DataError(
        f"{_place(where)} takes {schema.name or schema.type.name} as {names}, not {type(value).__name__}: {value!r:.80}"
    )
