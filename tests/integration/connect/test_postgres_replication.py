"""The replication client against real servers: what is streamed, what is confirmed, and what failures say."""

import contextlib
import time

import pytest
from tests.postgres_under_test import PASSWORD, USER, postgres_under_test

from moldau.connect.connectors.postgres import pgoutput
from moldau.connect.connectors.postgres.connection import Server, run
from moldau.connect.connectors.postgres.errors import (
    ConnectionLostError,
    PostgresError,
    SlotBusyError,
    SlotLostError,
)
from moldau.connect.connectors.postgres.pgoutput import UNCHANGED
from moldau.connect.connectors.postgres.replication import ReplicationStream, create_slot, drop_slot, find_slot, split

PATIENCE_S = 30


def server_of(postgres, dbname="postgres", **changed):
    settings = {"host": "127.0.0.1", "port": postgres.port, "user": USER, "password": PASSWORD, "dbname": dbname}
    return Server(**(settings | changed))


@pytest.fixture
def database(postgres, name):
    postgres.create_database(name)
    return name


@contextlib.contextmanager
def slot_of(server, name):
    with contextlib.closing(server.connect_for_replication("slot")) as replication:
        slot = create_slot(replication, name)
    try:
        yield slot
    finally:
        with contextlib.closing(server.connect()) as connection:
            if find_slot(connection, name):
                drop_slot(connection, name)


def read_until(stream, kind, count=1):
    """Decoded messages up to the `count`-th of a kind."""
    found, seen, deadline = [], 0, time.monotonic() + PATIENCE_S
    while seen < count:
        assert time.monotonic() < deadline, f"only {found}"
        for wal in stream.receive(1000, 1.0):
            message = pgoutput.decode(split(wal)[1])
            found.append(message)
            seen += isinstance(message, kind)
    return found


def wait_until_free(connection, name):
    deadline = time.monotonic() + PATIENCE_S
    while find_slot(connection, name).active:
        assert time.monotonic() < deadline, f"{name} is still in use"
        time.sleep(0.02)


def wait_until_confirmed(connection, name, lsn):
    deadline = time.monotonic() + PATIENCE_S
    while (confirmed := find_slot(connection, name).confirmed_lsn) != lsn:
        assert time.monotonic() < deadline, f"{confirmed} is confirmed, not {lsn}"
        time.sleep(0.02)


def test_every_kind_of_change_arrives_as_its_message(postgres, database, name):
    server = server_of(postgres, database)
    postgres.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "CREATE TABLE t (id int PRIMARY KEY, note text, m mood)",
        "ALTER TABLE t ALTER note SET STORAGE EXTERNAL",
        "CREATE PUBLICATION p FOR ALL TABLES",
        dbname=database,
    )
    with (
        slot_of(server, name) as slot,
        contextlib.closing(ReplicationStream(server, name, "p", slot.consistent_lsn)) as stream,
    ):
        postgres.execute(
            "INSERT INTO t VALUES (1, repeat('x', 9000), 'sad')",
            "UPDATE t SET m = 'happy'",
            "UPDATE t SET id = 2",
            "DELETE FROM t",
            "ALTER TABLE t ADD c int",
            "INSERT INTO t VALUES (3)",
            "TRUNCATE t",
            "SELECT pg_logical_emit_message(true, 'p', 'content')",
            dbname=database,
        )
        messages = read_until(stream, pgoutput.LogicalMessage)
    rows = [m for m in messages if isinstance(m, pgoutput.Insert | pgoutput.Update | pgoutput.Delete)]
    assert [type(m).__name__ for m in rows] == ["Insert", "Update", "Update", "Delete", "Insert"]
    assert rows[0].new == [b"1", b"x" * 9000, b"sad"]
    assert (rows[1].old, rows[1].new) == (None, [b"1", UNCHANGED, b"happy"])
    assert (rows[2].old, rows[2].only_key, rows[2].new[0]) == ([b"1", None, None], True, b"2")
    assert rows[3].old == [b"2", None, None]
    # Sent again whenever the server's cache of the table was emptied; what counts is the shape before each row.
    shapes = [len(m.columns) for m in messages if isinstance(m, pgoutput.Relation)]
    assert shapes == sorted(shapes)
    assert set(shapes) == {3, 4}
    assert any(isinstance(m, pgoutput.TypeName) and m.name == "mood" for m in messages)
    assert any(isinstance(m, pgoutput.Truncate) for m in messages)
    assert next(m.content for m in messages if isinstance(m, pgoutput.LogicalMessage)) == b"content"


def test_the_server_forgets_only_what_was_confirmed(postgres, database, name):
    server = server_of(postgres, database)
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY)", "CREATE PUBLICATION p FOR ALL TABLES", dbname=database)
    with slot_of(server, name) as slot, contextlib.closing(server.connect()) as connection:
        with contextlib.closing(
            ReplicationStream(server, name, "p", slot.consistent_lsn, status_interval_s=0.05)
        ) as stream:
            postgres.execute("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", dbname=database)
            commits = [m for m in read_until(stream, pgoutput.Commit, 2) if isinstance(m, pgoutput.Commit)]
            stream.confirm(commits[0].end_lsn)
        wait_until_confirmed(connection, name, commits[0].end_lsn)
        # After a reconnect the stream begins behind what was handed on. Nobody has said that this is safe.
        with contextlib.closing(
            ReplicationStream(server, name, "p", commits[1].end_lsn, status_interval_s=0.05)
        ) as stream:
            postgres.execute("INSERT INTO t VALUES (3)", dbname=database)
            read_until(stream, pgoutput.Commit)
        # Its last report is read by the time at which the server lets the slot go.
        wait_until_free(connection, name)
        assert find_slot(connection, name).confirmed_lsn == commits[0].end_lsn
        with contextlib.closing(ReplicationStream(server, name, "p", 0)) as stream:
            again = [m for m in read_until(stream, pgoutput.Insert, 2) if isinstance(m, pgoutput.Insert)]
        assert [insert.new for insert in again] == [[b"2"], [b"3"]]


def test_a_reader_that_is_busy_keeps_its_connection(servers, name):
    with postgres_under_test(18, {"wal_sender_timeout": "1s"}) as postgres:
        server = server_of(postgres)
        postgres.execute("CREATE TABLE t (id int PRIMARY KEY)", "CREATE PUBLICATION p FOR ALL TABLES")
        with slot_of(server, name) as slot:
            stream = ReplicationStream(server, name, "p", slot.consistent_lsn, status_interval_s=0.2)
            # More than three times the server's patience without a call of `receive`: that is the point.
            time.sleep(3.5)
            postgres.execute("INSERT INTO t VALUES (1)")
            assert read_until(stream, pgoutput.Insert)
            stream.close()


def test_a_server_that_dies_is_a_retriable_error_and_the_stream_goes_on_after_its_return(servers, name):
    with postgres_under_test(16) as postgres:
        server = server_of(postgres)
        postgres.execute("CREATE TABLE t (id int PRIMARY KEY)", "CREATE PUBLICATION p FOR ALL TABLES")
        with contextlib.closing(server.connect_for_replication("slot")) as replication:
            slot = create_slot(replication, name)
        stream = ReplicationStream(server, name, "p", slot.consistent_lsn)
        postgres.execute("INSERT INTO t VALUES (1)")
        read_until(stream, pgoutput.Commit)
        postgres.kill()
        with pytest.raises(ConnectionLostError) as caught:
            read_until(stream, pgoutput.Insert)
        assert caught.value.retriable
        stream.close()
        postgres.start()
        postgres.execute("INSERT INTO t VALUES (2)")
        with contextlib.closing(ReplicationStream(server, name, "p", 0)) as stream:
            inserts = [m.new for m in read_until(stream, pgoutput.Insert, 2) if isinstance(m, pgoutput.Insert)]
        assert inserts == [[b"1"], [b"2"]]


def test_a_slot_that_somebody_reads_from_says_to_use_another(newest, name):
    server = server_of(newest)
    newest.execute("DROP PUBLICATION IF EXISTS p", "CREATE PUBLICATION p")
    with slot_of(server, name) as slot:
        stream = ReplicationStream(server, name, "p", slot.consistent_lsn)
        with pytest.raises(SlotBusyError, match=r"slot\.name"):
            ReplicationStream(server, name, "p", 0)
        stream.close()


def test_a_missing_slot_or_publication_says_what_to_do(newest, name):
    server = server_of(newest)
    with pytest.raises(SlotLostError, match="when_needed"):
        ReplicationStream(server, name, "p", 0)
    newest.execute("CREATE TABLE IF NOT EXISTS any_table (id int PRIMARY KEY)")
    with (
        slot_of(server, name) as slot,
        contextlib.closing(ReplicationStream(server, name, "missing", slot.consistent_lsn)) as stream,
    ):
        newest.execute("INSERT INTO any_table SELECT count(*) FROM any_table")
        with pytest.raises(PostgresError, match=r"publication\.autocreate\.mode"):
            read_until(stream, pgoutput.Insert)


def test_a_wrong_password_database_or_port_says_which_setting(newest):
    for changed, setting in (({"password": "wrong"}, r"database\.password"), ({"dbname": "none"}, r"database\.dbname")):
        with pytest.raises(PostgresError, match=setting) as caught:
            server_of(newest, **changed).connect()
        assert not caught.value.retriable
    with pytest.raises(ConnectionLostError, match="is the server running"):
        server_of(newest, port=1).connect()


def test_a_server_without_logical_wal_says_so(servers, name):
    with postgres_under_test(18, {"wal_level": "replica"}) as postgres:
        replication = server_of(postgres).connect_for_replication("slot")
        with pytest.raises(PostgresError, match="wal_level=logical"):
            create_slot(replication, name)
        replication.close()


def test_rights_that_are_missing_are_named(newest, name):
    newest.execute(f"CREATE USER {name} PASSWORD 'p'")
    server = server_of(newest, user=name, password="p")
    with contextlib.closing(server.connect()) as connection, pytest.raises(PostgresError, match="REPLICATION"):
        run(connection, "CREATE PUBLICATION forbidden", "creating a publication")
