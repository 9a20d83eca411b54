"""The default of a column as its schema tells it: the literal's value, or a zero for what a function computes.

The expression is the catalog's (`pg_get_expr`): `42`, `'x'::text`, `now()`, `nextval('s'::regclass)`. What cannot be
read is no default; nothing is evaluated.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from moldau.connect.connectors.postgres import text
from moldau.connect.connectors.postgres.catalog import TypeInfo
from moldau.connect.data import Decimal as ConnectDecimal
from moldau.connect.data import Schema

_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'")
_FUNCTION: Final = re.compile(r"^[(]?[A-Za-z0-9_.\"]+\(")
_MOMENTS: Final = frozenset(
    ["current_timestamp", "current_time", "current_date", "localtime", "localtimestamp"],
)
# What stands for a computed default, as text; types that are not here have no default in a schema.
_COMPUTED: Final = {
    "bit": "00",
    "varbit": "0",
    "bool": "f",
    "bpchar": "",
    "varchar": "",
    "text": "",
    "numeric": "0",
    "float4": "0",
    "float8": "0",
    "int2": "0",
    "int4": "0",
    "int8": "0",
    "json": "{}",
    "jsonb": "{}",
    "xml": "",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "date": "1970-01-01",
    "time": "00:00:00",
    "timestamp": "1970-01-01 00:00:00",
    "timestamptz": "1970-01-01 00:00:00+00",
    "interval": "00:00:00",
}


def default_value(expression: str, info: TypeInfo, schema: Schema, convert: text.Parse) -> Any:
    """The value for the schema, or None when there is none to tell."""
    if info.kind != "e" and (info.schema != "pg_catalog" or info.name not in _COMPUTED):
        return None
    said = _text(expression.strip(), info)
    if said is None:
        return None
    try:
        value = convert(said.encode())
    except (ValueError, ArithmeticError):
        return None
    if schema.name == ConnectDecimal.LOGICAL_NAME and isinstance(value, Decimal):
        try:
            return value.quantize(Decimal(1).scaleb(-ConnectDecimal.scale(schema)))
        except InvalidOperation:
            return None
    # A struct cannot be the default of a schema (KAFKA-12694), and Debezium gives arrays and bytes none.
    return value if isinstance(value, bool | int | float | str | bytes) or not hasattr(value, "schema") else None


def _text(expression: str, info: TypeInfo) -> str | None:
    if _FUNCTION.match(expression) or expression.lower() in _MOMENTS:
        return _COMPUTED.get(info.name) if info.kind != "e" else None
    literal = _LITERAL.search(expression)
    if literal is not None:
        return literal[1].replace("''", "'")
    if expression.startswith("NULL") or info.kind == "e":
        return None
    return {"true": "t", "false": "f"}.get(expression, expression.strip("()"))
