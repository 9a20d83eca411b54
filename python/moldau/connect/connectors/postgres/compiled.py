"""A table's way from raw columns to the bytes of a record, compiled (`moldau._core.ChangeTable`).

What is compiled is what the converters would write of the structs that `table.py` and `events.py` would make: bytes
that are always the same, facts of the event, and columns. A column whose text has a kernel is read in Rust, any other
by the function that reads it anyway, followed by the converter's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from moldau._core import ChangeTable
from moldau.connect.connectors.postgres import source_info
from moldau.connect.connectors.postgres.events import Events, EventSettings
from moldau.connect.connectors.postgres.table import ColumnPart, TableSchema
from moldau.connect.converters.rendering import Rendering
from moldau.connect.data import Field, Schema
from moldau.connect.errors import ConnectError, DataError, RetriableError
from moldau.connect.ready import DirectConverters

_LOG = logging.getLogger(__name__)

Part: TypeAlias = tuple[Any, ...]

# What of the source block is a fact of the event; the rest is the same for all events of a table.
SOURCE_FACTS: Final = {
    "ts_ms": "commit_ms",
    "ts_us": "commit_us",
    "ts_ns": "commit_ns",
    "snapshot": "mark",
    "sequence": "sequence",
    "txId": "xid",
    "lsn": "lsn",
    "xmin": "xmin",
    "origin": "origin",
    "origin_lsn": "origin_lsn",
}
ENVELOPE_FACTS: Final = {"op": "operation", "ts_ms": "now_ms", "ts_us": "now_us", "ts_ns": "now_ns"}


class Compiler:
    """Compiles tables for the converters that a worker offers."""

    def __init__(self, converters: DirectConverters, events: Events) -> None:
        self._converters = converters
        self._events = events

    def table(self, table: TableSchema) -> ChangeTable | None:
        """None for a table whose records only the converters can write. Raises `RetriableError`, as they do."""
        try:
            self.headers(table.topic)
            return compiled(table, self._converters, self._events.settings)
        except RetriableError:
            raise
        except (ConnectError, ValueError, TypeError) as error:
            # The converters raise it again for each record, or can do more than was tried.
            _LOG.info("%s goes the longer way, by its converters: %s", table.id, error)
            return None

    def headers(self, topic: str) -> list[tuple[str, str | bytes | None]]:
        """What each record of a topic has besides key and value."""
        convert = self._converters.header.from_connect_header
        return [(each.key, convert(topic, each.key, each.schema, each.value)) for each in self._events.context]


def compiled(table: TableSchema, converters: DirectConverters, settings: EventSettings) -> ChangeTable | None:
    """None where a converter does not say how it writes. Raises `ConnectError`, as the converters do."""
    value = converters.value.rendering(table.topic, table.envelope_schema)
    key = None if table.key_schema is None else converters.key.rendering(table.topic, table.key_schema)
    without_key = table.key_schema is None and converters.key.from_connect_data(table.topic, None, None) is None
    if value is None or (key is None and not without_key):
        return None
    key_program = None
    if key is not None and table.key_schema is not None:
        fields = _struct(key, table.key_schema, table.key_parts)
        key_program = [_literal(key.head), *fields, _literal(key.tail)]
    return ChangeTable(
        len(table.table.columns),
        (value.format if key is None else key.format, value.format),
        key_program,
        _struct(value, table.value_schema, table.parts),
        _envelope(table, value, settings),
        list(table.key_indexes),
        tombstones=settings.tombstones,
    )


def _literal(constant: bytes) -> Part:
    return ("literal", constant)


def _struct(rendering: Rendering, schema: Schema, parts: Sequence[ColumnPart]) -> list[Part]:
    columns = [_column(rendering, field, part) for field, part in zip(schema.fields, parts, strict=True)]
    return [_literal(rendering.opening), *columns, _literal(rendering.closing)]


def _column(rendering: Rendering, field: Field, part: ColumnPart) -> Part:
    name, schema = rendering.name(field), field.schema
    write = rendering.write(schema)
    null, unchanged = (_constant(name, write, value) for value in (part.null, part.unchanged))
    kernel = part.kernel
    if kernel is None or (kernel[0] == "decimal" and not rendering.decimals_are_bytes):
        return ("column", part.index, _in_python(part.convert, write), name, null, unchanged)
    return ("column", part.index, kernel, name + rendering.branch(schema), null, unchanged)


def _constant(name: bytes, write: Callable[[Any], bytes], value: Any) -> bytes | None:
    """None for what the schema does not take: such a row is the converter's to refuse."""
    try:
        return name + write(value)
    except (DataError, ValueError, TypeError):
        return None


def _in_python(convert: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> Callable[[bytes], bytes]:
    return lambda text: write(convert(text))


def _envelope(table: TableSchema, rendering: Rendering, settings: EventSettings) -> list[Part]:
    program = [_literal(rendering.head + rendering.opening)]
    for field in table.envelope_schema.fields:
        schema = field.schema
        name = rendering.name(field)
        if field.name in ("before", "after"):
            program.append((field.name, name + rendering.branch(schema), name + rendering.write(schema)(None)))
        elif field.name == "source":
            program += [_literal(name + rendering.branch(schema)), *_source(table, rendering, settings)]
        elif field.name in ENVELOPE_FACTS:
            program.append(_fact(rendering, field, ENVELOPE_FACTS[field.name]))
        else:
            program.append(_literal(name + rendering.write(schema)(None)))
    return [*program, _literal(rendering.closing + rendering.tail)]


def _source(table: TableSchema, rendering: Rendering, settings: EventSettings) -> list[Part]:
    same = source_info.constants(settings.prefix, settings.database) | {
        "schema": table.id.schema,
        "table": table.id.name,
    }
    program = [_literal(rendering.opening)]
    for field in source_info.SCHEMA.fields:
        if field.name in SOURCE_FACTS:
            program.append(_fact(rendering, field, SOURCE_FACTS[field.name]))
        else:
            program.append(_literal(rendering.name(field) + rendering.write(field.schema)(same[field.name])))
    return [*program, _literal(rendering.closing)]


def _fact(rendering: Rendering, field: Field, fact: str) -> Part:
    name = rendering.name(field)
    absent = name + rendering.write(field.schema)(None) if field.schema.optional else b""
    return ("fact", fact, name + rendering.branch(field.schema), absent)
