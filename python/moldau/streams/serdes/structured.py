"""Serdes of structured values as JSON: dicts, dataclasses, msgspec Structs, TypedDicts and pydantic models.

msgspec does the work for all but pydantic, which validates with its own rules. A frozen dataclass or Struct of plain
fields counts as immutable and is kept in stores as it is.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from moldau.streams.serdes.serde import Serde

_FLAT: Final = frozenset({str, bytes, int, float, bool, type(None), Decimal, date, datetime, time, UUID})

encode_json: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode


def json_serde(kind: Any) -> Serde[Any]:
    """Values of one type as JSON objects; what does not fit the type is a `msgspec.ValidationError` with its path."""
    if hasattr(kind, "model_validate_json"):
        return Serde(f"JSON({kind.__name__})", _pydantic_bytes, kind.model_validate_json)
    name = "JSON" if kind is Any else f"JSON({getattr(kind, '__name__', kind)})"
    return Serde(name, encode_json, msgspec.json.Decoder(kind).decode, immutable=is_frozen(kind))


def _pydantic_bytes(value: Any) -> bytes:
    text: str = value.model_dump_json()
    return text.encode()


def is_frozen(kind: Any, around: tuple[Any, ...] = ()) -> bool:
    """Whether no part of a value of this type can be changed once it is made.

    `around` has the types that this one is a part of: a tree is as frozen as everything else in it.
    """
    if kind in _FLAT or kind in around:
        return True
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType, tuple, frozenset}:
        return all(is_frozen(part, around) for part in typing.get_args(kind) if part is not Ellipsis)
    if not isinstance(kind, type):
        return False
    if dataclasses.is_dataclass(kind):
        frozen = bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]
    elif issubclass(kind, msgspec.Struct):
        frozen = bool(kind.__struct_config__.frozen)
    else:
        return False
    try:
        hints = typing.get_type_hints(kind)
    except NameError:
        # A class of a function's body cannot be looked up from here; then it counts as mutable, which is always right.
        return False
    return frozen and all(is_frozen(part, (*around, kind)) for part in hints.values())
