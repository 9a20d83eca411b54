"""Records, topics and groups at a notebook's prompt."""

import builtins
import datetime as dt
import decimal
import json
import signal
import subprocess
import sys
import time
import uuid

import pytest
from confluent_kafka import KafkaException

import moldau
from moldau.notebook.columns import MissingPackageError
from moldau.notebook.records import UndecodableError
from moldau.testing import KafkaClient

LARGE = 2**63 - 1


@pytest.fixture
def client(broker):
    with KafkaClient(broker.bootstrap_servers) as client:
        yield client


def values(records):
    return [record.value for record in records]


def test_a_stretch_ends_where_the_topic_ended_when_reading_began(broker, client):
    client.send("orders", "a", "b", "c")
    records = moldau.consume("orders", bootstrap_servers=broker, value="str")
    seen = []
    for record in records:
        seen.append(record.value)
        client.send("orders", "later")
    assert seen == ["a", "b", "c"]
    assert len(records.to_list()) == 6


def test_begin_and_end_are_offsets_times_or_how_long_ago(broker, client):
    client.send("orders", *(f"{number}" for number in range(10)))
    time.sleep(0.02)
    between = dt.datetime.now(dt.UTC)
    time.sleep(0.02)
    client.send("orders", "late")

    def read(**span):
        return values(moldau.consume("orders", bootstrap_servers=broker, value="str", **span))

    assert read(start=8) == ["8", "9", "late"]
    assert read(start=-1) == ["late"]
    assert read(start=2, stop=4) == ["2", "3"]
    assert read(start={0: 9}) == ["9", "late"]
    assert read(start=between) == ["late"]
    assert read(stop=between, start=9) == ["9"]
    assert read(start=dt.timedelta(hours=1), limit=2) == ["0", "1"]
    assert read(start="latest") == []
    assert read(start=10_000) == []
    assert read(limit=0) == []
    with pytest.raises(ValueError, match="no time zone"):
        read(start=dt.datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no place in a topic"):
        read(start="yesterday")


def test_what_cannot_be_read_is_said(broker, client):
    client.send("orders", b"\xff")
    with pytest.raises(KafkaException):
        moldau.consume("nobody-made-me", bootstrap_servers=broker, allow_auto_create_topics=False).to_list()
    with pytest.raises(ValueError, match=r"1 partitions, and no \[7\]"):
        moldau.consume("orders", bootstrap_servers=broker, partitions=[7]).to_list()
    with pytest.raises(ValueError, match="name a topic"):
        moldau.consume()
    with pytest.raises(ValueError, match="no form"):
        moldau.consume("orders", value="yaml")
    with pytest.raises(UndecodableError, match=r"the value in orders-0 at offset 0 is not json"):
        moldau.consume("orders", bootstrap_servers=broker, value="json").to_list()
    with pytest.raises(UndecodableError, match=r"orders-0 at offset 0 is not str"):
        moldau.consume("orders", bootstrap_servers=broker, value="str").to_arrow()


def test_frames_have_a_column_for_each_part_of_a_record_and_exact_numbers(broker):
    producer = moldau.Producer(bootstrap_servers=broker.bootstrap_servers)
    producer.produce(
        "orders", b'{"id": %d}' % LARGE, b"k", timestamp=1_700_000_000_123, headers=[("a", b"1"), ("a", None)]
    )
    producer.produce("orders", None, None)
    assert producer.flush(timeout=20) == 0
    frame = moldau.consume("orders", bootstrap_servers=broker, key="str", value="json").to_polars()
    assert frame.columns == ["topic", "partition", "offset", "timestamp", "key", "value", "headers"]
    assert frame["offset"].to_list() == [0, 1]
    assert frame["value"].to_list() == [{"id": LARGE}, None]
    assert frame["key"].to_list() == ["k", None]
    assert frame["timestamp"][0] == dt.datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=dt.UTC)
    assert frame["headers"].to_list()[0] == [{"name": "a", "value": b"1"}, {"name": "a", "value": None}]
    table = moldau.consume("orders", bootstrap_servers=broker).to_arrow()
    assert table.column("value").to_pylist() == [b'{"id": %d}' % LARGE, None]


def test_a_frame_of_nothing_has_the_columns_all_the_same(broker, client):
    client.send("orders", "a")
    table = moldau.consume("orders", bootstrap_servers=broker, start="latest", value="str").to_arrow()
    assert (table.num_rows, len(table.column_names)) == (0, 7)


def test_json_of_several_shapes_is_refused_with_what_to_do(broker, client):
    client.send("orders", '{"id": 1}', '"text"')
    with pytest.raises(TypeError, match='value="str"'):
        moldau.consume("orders", bootstrap_servers=broker, value="json").to_arrow()


def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it(broker, client, monkeypatch):
    client.send("orders", "a")
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.split(".")[0] in ("polars", "pyarrow", "pandas"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr("importlib.import_module", without)
    records = moldau.consume("orders", bootstrap_servers=broker)
    with pytest.raises(MissingPackageError, match=r"pip install 'moldau\[frames\]'"):
        records.to_arrow()
    with pytest.raises(ImportError, match="pip install 'pandas'"):
        records.to_pandas()


def test_what_a_notebook_shows_is_escaped_and_exact(broker, client):
    client.send("orders", ("<script>", f'{{"id": {LARGE}}}'), ("k", None), ("k", b"\xff"))
    client.consumer("orders", group_id="<b>").consume(3, timeout=30)
    shown = moldau.consume("orders", bootstrap_servers=broker)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert str(LARGE) in shown
    assert "<i>null</i>" in shown
    assert shown.count("<tr>") == 4
    topics = moldau.topics(broker)
    assert [(topic.name, topic.partitions, topic.records) for topic in topics] == [("orders", 1, 3)]
    assert '<td style="text-align:right">3</td>' in topics._repr_html_()
    assert "&lt;b&gt;" in moldau.groups(broker)._repr_html_()


def test_a_long_topic_is_shown_by_its_first_records(broker, client):
    client.send("orders", *(f"{number}" for number in range(30)))
    shown = moldau.consume("orders", bootstrap_servers=broker)._repr_html_()
    assert shown.count("<tr>") == 21
    assert "the first 20 records" in shown


def test_lag_counts_what_a_group_has_not_committed(broker, client):
    client.send("orders", "a", "b", "c")
    member = client.consumer("orders", group_id="billing", enable_auto_commit=False)
    member.consume(1, timeout=30)
    assert [(group.name, group.lag) for group in moldau.groups(broker)] == [("billing", None)]
    member.commit(asynchronous=False)
    assert [(group.members, group.lag) for group in moldau.groups(broker)] == [(1, 2)]


ENDLESS = """
import signal, sys, moldau
signal.signal(signal.SIGINT, signal.default_int_handler)
with moldau.Broker() as broker:
    moldau.testing.KafkaClient(broker.bootstrap_servers).send("orders", "a")
    with broker.delay("Fetch", ms=600_000):
        print("reading", flush=True)
        moldau.consume("orders", bootstrap_servers=broker).to_list()
"""


def test_ctrl_c_ends_reading():
    child = subprocess.Popen(
        [sys.executable, "-c", "import moldau.testing\n" + ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "reading\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in err


PAYMENT = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "cents", "type": "int"},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        {"name": "lines", "type": {"type": "array", "items": {"type": "map", "values": "long"}}},
        {"name": "any", "type": ["null", "string", "long"], "default": None},
        {"name": "parent", "type": ["null", "Payment"], "default": None},
    ],
}


@pytest.fixture(scope="module")
def registry_url():
    from moldau.registry.service import RegistryThread
    from moldau.registry.settings import RegistrySettings

    with moldau.Broker() as own, RegistryThread(RegistrySettings(own.bootstrap_servers, port=0)) as running:
        yield running.url


def serializer(registry_url, schema):
    from moldau.client.serdes import AvroSerializer, SchemaRegistryClient

    return AvroSerializer(SchemaRegistryClient({"url": registry_url}), json.dumps(schema))


def payment(**more):
    at = dt.datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=dt.UTC)
    one = {"id": uuid.UUID(int=7), "cents": 5, "total": decimal.Decimal("90071992547409931.10"), "at": at}
    return {**one, "lines": [{"a": LARGE}], "any": LARGE, **more}


def test_avro_is_read_through_the_registry_and_a_frame_has_the_types_of_its_schema(broker, registry_url):
    from moldau.client.serdes import MessageField, SerializationContext

    place = SerializationContext("payments", MessageField.VALUE)
    wider = json.loads(json.dumps(PAYMENT))
    wider["fields"][1]["type"] = "long"
    wider["fields"].append({"name": "note", "type": "string", "default": ""})
    with moldau.Producer(bootstrap_servers=broker.bootstrap_servers) as producer:
        producer.produce("payments", serializer(registry_url, PAYMENT)(payment(parent=payment()), place))
        producer.produce("payments", serializer(registry_url, wider)(payment(cents=LARGE, note="x"), place))
        producer.produce("payments", None)
    records = moldau.consume("payments", bootstrap_servers=broker, value="avro", registry=registry_url)
    first, second, none = values(records)
    assert (first["id"], first["total"], second["cents"], none) == (
        uuid.UUID(int=7),
        decimal.Decimal("90071992547409931.10"),
        LARGE,
        None,
    )
    frame = records.to_polars()
    columns = dict(frame.schema["value"])
    # What a map is in a frame is a matter of the version of polars.
    del columns["lines"]
    assert {name: str(kind) for name, kind in columns.items()} == {
        "id": "String",
        "cents": "Int64",
        "total": "Decimal(precision=20, scale=2)",
        "at": "Datetime(time_unit='us', time_zone='UTC')",
        "day": "Date",
        "any": "String",
        "parent": "String",
        "note": "String",
    }
    cells = frame["value"].struct.unnest()
    assert cells["cents"].to_list() == [5, LARGE, None]
    assert cells["note"].to_list() == [None, "x", None]
    assert cells["total"][0] == decimal.Decimal("90071992547409931.10")
    assert cells["at"][0] == payment()["at"]
    assert json.loads(cells["any"][0]) == LARGE
    assert json.loads(cells["parent"][0])["cents"] == 5
    table = records.to_arrow()
    assert str(table.schema.field("value").type.field("lines").type) == "list<item: map<string, int64>>"
    assert table.num_rows == 3


def test_bytes_that_no_registry_knows_are_named_and_a_registry_that_is_away_is_said(broker, registry_url, client):
    client.send("orders", b"\0\0\0\0\x63x")
    with pytest.raises(UndecodableError, match=r"orders-0 at offset 0 is not avro: .*99"):
        moldau.consume("orders", bootstrap_servers=broker, value="avro", registry=registry_url).to_arrow()
    with pytest.raises(ConnectionError, match="no schema registry answers at http://127"):
        moldau.consume("orders", bootstrap_servers=broker, value="avro", registry="http://127.0.0.1:1").to_list()
    client.send("plain", b"{}")
    with pytest.raises(UndecodableError, match="not written with a schema registry"):
        moldau.consume("plain", bootstrap_servers=broker, value="json-schema", registry=registry_url).to_list()


def test_json_of_a_registry_is_read_as_json(broker, client):
    client.send("orders", b'\0\0\0\0\1{"id": 1}')
    records = moldau.consume("orders", bootstrap_servers=broker, value="json-schema")
    assert values(records) == [{"id": 1}]
    assert records.to_arrow().column("value").to_pylist() == [{"id": 1}]


def test_avro_schemas_that_have_no_column_in_common_are_refused_with_what_to_do(broker, registry_url):
    from moldau.client.serdes import MessageField, SerializationContext

    with moldau.Producer(bootstrap_servers=broker.bootstrap_servers) as producer:
        for number, (schema, value) in enumerate((("string", "x"), ("long", 1))):
            place = SerializationContext(f"several-{number}", MessageField.VALUE)
            producer.produce("several", serializer(registry_url, schema)(value, place))
    records = moldau.consume("several", bootstrap_servers=broker, value="avro", registry=registry_url)
    assert values(records) == ["x", 1]
    with pytest.raises(TypeError, match=r'no type in common; value="bytes" leaves it as it is'):
        records.to_arrow()
