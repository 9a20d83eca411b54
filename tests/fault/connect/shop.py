"""The database of a run: tables, writers that change them in transactions side by side, and what they have committed.

What has been committed is known without logical decoding: a trigger notes each change in the table `truth`, in the
transaction that makes it, so a transaction that is rolled back leaves nothing there. The trigger runs when the row is
locked, and sequences do not go back: within one key `seq` is the order of the commits.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass

import psycopg
from tests.postgres_under_test import Postgres

DATABASE = "shop"
TABLES = {"orders": 60, "customers": 25, "lines": 0}
"""Each with how many keys its rows have; rows of `lines` are only ever inserted, each with a key of its own."""
BULK_ROWS = 150
ROLLED_BACK = 0.15
UNDONE = 0.1
LOADED_KEYS = 20

# Of connections that a kill has cut.
logging.getLogger("psycopg").setLevel(logging.ERROR)

TRUTH = """
CREATE TABLE truth (
    seq bigserial PRIMARY KEY,
    lsn pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn(),
    xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    name text NOT NULL,
    op text NOT NULL,
    key int NOT NULL,
    tag text
)
"""
NOTE_CHANGES = """
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND (TG_OP = 'DELETE' OR NEW.id <> OLD.id) THEN
        INSERT INTO truth (name, op, key) VALUES (TG_TABLE_NAME, 'd', OLD.id);
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.id <> OLD.id) THEN
        INSERT INTO truth (name, op, key, tag) VALUES (TG_TABLE_NAME, 'c', NEW.id, NEW.tag);
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO truth (name, op, key, tag) VALUES (TG_TABLE_NAME, 'u', NEW.id, NEW.tag);
    END IF;
    RETURN NULL;
END $$
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a row that was committed. `lsn` lies in its transaction, `tag` is in the row, and in no other."""

    table: str
    key: int
    op: str
    """`c`, `u` or `d`, as in an event; a row whose key is changed is a `d` and a `c`."""
    xid: int
    lsn: int
    tag: str | None


def make_shop(postgres: Postgres) -> None:
    """The tables, with some rows in them."""
    postgres.create_database(DATABASE)
    create = [TRUTH, NOTE_CHANGES]
    for table in TABLES:
        create += [
            f"CREATE TABLE {table} (id int PRIMARY KEY, tag text NOT NULL, amount numeric(9, 2), note text)",
            f"CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION note()",
        ]
    create.append("ALTER TABLE customers REPLICA IDENTITY FULL")
    load = [
        f"INSERT INTO {table} SELECT -i, 'loaded', i / 4.0 FROM generate_series(1, {LOADED_KEYS}) i" for table in TABLES
    ]
    postgres.execute(*create, *load, dbname=DATABASE)


def committed_changes(postgres: Postgres) -> list[Change]:
    """All of them; those of one key in their order."""
    query = "SELECT name, key, op, xid, lsn - '0/0'::pg_lsn, tag FROM truth ORDER BY seq"
    return [
        Change(table, key, op, xid, int(lsn), tag)
        for table, key, op, xid, lsn, tag in postgres.execute(query, dbname=DATABASE)
    ]


class Writer(threading.Thread):
    """One that changes rows until it is told to stop. It begins again when the server has gone, as an application."""

    def __init__(self, postgres: Postgres, number: int, seed: int) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self._postgres = postgres
        self._number = number
        self._chance = random.Random(seed)
        self._ended = threading.Event()
        self._tags = 0
        self._lines = number * 10_000_000
        self.transactions = 0
        """How many have been committed, as far as it knows."""

    def end(self) -> None:
        assert self._ended.is_set() or self.is_alive(), f"{self.name} has ended by itself"
        self._ended.set()
        self.join(60)
        assert not self.is_alive(), f"{self.name} waits for the server"

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                with self._postgres.connect(DATABASE, connect_timeout=5) as connection:
                    while not self._ended.wait(self._chance.uniform(0, 0.15)):
                        self._transaction(connection)
            except (psycopg.Error, psycopg.Rollback):
                # A Rollback that the server could not be told of comes out again.
                self._ended.wait(0.05)

    def _transaction(self, connection: psycopg.Connection) -> None:
        chance = self._chance
        # A key is deleted once in a transaction: two such events could not be told apart.
        deleted: set[tuple[str, int]] = set()
        try:
            with connection.transaction() as whole:
                for _ in range(chance.randint(1, 6)):
                    with connection.transaction() as part:
                        self._statement(connection, deleted)
                        if chance.random() < UNDONE:
                            raise psycopg.Rollback(part)
                if chance.random() < ROLLED_BACK:
                    raise psycopg.Rollback(whole)
            self.transactions += 1
        except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
            return

    def _statement(self, connection: psycopg.Connection, deleted: set[tuple[str, int]]) -> None:
        chance = self._chance
        self._tags += 1
        tag = f"{self._number}-{self._tags}"
        if chance.random() < 0.05:
            rows = chance.randint(1, BULK_ROWS)
            first, self._lines = self._lines + 1, self._lines + rows
            if chance.random() < 0.5:
                insert = "INSERT INTO lines SELECT i, %s, i / 8.0 FROM generate_series(%s::int, %s) i"
                connection.execute(insert, (tag, first, first + rows - 1))
                return
            # Rows of a COPY share places in the WAL.
            with connection.cursor() as cursor, cursor.copy("COPY lines (id, tag) FROM STDIN") as copy:
                for key in range(first, first + rows):
                    copy.write_row((key, tag))
            return
        table = chance.choice(("orders", "customers"))
        key, other = chance.randrange(TABLES[table]), chance.randrange(TABLES[table])
        kind = chance.choices(("upsert", "delete", "move", "many"), (70, 14, 8, 8))[0]
        if kind in ("delete", "move"):
            if (table, key) in deleted:
                return
            deleted.add((table, key))
        if kind == "delete":
            connection.execute(f"DELETE FROM {table} WHERE id = %s".encode(), (key,))
        elif kind == "move":
            connection.execute(f"UPDATE {table} SET id = %s, tag = %s WHERE id = %s".encode(), (other, tag, key))
        elif kind == "many":
            connection.execute(f"UPDATE {table} SET tag = %s WHERE id %% 8 = %s".encode(), (tag, key % 8))
        else:
            note = "n" * chance.choice((0, 10, 3000))
            upsert = (
                f"INSERT INTO {table} VALUES (%s, %s, %s, %s) ON CONFLICT (id) "
                "DO UPDATE SET tag = EXCLUDED.tag, amount = EXCLUDED.amount, note = EXCLUDED.note"
            )
            connection.execute(upsert.encode(), (key, tag, chance.randrange(100_000) / 4, note))
