"""Names of schemas and fields in the letters that a format allows, as Debezium's `SchemaNameAdjuster` makes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

Adjust: TypeAlias = Callable[[str], str]

_AVRO_INVALID: Final = re.compile(r"[^A-Za-z0-9_]")


def _avro(name: str, replace: Callable[[str], str]) -> str:
    adjusted = _AVRO_INVALID.sub(lambda match: replace(match[0]), name)
    return f"_{adjusted}" if adjusted[:1].isdigit() else adjusted


def _unicode(character: str) -> str:
    return f"_u{ord(character):04x}"


_PART: Final[dict[str, Adjust]] = {
    "none": lambda name: name,
    "avro": lambda name: _avro(name, lambda _: "_"),
    # The underscore itself is escaped here, so that two names never become one.
    "avro_unicode": lambda name: _avro(name.replace("_", "_u005f"), _unicode),
}


def adjuster(mode: str) -> Adjust:
    """`schema.name.adjustment.mode` for a name with dots between its parts."""
    part = _PART[mode]
    return lambda name: ".".join(part(piece) for piece in name.split("."))


def field_adjuster(mode: str) -> Adjust:
    """`field.name.adjustment.mode` for the name of one field."""
    return _PART[mode]
