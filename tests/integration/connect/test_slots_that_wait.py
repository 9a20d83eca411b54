"""The server creates a slot when transactions have ended that are under way: nobody has to wait for that."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest
from tests.integration.connect.source_task import PATIENCE_S, Source, after
from tests.integration.connect.waiting_commits import a_slot_that_knows_a_commit_that_nobody_sees, commits_stay_local
from tests.postgres_under_test import PASSWORD, USER

from moldau.connect.connectors.postgres import replication
from moldau.connect.connectors.postgres.connection import Server
from moldau.connect.connectors.postgres.errors import GivenUpError


@pytest.fixture
def props(newest, name):
    settings = {"topic.prefix": "p", "slot.name": name, **newest.create_database(name)}
    newest.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text)",
        "INSERT INTO t SELECT i, 'old' FROM generate_series(1, 10) i",
        dbname=name,
    )
    yield {**settings, "poll.interval.ms": "20", "retriable.restart.connector.wait.ms": "20"}
    newest.drop_slot(name)


def until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline


def slots(newest, dbname):
    return newest.execute(f"SELECT slot_name FROM pg_replication_slots WHERE database = '{dbname}'")


def sessions(newest, dbname, more=""):
    """Those of connectors."""
    asked = f"SELECT pid FROM pg_stat_activity WHERE datname = '{dbname}' AND application_name LIKE 'moldau %' {more}"
    return newest.execute(asked)


def slot_waits(newest, dbname):
    return sessions(newest, dbname, "AND application_name = 'moldau slot' AND wait_event_type = 'Lock'")


@contextlib.contextmanager
def a_transaction(newest, dbname):
    """It is under way until the block ends."""
    with newest.connect(dbname) as connection:
        connection.execute(b"BEGIN")
        connection.execute(b"INSERT INTO t VALUES (100, 'not committed')")
        yield
        connection.execute(b"ROLLBACK")


def in_a_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ends(thread: threading.Thread) -> bool:
    thread.join(PATIENCE_S)
    return not thread.is_alive()


def test_a_slot_is_given_up_in_the_server_too_and_meanwhile_it_is_told_what_it_waits_for(
    newest, name, caplog, monkeypatch
):
    monkeypatch.setattr(replication, "WAITS_TOLD_EVERY_S", 0.0)
    newest.create_database(name)
    newest.execute("CREATE TABLE t (id int PRIMARY KEY, note text)", dbname=name)
    given_up, raised = threading.Event(), []

    def create(connection):
        try:
            replication.create_slot(connection, name, given_up=given_up.is_set)
        except GivenUpError as error:
            raised.append(str(error))

    server = Server("127.0.0.1", newest.port, USER, PASSWORD, name)
    with a_transaction(newest, name), contextlib.closing(server.connect_for_replication("slot")) as connection:
        creating = in_a_thread(lambda: create(connection))
        until(lambda: slot_waits(newest, name))
        until(lambda: "created when transactions have ended" in caplog.text)
        given_up.set()
        assert ends(creating)
        assert raised == [f"creating the replication slot '{name}': given up"]
        until(lambda: not slot_waits(newest, name))
        assert slots(newest, name) == []


def test_a_start_that_waits_for_its_slot_ends_when_nobody_waits_for_it(newest, props, name):
    given_up, started = threading.Event(), []
    with a_transaction(newest, name):
        starting = in_a_thread(lambda: started.append(Source(props, given_up=given_up.is_set)))
        until(lambda: slot_waits(newest, name))
        given_up.set()
        assert ends(starting)
        started[0].stop()
        until(lambda: not sessions(newest, name))
        assert slots(newest, name) == []
    with Source(props) as source:
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
        assert sorted(after(record)["id"] for record in source.records) == list(range(1, 11))


def test_a_first_snapshot_that_waits_for_a_commit_makes_no_slot_for_that_and_ends_when_it_is_stopped(
    newest, props, name
):
    commits_stay_local(newest, name)
    with a_slot_that_knows_a_commit_that_nobody_sees(newest, name):
        source = Source({**props, "snapshot.isolation.mode": "read_committed"})
        assert ends(in_a_thread(lambda: [source.poll() for _ in range(10)]))
        assert (source.records, slots(newest, name)) == ([], [(name,)])
        # A connection that is lost meanwhile takes a slot beside it, which waits for the same commit.
        ((session,),) = sessions(newest, name, "AND application_name = 'moldau connector'")
        newest.execute(f"SELECT pg_terminate_backend({session}, 10000)")
        polled = threading.Event()
        polling = in_a_thread(lambda: [source.poll() for _ in iter(polled.is_set, True)])
        until(lambda: slot_waits(newest, name))
        stopping = in_a_thread(source.stop)
        assert ends(stopping)
        polled.set()
        assert ends(polling)
        until(lambda: not sessions(newest, name))
