"""Records, topics and groups at a notebook's prompt."""

import builtins
import datetime as dt
import signal
import subprocess
import sys
import time

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
