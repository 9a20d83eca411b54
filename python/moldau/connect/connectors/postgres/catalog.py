"""What the database says about itself: its version and position, its types, its tables with keys and defaults.

pgoutput tells columns and type OIDs but no nullability, no defaults and no primary keys: those come from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from moldau.connect.connectors.postgres.connection import Connection, parse_lsn, rows
from moldau.connect.connectors.postgres.errors import PostgresError

SYSTEM_SCHEMAS: Final = ("pg_catalog", "information_schema", "pg_toast")


class TableId(NamedTuple):
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A row of `pg_type`. `kind` is its `typtype`: b(ase), e(num), d(omain), c(omposite), r(ange), m(ultirange)."""

    oid: int
    name: str
    schema: str
    kind: str
    element_oid: int = 0
    base_oid: int = 0
    base_modifier: int = -1
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type_oid: int
    modifier: int = -1
    nullable: bool = True
    default: str | None = None
    generated: bool = False
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """`key` names the columns of the primary key in its order; `identity` is the replica identity (d, n, f, i)."""

    id: TableId
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    identity: str = "d"
    comment: str | None = None

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


class ServerState(NamedTuple):
    version: int
    wal_level: str
    in_recovery: bool
    lsn: int


def server_state(connection: Connection) -> ServerState:
    wal_level, in_recovery = rows(
        connection, "SELECT current_setting('wal_level'), pg_is_in_recovery()", doing="asking the server for its state"
    )[0]
    return ServerState(connection.info.server_version, wal_level, in_recovery, current_lsn(connection, in_recovery))


def current_lsn(connection: Connection, in_recovery: bool = False) -> int:
    function = "pg_last_wal_replay_lsn" if in_recovery else "pg_current_wal_lsn"
    return parse_lsn(rows(connection, f"SELECT {function}()")[0][0])


_TYPES: Final = """
SELECT t.oid::int8, t.typname, n.nspname, t.typtype::text,
       CASE WHEN t.typcategory = 'A' THEN t.typelem::int8 ELSE 0 END, t.typbasetype::int8, t.typtypmod,
       ARRAY(SELECT enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = ANY(%s)
"""


def _type_info(row: tuple[Any, ...]) -> TypeInfo:
    oid, name, schema, kind, element, base, modifier, labels = row
    return TypeInfo(oid, name, schema, kind, element, base, modifier, tuple(labels))


class Types:
    """The types of the database, asked for when they are first met."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, TypeInfo] = {}

    def get(self, oid: int) -> TypeInfo:
        info = self._known.get(oid)
        if info is None:
            info = self.refresh(oid)
        return info

    def refresh(self, oid: int) -> TypeInfo:
        found = rows(self._connection, _TYPES, ([oid],))
        if not found:
            # The type was dropped since the WAL was written: its text is all there is.
            return TypeInfo(oid, f"oid {oid}", "", "b")
        info = self._known[oid] = _type_info(found[0])
        return info

    def load(self, oids: set[int]) -> None:
        """Asks for many at once, with the elements and base types that they lead to."""
        wanted = oids - self._known.keys()
        while wanted:
            found = [_type_info(row) for row in rows(self._connection, _TYPES, (sorted(wanted),))]
            self._known.update((info.oid, info) for info in found)
            next_ = {oid for info in found for oid in (info.element_oid, info.base_oid) if oid}
            wanted = next_ - self._known.keys()

    def resolved(self, oid: int, modifier: int) -> tuple[TypeInfo, int]:
        """A domain's base type and modifier; any other type as it is."""
        info = self.get(oid)
        while info.kind == "d":
            modifier = info.base_modifier if info.base_modifier != -1 else modifier
            info = self.get(info.base_oid)
        return info, modifier


_TABLES: Final = """
SELECT n.nspname, c.relname, c.relkind::text, c.relispartition
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT LIKE 'pg\\_temp%%' AND n.nspname <> ALL(%s)
ORDER BY n.nspname, c.relname
"""


def list_tables(connection: Connection, *, via_partition_root: bool, system_too: bool = False) -> list[TableId]:
    """All tables that change events can name: partitions by themselves, or else their root for all of them."""
    found = []
    for schema, name, kind, is_partition in rows(connection, _TABLES, ([] if system_too else list(SYSTEM_SCHEMAS),)):
        if via_partition_root and is_partition:
            continue
        if not via_partition_root and kind == "p":
            continue
        found.append(TableId(schema, name))
    return found


_COLUMNS: Final = """
SELECT a.attname, a.atttypid::int8, a.atttypmod, NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
       a.attgenerated <> '', col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_KEY: Final = """
SELECT a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE n.nspname = %s AND c.relname = %s ORDER BY k.place
"""
_RELATION: Final = """
SELECT c.relreplident::text, obj_description(c.oid, 'pg_class')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
"""


def read_table(connection: Connection, table: TableId) -> Table | None:
    """A table as the catalog has it now, or None when there is none."""
    relation = rows(connection, _RELATION, table)
    if not relation:
        return None
    columns = tuple(Column(*row) for row in rows(connection, _COLUMNS, table))
    key = tuple(name for (name,) in rows(connection, _KEY, table))
    identity, comment = relation[0]
    return Table(table, columns, key, identity, comment)


def publication_exists(connection: Connection, name: str) -> bool:
    return bool(rows(connection, "SELECT 1 FROM pg_publication WHERE pubname = %s", (name,)))


def publication_tables(connection: Connection, name: str) -> set[TableId]:
    found = rows(connection, "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = %s", (name,))
    return {TableId(*row) for row in found}


def check_logical(state: ServerState) -> None:
    """Raises `PostgresError` unless the server can decode its WAL."""
    if state.wal_level != "logical":
        raise PostgresError(
            f"the server's wal_level is {state.wal_level!r}, and change data capture needs 'logical'",
            hint="set wal_level=logical in postgresql.conf (rds.logical_replication=1 on RDS) and restart the server",
        )
    if state.version < 100000:
        raise PostgresError("pgoutput needs PostgreSQL 10 or newer", hint="upgrade the server")
