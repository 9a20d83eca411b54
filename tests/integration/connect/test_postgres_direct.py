"""The short way of changes writes what the converters would of the records: over everything that Debezium was asked."""

from __future__ import annotations

import pytest
from tests.golden.debezium.record import in_step, settings_of
from tests.golden.debezium.scenarios import DATABASE, MARKER, SCENARIOS
from tests.integration.connect.source_task import Source, op
from tests.integration.connect.test_debezium_events import major_with
from tests.unit.connect.converters.registries import Registry, connected

from moldau.connect.converters.avro import AvroConverter
from moldau.connect.converters.header import SimpleHeaderConverter
from moldau.connect.converters.json import JsonConverter
from moldau.connect.ready import DirectConverters, ReadyRecords

# Settings under which every record goes the long way: they make something of each event.
LONG_WAY = {"changes_in_transactions", "filters"}


def json(**settings):
    def made(is_key):
        converter = JsonConverter()
        converter.configure({name.replace("_", "."): value for name, value in settings.items()}, is_key)
        return converter

    return DirectConverters(made(True), made(False), SimpleHeaderConverter())


def avro():
    registry = Registry()
    key, value = (connected(AvroConverter, registry, is_key=is_key) for is_key in (True, False))
    return DirectConverters(key, value, SimpleHeaderConverter())


CONVERTERS = {
    "json with schemas": lambda: json(schemas_enable="true"),
    "avro keys and json with numbers": lambda: DirectConverters(
        avro().key, json(schemas_enable="false", decimal_format="NUMERIC").value, SimpleHeaderConverter()
    ),
    "avro": avro,
}


class Compared(Source):
    """Compares what came the short way with what the converters write of the same records."""

    def __init__(self, props, converters, **more):
        self.converters = converters
        self.ready = 0
        super().__init__(props, direct=converters, **more)

    def look(self, ready: ReadyRecords) -> None:
        expected: dict[str, list[tuple[bytes | None, bytes | None]]] = {}
        for record in ready:
            key = self.converters.key.from_connect_data(record.topic, record.key_schema, record.key)
            value = self.converters.value.from_connect_data(record.topic, record.value_schema, record.value)
            expected.setdefault(record.topic, []).append((key, value))
        written = {
            topic: [(message.get("key"), message["value"]) for message in messages]
            for topic, messages in ready.messages.items()
        }
        assert written == expected
        convert = self.converters.header.from_connect_header
        for record in ready:
            headers = [(each.key, convert(record.topic, each.key, each.schema, each.value)) for each in record.headers]
            assert headers == ready.headers[record.topic]
        assert len(list(ready)) == ready.size
        assert dict(ready[-1].source_offset) == dict(ready.source_offset)
        self.ready += ready.size


@pytest.mark.parametrize("converters", CONVERTERS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_short_way_writes_the_same_bytes(scenario, converters, servers):
    postgres = servers[major_with(scenario.needs)]
    postgres.execute(f'DROP DATABASE IF EXISTS "{DATABASE}"', f'CREATE DATABASE "{DATABASE}"')
    before = [*scenario.before, f"CREATE TABLE {MARKER} (id int PRIMARY KEY)", f"INSERT INTO {MARKER} VALUES (0)"]
    postgres.execute(*before, dbname=DATABASE)
    settings = {**settings_of(scenario, postgres), "slot.drop.on.stop": "true"}
    with Compared(settings, CONVERTERS[converters]()) as source:
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
        snapshot = source.ready
        for group in in_step(scenario.during):
            postgres.execute(*group, dbname=DATABASE)
            source.until(lambda record: record.topic.endswith("marker") and op(record) == "c")
        if scenario.name not in LONG_WAY:
            assert source.ready > snapshot
        else:
            assert source.ready == snapshot
