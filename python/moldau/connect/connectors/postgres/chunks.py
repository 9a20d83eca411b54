"""The pieces in which a snapshot reads its tables, each by one COPY: whole tables, or ranges of their primary keys.

With `snapshot.max.threads` of n and a multiplier of m a table is read in up to n·m ranges, all of them in the one
exported snapshot, so each row is in one range. Where ranges end is a matter of speed only: a sample of the table's
pages says it, instead of two walks over all of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import psycopg

from moldau.connect.connectors.postgres.catalog import TableId, Types
from moldau.connect.connectors.postgres.connection import Connection, identifier, literal, rows
from moldau.connect.connectors.postgres.errors import explained
from moldau.connect.connectors.postgres.table import TableSchema

_LOG = logging.getLogger(__name__)

# So many pages of a table are looked at for each range that is wanted.
PAGES_FOR_A_RANGE: Final = 40
_PAGE_BYTES: Final = 8192

Key = Sequence[str]
"""The texts of a key's columns."""


class Chunk(NamedTuple):
    """A piece of the table with this number: its keys behind `above` (of any, without) up to `upto`.

    It is number `place`, from 0, of `total`.
    """

    table: int
    above: Key | None = None
    upto: Key | None = None
    place: int = 0
    total: int = 1


@dataclass(frozen=True)
class Division:
    """Into how many ranges tables are divided. `multipliers` are those of single tables."""

    threads: int = 1
    multiplier: int = 1
    multipliers: Mapping[str, int] | None = None
    whole_tables: bool = False

    def ranges(self, table: TableId) -> int:
        """How many are wanted; 1 leaves the table whole."""
        if self.whole_tables:
            return 1
        return self.threads * (self.multipliers or {}).get(str(table), self.multiplier)


def chunks(
    connection: Connection, tables: Sequence[TableSchema], division: Division, overrides: Mapping[TableId, str]
) -> list[Chunk]:
    """All pieces, in the order in which they are read. Raises `PostgresError`."""
    types, found = Types(connection), list[Chunk]()
    for number, table in enumerate(tables):
        ends: list[Key] = []
        wanted = division.ranges(table.id)
        if wanted > 1 and table.id not in overrides and _divisible(table, types):
            ends = _ends(connection, table, wanted)
            _LOG.info("%s is read in %d ranges of its key", table.id, len(ends) + 1)
        ranges = zip([None, *ends], [*ends, None], strict=True)
        found += [Chunk(number, *bounds, place, len(ends) + 1) for place, bounds in enumerate(ranges)]
    return found


def _divisible(table: TableSchema, types: Types) -> bool:
    """Sessions look for operators in `pg_catalog` only: a key of a type from elsewhere might be compared as text."""
    for name in table.table.key:
        column = table.table.column(name)
        if column is None:
            return False
        info, _ = types.resolved(column.type_oid, column.modifier)
        if info.schema != "pg_catalog" and info.kind != "e":
            return False
    return bool(table.table.key)


_BYTES: Final = """
SELECT pg_relation_size(c.oid) + COALESCE((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(c.oid)
    WHERE isleaf AND c.relkind = 'p'), 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""


def _ends(connection: Connection, table: TableSchema, wanted: int) -> list[Key]:
    """Keys that divide a table into `wanted` parts of about one size, or fewer when there are fewer rows."""
    found = rows(connection, _BYTES, table.id, f"asking for the size of {table.id}")
    pages = max(1, int(found[0][0]) // _PAGE_BYTES) if found else 1
    percent = min(100.0, 100.0 * PAGES_FOR_A_RANGE * wanted / pages)
    keys = [identifier(name) for name in table.table.key]
    # A bare name in ORDER BY would be the text that is selected under it.
    key, backwards = ", ".join(keys), ", ".join(f"q.{name} DESC" for name in keys)
    # The last key of each of `wanted` parts of the sample. Names are quoted.
    sample = (
        f"SELECT {key}, ntile({wanted}) OVER (ORDER BY {key}) AS "  # noqa: S608
        f"{_PART} FROM {qualified(table.id)} TABLESAMPLE SYSTEM ({percent:.6f})"
    )
    texts = ", ".join(f"{name}::text" for name in keys)
    statement = f"SELECT DISTINCT ON ({_PART}) {texts} FROM ({sample}) AS q ORDER BY {_PART}, {backwards}"  # noqa: S608
    ends = rows(connection, statement, doing=f"dividing {table.id} into ranges of its key")
    return [tuple(map(str, end)) for end in ends[:-1]]


_PART: Final = '"moldau part"'


def qualified(table: TableId) -> str:
    return f"{identifier(table.schema)}.{identifier(table.name)}"


def range_of(keys: Sequence[str], above: Key | None, upto: Key | None) -> list[str]:
    """Conditions for the rows behind one key and up to another."""
    quoted = ", ".join(map(identifier, keys))
    conditions = []
    if upto is not None:
        conditions.append(f"({quoted}) <= ({', '.join(map(literal, upto))})")
    if above is not None:
        conditions.append(f"({quoted}) > ({', '.join(map(literal, above))})")
    return conditions


def copy_statement(connection: Connection, table: TableSchema, chunk: Chunk, override: str | None) -> str:
    """The COPY that gives the columns of a table's rows in the order of its raw rows."""
    names = [column.name for column in table.table.columns]
    if override is None:
        where = range_of(table.table.key, chunk.above, chunk.upto)
        return _copy(map(identifier, names), qualified(table.id) + (f" WHERE {' AND '.join(where)}" if where else ""))
    query = override.strip().rstrip(";")
    try:
        # The query is the operator's own; it is asked for its columns only.
        described = connection.execute(f"SELECT * FROM ({query}) AS q LIMIT 0".encode()).description or []  # noqa: S608
    except psycopg.Error as error:
        raise explained(error, f"snapshot.select.statement.overrides.{table.id}") from error
    given = {column.name for column in described}
    told = [identifier(name) if name in given else "NULL" for name in names]
    return _copy(told, f"({query}) AS q")


def _copy(columns: Iterable[str], source: str) -> str:
    """Names are quoted by whoever calls this."""
    return f"COPY (SELECT {', '.join(columns)} FROM {source}) TO STDOUT"  # noqa: S608
