"""The JDBC sink against real servers: what becomes of records in tables, and of those that fit none."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.connect.source_task import Source
from tests.unit.connect.connectors.sink_task import Sink

from moldau.connect.connectors.jdbc.sink import DebeziumJdbcSinkConnector, JdbcSinkConnector
from moldau.connect.converters.json_schemas import from_json_schema
from moldau.connect.converters.json_values import reader_of
from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Struct, Time, Timestamp
from moldau.connect.errors import ConnectError, RetriableError
from moldau.connect.records import SinkRecord

GOLDEN = Path(__file__).parents[2] / "golden" / "debezium"
KEY = SchemaBuilder.struct().field("id", Schema.INT32_SCHEMA).build()
ROW = SchemaBuilder.struct().field("id", Schema.INT32_SCHEMA).field("note", Schema.OPTIONAL_STRING_SCHEMA).build()
UPSERT = {"insert.mode": "upsert", "pk.mode": "record_value", "pk.fields": "id"}
BY_KEY = {"insert.mode": "upsert", "pk.mode": "record_key", "delete.enabled": "true"}


def url_of(settings: dict[str, str]) -> str:
    return (
        f"jdbc:postgresql://{settings['database.hostname']}:{settings['database.port']}/{settings['database.dbname']}"
    )


@pytest.fixture
def database(postgres, name):
    """An empty database: its settings, and a way to ask it."""
    given = postgres.create_database(name)
    connection = {
        "connection.url": url_of(given),
        "connection.user": given["database.user"],
        "connection.password": given["database.password"],
    }

    class Database:
        settings = connection

        @staticmethod
        def ask(*statements):
            return postgres.execute(*statements, dbname=name)

    return Database()


def sink(database, reports=False, **settings):
    given = {name.replace("_", "."): value for name, value in settings.items()}
    return Sink(JdbcSinkConnector(), {**database.settings, **given}, reports=reports)


def row(number, note=None):
    return Struct(ROW, id=number, note=note)


def test_rows_are_inserted_into_a_table_that_is_created(database):
    with sink(database, auto_create="true") as to:
        to.put("orders", ROW, row(1, "a"), row(2), row(2, "again"))
    assert database.ask("SELECT * FROM orders ORDER BY id, note") == [(1, "a"), (2, "again"), (2, None)]


@pytest.mark.parametrize("times", [1, 3])
def test_an_upsert_can_come_again(database, times):
    with sink(database, auto_create="true", **{k.replace(".", "_"): v for k, v in UPSERT.items()}) as to:
        for _ in range(times):
            to.put("t", ROW, row(1, "a"), row(2, "b"), row(1, "c"))
    assert database.ask("SELECT * FROM t ORDER BY id") == [(1, "c"), (2, "b")]


def test_a_tombstone_deletes(database):
    settings = {name.replace(".", "_"): value for name, value in BY_KEY.items()}
    with sink(database, auto_create="true", **settings) as to:
        keys = [Struct(KEY, id=number) for number in (1, 2, 1, 3, 3)]
        to.put("t", ROW, row(1, "a"), row(2), None, None, row(3, "back"), key_schema=KEY, keys=keys)
        assert database.ask("SELECT * FROM t ORDER BY id") == [(2, None), (3, "back")]
        to.put("t", ROW, None, key_schema=KEY, keys=[Struct(KEY, id=2)])
    assert database.ask("SELECT * FROM t ORDER BY id") == [(3, "back")]


def test_an_update_changes_rows_that_are_there_and_no_others(database):
    database.ask("CREATE TABLE t (id int PRIMARY KEY, note text, other int)", "INSERT INTO t VALUES (1, 'old', 5)")
    with sink(database, insert_mode="update", pk_mode="record_value", pk_fields="id") as to:
        to.put("t", ROW, row(1, "new"), row(2, "nobody"))
    assert database.ask("SELECT * FROM t") == [(1, "new", 5)]


def test_the_place_in_kafka_can_be_the_key(database):
    with sink(database, insert_mode="upsert", pk_mode="kafka", auto_create="true") as to:
        to.put("t", ROW, row(1), row(1))
        to.offset = 0
        to.put("t", ROW, row(1), row(1))
    found = database.ask("SELECT __connect_topic, __connect_partition, __connect_offset, id FROM t ORDER BY 3")
    assert found == [("t", 0, 0, 1), ("t", 0, 1, 1)]


def test_a_key_alone_is_a_column(database):
    settings = {name.replace(".", "_"): value for name, value in BY_KEY.items()}
    with sink(database, auto_create="true", pk_fields="who", **settings) as to:
        to.put("t", ROW, row(1, "a"), key_schema=Schema.STRING_SCHEMA, keys=["x"])
    assert database.ask("SELECT who, id, note FROM t") == [("x", 1, "a")]


def test_tasks_that_create_the_same_table_at_once_both_write(database):
    def write(first):
        with sink(database, auto_create="true") as to:
            together.wait(30)
            to.put("orders", ROW, *(row(number) for number in range(first, first + 50)))

    together = threading.Barrier(6)
    with ThreadPoolExecutor(6) as tasks:
        for each in [tasks.submit(write, 50 * task) for task in range(6)]:
            each.result(60)
    assert database.ask("SELECT count(*), count(DISTINCT id) FROM orders") == [(300, 300)]


def test_a_schema_that_is_all_key_and_a_wider_one_meet_in_one_put(database):
    narrow = SchemaBuilder.struct().field("id", Schema.INT32_SCHEMA).build()
    settings = {name.replace(".", "_"): value for name, value in UPSERT.items()}
    with sink(database, auto_create="true", auto_evolve="true", **settings) as to:
        first = [to.record("t", narrow, Struct(narrow, id=each)) for each in (1, 2)]
        to.task.put([*first, to.record("t", ROW, row(1, "a"))])
    assert database.ask("SELECT id, note FROM t ORDER BY id") == [(1, "a"), (2, None)]


def test_keys_that_are_one_for_the_column_are_written_in_their_order(database):
    database.ask("CREATE TABLE t (id numeric(4,0) PRIMARY KEY, note text)")
    schema = SchemaBuilder.struct().field("id", Schema.FLOAT64_SCHEMA).field("note", Schema.STRING_SCHEMA).build()
    settings = {name.replace(".", "_"): value for name, value in UPSERT.items()}
    with sink(database, **settings) as to:
        rows = ((1.1, "a"), (2.0, "b"), (1.2, "c"))
        to.put("t", schema, *(Struct(schema, id=number, note=note) for number, note in rows))
    assert database.ask("SELECT id::int, note FROM t ORDER BY id") == [(1, "c"), (2, "b")]


def test_columns_are_added_when_that_is_wanted(database):
    wider = SchemaBuilder.struct().field("id", Schema.INT32_SCHEMA).field("note", Schema.OPTIONAL_STRING_SCHEMA)
    wider = wider.field("n", SchemaBuilder.int64().default_value(7)).build()
    with sink(database, auto_create="true") as to:
        to.put("t", ROW, row(1, "a"))
        with pytest.raises(ConnectError, match=r"has no column n\nhint: .*auto\.evolve"):
            to.put("t", wider, Struct(wider, id=2, n=3))
    with sink(database, auto_evolve="true") as to:
        to.task.put([to.record("t", ROW, row(3)), to.record("t", wider, Struct(wider, id=4, n=5))])
    assert database.ask("SELECT id, n FROM t ORDER BY id") == [(1, 7), (3, 7), (4, 5)]


EVERYTHING = {
    "i8": (Schema.INT8_SCHEMA, -128, "smallint"),
    "i64": (Schema.INT64_SCHEMA, 2**63 - 1, "bigint"),
    "f32": (Schema.FLOAT32_SCHEMA, 1.5, "real"),
    "f64": (Schema.FLOAT64_SCHEMA, float("inf"), "double precision"),
    "b": (Schema.BOOLEAN_SCHEMA, True, "boolean"),
    "s": (Schema.STRING_SCHEMA, "tab\t newline\n \\N 'quote'", "text"),
    "y": (Schema.BYTES_SCHEMA, b"\x00\xff\\", "bytea"),
    "d": (Decimal.schema(2), decimal.Decimal("-12345678901234567890.12"), "numeric"),
    "day": (Date.SCHEMA, dt.date(2024, 2, 29), "date"),
    "time": (Time.SCHEMA, dt.time(23, 59, 59, 999000), "time without time zone"),
    "at": (Timestamp.SCHEMA, dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC), "timestamp without time zone"),
    "many": (SchemaBuilder.array(Schema.STRING_SCHEMA).build(), ["a,b", '"', ""], "text[]"),
    "none": (Schema.OPTIONAL_INT16_SCHEMA, None, "smallint"),
}


def test_every_type_has_a_column_that_gives_it_back(database):
    builder = SchemaBuilder.struct()
    for name, (schema, _, _) in EVERYTHING.items():
        builder.field(name, schema)
    nested = SchemaBuilder.struct().field("x", Schema.INT32_SCHEMA).build()
    schema = builder.field("o", nested).field("m", SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT32_SCHEMA)).build()
    value = Struct(
        schema, **{name: each for name, (_, each, _) in EVERYTHING.items()}, o=Struct(nested, x=1), m={"k": 2}
    )
    with sink(database, auto_create="true") as to:
        to.put("t", schema, value)
    ((*found, o, m),) = database.ask("SELECT * FROM t")
    expected = [each for _, each, _ in EVERYTHING.values()]
    expected[10] = expected[10].replace(tzinfo=None)
    assert found == expected
    assert (o, m) == ({"x": 1}, {"k": 2})
    types = database.ask(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0"
    )
    assert [kind for (kind,) in types] == [*(kind for _, _, kind in EVERYTHING.values()), "jsonb", "jsonb"]


def test_a_poison_record_is_reported_and_the_others_are_written(database):
    database.ask("CREATE TABLE t (id int PRIMARY KEY, note varchar(3))", "INSERT INTO t VALUES (4, 'x')")
    with sink(database, reports=True) as to:
        to.put("t", ROW, row(1, "a"), row(2, "much too long"), row(3, "b"), row(4, "dup"), row(5, "z\0z"), row(6))
        assert [record.value["id"] for record, _ in to.context.reporter.reported] == [5, 2, 4]
        said = [str(error) for _, error in to.context.reporter.reported]
    assert "zero byte" in said[0]
    assert "too long" in said[1]
    assert "insert.mode=upsert takes records that come again" in said[2]
    assert database.ask("SELECT id FROM t ORDER BY id") == [(1,), (3,), (4,), (6,)]


def test_of_a_key_whose_last_row_is_poison_the_one_before_counts(database):
    database.ask("CREATE TABLE t (id int PRIMARY KEY, note varchar(3))")
    with sink(database, reports=True, **{k.replace(".", "_"): v for k, v in UPSERT.items()}) as to:
        to.put("t", ROW, row(1, "a"), row(1, "b"), row(1, "much too long"))
    assert database.ask("SELECT * FROM t") == [(1, "b")]


def test_without_a_reporter_a_poison_record_fails_the_task_and_nothing_is_written(database):
    database.ask("CREATE TABLE t (id int, note varchar(3))")
    with sink(database) as to, pytest.raises(ConnectError, match=r"t-0 at offset 1 cannot be written.*too long"):
        to.put("t", ROW, row(1), row(2, "much too long"))
    assert database.ask("SELECT * FROM t") == []


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        (None, {"id": 1}, "a row needs a struct with a schema"),
        (Schema.STRING_SCHEMA, "a", "a row needs a struct"),
        (ROW, None, "delete.enabled is false"),
    ],
)
def test_records_that_are_no_rows_say_what_to_do(database, schema, value, said):
    with sink(database, auto_create="true") as to, pytest.raises(ConnectError, match=said):
        to.put("t", schema, value)


def test_a_table_that_is_not_there_is_told(database):
    with sink(database) as to, pytest.raises(ConnectError, match=r'there is no table "t"\nhint: .*auto\.create'):
        to.put("t", ROW, row(1))


def test_an_upsert_without_a_unique_index_is_told(database):
    database.ask("CREATE TABLE t (id int, note text)")
    settings = {k.replace(".", "_"): v for k, v in UPSERT.items()}
    with sink(database, **settings) as to, pytest.raises(ConnectError, match="unique index of just these columns"):
        to.put("t", ROW, row(1))


def test_a_connection_that_is_cut_is_tried_again_with_the_same_records(database):
    settings = {k.replace(".", "_"): v for k, v in UPSERT.items()}
    with sink(database, auto_create="true", retry_backoff_ms="5", **settings) as to:
        to.put("t", ROW, row(1, "a"))
        database.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moldau jdbc sink'"
        )
        with pytest.raises(RetriableError):
            to.put("t", ROW, row(2, "b"))
        assert to.context.waits == [5]
        to.put("t", ROW, row(2, "b"))
    assert database.ask("SELECT * FROM t ORDER BY id") == [(1, "a"), (2, "b")]


def test_a_server_that_stays_away_fails_the_task_after_so_many_tries(database):
    given = {**database.settings, "connection.url": "jdbc:postgresql://127.0.0.1:9/x", "max.retries": "2"}
    with Sink(JdbcSinkConnector(), given) as to:
        for _ in range(2):
            with pytest.raises(RetriableError):
                to.put("t", ROW, row(1))
        with pytest.raises(ConnectError, match="tried 3 times"):
            to.put("t", ROW, row(1))


def test_tables_have_the_names_that_the_format_says(database):
    database.ask("CREATE SCHEMA lake")
    with sink(database, auto_create="true", table_name_format="lake.k_${topic}") as to:
        to.put('or"ders', ROW, row(1))
    assert database.ask('SELECT id FROM lake."k_or""ders"') == [(1,)]


# Debezium's connector takes Debezium's events.

TYPES = [
    (
        "CREATE TABLE source (id int PRIMARY KEY, n numeric, n2 numeric(10,2), t text, u uuid, j jsonb,"
        " ts timestamp(6), tz timestamptz,"
        " d date, tm time, tms time(3), tms3 timestamp(3), b bytea, f float8, i interval, bits bit(5),"
        " arr int[], big bigint, ok boolean, p point)"
    ),
    (
        "INSERT INTO source SELECT i, i / 7.0, i * 1.25, 'n' || i, md5(i::text)::uuid, jsonb_build_object('a', i),"
        " '2024-01-01'::timestamp + i * interval '1.000001 s', '2024-01-01Z'::timestamptz + i * interval '1 h',"
        " '1999-12-31'::date + i, '00:00:00.000001'::time + i * interval '1 s', '12:00:00.123'::time(3),"
        " '1960-02-03 04:05:06.789', decode(md5(i::text), 'hex'), i / 3.0, i * interval '1 day 3 us', B'10110',"
        " ARRAY[i, NULL, 3], i * 1000000007::bigint, i % 2 = 0, point(i, 2) FROM generate_series(1, 300) i"
    ),
]


def debezium_sink(connection, **settings):
    given = {name.replace("_", "."): value for name, value in settings.items()}
    return {
        "connection.url": connection["connection.url"],
        "connection.username": connection["connection.user"],
        "connection.password": connection["connection.password"],
        "insert.mode": "upsert",
        "primary.key.mode": "record_key",
        "delete.enabled": "true",
        "schema.evolution": "basic",
        **given,
    }


def as_sink_records(records):
    return [
        SinkRecord(each.topic, 0, each.key_schema, each.key, each.value_schema, each.value, offset)
        for offset, each in enumerate(records)
    ]


@pytest.mark.parametrize("modes", [{}, {"time.precision.mode": "connect"}, {"decimal.handling.mode": "string"}])
def test_a_table_and_its_copy_are_equal_row_for_row(postgres, name, modes):
    given = postgres.create_database(name)
    connection = {"connection.url": url_of(given), "connection.user": given["database.user"],
                  "connection.password": given["database.password"]}  # fmt: skip
    columns = "id, n, n2, t, u, j, tms3, d, tms, b, f, arr, big, ok, p::text"
    if "time.precision.mode" not in modes:
        columns += ", ts, tz, tm, bits::bit varying, i"
    postgres.execute(*TYPES, dbname=name)
    with Source({"topic.prefix": "p", "slot.name": name, "slot.drop.on.stop": "true", **given, **modes}) as source:
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
        postgres.execute(
            "UPDATE source SET t = t || '!' WHERE id % 3 = 0",
            "DELETE FROM source WHERE id % 10 = 0",
            "UPDATE source SET id = id + 1000 WHERE id % 7 = 0",
            "INSERT INTO source (id) VALUES (777777)",
            dbname=name,
        )
        source.until(lambda record: record.key is not None and record.key["id"] == 777777)
        events = as_sink_records(source.records)
    postgres.execute("CREATE TABLE copy (LIKE source INCLUDING ALL)", dbname=name)
    connector = DebeziumJdbcSinkConnector()
    for target in ("copy", "made"):
        settings = debezium_sink(connection, collection_name_format=target)
        with Sink(connector, settings) as to:
            for again in range(2):
                for start in range(0 if again == 0 else len(events) // 2, len(events), 190):
                    to.task.put(events[start : start + 190])
        compared = columns.replace("n,", "n::text,", 1) if "decimal.handling.mode" in modes else columns
        if target == "made" and "decimal.handling.mode" in modes:
            compared = compared.replace("n::text, n2", "n::text, n2::numeric")
        for one, other in (("source", target), (target, "source")):
            difference = f"SELECT {compared} FROM {one} EXCEPT SELECT {compared} FROM {other}"
            assert postgres.execute(difference, dbname=name) == []
        assert postgres.execute(f"SELECT count(*) FROM {target}", dbname=name) == [(271,)]


@pytest.mark.parametrize("big", [Schema.OPTIONAL_STRING_SCHEMA, Schema.STRING_SCHEMA], ids=["nullable", "not null"])
def test_a_value_that_did_not_come_stays_as_it_is(database, big):
    after = SchemaBuilder.struct().name("Value").field("id", Schema.INT32_SCHEMA)
    after = after.field("big", big).field("n", Schema.INT32_SCHEMA).optional().build()
    envelope = (
        SchemaBuilder.struct().field("before", after).field("after", after).field("op", Schema.STRING_SCHEMA).build()
    )

    def event(operation, number, big):
        return Struct(envelope, op=operation, after=Struct(after, id=1, big=big, n=number))

    with Sink(DebeziumJdbcSinkConnector(), debezium_sink(database.settings)) as to:
        keys = [Struct(KEY, id=1)]
        to.put("s.t", envelope, event("c", 1, "long"), key_schema=KEY, keys=keys)
        to.put("s.t", envelope, event("u", 2, "__debezium_unavailable_value"), key_schema=KEY, keys=keys)
        assert database.ask("SELECT * FROM s_t") == [(1, "long", 2)]
        to.put("s.t", envelope, event("u", 3, "new"), event("u", 4, "__debezium_unavailable_value"),
               key_schema=KEY, keys=keys * 2)  # fmt: skip
    assert database.ask("SELECT * FROM s_t") == [(1, "new", 4)]


@pytest.mark.parametrize("recording", ["types", "types_as_connect"])
def test_every_type_of_debezium_gets_a_column(database, recording):
    schemas, records = [], []
    for line in (GOLDEN / f"{recording}.jsonl").read_text().splitlines():
        entry = json.loads(line, parse_float=decimal.Decimal)
        if "topic" not in entry:
            schemas.append(from_json_schema(entry["schema"], replace_null=True))
            continue
        sides = []
        for part in (entry["key"], entry["value"]):
            schema = schemas[part["schema"]] if isinstance(part, dict) else None
            value = reader_of(schema, replace_null=True).read(part["payload"]) if schema is not None else None
            sides += [schema, value]
        records.append(SinkRecord(entry["topic"], 0, *sides, len(records)))
    with Sink(DebeziumJdbcSinkConnector(), debezium_sink(database.settings), reports=True) as to:
        to.task.put(records)
        assert [str(error) for _, error in to.context.reporter.reported] == []


def test_a_truncate_empties_the_table_when_that_is_wanted(database):
    envelope = SchemaBuilder.struct().field("after", changed_row()).field("op", Schema.STRING_SCHEMA).build()
    with Sink(DebeziumJdbcSinkConnector(), debezium_sink(database.settings, truncate_enabled="true")) as to:
        to.put("t", envelope, Struct(envelope, op="c", after=Struct(changed_row(), id=1)), key_schema=KEY,
               keys=[Struct(KEY, id=1)])  # fmt: skip
        to.put("t", envelope, Struct(envelope, op="t"))
    assert database.ask("SELECT * FROM t") == []


def changed_row():
    return SchemaBuilder.struct().field("id", Schema.INT32_SCHEMA).optional().build()
