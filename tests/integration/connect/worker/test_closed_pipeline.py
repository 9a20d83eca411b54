"""A table of PostgreSQL, its changes in a topic, and the JDBC sink behind it: the copy is equal row for row."""

from __future__ import annotations

import pytest
from tests.integration.connect.worker.conftest import eventually

JSON = {f"{side}.converter": "org.apache.kafka.connect.json.JsonConverter" for side in ("key", "value")}
SINKS = {
    "debezium": {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "primary.key.mode": "record_key",
        "schema.evolution": "basic",
        "collection.name.format": "copy",
    },
    "confluent": {
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector",
        "pk.mode": "record_key",
        "auto.create": "true",
        "auto.evolve": "true",
        "table.name.format": "copy",
        "transforms": "unwrap",
        "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.unwrap.delete.tombstone.handling.mode": "tombstone",
    },
}


@pytest.mark.parametrize("kind", SINKS)
def test_a_table_and_its_copy_become_equal(connect, newest, kind):
    name = f"closed_{kind}"
    given = newest.create_database(name)
    newest.execute(
        "CREATE TABLE source (id int, part text, n numeric(12,4), at timestamp(6), j jsonb, PRIMARY KEY (id, part))",
        "INSERT INTO source SELECT i, 'p' || i % 3, i / 8.0, '2024-01-01'::timestamp + i * interval '1.5 s',"
        " jsonb_build_object('i', i) FROM generate_series(1, 500) i",
        dbname=name,
    )
    user = "connection.username" if kind == "debezium" else "connection.user"
    connect.create(
        f"{name}-source",
        {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "topic.prefix": name,
            "slot.name": name,
            "slot.drop.on.stop": "true",
            "publication.name": name,
            "poll.interval.ms": "50",
            **JSON,
            **given,
        },
    )
    connect.create(
        f"{name}-sink",
        {
            "topics": f"{name}.public.source",
            "connection.url": f"jdbc:postgresql://{given['database.hostname']}:{given['database.port']}/{name}",
            user: given["database.user"],
            "connection.password": given["database.password"],
            "insert.mode": "upsert",
            "delete.enabled": "true",
            "consumer.override.auto.offset.reset": "earliest",
            **JSON,
            **SINKS[kind],
        },
    )

    def copied():
        assert "FAILED" not in (connect.states(f"{name}-sink") or ("", []))[1], connect.trace(f"{name}-sink")
        there = "SELECT to_regclass('copy') IS NOT NULL"
        return newest.execute(there, dbname=name) == [(True,)] and newest.execute(
            "SELECT count(*), max(id) FROM copy", dbname=name
        )

    try:
        eventually(copied, lambda found: found == [(500, 500)])
        newest.execute(
            "UPDATE source SET n = -n, j = NULL WHERE id % 5 = 0",
            "DELETE FROM source WHERE id % 11 = 0",
            "UPDATE source SET id = id + 1000, part = 'moved' WHERE id % 7 = 0",
            "ALTER TABLE source ADD COLUMN later text",
            "INSERT INTO source VALUES (9999, 'last', 1, now()::timestamp, '[]', 'new')",
            dbname=name,
        )
        eventually(copied, lambda found: found and found[0][1] == 9999)
        columns = "id, part, n, at, j, later"
        for one, other in (("source", "copy"), ("copy", "source")):
            left_over = f"SELECT {columns} FROM {one} EXCEPT SELECT {columns} FROM {other}"
            assert newest.execute(left_over, dbname=name) == []
        counts = [newest.execute(f"SELECT count(*) FROM {table}", dbname=name) for table in ("source", "copy")]
        assert counts[0] == counts[1]
    finally:
        for each in ("source", "sink"):
            connect.ask("DELETE", f"/connectors/{name}-{each}")
