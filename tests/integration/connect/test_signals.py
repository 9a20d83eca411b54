"""Signals by every channel, blocking snapshots, and what notifications tell of them."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from pathlib import Path

import pytest
from tests.integration.connect.source_task import PATIENCE_S, Offsets, Source, after, op
from tests.integration.connect.test_postgres_direct import json as json_converters
from tests.integration.connect.waiting_commits import (
    a_slot_that_knows_a_commit_that_nobody_sees,
    commit_that_nobody_sees,
    commits_stay_local,
)

import moldau
from moldau.connect.connectors.postgres.channels import FileChannel
from moldau.connect.connectors.postgres.errors import ConnectionLostError, PostgresError
from moldau.connect.connectors.postgres.tables import Tables
from moldau.connect.connectors.postgres.visibility import ServerView

TOPIC = "told"


@pytest.fixture
def props(newest, name, tmp_path):
    settings = {"topic.prefix": "p", "slot.name": name, **newest.create_database(name)}
    newest.execute(
        "CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text)",
        "CREATE TABLE t (id int PRIMARY KEY, note text)",
        "CREATE TABLE u (id int PRIMARY KEY)",
        "INSERT INTO t SELECT i, 'old' FROM generate_series(1, 1000) i",
        "INSERT INTO u SELECT generate_series(1, 10)",
        dbname=name,
    )
    own = {
        "table.include.list": "public.t,public.u",
        "snapshot.mode": "no_data",
        "poll.interval.ms": "20",
        "retriable.restart.connector.wait.ms": "50",
        "signal.data.collection": "public.signals",
        "signal.enabled.channels": "source,file",
        "signal.file": str(tmp_path / "signals.txt"),
        "signal.poll.interval.ms": "10",
        "incremental.snapshot.chunk.size": "100",
    }
    yield {**settings, **own}
    newest.drop_slot(name)


NOTES = {"notification.enabled.channels": "sink,log", "notification.sink.topic.name": TOPIC}


def execute(kind, tables=("public.t",), conditions=()):
    told = [{"data-collection": table, "filter": text} for table, text in conditions]
    return {"data-collections": list(tables), "type": kind, "additional-conditions": told}


def by_table(newest, props, kind, data, id_="s1"):
    statement = f"INSERT INTO signals VALUES ('{id_}', '{kind}', '{json.dumps(data)}')"
    newest.execute(statement, dbname=props["database.dbname"])


def by_file(props, *signals):
    lines = [json.dumps({"id": id_, "type": kind, "data": data}) for id_, kind, data in signals]
    with Path(props["signal.file"]).open("a") as file:
        file.write("\n".join(lines) + "\n")


def insert(newest, props, first, last):
    statement = f"INSERT INTO t SELECT i, 'new' FROM generate_series({first}, {last}) i"
    newest.execute(statement, dbname=props["database.dbname"])


def ids(records, operation):
    return [after(record)["id"] for record in records if record.topic == "p.public.t" and op(record) == operation]


def notes(records):
    """Of each notification its type, and what it says besides."""
    found = []
    for record in records:
        if record.topic == TOPIC:
            value = record.value
            assert record.key.get("id") == value.get("id")
            assert value.get("timestamp") > 1_700_000_000_000
            data = dict(value.get("additional_data"))
            assert data.pop("connector_name") == "p"
            found.append((value.get("aggregate_type").split()[0], value.get("type"), data))
    return found


def until_row(source, number):
    source.until(lambda record: record.topic == "p.public.t" and op(record) == "c" and after(record)["id"] == number)


@pytest.mark.parametrize("direct", [False, True], ids=["long way", "short way"])
def test_a_blocking_snapshot_reads_tables_between_changes(newest, props, direct):
    with Source(props, direct=json_converters(schemas_enable="false") if direct else None) as source:
        source.poll()
        insert(newest, props, 2001, 2500)
        select = "SELECT id FROM public.t WHERE id BETWEEN 11 AND 20"
        by_file(
            props, ("f1", "execute-snapshot", execute("blocking", ["public.t", "public.u"], [("public.t", select)]))
        )
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
        insert(newest, props, 2501, 2600)
        until_row(source, 2600)
    records = source.records
    assert sorted(ids(records, "c")) == list(range(2001, 2601))
    assert sorted(ids(records, "r")) == list(range(11, 21))
    rows = [record for record in records if op(record) == "r"]
    marks = [record.value.get("source").get("snapshot") for record in rows]
    assert (marks[0], marks[-1], len(rows)) == ("first", "last", 20)
    assert {record.source_offset["snapshot"] for record in rows} == {"BLOCKING"}
    # Nobody else is told about it again.
    assert not Path(props["signal.file"]).read_text()


@pytest.mark.parametrize("restarted", [False, True], ids=["one task", "two tasks"])
@pytest.mark.parametrize("direct", [False, True], ids=["long way", "short way"])
def test_a_blocking_snapshot_waits_for_changes_that_were_handed_on_and_are_not_visible(
    newest, props, direct, restarted
):
    own = {"signal.enabled.channels": "file"}
    settings = {key: value for key, value in {**props, **own}.items() if key != "signal.data.collection"}
    dbname, offsets = props["database.dbname"], Offsets()
    converters = json_converters(schemas_enable="false") if direct else None
    commits_stay_local(newest, dbname)
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(Source(settings, offsets, direct=converters))]
        sources[-1].poll()
        with commit_that_nobody_sees(newest, dbname, "id") as note:
            sources[-1].until(lambda record: (after(record) or {}).get("note") == note)
            if restarted:
                sources[-1].stop()
                sources.append(stack.enter_context(Source(settings, offsets, direct=converters)))
            by_file(props, ("f1", "execute-snapshot", execute("blocking")))
            insert(newest, props, 5001, 5001)
            # Meanwhile the stream goes on.
            until_row(sources[-1], 5001)
            sources[-1].poll()
            assert ids(sources[-1].records, "r") == []
        sources[-1].until(lambda record: record.source_offset.get("snapshot_completed") is True)
        insert(newest, props, 5002, 5002)
        until_row(sources[-1], 5002)
        assert sorted(ids(sources[-1].records, "r")) == [*range(1, 1001), 5001]
    records = [record for source in sources for record in source.records if record.topic == "p.public.t"]
    (now,) = newest.execute("SELECT note FROM t WHERE id = 7", dbname=dbname)
    assert [after(record)["note"] for record in records if after(record)["id"] == 7][-1] == now[0]


def test_a_row_of_the_first_snapshot_that_nobody_else_sees_yet_is_not_undone_by_a_blocking_one(newest, props):
    dbname, own = props["database.dbname"], {"snapshot.mode": "initial", "signal.enabled.channels": "file"}
    commits_stay_local(newest, dbname)
    with contextlib.ExitStack() as stack:
        with a_slot_that_knows_a_commit_that_nobody_sees(newest, dbname):
            source = stack.enter_context(Source({**props, **own}))
            source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
            assert newest.execute("SELECT note FROM t WHERE id = 7", dbname=dbname) == [("old",)]
            by_file(props, ("f1", "execute-snapshot", execute("blocking")))
            insert(newest, props, 5001, 5001)
            until_row(source, 5001)
            source.poll()
            assert len(ids(source.records, "r")) == 1000
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
    found = [after(record)["note"] for record in source.records if record.topic == "p.public.t"]
    assert len(found) == 2002
    sevens = [after(record) for record in source.records if record.topic == "p.public.t" and after(record)["id"] == 7]
    assert [row["note"] for row in sevens] == ["new", "new"]


def test_a_first_snapshot_with_an_isolation_of_its_own_misses_no_commit_that_the_slot_leaves_out(newest, props):
    dbname = props["database.dbname"]
    own = {"snapshot.mode": "initial", "snapshot.isolation.mode": "read_committed"}
    commits_stay_local(newest, dbname)
    with contextlib.ExitStack() as stack:
        with a_slot_that_knows_a_commit_that_nobody_sees(newest, dbname):
            source = stack.enter_context(Source({**props, **own}))
            source.poll()
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
    (seven,) = [after(record) for record in source.records if record.topic == "p.public.t" and after(record)["id"] == 7]
    assert seven["note"] == "new"


def test_a_poll_asks_once_for_what_is_not_visible_whatever_waits_for_it(newest, props, monkeypatch):
    asked, visibility = [], ServerView.visibility

    def counted(view):
        asked.append(view)
        return visibility(view)

    dbname = props["database.dbname"]
    commits_stay_local(newest, dbname)
    with Source(props) as source:
        source.poll()
        with commit_that_nobody_sees(newest, dbname, "id") as note:
            source.until(lambda record: (after(record) or {}).get("note") == note)
            by_table(newest, props, "execute-snapshot", execute("incremental", ["public.u"]))
            by_file(props, ("f1", "execute-snapshot", execute("blocking")))
            insert(newest, props, 5001, 5001)
            until_row(source, 5001)
            source.poll()
            monkeypatch.setattr(ServerView, "visibility", counted)
            for polls in range(1, 6):
                source.poll()
                assert len(asked) == polls
            assert ids(source.records, "r") == []
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
        source.until(lambda record: record.topic == "p.public.u" and op(record) == "r" and after(record)["id"] == 10)
    assert sorted(ids(source.records, "r")) == [*range(1, 1001), 5001]


def test_a_blocking_snapshot_in_the_middle_of_a_transaction_costs_no_change_at_a_restart(newest, props, caplog):
    offsets, own = Offsets(), {"max.batch.size": "50", "snapshot.max.threads": "2", "max.queue.size": "60"}
    with Source({**props, **own}, offsets) as source:
        source.poll()
        with newest.connect(props["database.dbname"]) as connection, connection.transaction():
            connection.execute(b"INSERT INTO t SELECT i, 'new' FROM generate_series(2001, 2200) i")
            told = json.dumps(execute("blocking"))
            connection.execute(f"INSERT INTO signals VALUES ('s1', 'execute-snapshot', '{told}')".encode())
            connection.execute(b"INSERT INTO t SELECT i, 'new' FROM generate_series(2201, 2400) i")
        source.until(lambda record: op(record) == "r")
        assert offsets.stored["snapshot"] == "BLOCKING"
        assert not offsets.stored["snapshot_completed"]
        first = source.records
    assert len(ids(first, "c")) < 400
    assert "the blocking snapshot is complete that the signal s1 asks for: ask again" in caplog.text
    # As in Debezium the rest of the snapshot is not read after a restart; the stream goes on where it waited.
    with Source({**props, **own}, offsets) as source:
        until_row(source, 2400)
        assert ids(first, "c") + ids(source.records, "c") == list(range(2001, 2401))
        assert ids(source.records, "r") == []


def test_a_signal_of_a_batch_that_is_taken_back_is_obeyed_once(newest, props, monkeypatch):
    announce, gone = Tables.announce, []

    def lost_once(tables, relation):
        if relation.table == "u" and not gone:
            gone.append(relation)
            raise ConnectionLostError("gone while the catalog was asked")
        announce(tables, relation)

    monkeypatch.setattr(Tables, "announce", lost_once)
    with Source(props) as source:
        source.poll()
        with newest.connect(props["database.dbname"]) as connection, connection.transaction():
            told = json.dumps(execute("blocking"))
            connection.execute(f"INSERT INTO signals VALUES ('s1', 'execute-snapshot', '{told}')".encode())
            connection.execute(b"INSERT INTO u VALUES (3000)")
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
        insert(newest, props, 3000, 3000)
        until_row(source, 3000)
    assert gone
    assert sorted(ids(source.records, "r")) == list(range(1, 1001))


def test_a_blocking_snapshot_in_the_middle_of_a_transaction_does_not_cost_its_origin(newest, props, name):
    with Source({**props, "max.batch.size": "50"}) as source:
        source.poll()
        with newest.connect(props["database.dbname"]) as connection:
            connection.execute(f"SELECT pg_replication_origin_create('{name}')".encode())
            connection.execute(f"SELECT pg_replication_origin_session_setup('{name}')".encode())
            with connection.transaction():
                connection.execute(b"SELECT pg_replication_origin_xact_setup('0/1234', now())")
                connection.execute(b"INSERT INTO t SELECT i, 'new' FROM generate_series(2001, 2100) i")
                told = json.dumps(execute("blocking"))
                connection.execute(f"INSERT INTO signals VALUES ('s1', 'execute-snapshot', '{told}')".encode())
                connection.execute(b"INSERT INTO t SELECT i, 'new' FROM generate_series(2101, 2200) i")
        until_row(source, 2200)
        insert(newest, props, 3000, 3000)
        until_row(source, 3000)
    places = {"c": set(), "r": set()}
    for record in source.records:
        if record.topic == "p.public.t" and op(record) in places:
            block = record.value.get("source")
            places[op(record)].add((block.get("origin"), block.get("origin_lsn"), after(record)["id"] == 3000))
    assert places == {"c": {(name, 0x1234, False), (None, None, True)}, "r": {(None, None, False)}}
    assert ids(source.records, "c") == [*range(2001, 2201), 3000]


def test_a_start_that_fails_leaves_nothing_open(newest, props, monkeypatch):
    closed = []

    def close(channel):
        closed.append(channel)

    monkeypatch.setattr(FileChannel, "close", close)
    with pytest.raises(PostgresError, match=r"publication\.autocreate\.mode is disabled"):
        Source({**props, "publication.autocreate.mode": "disabled"})
    assert len(closed) == 1
    sessions = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{props['database.dbname']}'"
    deadline = time.monotonic() + PATIENCE_S
    while newest.execute(sessions):
        assert time.monotonic() < deadline


def test_a_server_that_goes_away_in_a_blocking_snapshot_gives_it_again(newest, props):
    with Source({**props, "max.batch.size": "50", "max.queue.size": "60"}) as source:
        source.poll()
        by_file(props, ("f1", "execute-snapshot", execute("blocking")))
        source.until(lambda record: op(record) == "r")
        newest.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name LIKE 'moldau%'"
        )
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
        assert set(ids(source.records, "r")) == set(range(1, 1001))
        insert(newest, props, 3000, 3000)
        until_row(source, 3000)


def test_a_select_that_the_server_refuses_is_given_up_and_the_stream_goes_on(newest, props, caplog):
    with Source({**props, **NOTES}) as source:
        source.poll()
        by_file(
            props, ("f1", "execute-snapshot", execute("blocking", conditions=[("public.t", "SELECT nothing FROM t")]))
        )
        source.until(lambda record: record.topic == TOPIC and record.value.get("type") == "ABORTED")
        insert(newest, props, 3000, 3000)
        until_row(source, 3000)
    assert ids(source.records, "r") == []
    assert "f1" in caplog.text
    assert "given up" in caplog.text


def test_signals_come_by_a_topic_to_the_connector_whose_prefix_is_their_key(newest, props):
    with moldau.Broker() as broker:
        producer = moldau.Producer({"bootstrap.servers": broker.bootstrap_servers})
        own = {
            "signal.enabled.channels": "kafka",
            "signal.kafka.topic": "orders-to-connectors",
            "signal.kafka.bootstrap.servers": broker.bootstrap_servers,
            "signal.consumer.client.id": "signals",
        }
        told = {"type": "execute-snapshot", "data": execute("BLOCKING", ["public.u"])}
        for key, value in (
            ("other", {**told, "data": execute("BLOCKING", ["public.t"])}),
            ("p", "no json {"),
            ("p", {"data": {}}),
            ("p", {"type": "execute-snapshot", "data": execute("INCREMENTAL")}),
            ("p", {**told, "id": "k1"}),
        ):
            text = value if isinstance(value, str) else json.dumps(value)
            producer.produce("orders-to-connectors", text.encode(), key.encode())
        assert producer.flush(30) == 0
        with Source({**props, **own}) as source:
            source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
            insert(newest, props, 3000, 3000)
            until_row(source, 3000)
            assert len([record for record in source.records if op(record) == "r"]) == 10
        # How far it was read is kept in the group.
        with Source({**props, **own}) as source:
            producer.produce("orders-to-connectors", json.dumps({**told, "id": "k2"}).encode(), b"p")
            assert producer.flush(30) == 0
            source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
            assert len([record for record in source.records if op(record) == "r"]) == 10


def test_incremental_snapshots_are_paused_resumed_and_stopped_and_each_step_is_told(newest, props):
    with Source({**props, **NOTES}) as source:
        source.poll()
        by_table(newest, props, "execute-snapshot", execute("incremental", ["public.t", "public.u"]))
        source.until(lambda record: op(record) == "r")
        by_file(props, ("f1", "pause-snapshot", {}))
        source.until(lambda record: record.topic == TOPIC and record.value.get("type") == "PAUSED")
        insert(newest, props, 3000, 3000)
        until_row(source, 3000)
        read = len(ids(source.records, "r"))
        insert(newest, props, 3001, 3001)
        until_row(source, 3001)
        assert len(ids(source.records, "r")) == read < 1000
        by_file(
            props,
            ("f2", "resume-snapshot", {}),
            ("f3", "stop-snapshot", {"data-collections": ["public.u"], "type": "incremental"}),
        )
        source.until(lambda record: record.topic == TOPIC and record.value.get("type") == "COMPLETED")
        assert set(ids(source.records, "r")) >= set(range(1, 1001))
        assert not [record for record in source.records if record.topic == "p.public.u"]
        found = [note for note in notes(source.records) if note[0] == "Incremental"]
        both = {"data_collections": "public.t,public.u"}
        assert found[0] == ("Incremental", "STARTED", both)
        first = {
            **both,
            "current_collection_in_progress": "public.t",
            "maximum_key": "1000",
            "last_processed_key": "100",
        }
        assert found[1] == ("Incremental", "IN_PROGRESS", first)
        kinds = [kind for _, kind, _ in found if kind != "IN_PROGRESS"]
        assert kinds == ["STARTED", "PAUSED", "RESUMED", "ABORTED", "TABLE_SCAN_COMPLETED", "COMPLETED"]
        completed = {"data_collections": "public.t", "scanned_collection": "public.t", "status": "SUCCEEDED"}
        assert found[-2][2] == {**completed, "total_rows_scanned": "1000"}
        # All have the id of the signal that asked.
        assert {
            record.key.get("id")
            for record in source.records
            if record.topic == TOPIC and "Inc" in record.value.get("aggregate_type")
        } == {"s1"}


def test_what_is_asked_for_in_another_way_is_told_and_changes_nothing(newest, props, caplog):
    caplog.set_level(logging.INFO)
    with Source({**props, "signal.data.collection": "", "signal.enabled.channels": "file,jmx"}) as source:
        source.poll()
        by_file(
            props,
            ("f1", "execute-snapshot", execute("incremental")),
            ("f2", "execute-snapshot", execute("sudden")),
            ("f3", "execute-snapshot", {"data-collections": []}),
            ("f4", "execute-snapshot", execute("blocking", ["public.nothing"])),
            ("f5", "dance", {}),
            ("f6", "log", {}),
            ("f7", "log", {"message": "here at {}"}),
        )
        insert(newest, props, 3000, 3000)
        until_row(source, 3000)
        while "f7" not in caplog.text:
            source.poll()
    assert ids(source.records, "r") == []
    for said in ("f1 asks for an incremental snapshot, which needs", "unknown type 'sudden'", "f3 names no tables",
                 "no captured table: public.nothing", "unknown type 'dance'", "no message", "here at {'lsn_proc'",
                 "there is no jmx"):  # fmt: skip
        assert said in caplog.text


def test_the_first_snapshot_tells_of_itself(newest, props, caplog):
    caplog.set_level(logging.INFO)
    own = {**NOTES, "snapshot.mode": "initial"}
    offsets = Offsets()
    with Source({**props, **own}, offsets) as source:
        source.until(lambda record: record.topic == TOPIC and record.value.get("type") == "COMPLETED")
        both = "public.t,public.u"
        steps = []
        for table, count in (("public.t", "1000"), ("public.u", "10")):
            steps.append(
                ("Initial", "IN_PROGRESS", {"current_collection_in_progress": table, "data_collections": both})
            )
            # The table of signals is captured, and not read.
            captured = {"scanned_collection": table, "data_collections": f"{both},public.signals"}
            done = {**captured, "status": "SUCCEEDED", "total_rows_scanned": count}
            steps.append(("Initial", "TABLE_SCAN_COMPLETED", done))
        assert notes(source.records) == [("Initial", "STARTED", {}), *steps, ("Initial", "COMPLETED", {})]
        assert offsets.stored["snapshot_completed"] is True
    assert "aggregateType='Initial Snapshot', type='COMPLETED', additionalData={connector_name=p}" in caplog.text
    with Source({**props, **own}, offsets) as source:
        insert(newest, props, 3000, 3000)
        until_row(source, 3000)
        assert notes(source.records) == [("Initial", "SKIPPED", {})]


def test_a_snapshot_in_ranges_tells_of_each_of_them(newest, props):
    own = {**NOTES, "snapshot.mode": "initial_only", "snapshot.max.threads": "2", "table.include.list": "public.t"}
    with Source({**props, **own, "signal.data.collection": ""}) as source:
        source.until(lambda record: record.topic == TOPIC and record.value.get("type") == "COMPLETED")
        found = notes(source.records)
    kinds = [kind for _, kind, _ in found]
    assert sorted(kinds) == sorted(
        [
            "STARTED",
            "IN_PROGRESS",
            *["TABLE_CHUNK_IN_PROGRESS", "TABLE_CHUNK_COMPLETED"] * 2,
            "TABLE_SCAN_COMPLETED",
            "COMPLETED",
        ]
    )
    chunks = [(data["chunk_index"], data["total_chunks"]) for _, kind, data in found if kind == "TABLE_CHUNK_COMPLETED"]
    assert sorted(chunks) == [("0", "2"), ("1", "2")]
