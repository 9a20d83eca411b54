"""Cast: fields, or the whole, as another type, by Java's rules: what is too large for a number wraps around."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from moldau.connect.config_def import FLOATING, ConfigDef, Importance, Type, invalid
from moldau.connect.config_validators import Rule
from moldau.connect.data import Date, Schema, SchemaBuilder, Time, Timestamp
from moldau.connect.data import Type as DataType
from moldau.connect.data.java_text import java_float, java_text, to_float32
from moldau.connect.data.values import date_text
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import (
    REPLACE_NULL,
    Changed,
    OfKey,
    OfStructs,
    OfValue,
    Values,
    copy_basics,
    require_map,
    whole,
    with_replace_null,
)
from moldau.connect.transforms.layout import Converted, Layout

WHOLE: Final = ""
TARGETS: Final = tuple(kind for kind in DataType if kind.is_primitive and kind is not DataType.BYTES)
BITS: Final = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}


def casts_of(spec: Sequence[str] | None) -> dict[str, DataType]:
    """The types by name of the field; the empty name stands for the whole. Raises `ConfigError`."""
    if not spec:
        raise ConfigError("Must specify at least one field to cast.")
    casts: dict[str, DataType] = {}
    for each in spec:
        parts = each.split(":")
        if len(parts) > 2:
            raise invalid("spec", spec, f"Invalid rename mapping: {each}")
        name = parts[-1].strip()
        kind = DataType.__members__.get(name.upper())
        if kind is None:
            raise ConfigError(f"Invalid type found in casting spec: {name}")
        if kind not in TARGETS:
            known = ", ".join(target.name for target in TARGETS)
            raise ConfigError(
                f"Cast transformation does not support casting to {kind.name}; supported types are {known}"
            )
        casts[WHOLE if len(parts) == 1 else parts[0].strip()] = kind
    if WHOLE in casts and len(spec) > 1:
        raise ConfigError(
            "Cast transformations that specify a type to cast the entire value to "
            "may only specify a single cast in their spec"
        )
    return casts


def _check(_: str, spec: Any) -> None:
    casts_of(spec)


class Cast(OfStructs):
    """See the module."""

    PURPOSE = "cast types"
    CONFIG = with_replace_null(
        ConfigDef().define(
            "spec",
            Type.LIST,
            validator=Rule(_check, "list of colon-delimited pairs, e.g. foo:bar,abc:xyz"),
            importance=Importance.HIGH,
            doc="What to cast, as field:type, or one type for the whole. Types: int8, int16, int32, int64, float32, "
            "float64, boolean, string.",
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._casts = casts_of(settings["spec"])
        self._whole = self._casts.get(WHOLE)
        self._replace_null: bool = settings[REPLACE_NULL]

    def with_schema(self, schema: Schema, value: Any, record: ConnectRecord) -> tuple[Schema | None, Any]:
        if self._whole is not None:
            return self._changes.of(schema).schema, cast_value(schema, value, self._whole)
        return super().with_schema(schema, value, record)

    def at_once(self, schema: Schema) -> Changed | None:
        return super().at_once(schema) if self._whole is None else None

    def changed(self, schema: Schema) -> Changed:
        if self._whole is not None:
            return Changed(self._whole_schema(schema, self._whole), lambda values, _record: values)
        builder = copy_basics(schema, SchemaBuilder.struct())
        casts = []
        for field in schema.fields:
            target = self._casts.get(field.name)
            builder.field(field.name, field.schema if target is None else _cast_schema(field.schema, target))
            if target is not None:
                casts.append((field.index, field.schema, target))
        if schema.optional:
            builder.optional()
        replace_null = self._replace_null

        def cast(values: Values, record: ConnectRecord) -> Values:
            values = whole(schema, values, replace_null=replace_null)
            for index, source, target in casts:
                values[index] = cast_value(source, values[index], target)
            return values

        made = builder.build()

        def lay_out(layout: Layout) -> None:
            columns = layout.columns.copy()
            for index, source, target in casts:
                columns[index] = Converted(columns[index], partial(_cast_of, source, target))
            layout.become(made, columns)

        return Changed(made, cast, lay_out)

    @staticmethod
    def _whole_schema(schema: Schema, target: DataType) -> Schema:
        builder = copy_basics(schema, SchemaBuilder(target))
        if schema.optional:
            builder.optional()
        if schema.default_value is not None:
            builder.default_value(cast_value(schema, schema.default_value, target))
        return builder.build()

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        if self._whole is not None:
            return cast_value(None, value, self._whole)
        updated = dict(require_map(value, self.PURPOSE))
        for name, target in self._casts.items():
            updated[name] = cast_value(None, updated.get(name), target)
        return updated


def _cast_schema(schema: Schema, target: DataType) -> Schema:
    builder = SchemaBuilder(target)
    if schema.optional:
        builder.optional()
    if schema.default_value is not None:
        builder.default_value(cast_value(schema, schema.default_value, target))
    return builder.build()


def cast_value(schema: Schema | None, value: Any, target: DataType) -> Any:
    """`value` as one of `target`. Raises `DataError` when it cannot be."""
    if value is None:
        return None
    if schema is None:
        if not isinstance(value, bool | int | float | str | bytes | bytearray | memoryview):
            raise DataError(f"{type(value).__name__} cannot be cast: {value!r:.80}")
    elif not schema.type.is_primitive:
        raise DataError(f"{schema.type.name} cannot be cast; what can be are numbers, booleans, text and bytes")
    if target is DataType.STRING:
        return _as_text(schema, value)
    if schema is not None and schema.name in LOGICAL:
        value = LOGICAL[schema.name](value)
    if isinstance(value, bytes | bytearray | memoryview | dt.date | dt.time):
        raise DataError(f"{type(value).__name__} cannot be cast to {target.name}, only to STRING")
    if target is DataType.BOOLEAN:
        return value.lower() == "true" if isinstance(value, str) else _truncated(value, 64) != 0
    if target in BITS:
        return _as_integer(value, target)
    number = _read_float(value) if isinstance(value, str) else float(value)
    return to_float32(number) if target is DataType.FLOAT32 else number


def _cast_of(schema: Schema, target: DataType, value: Any) -> Any:
    return cast_value(schema, value, target)


LOGICAL: Final[dict[str | None, Callable[[Any], int]]] = {
    Date.LOGICAL_NAME: Date.from_logical,
    Time.LOGICAL_NAME: Time.from_logical,
    Timestamp.LOGICAL_NAME: Timestamp.from_logical,
}


def _as_text(schema: Schema | None, value: Any) -> str:
    if isinstance(value, dt.date | dt.time):
        return date_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if schema is not None and schema.type is DataType.FLOAT32:
        return java_float(value)
    return java_text(value)


def _as_integer(value: Any, target: DataType) -> int:
    bits = BITS[target]
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]+", value) or not -(1 << (bits - 1)) <= int(value) < 1 << (bits - 1):
            raise DataError(f"Value ({value}) was out of range for requested data type")
        return int(value)
    return _truncated(value, bits)


def _truncated(value: Any, bits: int) -> int:
    """As Java narrows: a floating number first to the nearest int or long, an integer by its lowest bits."""
    if isinstance(value, float):
        wide = 64 if bits == 64 else 32
        limit = 1 << (wide - 1)
        value = 0 if math.isnan(value) else int(max(-float(limit), min(value, float(limit))))
        value = min(value, limit - 1)
    elif isinstance(value, decimal.Decimal):
        value = int(value)
    wrapped = int(value) & ((1 << bits) - 1)
    return wrapped - (1 << bits) if wrapped >> (bits - 1) else wrapped


def _read_float(text: str) -> float:
    match = FLOATING.fullmatch(text.strip())
    if match is None:
        raise DataError(f"Value ({text}) was out of range for requested data type")
    return float(match[1] + match[2])


class CastKey(OfKey, Cast):
    """`Cast$Key`."""


class CastValue(OfValue, Cast):
    """`Cast$Value`."""
