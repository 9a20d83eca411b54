"""The PostgreSQL source against real servers: nothing is lost and nothing comes twice, whatever happens in between."""

import contextlib
import resource
import threading
import time

import pytest
from tests.integration.connect.source_task import PATIENCE_S, Offsets, Source, after, op
from tests.postgres_under_test import postgres_under_test

from moldau.connect.connectors.postgres.errors import PostgresError, SlotLostError
from moldau.connect.connectors.postgres.replication import split
from moldau.connect.connectors.postgres.source import PostgresConnector
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.transforms.debezium.event_router import EventRouter

TABLE = "CREATE TABLE t (id int PRIMARY KEY, note text)"


@pytest.fixture
def props(postgres, name):
    """A database with an empty table, and a connector's settings; the slot goes with the test."""
    settings = {"topic.prefix": "p", "slot.name": name, **postgres.create_database(name)}
    postgres.execute(TABLE, dbname=name)
    yield {**settings, "poll.interval.ms": "50", "retriable.restart.connector.wait.ms": "50"}
    postgres.drop_slot(name)


def ids(records):
    return [after(record)["id"] for record in records if record.value is not None and after(record) is not None]


def insert(postgres, props, first, last):
    statement = f"INSERT INTO t SELECT i, 'n' FROM generate_series({first}, {last}) i"
    postgres.execute(statement, dbname=props["database.dbname"])


def slot_of(postgres, props):
    (row,) = postgres.execute(
        f"SELECT active, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{props['slot.name']}'"
    )
    return row


def test_rows_of_a_snapshot_and_changes_after_it_come_once_while_others_write(postgres, props):
    insert(postgres, props, 1, 5000)
    stopped, written = threading.Event(), []

    def write():
        with postgres.connect(props["database.dbname"]) as connection:
            number = 10_000
            while not stopped.is_set():
                connection.execute(f"INSERT INTO t VALUES ({number}, 'while')".encode())
                written.append(number)
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with Source(props) as source:
            source.until(lambda record: op(record) == "c" and after(record)["id"] > 10_050)
            stopped.set()
            writer.join()
            source.until_count(5000 + len(written))
            found = ids(source.records)
            assert sorted(found) == [*range(1, 5001), *written]
            assert {op(record) for record in source.records} == {"r", "c"}
    finally:
        stopped.set()
        writer.join()


@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_snapshot_marks_its_first_and_last_rows_whatever_the_number_of_readers(postgres, props, threads):
    tables = [f"u{n}" for n in range(5)]
    for table in tables:
        postgres.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)", dbname=props["database.dbname"])
        postgres.execute(f"INSERT INTO {table} SELECT generate_series(1, 3000)", dbname=props["database.dbname"])
    with Source({**props, "snapshot.mode": "initial_only", "snapshot.max.threads": threads}) as source:
        records = source.until(lambda record: record.source_offset["snapshot_completed"])
        marks = [record.value.get("source").get("snapshot") for record in records]
        assert len(records) == 15_000
        assert (marks[0], marks[-1], marks.count("first"), marks.count("last")) == ("first", "last", 1, 1)
        assert [r.source_offset["snapshot_completed"] for r in records].count(True) == 1
        assert len({(r.topic, after(r)["id"]) for r in records}) == 15_000
        assert source.poll() == []
    assert postgres.execute(f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{props['slot.name']}'") == []


def test_an_interrupted_snapshot_starts_again_and_the_stream_follows_without_a_double(postgres, props):
    insert(postgres, props, 1, 5000)
    offsets = Offsets()
    with Source(props, offsets) as source:
        source.until(lambda record: True)
        assert offsets.stored["snapshot_completed"] is False
    insert(postgres, props, 5001, 6000)
    with Source(props, offsets) as source:
        source.until(lambda record: record.source_offset.get("snapshot_completed"))
        insert(postgres, props, 6001, 6010)
        source.until_count(6010)
        assert ids(source.records) == list(range(1, 6011))
        assert [op(record) for record in source.records].count("r") == 6000


@pytest.mark.parametrize("streamed", [0, 1])
def test_a_restart_behind_a_snapshot_that_began_again_brings_nothing_that_it_holds(postgres, props, streamed):
    insert(postgres, props, 1, 5000)
    offsets = Offsets()
    with Source(props, offsets) as source:
        source.until(lambda record: True)
    # The slot is older than these, and the second snapshot holds them.
    insert(postgres, props, 5001, 5100)
    with Source(props, offsets) as source:
        source.until(lambda record: record.source_offset.get("snapshot_completed"))
        if streamed:
            # Of its transaction nothing follows that has an offset.
            insert(postgres, props, 5101, 5101)
            source.until(lambda record: op(record) == "c")
    insert(postgres, props, 5102, 5110)
    with Source(props, offsets) as source:
        source.until_count(9)
        assert ids(source.records) == list(range(5102, 5111))


@pytest.mark.parametrize("cut", [1, 7, 999, 1000, 1001, 1999])
def test_a_restart_within_a_transaction_goes_on_behind_the_last_stored_row(postgres, props, cut):
    offsets = Offsets()
    with Source({**props, "max.batch.size": "100"}, offsets, acknowledge=False) as source:
        source.poll()
        # One transaction of COPY, whose rows share positions in the WAL, then single rows.
        with postgres.connect(props["database.dbname"]) as connection, connection.transaction():
            with connection.cursor().copy("COPY t (id) FROM STDIN") as copy:
                for number in range(1000):
                    copy.write_row((number,))
            for number in range(1000, 1500):
                connection.execute(f"INSERT INTO t VALUES ({number})".encode())
        insert(postgres, props, 1500, 1999)
        source.until_count(cut)
        first = source.records[:cut]
        source.store(first)
    with Source(props, offsets) as source:
        source.until_count(2000 - cut)
        assert ids(first) + ids(source.records) == list(range(2000))


CHANGES = ("DELETE FROM t WHERE id = 1", "UPDATE t SET id = 20 WHERE id = 2", "UPDATE t SET note = 'end' WHERE id = 20")


@pytest.mark.parametrize("cut", range(1, 7))
def test_a_restart_between_the_records_of_one_change_sends_all_of_them_again(postgres, props, cut):
    """A delete, its tombstone, and what follows when a key is changed: only the last has an offset of its own."""
    insert(postgres, props, 1, 2)
    offsets = Offsets()
    with Source({**props, "snapshot.mode": "no_data"}, offsets, acknowledge=False) as source:
        source.poll()
        with postgres.connect(props["database.dbname"]) as connection, connection.transaction():
            for change in CHANGES:
                connection.execute(change.encode())
        whole = [(op(record), record.key.get("id")) for record in source.until_count(6)]
        assert whole == [("d", 1), (None, 1), ("d", 2), (None, 2), ("c", 20), ("u", 20)]
        source.store(source.records[:cut])
    with Source({**props, "snapshot.mode": "no_data"}, offsets) as source:
        first = {1: 0, 2: 2, 3: 2, 4: 2}.get(cut, cut)
        if first < 6:
            source.until_count(6 - first)
        insert(postgres, props, 30, 30)
        source.until_count(7 - first)
        assert [(op(record), record.key.get("id")) for record in source.records] == [*whole[first:], ("c", 30)]


def test_a_server_that_stays_away_in_the_middle_of_a_snapshot_costs_no_row(name, caplog):
    with postgres_under_test() as postgres:
        # What waits is less than the first table, so nobody has asked for the second when the server goes. Of one table
        # alone megabytes may lie in the kernel's buffers by then, and the snapshot would be whole without the server.
        props = {"topic.prefix": "p", "slot.name": name, "retriable.restart.connector.wait.ms": "50",
                 "poll.interval.ms": "50", "max.batch.size": "100", "max.queue.size": "200",
                 **postgres.create_database(name)}  # fmt: skip
        for table, first in (("a", 1), ("b", 2001)):
            fill = f"INSERT INTO {table} SELECT generate_series({first}, {first + 1999})"
            postgres.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)", fill, dbname=name)
        with Source(props) as source:
            source.until(lambda record: True)
            postgres.kill()
            deadline = time.monotonic() + PATIENCE_S
            while sum("trying again" in line for line in caplog.messages) < 3:
                assert time.monotonic() < deadline
                source.poll()
            assert not source.offsets.stored["snapshot_completed"]
            postgres.start()
            source.until(lambda record: record.source_offset.get("snapshot_completed"))
            assert set(ids(source.records)) == set(range(1, 4001))


def test_a_task_that_starts_while_the_server_is_away_begins_when_it_is_back(name):
    with postgres_under_test() as postgres:
        props = {"topic.prefix": "p", "slot.name": name, "retriable.restart.connector.wait.ms": "50",
                 "poll.interval.ms": "50", **postgres.create_database(name)}  # fmt: skip
        postgres.execute(TABLE, dbname=name)
        insert(postgres, props, 1, 3)
        offsets = Offsets()
        for last in (3, 5):
            postgres.kill()
            with Source(props, offsets) as source:
                assert source.poll() == []
                postgres.start()
                if last == 5:
                    insert(postgres, props, 4, 5)
                source.until(lambda record, last=last: after(record)["id"] == last)
                assert ids(source.records) == ([1, 2, 3] if last == 3 else [4, 5])


def test_a_catalog_that_is_away_while_changes_are_read_costs_none_of_them(postgres, props):
    """The stream has brought a row of a table that only the catalog can explain, and other rows before it."""
    with Source(props) as source:
        source.poll()
        insert(postgres, props, 1, 3)
        source.until_count(3)
        receive = source.task._stream.receive

        def receive_all_and_lose_the_catalog(limit, timeout_s):
            messages, kinds = [], []
            # The end of the transaction before may come with them.
            while kinds.count(b"I") < 2 or kinds[-1] != b"C":
                messages += receive(limit, timeout_s)
                kinds = [split(wal)[1][:1] for wal in messages]
            (pid,) = source.task._connection.execute("SELECT pg_backend_pid()").fetchone()
            postgres.execute(f"SELECT pg_terminate_backend({pid}, 10000)")
            return messages

        source.task._stream.receive = receive_all_and_lose_the_catalog
        postgres.execute("CREATE TABLE new (id int PRIMARY KEY, note text)", "INSERT INTO t VALUES (4, 'n')",
                         "INSERT INTO new VALUES (5, 'n')", dbname=props["database.dbname"])  # fmt: skip
        source.until_count(5)
        assert ids(source.records) == [1, 2, 3, 4, 5]


def test_a_transaction_that_commits_late_is_not_lost_at_a_restart(postgres, props):
    """Its changes lie before the stored position in the WAL, its commit behind it."""
    offsets = Offsets()
    with Source(props, offsets) as source, postgres.connect(props["database.dbname"]) as slow:
        source.poll()
        slow.execute(b"BEGIN")
        slow.execute(b"INSERT INTO t VALUES (1, 'late')")
        insert(postgres, props, 2, 10)
        source.until_count(9)
        source.stop()
        slow.execute(b"COMMIT")
    insert(postgres, props, 11, 12)
    with Source(props, offsets) as source:
        source.until_count(3)
        assert ids(source.records) == [1, 11, 12]


def test_the_server_may_forget_only_what_has_arrived_in_kafka(postgres, props):
    with Source(props, acknowledge=False) as source:
        source.poll()
        insert(postgres, props, 1, 1)
        insert(postgres, props, 2, 2)
        records = list(source.until_count(2))
        before = slot_of(postgres, props)[1]
        # The second arrives first: nothing is confirmed, since the first may still be lost.
        source.task.commit_record(records[1], None)
        source.task.commit()
        assert slot_of(postgres, props)[1] == before
        source.task.commit_record(records[0], None)
        source.task.commit()
        deadline = time.monotonic() + PATIENCE_S
        while slot_of(postgres, props)[1] == before:
            assert time.monotonic() < deadline
            source.poll()
            source.task.commit()


def test_a_quiet_table_in_a_busy_database_lets_the_server_forget(postgres, props):
    postgres.execute("CREATE TABLE elsewhere (id int)", dbname=props["database.dbname"])
    with Source({**props, "table.include.list": "public.t", "publication.autocreate.mode": "filtered"}) as source:
        source.poll()
        before = slot_of(postgres, props)[1]
        deadline = time.monotonic() + PATIENCE_S
        while slot_of(postgres, props)[1] == before:
            assert time.monotonic() < deadline
            postgres.execute("INSERT INTO elsewhere SELECT generate_series(1, 1000)", dbname=props["database.dbname"])
            source.poll()
            source.task.commit()
        assert source.records == []


def test_a_server_that_dies_in_the_middle_loses_and_repeats_nothing(name):
    with postgres_under_test(18) as postgres:
        props = {"topic.prefix": "p", "slot.name": name, **postgres.create_database(name)}
        props |= {"poll.interval.ms": "50", "retriable.restart.connector.wait.ms": "50", "max.batch.size": "10"}
        postgres.execute(TABLE, dbname=name)
        with Source(props) as source:
            source.poll()
            for round_ in range(4):
                insert(postgres, props, round_ * 500, round_ * 500 + 499)
                source.until_count(round_ * 500 + 120)
                postgres.kill()
                source.poll()
                postgres.start()
            source.until_count(2000)
            assert ids(source.records) == list(range(2000))


def test_a_slot_that_was_dropped_says_what_to_do_and_when_needed_does_it(postgres, props):
    offsets = Offsets()
    with Source(props, offsets) as source:
        insert(postgres, props, 1, 3)
        source.until_count(3)
    postgres.drop_slot(props["slot.name"])
    insert(postgres, props, 4, 5)
    with pytest.raises(SlotLostError, match="when_needed"):
        Source(props, offsets)
    with Source({**props, "snapshot.mode": "when_needed"}, offsets) as source:
        source.until_count(5)
        assert [op(record) for record in source.records] == ["r"] * 5


def test_a_slot_whose_wal_was_removed_says_so(name):
    settings = {"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    with postgres_under_test(16, settings) as postgres:
        props = {"topic.prefix": "p", "slot.name": name, **postgres.create_database(name)}
        postgres.execute(TABLE, dbname=name)
        offsets = Offsets()
        with Source(props, offsets) as source:
            insert(postgres, props, 1, 1)
            source.until_count(1)
        for _ in range(6):
            postgres.execute(
                "CREATE TABLE big AS SELECT repeat('x', 900) FROM generate_series(1, 20000)", "DROP TABLE big"
            )
            postgres.execute("SELECT pg_switch_wal()", "CHECKPOINT")
        with pytest.raises(SlotLostError, match="max_slot_wal_keep_size"):
            Source(props, offsets)
        with Source({**props, "snapshot.mode": "when_needed"}, offsets) as source:
            source.until_count(1)
            insert(postgres, props, 2, 2)
            source.until_count(2)
            assert [op(record) for record in source.records] == ["r", "c"]


def test_modes_without_a_snapshot_start_with_the_next_change(postgres, props):
    insert(postgres, props, 1, 3)
    for mode in ("never", "no_data"):
        with Source({**props, "snapshot.mode": mode, "slot.drop.on.stop": "true"}) as source:
            source.poll()
            postgres.execute("DELETE FROM t WHERE id = 9", dbname=props["database.dbname"])
            insert(postgres, props, 9, 9)
            source.until_count(1)
            assert [op(record) for record in source.records] == ["c"]
        postgres.execute("DELETE FROM t WHERE id = 9", dbname=props["database.dbname"])


def test_mode_always_reads_the_rows_again_and_streams_on_without_a_double(postgres, props):
    offsets = Offsets()
    always = {**props, "snapshot.mode": "always"}
    insert(postgres, props, 1, 3)
    with Source(always, offsets) as source:
        source.until_count(3)
    insert(postgres, props, 4, 5)
    with Source(always, offsets) as source:
        source.until_count(5)
        insert(postgres, props, 6, 6)
        source.until_count(6)
        assert ids(source.records) == [1, 2, 3, 4, 5, 6]
        assert [op(record) for record in source.records] == ["r"] * 5 + ["c"]


@pytest.mark.timeout(600)
def test_a_transaction_of_any_size_needs_no_more_memory(postgres, props):
    """400,000 rows in one transaction while a batch of 500 is all that is ever held."""
    with Source({**props, "max.batch.size": "500"}) as source:
        source.poll()
        insert(postgres, props, 1, 20_000)
        source.until_count(20_000)
        source.records.clear()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        statement = "INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(20001, 420000) i"
        postgres.execute(statement, dbname=props["database.dbname"])
        seen, since = 0, time.monotonic()
        while seen < 400_000:
            batch = source.poll()
            if batch:
                since = time.monotonic()
            assert time.monotonic() < since + PATIENCE_S, seen
            assert len(batch) <= 500
            seen += len(batch)
            source.records.clear()
        grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert grown_mib < 40, f"{grown_mib:.0f} MiB more"


def test_an_enum_that_gets_a_label_in_the_stream_is_read_with_it(postgres, props):
    database = props["database.dbname"]
    postgres.execute("CREATE TYPE mood AS ENUM ('sad')", "CREATE TABLE m (id int PRIMARY KEY, e mood)", dbname=database)
    postgres.execute("INSERT INTO m VALUES (1, 'sad')", dbname=database)
    with Source({**props, "table.include.list": "public.m"}) as source:
        source.until_count(1)
        postgres.execute("INSERT INTO m VALUES (2, 'sad')", dbname=database)
        source.until_count(2)
        postgres.execute("ALTER TYPE mood ADD VALUE 'happy'", "INSERT INTO m VALUES (3, 'happy')", dbname=database)
        source.until_count(3)
        assert [after(record)["e"] for record in source.records] == ["sad", "sad", "happy"]
        fields = source.records[2].value_schema.by_name["after"].schema.by_name
        assert fields["e"].schema.parameters["allowed"] == "sad,happy"


def test_a_table_that_is_new_is_captured_from_its_first_row(postgres, props):
    with Source(props) as source:
        source.poll()
        postgres.execute(
            "CREATE TABLE fresh (id int PRIMARY KEY)", "INSERT INTO fresh VALUES (1)", dbname=props["database.dbname"]
        )
        source.until_count(1)
        assert source.records[0].topic == "p.public.fresh"


def test_partitions_are_captured_by_themselves_or_under_their_root(postgres, props):
    database = props["database.dbname"]
    postgres.execute(
        "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE high PARTITION OF parted FOR VALUES FROM (10) TO (20)",
        "INSERT INTO parted VALUES (1), (11)",
        dbname=database,
    )
    cases = (("false", ["p.public.high", "p.public.low"]), ("true", ["p.public.parted"] * 2))
    for via_root, topics in cases:
        own = {
            "slot.drop.on.stop": "true",
            "publish.via.partition.root": via_root,
            "publication.name": f"pub_{via_root}",
        }
        with Source({**props, **own, "table.include.list": "public.(parted|low|high)"}) as source:
            source.until_count(2)
            postgres.execute("DELETE FROM parted WHERE id = 12", "INSERT INTO parted VALUES (12)", dbname=database)
            source.until(lambda record: op(record) == "c")
            assert [record.topic for record in source.records[:2]] == topics
            assert source.records[-1].topic == topics[0]
        postgres.execute("DELETE FROM parted WHERE id = 12", dbname=database)


def test_heartbeats_come_on_their_topic_and_run_their_query(postgres, props):
    database = props["database.dbname"]
    postgres.execute("CREATE TABLE beats (id serial PRIMARY KEY)", dbname=database)
    own = {"heartbeat.interval.ms": "100", "heartbeat.action.query": "INSERT INTO public.beats DEFAULT VALUES"}
    with Source({**props, **own}) as source:
        source.until(lambda record: record.topic == "__debezium-heartbeat.p")
        beat = next(record for record in source.records if record.topic == "__debezium-heartbeat.p")
        assert beat.key.get("serverName") == "p"
        source.until(lambda record: record.topic == "p.public.beats")


def test_a_row_that_cannot_be_read_stops_the_task_or_is_left_out(postgres, props):
    database = props["database.dbname"]
    postgres.execute("CREATE TABLE d (id int PRIMARY KEY, at date)", dbname=database)
    own = {"time.precision.mode": "connect", "table.include.list": "public.d"}
    offsets = Offsets()
    with Source({**props, **own}, offsets) as source:
        source.poll()
        postgres.execute("INSERT INTO d VALUES (1, '0044-03-15 BC'), (2, '2026-01-01')", dbname=database)
        with pytest.raises(DataError, match=r"public\.d\.at"):
            source.until_count(1)
    with Source({**props, **own, "event.processing.failure.handling.mode": "warn"}, offsets) as source:
        source.until_count(1)
        assert ids(source.records) == [2]


def test_filters_that_name_no_table_of_a_filtered_publication_are_an_error(postgres, props):
    with pytest.raises(PostgresError, match=r"table\.include\.list"):
        Source({**props, "table.include.list": "public.nothing", "publication.autocreate.mode": "filtered"})
    with pytest.raises(PostgresError, match="disabled"):
        Source({**props, "publication.name": "none", "publication.autocreate.mode": "disabled"})
    more = {"guardrail.collections.max": "1", "guardrail.collections.limit.action": "fail"}
    postgres.execute("CREATE TABLE t2 (id int)", dbname=props["database.dbname"])
    with pytest.raises(ConfigError, match=r"guardrail\.collections\.max"):
        Source({**props, **more})


def test_validation_asks_the_server_once_the_fields_are_right(postgres, props):
    def errors(**changed):
        values = PostgresConnector().validate({**props, **{key.replace("_", "."): v for key, v in changed.items()}})
        return {value.name: value.errors for value in values if value.errors}

    assert errors() == {}
    assert "Unable to connect" in errors(database_password="wrong")["database.user"][0]
    assert "database.dbname" in errors(database_dbname="missing")
    assert "database.hostname" in errors(database_port="1")
    assert list(errors(slot_name="Not-Valid", database_port="1")) == ["slot.name"]


def test_validation_gives_up_on_a_server_that_is_slow_and_leaves_nothing_open(postgres, props):
    sleep = {"database.initial.statements": "SELECT pg_sleep(600)", "connection.validation.timeout.ms": "300"}
    errors = {value.name: value.errors for value in PostgresConnector().validate({**props, **sleep}) if value.errors}
    assert errors.keys() == {"database.hostname"}
    assert errors["database.hostname"][0].startswith("Connection validation timed out after 300 ms: database ")
    left = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'moldau validation'"
    while postgres.execute(left):
        pass


def test_a_select_of_its_own_decides_which_rows_of_a_table_are_read(postgres, props):
    insert(postgres, props, 1, 10)
    own = {"snapshot.select.statement.overrides": "public.t"}
    own["snapshot.select.statement.overrides.public.t"] = "SELECT note, id FROM public.t WHERE id > 7"
    with Source({**props, **own}) as source:
        source.until_count(3)
        assert sorted(ids(source.records)) == [8, 9, 10]
        assert {after(record)["note"] for record in source.records} == {"n"}


def test_a_task_that_is_stopped_lets_go_of_the_slot(postgres, props):
    source = Source(props)
    source.poll()
    with contextlib.closing(postgres.connect()):
        source.stop()
    assert slot_of(postgres, props)[0] is False
    assert source.task.poll() is None


def test_rows_of_an_outbox_go_through_the_guides_router_and_other_rows_do_not(postgres, props):
    database = props["database.dbname"]
    columns = "id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb"
    postgres.execute(f"CREATE TABLE outbox ({columns})", dbname=database)
    router = EventRouter()
    router.configure({"table.fields.additional.placement": "type:header:eventType"})
    with Source(props) as source:
        source.poll()
        row = "gen_random_uuid(), 'order', '7', 'OrderCreated', '{\"a\": 1}'"
        postgres.execute(f"INSERT INTO outbox VALUES ({row})", "INSERT INTO t VALUES (1, 'n')", dbname=database)
        outbox, other = source.until_count(2)
    routed = router.apply(outbox)
    assert (routed.topic, routed.key, routed.value) == ("outbox.event.order", "7", '{"a": 1}')
    assert routed.headers.last_with_name("eventType").value == "OrderCreated"
    with pytest.raises(DataError, match="payload"):
        router.apply(other)


@pytest.mark.parametrize("identity", ["FULL", "DEFAULT"])
def test_an_update_that_changes_no_captured_column_is_left_out_if_asked_for(postgres, props, identity):
    dbname = props["database.dbname"]
    postgres.execute(f"ALTER TABLE t ADD COLUMN seen int; ALTER TABLE t REPLICA IDENTITY {identity}", dbname=dbname)
    asked = {**props, "snapshot.mode": "no_data", "column.exclude.list": "public.t.seen"}
    with Source({**asked, "skip.messages.without.change": "true"}) as source:
        source.poll()
        for statement in (
            "INSERT INTO t VALUES (1, repeat('x', 9000), 0)",
            "UPDATE t SET seen = 1",
            "UPDATE t SET note = 'y', seen = 2",
            "UPDATE t SET note = 'y'",
            "UPDATE t SET id = 2",
            "INSERT INTO t VALUES (3, 'end', 0)",
        ):
            postgres.execute(statement, dbname=dbname)
        source.until(lambda record: after(record) is not None and after(record)["id"] == 3)
    # With the default identity nobody knows what a row was.
    updates = ["u"] if identity == "FULL" else ["u", "u", "u"]
    assert [op(record) for record in source.records] == ["c", *updates, "d", None, "c", "c"]


def test_heartbeats_go_to_the_topic_that_is_named_whole(postgres, props):
    asked = {**props, "snapshot.mode": "no_data", "heartbeat.interval.ms": "1", "topic.heartbeat.name": "beats-of-all"}
    with Source(asked) as source:
        source.until(lambda record: record.topic == "beats-of-all")
