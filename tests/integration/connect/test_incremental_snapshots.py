"""Incremental snapshots, asked for by signals, while the tables are written to."""

import contextlib
import json
import threading

import pytest
from tests.integration.connect.source_task import Offsets, Source, after, op
from tests.integration.connect.waiting_commits import a_standby_is_gone, commit_that_nobody_sees, commits_stay_local

from moldau.connect.connectors.postgres.incremental import STATE
from moldau.connect.converters.header import SimpleHeaderConverter
from moldau.connect.converters.json import JsonConverter
from moldau.connect.ready import DirectConverters

READ_ONLY = "SET default_transaction_read_only = on"
ASK_FOR_T = '{"id": "1", "type": "execute-snapshot", "data": {"data-collections": ["public.t"]}}\n'


@pytest.fixture
def props(postgres, name):
    settings = {"topic.prefix": "p", "slot.name": name, **postgres.create_database(name)}
    postgres.execute(
        "CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text)",
        "CREATE TABLE t (a int, b text, note text, PRIMARY KEY (b, a))",
        "INSERT INTO t SELECT i, 'k' || i % 7, 'old' FROM generate_series(1, 1000) i",
        dbname=name,
    )
    own = {
        "signal.data.collection": "public.signals",
        "table.include.list": "public.t",
        "snapshot.mode": "no_data",
        "incremental.snapshot.chunk.size": "100",
        "poll.interval.ms": "20",
    }
    yield {**settings, **own}
    postgres.drop_slot(name)


def signal(postgres, props, kind, data, id_="s1"):
    signals(postgres, props, (kind, data, id_))


def signals(postgres, props, *rows):
    values = ", ".join(f"('{id_}', '{kind}', '{data}')" for kind, data, id_ in rows)
    postgres.execute(f"INSERT INTO signals VALUES {values}", dbname=props["database.dbname"])


def read_only(props, asked):
    """Settings of a source that is asked in the file `asked`."""
    own = {"read.only": "true", "signal.enabled.channels": "file", "signal.file": str(asked)}
    return {**props, **own, "signal.poll.interval.ms": "10"}


@contextlib.contextmanager
def rows_that_change(postgres, dbname):
    """One row of `t` after the other is updated, until the block ends."""
    stopped = threading.Event()

    def write():
        with postgres.connect(dbname) as connection:
            number = 0
            while not stopped.is_set():
                number += 1
                connection.execute(f"UPDATE t SET note = 'new {number}' WHERE a = {number % 1000 + 1}".encode())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stopped.set()
        writer.join()


def reads(source):
    return [record for record in source.records if op(record) == "r"]


def until_reads(source, count):
    while len(reads(source)) < count:
        source.until(lambda record: True)


def test_a_signal_reads_a_table_in_chunks_in_the_order_of_its_key(postgres, props):
    with Source(props) as source:
        source.poll()
        signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"], "type": "incremental"}')
        until_reads(source, 1000)
        rows = [after(record) for record in reads(source)]
        assert len({row["a"] for row in rows}) == 1000
        assert [(row["b"], row["a"]) for row in rows] == sorted((row["b"], row["a"]) for row in rows)
        marks = {record.value.get("source").get("snapshot") for record in reads(source)}
        assert marks == {"incremental"}
        # Nothing is read any more, and the offset says so.
        postgres.execute("INSERT INTO t VALUES (5000, 'z', 'new')", dbname=props["database.dbname"])
        source.until(lambda record: op(record) == "c" and record.topic.endswith(".t"))
        assert len(reads(source)) == 1000
        assert STATE not in source.offsets.stored


def test_a_row_that_changes_while_its_chunk_is_read_never_goes_back(postgres, props):
    with Source(props) as source:
        source.poll()
        with rows_that_change(postgres, props["database.dbname"]):
            signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}')
            until_reads(source, 1)
            while STATE in source.offsets.stored:
                source.until(lambda record: True)
        postgres.execute("INSERT INTO t VALUES (5000, 'z', 'end')", dbname=props["database.dbname"])
        source.until(lambda record: (after(record) or {}).get("a") == 5000)
        last = {}
        for record in source.records:
            if record.topic == "p.public.t" and record.value is not None:
                last[after(record)["a"]] = after(record)["note"]
        expected = dict(postgres.execute("SELECT a, note FROM t", dbname=props["database.dbname"]))
        assert last == {a: note for a, note in expected.items() if a in last}
        untouched = {a for a, note in expected.items() if note == "old"}
        assert untouched <= last.keys()


def json_converters():
    def made(is_key):
        converter = JsonConverter()
        converter.configure({}, is_key)
        return converter

    return DirectConverters(made(True), made(False), SimpleHeaderConverter())


DIRECT = pytest.mark.parametrize("direct", [None, json_converters()], ids=["one by one", "the short way"])


@pytest.fixture
def local(postgres, props):
    """The database, in which nobody but who says so waits for a standby."""
    commits_stay_local(postgres, props["database.dbname"])
    return props["database.dbname"]


def notes_of(source, a):
    return [
        after(record)["note"] for record in source.records if record.topic == "p.public.t" and after(record)["a"] == a
    ]


@DIRECT
def test_a_change_that_was_handed_on_and_is_not_visible_yet_is_not_undone(postgres, props, local, direct):
    with Source(props, direct=direct) as source:
        source.poll()
        with commit_that_nobody_sees(postgres, local):
            postgres.execute("INSERT INTO t VALUES (5000, 'z', 'behind it')", dbname=local)
            source.until(lambda record: (after(record) or {}).get("a") == 5000)
            signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}')
            postgres.execute("INSERT INTO t VALUES (5001, 'z', 'behind the signal')", dbname=local)
            source.until(lambda record: (after(record) or {}).get("a") == 5001)
            source.poll()
            assert reads(source) == []
        until_reads(source, 1002)
        (now,) = postgres.execute("SELECT note FROM t WHERE a = 7", dbname=local)
        assert notes_of(source, 7)[-1] == now[0]


@DIRECT
def test_a_change_that_is_streamed_behind_the_read_and_in_front_of_the_marks_is_not_undone(
    postgres, props, local, direct
):
    with Source(props, direct=direct) as source:
        source.poll()
        signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}')
        with commit_that_nobody_sees(postgres, local):
            # Read when the signal comes by, before the change does.
            until_reads(source, 99)
        (now,) = postgres.execute("SELECT note FROM t WHERE a = 7", dbname=local)
        until_reads(source, 999)
        assert notes_of(source, 7)[-1] == now[0]
        assert len(reads(source)) == 999


@DIRECT
def test_a_change_that_was_handed_on_before_a_restart_and_is_not_visible_yet_is_not_undone(
    postgres, props, local, direct
):
    offsets = Offsets()
    with Source(props, offsets, direct=direct) as source:
        source.poll()
        with commit_that_nobody_sees(postgres, local) as note:
            source.until(lambda record: (after(record) or {}).get("note") == note)
            source.stop()
            with Source(props, offsets, direct=direct) as again:
                signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}')
                postgres.execute("INSERT INTO t VALUES (5000, 'z', 'behind the signal')", dbname=local)
                again.until(lambda record: (after(record) or {}).get("a") == 5000)
                again.poll()
                assert reads(again) == []
    with Source(props, offsets, direct=direct) as last:
        until_reads(last, 1001)
        (now,) = postgres.execute("SELECT note FROM t WHERE a = 7", dbname=local)
        assert [*notes_of(source, 7), *notes_of(again, 7), *notes_of(last, 7)][-1] == now[0]


def test_a_transaction_that_idles_holds_up_no_snapshot_behind_a_restart(postgres, props, local):
    offsets = Offsets()
    with Source(props, offsets) as source:
        source.poll()
        postgres.execute("INSERT INTO t VALUES (5000, 'z', 'stored')", dbname=local)
        source.until(lambda record: (after(record) or {}).get("a") == 5000)
    with a_standby_is_gone(postgres), postgres.connect(local) as idle:
        idle.execute(b"BEGIN")
        idle.execute(b"INSERT INTO t VALUES (5001, 'z', 'not committed')")
        with Source(props, offsets) as source:
            signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}')
            until_reads(source, 1001)


def test_a_transaction_that_worked_at_a_restart_holds_up_no_snapshot_when_it_idles(postgres, props, local):
    offsets, begun = Offsets(), b"SELECT pg_advisory_xact_lock(1)"
    with Source(props, offsets) as source:
        source.poll()
        postgres.execute("INSERT INTO t VALUES (5000, 'z', 'stored')", dbname=local)
        source.until(lambda record: (after(record) or {}).get("a") == 5000)
    with a_standby_is_gone(postgres), postgres.connect(local) as holds, postgres.connect(local) as idle:
        holds.execute(b"SELECT pg_advisory_lock(1)")
        idle.execute(b"BEGIN")
        idle.execute(b"INSERT INTO t VALUES (5001, 'z', 'not committed')")
        works = threading.Thread(target=idle.execute, args=(begun,))
        works.start()
        waiting = f"SELECT 1 FROM pg_stat_activity WHERE pid = {idle.info.backend_pid} AND wait_event = 'advisory'"
        while postgres.execute(waiting) == []:
            assert works.is_alive()
        with Source(props, offsets) as source:
            source.poll()
            signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}')
            postgres.execute("INSERT INTO t VALUES (5002, 'z', 'behind the signal')", dbname=local)
            source.until(lambda record: (after(record) or {}).get("a") == 5002)
            source.poll()
            assert reads(source) == []
            holds.execute(b"SELECT pg_advisory_unlock(1)")
            works.join()
            until_reads(source, 1002)


def test_a_transaction_that_is_prepared_in_another_database_holds_up_no_snapshot_behind_a_restart(
    postgres, props, local
):
    offsets, elsewhere = Offsets(), f"{local}_elsewhere"
    postgres.execute(f'CREATE DATABASE "{elsewhere}"')
    commits_stay_local(postgres, elsewhere)
    with Source(props, offsets) as source:
        source.poll()
        postgres.execute("INSERT INTO t VALUES (5000, 'z', 'stored')", dbname=local)
        source.until(lambda record: (after(record) or {}).get("a") == 5000)
    with a_standby_is_gone(postgres), postgres.connect(elsewhere) as other:
        other.execute(b"BEGIN")
        other.execute(b"CREATE TABLE t (a int)")
        other.execute(b"PREPARE TRANSACTION 'elsewhere'")
        try:
            with Source(props, offsets) as source:
                signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}')
                until_reads(source, 1001)
        finally:
            other.execute(b"ROLLBACK PREPARED 'elsewhere'")


def test_what_another_task_hands_on_when_this_one_has_started_already_is_not_undone(postgres, props, local):
    offsets = Offsets()
    with Source(props, offsets) as first:
        first.poll()
        with Source(props, offsets) as second, commit_that_nobody_sees(postgres, local) as note:
            first.until(lambda record: (after(record) or {}).get("note") == note)
            postgres.execute("INSERT INTO t VALUES (5000, 'z', 'behind it')", dbname=local)
            first.until(lambda record: (after(record) or {}).get("a") == 5000)
            first.stop()
            signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}')
            postgres.execute("INSERT INTO t VALUES (5001, 'z', 'behind the signal')", dbname=local)
            second.until(lambda record: (after(record) or {}).get("a") == 5001)
            second.poll()
            # What is confirmed does not come again.
            assert note not in notes_of(second, 7)
            assert reads(second) == []
        with Source(props, second.offsets) as last:
            until_reads(last, 1002)
            (now,) = postgres.execute("SELECT note FROM t WHERE a = 7", dbname=local)
            assert [*notes_of(first, 7), *notes_of(second, 7), *notes_of(last, 7)][-1] == now[0]


@pytest.mark.parametrize("marks", ["in the table", "in the WAL"])
def test_marks_do_not_wait_for_a_standby(postgres, props, tmp_path, marks):
    dbname, elsewhere, asked = props["database.dbname"], f"{props['database.dbname']}_elsewhere", tmp_path / "signals"
    mine = props if marks == "in the table" else read_only(props, asked)
    postgres.execute(f'ALTER DATABASE "{dbname}" SET synchronous_commit = on', f'CREATE DATABASE "{elsewhere}"')
    postgres.execute("CREATE TABLE t AS SELECT 7 AS a, 'old' AS note", dbname=elsewhere)
    waits = f"SELECT query FROM pg_stat_activity WHERE datname = '{dbname}' AND wait_event = 'SyncRep'"
    with Source(mine) as source, commit_that_nobody_sees(postgres, elsewhere):
        source.poll()
        if marks == "in the table":
            ask = """INSERT INTO signals VALUES ('s1', 'execute-snapshot', '{"data-collections": ["public.t"]}')"""
            postgres.execute("SET synchronous_commit = local", ask, dbname=dbname)
        else:
            asked.write_text(ASK_FOR_T)
        reader = threading.Thread(target=until_reads, args=(source, 1000))
        reader.start()
        while reader.is_alive():
            assert postgres.execute(waits) == []
        assert len(reads(source)) == 1000


def goes_on_behind_what_was_stored(settings, ask):
    """A source that is closed in the middle of what `ask` asks for, and its successor."""
    offsets = Offsets()
    with Source(settings, offsets) as source:
        source.poll()
        ask()
        until_reads(source, 300)
        first = {after(record)["a"] for record in reads(source)}
    with Source(settings, offsets) as source:
        until_reads(source, 1000 - len(first))
        second = [after(record)["a"] for record in reads(source)]
        assert first | set(second) == set(range(1, 1001))
        assert len(second) == 1000 - len(first)


def test_a_restart_goes_on_with_the_chunk_after_the_last_stored_row(postgres, props):
    tables = '{"data-collections": ["public.t"]}'
    goes_on_behind_what_was_stored(props, lambda: signal(postgres, props, "execute-snapshot", tables))


def test_a_condition_narrows_and_stop_ends_a_snapshot(postgres, props):
    with Source(props) as source:
        source.poll()
        condition = {"data-collection": "public.t", "filter": "a < 11"}
        narrowed = {"data-collections": ["public.t"], "additional-conditions": [condition]}
        # Paused while it is under way, for its rows to be out before it is over.
        signals(postgres, props, ("execute-snapshot", json.dumps(narrowed), "s1"), ("pause-snapshot", "{}", "s2"))
        until_reads(source, 10)
        assert sorted(after(record)["a"] for record in reads(source)) == list(range(1, 11))
        signal(postgres, props, "execute-snapshot", '{"data-collections": ["public.t"]}', "s3")
        signal(postgres, props, "stop-snapshot", '{"data-collections": ["public.t"], "type": "incremental"}', "s4")
        signal(postgres, props, "resume-snapshot", "{}", "s5")
        signal(postgres, props, "log", '{"message": "hello"}', "s6")
        signal(postgres, props, "what is this", "no json", "s7")
        postgres.execute("INSERT INTO t VALUES (5000, 'z', 'end')", dbname=props["database.dbname"])
        source.until(lambda record: (after(record) or {}).get("a") == 5000)
        assert len(reads(source)) == 10


def test_without_a_right_to_write_the_marks_are_in_the_wal_and_no_row_goes_back(postgres, props, tmp_path):
    dbname, asked = props["database.dbname"], tmp_path / "signals"
    mine = {**read_only(props, asked), "database.initial.statements": READ_ONLY}
    del mine["signal.data.collection"]
    postgres.execute("CREATE PUBLICATION dbz_publication FOR TABLE t", dbname=dbname)
    with Source(mine) as source:
        source.poll()
        with rows_that_change(postgres, dbname):
            asked.write_text(ASK_FOR_T)
            until_reads(source, 1)
            while STATE in source.offsets.stored:
                source.until(lambda record: True)
        postgres.execute("INSERT INTO t VALUES (5000, 'z', 'end')", dbname=dbname)
        source.until(lambda record: (after(record) or {}).get("a") == 5000)
        last = {}
        for record in source.records:
            assert record.topic == "p.public.t", "a mark is no event"
            last[after(record)["a"]] = after(record)["note"]
        expected = dict(postgres.execute("SELECT a, note FROM t", dbname=dbname))
        assert last == expected
    assert postgres.execute("SELECT count(*) FROM signals", dbname=dbname) == [(0,)]


def test_a_restart_of_a_snapshot_whose_marks_are_in_the_wal_goes_on(props, tmp_path):
    asked = tmp_path / "signals"
    goes_on_behind_what_was_stored(read_only(props, asked), lambda: asked.write_text(ASK_FOR_T))
