"""Snapshots that read ranges of a table side by side: each row once, the first and last of something marked."""

from __future__ import annotations

import threading
import time

import pytest
from tests.integration.connect.source_task import PATIENCE_S, Offsets, Source, after, op
from tests.integration.connect.test_postgres_direct import json

from moldau.connect.connectors.postgres.catalog import TableId, Types, read_table
from moldau.connect.connectors.postgres.chunks import Chunk, Division, chunks, copy_statement
from moldau.connect.connectors.postgres.columns import ColumnRules
from moldau.connect.connectors.postgres.connection import Server
from moldau.connect.connectors.postgres.copying import BlockSize, copy_blocks, rows_of
from moldau.connect.connectors.postgres.naming import Topics
from moldau.connect.connectors.postgres.table import Shape, TableSchema
from moldau.connect.connectors.postgres.types import Modes
from moldau.connect.name_adjustment import adjuster, field_adjuster

# Tables whose keys are compared in different ways, and as many rows.
KEYS = {
    "numbers": ("id bigint PRIMARY KEY", "i"),
    "pairs": ('"first ""name""" text COLLATE "C", i int, PRIMARY KEY (i, "first ""name""")', "'k' || i % 7, i"),
    "words": ("w varchar(20) PRIMARY KEY", "'it''s ' || i"),
    "ids": ("id uuid PRIMARY KEY", "gen_random_uuid()"),
    "days": ("d timestamptz PRIMARY KEY", "timestamptz '2026-01-01' + i * interval '1 hour'"),
    "amounts": ("n numeric(10,2) PRIMARY KEY", "i / 100.0"),
    "raw": ("b bytea PRIMARY KEY", "decode(md5(i::text), 'hex')"),
    "labels": ("e mood, i int, PRIMARY KEY (e, i)", "CASE WHEN i % 2 = 0 THEN 'sad' ELSE 'happy' END::mood, i"),
    "keyless": ("i int", "i"),
}
ROWS = 600


@pytest.fixture
def props(newest, name):
    settings = {"topic.prefix": "p", "slot.name": name, **newest.create_database(name)}
    newest.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')", dbname=name)
    yield {**settings, "poll.interval.ms": "50", "snapshot.max.threads": "3", "snapshot.max.threads.multiplier": "4"}
    newest.drop_slot(name)


def fill(postgres, database, tables=tuple(KEYS), count=ROWS):
    for table in tables:
        columns, values = KEYS[table]
        postgres.execute(
            f"CREATE TABLE {table} ({columns})",
            f"INSERT INTO {table} SELECT {values} FROM generate_series(1, {count}) i",
            dbname=database,
        )


def mark(record):
    return record.value.get("source").get("snapshot")


@pytest.mark.parametrize("direct", [False, True], ids=["long way", "short way"])
def test_ranges_of_many_tables_give_each_row_once_with_the_marks_of_debezium(newest, props, direct):
    fill(newest, props["database.dbname"])
    own = {"snapshot.mode": "initial_only", "max.batch.size": "50"}
    with Source({**props, **own}, direct=json(schemas_enable="false") if direct else None) as source:
        records = source.until(lambda record: record.source_offset["snapshot_completed"])
    by_topic = {}
    for record in records:
        by_topic.setdefault(record.topic, []).append(record)
    for table in KEYS:
        found = [tuple(map(str, after(record).values())) for record in by_topic[f"p.public.{table}"]]
        assert (len(found), len(set(found))) == (ROWS, ROWS), table
    ends = {id(found[0]): "first_in_data_collection" for found in by_topic.values()}
    ends |= {id(found[-1]): "last_in_data_collection" for found in by_topic.values()}
    ends |= {id(records[0]): "first", id(records[-1]): "last"}
    assert [mark(record) for record in records] == [ends.get(id(record), "true") for record in records]
    completed = [record.source_offset["snapshot_completed"] for record in records]
    assert completed == [False] * (len(records) - 1) + [True]


def test_ranges_are_of_one_snapshot_and_the_stream_follows_without_a_gap(newest, props):
    database = props["database.dbname"]
    fill(newest, database, ["numbers"], 20_000)
    stopped, written = threading.Event(), []

    def write():
        """Rows that go away, rows that move to another range, rows that are new."""
        with newest.connect(database) as connection:
            number = 0
            while not stopped.is_set():
                number += 1
                connection.execute(f"DELETE FROM numbers WHERE id = {number}".encode())
                connection.execute(f"UPDATE numbers SET id = -id WHERE id = {20_001 - number}".encode())
                connection.execute(f"INSERT INTO numbers VALUES ({30_000 + number})".encode())
                written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with Source(props, direct=json(schemas_enable="false")) as source:
            source.until(lambda record: op(record) == "c" and after(record)["id"] > 30_020)
            stopped.set()
            writer.join()
            newest.execute("INSERT INTO numbers VALUES (0)", dbname=database)
            source.until(lambda record: op(record) == "c" and after(record)["id"] == 0)
    finally:
        stopped.set()
        writer.join()
    state = set()
    for record in source.records:
        if op(record) in ("r", "c"):
            assert after(record)["id"] not in state
            state.add(after(record)["id"])
        elif op(record) == "d":
            state.remove(record.value.get("before").get("id"))
    assert state == {key for (key,) in newest.execute("SELECT id FROM numbers", dbname=database)}


def test_an_interrupted_snapshot_of_ranges_starts_again_and_is_whole(newest, props):
    fill(newest, props["database.dbname"], ["numbers"], 20_000)
    offsets = Offsets()
    with Source({**props, "max.batch.size": "100", "max.queue.size": "300"}, offsets) as source:
        source.until(lambda record: True)
        assert offsets.stored["snapshot_completed"] is False
    with Source(props, offsets) as source:
        source.until(lambda record: record.source_offset.get("snapshot_completed"))
        assert sorted(after(record)["id"] for record in source.records) == list(range(1, 20_001))


def test_a_snapshot_that_waits_for_the_lock_of_a_table_is_stopped_all_the_same(newest, props):
    database = props["database.dbname"]
    fill(newest, database, ["ids", "numbers"], 2000)
    # Not in ranges: who looks for their ends holds a lock of its own on all tables, until the snapshot is over.
    whole = {"snapshot.max.threads": "1", "snapshot.max.threads.multiplier": "1"}
    source = Source({**props, **whole, "max.batch.size": "100", "max.queue.size": "200"})
    source.until(lambda record: True)
    with newest.connect(database) as session, session.transaction():
        session.execute("LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE NOWAIT")
        # All rows of the first table but its last, which is held back.
        source.until_count(1999)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%numbers%'"
        deadline = time.monotonic() + PATIENCE_S
        while not newest.execute(waiting):
            assert time.monotonic() < deadline
            source.poll()
        stopping = threading.Thread(target=source.task.stop, daemon=True)
        stopping.start()
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()
        assert not newest.execute(waiting)


def test_rows_that_cannot_be_read_are_left_out_and_the_marks_stand_at_those_that_can(newest, props):
    database = props["database.dbname"]
    odd = "CASE WHEN i % 10 IN (0, 1) THEN date '0044-03-15 BC' ELSE '2026-01-01' END"
    for table in ("a", "b"):
        newest.execute(
            f"CREATE TABLE {table} (id int PRIMARY KEY, at date)",
            f"INSERT INTO {table} SELECT i, {odd} FROM generate_series(1, 200) i",
            dbname=database,
        )
    newest.execute("CREATE TABLE c AS SELECT * FROM a WHERE at < '2000-01-01'", dbname=database)
    own = {"time.precision.mode": "connect", "event.processing.failure.handling.mode": "skip", "max.batch.size": "7"}
    with Source({**props, **own, "snapshot.mode": "initial_only"}) as source:
        records = source.until(lambda record: record.source_offset["snapshot_completed"])
    assert len(records) == 2 * 160
    assert all(after(record)["id"] % 10 not in (0, 1) for record in records)
    marks = [mark(record) for record in records]
    expected = {"first": 1, "first_in_data_collection": 1, "last_in_data_collection": 1, "last": 1, "true": 316}
    assert {each: marks.count(each) for each in expected} == expected


MIB = 1 << 20


@pytest.mark.parametrize("direct", [False, True], ids=["long way", "short way"])
def test_what_waits_and_what_a_poll_takes_is_bounded_in_bytes(newest, props, direct):
    """Rows of a MiB each, whatever max.batch.size would allow."""
    database = props["database.dbname"]
    newest.execute(
        "CREATE TABLE wide (id int PRIMARY KEY, text text)",
        f"INSERT INTO wide SELECT i, repeat('x', {MIB}) FROM generate_series(1, 30) i",
        dbname=database,
    )
    own = {"max.queue.size.in.bytes": str(2 * MIB)}
    with Source({**props, **own}, direct=json(schemas_enable="false") if direct else None) as source:
        most = rows = 0
        while rows < 30:
            polled = source.poll()
            rows += len(polled)
            most = max(most, len(polled))
            snapshot = source.task._snapshot
            # One that is larger than the bound waits alone: two rows, as lines and as records.
            assert snapshot is None or snapshot.waiting[1] < 5 * MIB
            source.records.clear()
        # A block of two rows, and what was held back before it.
        assert most <= 4
        newest.execute(f"INSERT INTO wide SELECT i, repeat('y', {MIB}) FROM generate_series(31, 60) i", dbname=database)
        while rows < 60:
            polled = source.poll()
            rows += len(polled)
            assert len(polled) <= 2
            source.records.clear()


# Where tables are divided.


@pytest.fixture
def connection(newest, name):
    settings = newest.create_database(name)
    server = Server(
        settings["database.hostname"],
        int(settings["database.port"]),
        settings["database.user"],
        settings["database.password"],
        name,
    )
    connection = server.connect()
    yield connection
    connection.close()


def schema_of(connection, name):
    table = read_table(connection, TableId("public", name))
    shape = Shape(Modes(), ColumnRules({}), Topics("p"), adjuster("none"), field_adjuster("none"))
    return TableSchema(table, Types(connection), shape)


def divided(connection, name, division, overrides=None):
    return chunks(connection, [schema_of(connection, name)], division, overrides or {})


def read(connection, name, chunk):
    statement = copy_statement(connection, schema_of(connection, name), chunk, None)
    return [row for block in copy_blocks(connection, statement, BlockSize(7, 1000)) for row in rows_of(block.lines)]


def test_ranges_are_of_about_one_size_and_no_more_than_there_are_rows(newest, connection, name):
    fill(newest, name, ["numbers"], 50_000)
    found = divided(connection, "numbers", Division(4, 2))
    sizes = [len(read(connection, "numbers", chunk)) for chunk in found]
    assert len(sizes) == 8
    assert sum(sizes) == 50_000
    assert max(sizes) <= 2 * min(sizes)
    newest.execute("DELETE FROM numbers WHERE id > 3", dbname=name)
    few = divided(connection, "numbers", Division(4, 2))
    assert [read(connection, "numbers", chunk) for chunk in few] == [[[b"1"]], [[b"2"]], [[b"3"]]]
    newest.execute("DELETE FROM numbers", dbname=name)
    assert divided(connection, "numbers", Division(4, 2)) == [Chunk(0)]


def test_what_cannot_be_divided_is_read_whole(newest, connection, name):
    fill(newest, name, ["numbers", "keyless"])
    whole = [Chunk(0)]
    assert divided(connection, "keyless", Division(4)) == whole
    assert divided(connection, "numbers", Division(4, 2, whole_tables=True)) == whole
    assert divided(connection, "numbers", Division(4), {TableId("public", "numbers"): "SELECT 1 AS id"}) == whole
    assert divided(connection, "numbers", Division(1)) == whole
    assert len(divided(connection, "numbers", Division(1, 1, {"public.numbers": 5}))) == 5


def test_a_partitioned_table_is_divided_under_its_root(newest, connection, name):
    newest.execute(
        "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (500)",
        "CREATE TABLE high PARTITION OF parted FOR VALUES FROM (500) TO (10000)",
        "INSERT INTO parted SELECT generate_series(1, 2000)",
        dbname=name,
    )
    found = divided(connection, "parted", Division(3))
    rows = [row for chunk in found for row in read(connection, "parted", chunk)]
    assert len(found) == 3
    assert sorted(int(key) for (key,) in rows) == list(range(1, 2001))
