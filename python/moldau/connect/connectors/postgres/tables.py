"""The tables that are captured, in Connect's terms: made when they are first met, and again when their shape changes.

A row arrives under a relation's OID; what the relation looks like was said before (`Relation`). Nullability, defaults
and keys come from the catalog, which may already be ahead of the stream: columns that it no longer has, or has with
another type, are taken as the stream tells them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from moldau.connect.connectors.postgres.catalog import Column, Table, TableId, Types, read_table
from moldau.connect.connectors.postgres.connection import Connection
from moldau.connect.connectors.postgres.pgoutput import Relation
from moldau.connect.connectors.postgres.table import Shape, TableSchema


class Tables:
    def __init__(self, connection: Connection, types: Types, shape: Shape, captured: Callable[[TableId], bool]) -> None:
        self._connection = connection
        self._types = types
        self._shape = shape
        self._captured = captured
        self._by_oid: dict[int, tuple[Relation, TableSchema | None]] = {}

    def read(self, table: TableId) -> TableSchema | None:
        """A table as the catalog has it, for a snapshot."""
        found = read_table(self._connection, table)
        return None if found is None else self._made(found)

    def announce(self, relation: Relation) -> None:
        """The shape of the rows that follow under this OID."""
        table = TableId(relation.schema, relation.table)
        if not self._captured(table):
            self._set(relation, None)
            return
        found = self._as_told(relation, read_table(self._connection, table))
        known = self._by_oid.get(relation.oid)
        if known is not None and known[1] is not None and known[1].table == found:
            self._set(relation, known[1])
        else:
            self._set(relation, self._made(found))

    def _set(self, relation: Relation, schema: TableSchema | None) -> None:
        # Never changed in place: whoever holds what was known (`as_now`) goes on seeing that.
        self._by_oid = {**self._by_oid, relation.oid: (relation, schema)}

    def as_now(self) -> Tables:
        """What is known now, whatever is told later."""
        tables = Tables(self._connection, self._types, self._shape, self._captured)
        tables._by_oid = self._by_oid
        return tables

    @staticmethod
    def _as_told(relation: Relation, found: Table | None) -> Table:
        """The stream's columns, with what only the catalog knows about those it still has."""
        table = TableId(relation.schema, relation.table)
        known = {column.name: column for column in found.columns} if found is not None else {}
        columns = []
        for told in relation.columns:
            column = known.get(told.name)
            if column is None or column.type_oid != told.type_oid:
                column = Column(told.name, told.type_oid, nullable=not told.in_identity)
            columns.append(replace(column, modifier=told.type_modifier))
        names = {column.name for column in columns}
        key = tuple(found.key) if found is not None else ()
        if not set(key) <= names or found is None:
            # The key was renamed or dropped since: the replica identity of then is the key of then.
            key = tuple(told.name for told in relation.columns if told.in_identity)
            key = key if relation.replica_identity in "di" else ()
        comment = found.comment if found is not None else None
        return Table(table, tuple(columns), key, relation.replica_identity, comment)

    def _made(self, table: Table) -> TableSchema:
        self._types.load({column.type_oid for column in table.columns})
        return TableSchema(table, self._types, self._shape)

    def get(self, oid: int) -> TableSchema | None:
        """The table of a relation, or None when it is not captured. Raises `KeyError` for one never announced."""
        return self._by_oid[oid][1]

    def refresh_enums(self, oid: int) -> TableSchema:
        """A label was met that the enum did not have: its type is asked for again, and the table made anew."""
        relation, schema = self._by_oid[oid]
        assert schema is not None
        for enum in schema.enum_oids:
            self._types.refresh(enum)
        made = self._made(schema.table)
        self._set(relation, made)
        return made
