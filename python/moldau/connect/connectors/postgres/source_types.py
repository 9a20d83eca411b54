"""`column.propagate.source.type`: a column's type, length and scale as PostgreSQL's Java driver tells them."""

from __future__ import annotations

from typing import Final

from moldau.connect.connectors.postgres.catalog import Column, Types
from moldau.connect.connectors.postgres.types import NO_MODIFIER, UNBOUNDED, numeric_shape

_FIXED: Final = {
    "bool": (1, 0),
    "int2": (5, 0),
    "int4": (10, 0),
    "int8": (19, 0),
    "oid": (10, 0),
    "float4": (8, 8),
    "float8": (17, 17),
    "date": (13, 0),
}
# The length without a fraction of a second.
_CLOCKS: Final = {"time": 8, "timetz": 14, "timestamp": 22, "timestamptz": 28}
_SERIALS: Final = {"int2": "SMALLSERIAL", "int4": "SERIAL", "int8": "BIGSERIAL"}
_INTERVAL_LENGTH: Final = 49


def source_type_parameters(column: Column, types: Types) -> dict[str, str]:
    info = types.get(column.type_oid)
    name = info.name.upper()
    if column.default is not None and column.default.startswith("nextval("):
        name = _SERIALS.get(info.name, name)
    length, scale = _length(column, types)
    told = {"__debezium.source.column.type": name, "__debezium.source.column.length": str(length)}
    if scale is not None:
        told["__debezium.source.column.scale"] = str(scale)
    return {**told, "__debezium.source.column.name": column.name}


def _length(column: Column, types: Types) -> tuple[int, int | None]:
    info, modifier = types.resolved(column.type_oid, column.modifier)
    is_array = bool(info.element_oid)
    name = types.get(info.element_oid).name if is_array else info.name
    if name in _FIXED:
        return _FIXED[name]
    if name in _CLOCKS:
        digits = 6 if modifier == NO_MODIFIER else modifier & 0xFFFF
        return _CLOCKS[name] + (digits + 1 if digits else 0), digits
    if name == "interval":
        digits = 6 if modifier == NO_MODIFIER else modifier & 0xFFFF
        return _INTERVAL_LENGTH, min(digits, 6)
    if name == "numeric":
        return numeric_shape(modifier) or ((131089, 0) if is_array else (0, None))
    if name in ("varchar", "bpchar") and modifier != NO_MODIFIER:
        return modifier - 4, 0
    if name in ("bit", "varbit") and modifier != NO_MODIFIER:
        return modifier, 0
    return UNBOUNDED, 0
