r"""Avro values as JSON, without loss, and JSON as Avro values.

    int, long              a number, every digit of it              date                  "2026-01-31"
    float, double          a number, or "NaN", "Infinity"           time-*                "12:30:00.123"
    bytes, fixed           text, one character per byte (Avro's     timestamp-*           "2026-01-31T12:30:00.123Z"
                           own JSON encoding): "\u00ff"             local-timestamp-*     the same without the Z
    decimal                "12.30", exactly as many digits          uuid                  "6ba7b810-…"

A union's value stands as it is. Read from JSON it is the first branch that it fits; `{"branch": value}`, as Avro's own
JSON encoding has it, says which one.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from moldau.client.serdes import AvroEncoder
from moldau.client.serdes.framing import is_bare_bytes, prefix_of
from moldau.client.serdes.names import NAMED, Names, name_and_inside

INT: Final = range(-(2**31), 2**31)
LONG: Final = range(-(2**63), 2**63)
NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def shown(value: Any) -> str:
    """A decoded value as JSON in one line."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """The same with nothing in it but what JSON has."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, float) and not math.isfinite(value):
        return next(name for name, other in NOT_FINITE.items() if str(other) == str(value))
    if isinstance(value, dt.datetime):
        text = value.isoformat()
        return text.removesuffix("+00:00") + "Z" if value.tzinfo is dt.UTC else text
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, uuid.UUID) else value


class NotMeantError(ValueError):
    """JSON that is no value of the schema; the message begins with the path to it."""


def encoder_of(schema: str, references: Sequence[str], schema_id: int) -> Callable[[bytes], bytes]:
    """From the JSON of a value to its bytes with the schema's id before them.

    The function raises ValueError if it is no JSON, or no value of the schema.
    """
    meaning = Meaning(schema, references)
    prefix = prefix_of(schema_id)
    encode = None if is_bare_bytes(schema) else AvroEncoder(schema, references=references).encode

    def encoded(text: bytes) -> bytes:
        # A decimal's digits must not pass through a float.
        value = meaning.of(json.loads(text, parse_float=Decimal, parse_constant=no_constant))
        return prefix + value if encode is None else encode(value, prefix)

    return encoded


def no_constant(name: str) -> Any:
    """`NaN` and the like, which Python's parser takes. Raises ValueError."""
    raise ValueError(f"{name} is no JSON; write it as text")


class Meaning:
    """What JSON means as a value of one schema."""

    def __init__(self, schema: str, references: Sequence[str] = ()) -> None:
        self._names = Names(schema, references)

    def of(self, given: Any) -> Any:
        """The value, for the encoder.

        Raises:
            NotMeantError: it is none of the schema.
        """
        return self._value(self._names.root, given, "", "")

    def _value(self, node: Any, given: Any, namespace: str, path: str) -> Any:
        node, namespace = self._names.resolved(node, namespace)
        if isinstance(node, list):
            return self._branch(node, given, namespace, path)
        kind = node["type"]
        if kind in ("record", "error"):
            return self._record(node, given, name_and_inside(node, namespace)[1], path)
        if kind == "array" and isinstance(given, list):
            return [self._value(node["items"], one, namespace, f"{path}[{index}]") for index, one in enumerate(given)]
        if kind == "map" and isinstance(given, dict):
            return {key: self._value(node["values"], one, namespace, _in(path, key)) for key, one in given.items()}
        if kind == "enum":
            if given not in node["symbols"]:
                symbols = ", ".join(node["symbols"])
                raise NotMeantError(
                    f"{path or 'it'}: {_short(given)} is none of the symbols of {node['name']}: {symbols}"
                )
            return given
        reading = LOGICAL.get((kind, node.get("logicalType"))) or PLAIN.get(kind)
        try:
            value = None if reading is None else reading(given)
        except (ValueError, InvalidOperation, OverflowError):
            value = None
        if value is None and (kind, given) != ("null", None):
            raise NotMeantError(f"{path or 'it'}: {_short(given)} is no {node.get('logicalType') or kind}")
        return value

    def _record(self, node: dict[str, Any], given: Any, namespace: str, path: str) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise NotMeantError(f"{path or 'it'}: {_short(given)} is no record {node['name']}")
        fields = {field["name"]: field for field in node["fields"]}
        for name in given:
            if name not in fields:
                raise NotMeantError(f"{_in(path, name)}: {node['name']} has no such field, only {', '.join(fields)}")
        for name, field in fields.items():
            if name not in given and "default" not in field and "null" not in field["type"]:
                raise NotMeantError(f"{_in(path, name)}: it is missing, and the schema has no default for it")
        return {name: self._value(fields[name]["type"], one, namespace, _in(path, name)) for name, one in given.items()}

    def _branch(self, branches: list[Any], given: Any, namespace: str, path: str) -> Any:
        names = [self._branch_name(branch, namespace) for branch in branches]
        if isinstance(given, dict) and len(given) == 1:
            (name,) = given
            if name in names:
                node = branches[names.index(name)]
                return name, self._value(node, given[name], namespace, path)
        errors = []
        for name, branch in zip(names, branches, strict=True):
            try:
                value = self._value(branch, given, namespace, path)
            except NotMeantError as error:
                errors.append((name, error))
            else:
                return None if value is None else (name, value)
        real = [error for name, error in errors if name != "null"]
        if len(real) == 1:
            raise real[0]
        raise NotMeantError(f"{path or 'it'}: {_short(given)} is none of {', '.join(names)}")

    def _branch_name(self, branch: Any, namespace: str) -> str:
        node, outside = self._names.resolved(branch, namespace)
        kind = node["type"]
        return name_and_inside(node, outside)[0] if kind in NAMED else str(kind)


def _in(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _short(given: Any) -> str:
    text = json.dumps(given, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:60] + "…"


def _integer(allowed: range) -> Callable[[Any], int | None]:
    return lambda given: given if type(given) is int and given in allowed else None


def _real(given: Any) -> float | None:
    if isinstance(given, str):
        return NOT_FINITE.get(given)
    return float(given) if isinstance(given, int | Decimal) and not isinstance(given, bool) else None


def _decimal(given: Any) -> Decimal | None:
    if isinstance(given, bool) or not isinstance(given, str | int | Decimal):
        return None
    return Decimal(given)


def _of_text(read: Callable[[str], Any], allowed: range) -> Callable[[Any], Any]:
    """A moment in ISO's spelling, or the number that Avro has for it."""
    number = _integer(allowed)
    return lambda given: read(given) if isinstance(given, str) else number(given)


def _instant(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a timestamp without a zone")
    return moment


PLAIN: Final[dict[str, Callable[[Any], Any]]] = {
    "null": lambda _given: None,
    "boolean": lambda given: given if isinstance(given, bool) else None,
    "int": _integer(INT),
    "long": _integer(LONG),
    "float": _real,
    "double": _real,
    "string": lambda given: given if isinstance(given, str) else None,
    "bytes": lambda given: given.encode("latin-1") if isinstance(given, str) else None,
    "fixed": lambda given: given.encode("latin-1") if isinstance(given, str) else None,
}
LOGICAL: Final[dict[tuple[str, Any], Callable[[Any], Any]]] = {
    ("int", "date"): _of_text(dt.date.fromisoformat, INT),
    ("int", "time-millis"): _of_text(dt.time.fromisoformat, INT),
    ("long", "time-micros"): _of_text(dt.time.fromisoformat, LONG),
    ("long", "timestamp-millis"): _of_text(_instant, LONG),
    ("long", "timestamp-micros"): _of_text(_instant, LONG),
    ("long", "local-timestamp-millis"): _of_text(dt.datetime.fromisoformat, LONG),
    ("long", "local-timestamp-micros"): _of_text(dt.datetime.fromisoformat, LONG),
    ("bytes", "decimal"): _decimal,
    ("fixed", "decimal"): _decimal,
    ("string", "uuid"): lambda given: str(uuid.UUID(given)) if isinstance(given, str) else None,
}
