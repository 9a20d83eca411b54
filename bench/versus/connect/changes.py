"""What is written to the database: a bulk table, and the small transactions of pgbench ("TPC-B (sort of)")."""

from __future__ import annotations

from typing import Final

from tests.postgres_under_test import Postgres

DATABASE: Final = "shop"
TABLES: Final = (
    """CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, amount numeric(10,2) NOT NULL,
    status text NOT NULL, email text, note text, paid bool NOT NULL, at timestamp NOT NULL, due date)""",
    "CREATE TABLE accounts (aid int PRIMARY KEY, bid int NOT NULL, abalance int NOT NULL, filler char(84))",
    "CREATE TABLE tellers (tid int PRIMARY KEY, bid int NOT NULL, tbalance int NOT NULL, filler char(84))",
    "CREATE TABLE branches (bid int PRIMARY KEY, bbalance int NOT NULL, filler char(88))",
    "CREATE TABLE history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
    "INSERT INTO accounts SELECT g, 1, 0, 'a' FROM generate_series(1, 100000) g",
    "INSERT INTO tellers SELECT g, 1, 0, 't' FROM generate_series(1, 10) g",
    "INSERT INTO branches VALUES (1, 0, 'b')",
)
_ORDERS: Final = """INSERT INTO orders SELECT g, g % 9973, (g % 100000) / 100.0, 'PENDING',
    'customer' || g || '@shop.test', CASE WHEN g % 4 = 0 THEN 'leave it at the door' END, g % 3 = 0,
    '2026-01-01 10:20:30.123456', '2026-02-03' FROM generate_series({first}, {last}) g"""
# Committed one by one, without waiting for the disk: the load is on who reads the WAL, not on who writes it.
_PGBENCH: Final = """DO $$ BEGIN FOR i IN 1..{count} LOOP
    UPDATE accounts SET abalance = abalance + 7 WHERE aid = 1 + (i * 7919) % 100000;
    UPDATE tellers SET tbalance = tbalance + 7 WHERE tid = 1 + i % 10;
    UPDATE branches SET bbalance = bbalance + 7 WHERE bid = 1;
    INSERT INTO history VALUES (1 + i % 10, 1, 1 + (i * 7919) % 100000, 7, '2026-01-01');
    COMMIT; END LOOP; END $$"""
CHANGES_OF_A_TRANSACTION: Final = 4


def create(postgres: Postgres) -> dict[str, str]:
    """A fresh database with the tables; the connector's settings that lead to it."""
    settings = postgres.create_database(DATABASE)
    postgres.execute(*TABLES, dbname=DATABASE)
    return settings


def bulk(postgres: Postgres, first: int, rows: int) -> int:
    """Orders from the number `first` on, in one transaction. Returns how many changes that is."""
    postgres.execute(_ORDERS.format(first=first, last=first + rows - 1), dbname=DATABASE)
    return rows


def pgbench(postgres: Postgres, changes: int) -> int:
    """Transactions of four changes each. Returns how many changes that is."""
    count = max(1, changes // CHANGES_OF_A_TRANSACTION)
    with postgres.connect(DATABASE) as connection:
        connection.execute(b"SET synchronous_commit = off")
        connection.execute(_PGBENCH.format(count=count).encode())
    return count * CHANGES_OF_A_TRANSACTION
