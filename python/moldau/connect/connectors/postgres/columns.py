"""What the settings do to single columns: leave out, mask, hash, truncate, and tell their source type.

Expressions name `schema.table.column`. Masking and truncating are for columns of characters; others pass unchanged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from moldau.connect.connectors.postgres.catalog import Column, TableId, TypeInfo
from moldau.connect.connectors.postgres.filters import Predicate, any_of, included, split_list
from moldau.connect.errors import ConfigError

Change: TypeAlias = Callable[[Any], Any]

_MASK: Final = re.compile(r"column\.mask\.with\.(\d+)\.chars")
_TRUNCATE: Final = re.compile(r"column\.truncate\.to\.(\d+)\.chars")
_HASH: Final = re.compile(r"column\.mask\.hash\.(v2\.)?([^.]+)\.with\.salt\.(.+)")
_CHARACTERS: Final = frozenset(["text", "varchar", "bpchar", "char", "name"])
# Java's names of digests where they differ from Python's.
_DIGESTS: Final = {"SHA-1": "sha1", "SHA": "sha1", "MD2": "md2"}


def is_characters(info: TypeInfo) -> bool:
    return info.kind == "e" or (info.schema == "pg_catalog" and info.name in _CHARACTERS)


@dataclass(frozen=True)
class Rule:
    """A mapping of the columns that `matches` names; `parameter` is what it adds to the schema."""

    matches: Predicate
    make: Callable[[int], Change]
    parameter: tuple[str, str]


class ColumnRules:
    """All rules of a connector. The settings are as the user wrote them."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._included = included(settings.get("column.include.list"), settings.get("column.exclude.list"))
        self._source_type = any_of(split_list(settings.get("column.propagate.source.type")))
        self._data_type = any_of(split_list(settings.get("datatype.propagate.source.type")))
        self._rules = [rule for name, value in settings.items() if (rule := _rule(name, value)) is not None]

    def is_included(self, table: TableId, column: str) -> bool:
        return self._included(f"{table}.{column}")

    def tells_source_type(self, table: TableId, column: Column, info: TypeInfo) -> bool:
        return self._source_type(f"{table}.{column.name}") or self._data_type(f"{table}.{info.name}")

    def change(self, table: TableId, column: str, length: int) -> tuple[Change, tuple[str, str]] | None:
        """What happens to a column's text (`length`: its declared length, or 0), and the mark in its schema."""
        name = f"{table}.{column}"
        for rule in self._rules:
            if rule.matches(name):
                return rule.make(length), rule.parameter
        return None


def _rule(name: str, value: str) -> Rule | None:
    matches = any_of(split_list(value))
    if (match := _MASK.fullmatch(name)) is not None:
        stars = "*" * int(match[1])
        return Rule(matches, lambda _length: lambda _: stars, ("masked", "true"))
    if (match := _TRUNCATE.fullmatch(name)) is not None:
        kept = int(match[1])
        return Rule(matches, lambda _length: _truncated(kept), ("truncateLength", str(kept)))
    if (match := _HASH.fullmatch(name)) is not None:
        hashed = hasher(match[2], match[3], java_serialized if match[1] is None else str.encode)
        return Rule(matches, lambda length: _cut(hashed, length), ("masked", "true"))
    return None


def _truncated(kept: int) -> Change:
    return lambda value: None if value is None else value[:kept]


def _cut(hashed: Change, length: int) -> Change:
    if length <= 0:
        return hashed
    return lambda value: None if value is None else hashed(value)[:length]


def hasher(algorithm: str, salt: str, to_bytes: Callable[[str], bytes]) -> Change:
    """Salt and value digested, in hexadecimal; NULL stays NULL. Raises `ConfigError` for an unknown algorithm."""
    name = _DIGESTS.get(algorithm, algorithm.lower().replace("-", "").replace("sha512/", "sha512_"))
    try:
        hashlib.new(name)
    except ValueError:
        raise ConfigError(f"column.mask.hash: there is no digest {algorithm!r}; SHA-256 is one") from None

    def hashed(value: Any) -> str | None:
        return None if value is None else hashlib.new(name, salt.encode() + to_bytes(value)).hexdigest()

    return hashed


def java_serialized(value: str) -> bytes:
    """A string as Java's serialization writes it: the first version of Debezium's hash digests that."""
    written = value.encode("utf-16-be", "surrogatepass")
    units = [int.from_bytes(written[i : i + 2], "big") for i in range(0, len(written), 2)]
    body = b"".join(_modified_utf8(unit) for unit in units)
    head = b"\x74" + len(body).to_bytes(2, "big") if len(body) < 65536 else b"\x7c" + len(body).to_bytes(8, "big")
    return b"\xac\xed\x00\x05" + head + body


def _modified_utf8(unit: int) -> bytes:
    """A UTF-16 unit; zero takes two bytes, and each half of a surrogate pair three."""
    if 0 < unit < 0x80:
        return bytes((unit,))
    if unit < 0x800:
        return bytes((0xC0 | unit >> 6, 0x80 | unit & 0x3F))
    return bytes((0xE0 | unit >> 12, 0x80 | unit >> 6 & 0x3F, 0x80 | unit & 0x3F))
