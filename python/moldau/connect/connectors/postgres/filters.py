r"""Which tables, columns, messages and operations are captured, by regular expressions as in Debezium's settings.

An expression has to match the whole name (`schema.table`, `schema.table.column`), whatever its case. Lists are divided
by commas; a comma within an expression is written `\\,`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

from moldau.connect.connectors.postgres.catalog import TableId

Predicate: TypeAlias = Callable[[str], bool]


def split_list(text: str | None) -> list[str]:
    """The members of a comma-separated list, stripped; a backslash keeps a comma."""
    if not text:
        return []
    parts = [part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", text)]
    return [part for part in parts if part]


def any_of(expressions: Iterable[str]) -> Predicate:
    compiled = [re.compile(java_regex(expression), re.IGNORECASE) for expression in expressions]
    return lambda name: any(pattern.fullmatch(name) for pattern in compiled)


def java_regex(expression: str) -> str:
    """Java's named groups, quotations and possessive dot-all in Python's spelling."""
    expression = re.sub(r"\\Q(.*?)(?:\\E|$)", lambda match: re.escape(match[1]), expression)
    return re.sub(r"\(\?<(?![=!])", "(?P<", expression)


def included(include: str | None, exclude: str | None) -> Predicate:
    """What `include` names, or everything that `exclude` does not name. Only one of the two is ever set."""
    if include:
        return any_of(split_list(include))
    if exclude:
        excluded = any_of(split_list(exclude))
        return lambda name: not excluded(name)
    return lambda _: True


class TableFilter:
    """Whether a table is captured, by `schema.*.list` and `table.*.list`."""

    def __init__(self, settings: dict[str, str | None], always: Iterable[str] = ()) -> None:
        self._schemas = included(settings.get("schema.include.list"), settings.get("schema.exclude.list"))
        self._tables = included(settings.get("table.include.list"), settings.get("table.exclude.list"))
        self._always = frozenset(always)
        self._known: dict[TableId, bool] = {}

    def __call__(self, table: TableId) -> bool:
        verdict = self._known.get(table)
        if verdict is None:
            name = str(table)
            verdict = name in self._always or (self._schemas(table.schema) and self._tables(name))
            self._known[table] = verdict
        return verdict
