"""The names on `/metrics` are declared once and follow Prometheus' rules (what `promtool check metrics` looks at)."""

from __future__ import annotations

import re
from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from moldau.observe import families, process
from moldau.observe.connect import ALL as CONNECT
from moldau.observe.exposition import Exposition
from moldau.observe.families import ALL, Family, Kind
from moldau.observe.metrics import METRICS
from moldau.observe.streams import ALL as STREAMS


def test_no_name_is_declared_twice():
    assert [
        name for name, count in Counter(family.name for family in (*ALL, *STREAMS, *CONNECT)).items() if count > 1
    ] == []


def test_names_are_valid_and_counters_alone_end_in_total():
    for family in (*ALL, *STREAMS, *CONNECT):
        assert re.fullmatch(r"[a-z_][a-z0-9_]*|debezium_metrics_[A-Za-z]+", family.name)
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), family.name
        # Suffixes that a histogram gives to its own samples.
        theirs = family.name in TAKEN_FROM_KAFKA_EXPORTER or family.name.startswith("kafka_connect_")
        assert theirs or not re.search(r"_(bucket|count|sum)$", family.name), family.name


TAKEN_FROM_KAFKA_EXPORTER = {
    "kafka_log_logcleanermanager_uncleanable_partitions_count",
    "kafka_consumergroup_lag_sum",
    "kafka_consumergroup_current_offset_sum",
    "kafka_server_socket_server_metrics_connection_count",
}


def test_every_name_has_one_sentence():
    assert [
        family.name for family in (*ALL, *STREAMS, *CONNECT) if not family.doc.endswith(".") or "\n" in family.doc
    ] == []


def test_every_number_of_the_node_has_a_name():
    elsewhere = {"produced_bytes", "produced_messages", "fetched_bytes"}  # the samples without a topic
    rendered = {"partitions", "partitions_offline", "log_bytes"}
    assert METRICS.keys() == families.COUNTED.keys() | elsewhere | rendered


def test_labels_may_hold_anything_and_large_numbers_stay_whole():
    text = Exposition()
    name = 'a "quoted"\\name\nof two lines, {with=braces}'
    text.values(Family("x", Kind.GAUGE, "Back\\slash."), [({"group": name}, 2**62 + 1), ({"group": "other"}, 0.25)])
    body = text.text().decode()
    assert "4611686018427387905\n" in body
    (family,) = text_string_to_metric_families(body)
    assert [(sample.labels["group"], sample.value) for sample in family.samples] == [
        (name, 2**62 + 1),
        ("other", 0.25),
    ]
    assert family.documentation == "Back\\slash."


def test_a_histogram_adds_its_buckets_up():
    text = Exposition()
    text.histogram(Family("took", Kind.HISTOGRAM, "Time."), [0.1, 1], [({"request": "Fetch"}, [2, 0, 3], 12.5)])
    (family,) = text_string_to_metric_families(text.text().decode())
    assert [(sample.name, sample.labels.get("le"), sample.value) for sample in family.samples] == [
        ("took_bucket", "0.1", 2),
        ("took_bucket", "1", 2),
        ("took_bucket", "+Inf", 5),
        ("took_sum", None, 12.5),
        ("took_count", None, 5),
    ]


def test_the_process_is_read_as_the_system_sees_it():
    numbers = process.read()
    assert numbers.keys() == families.PROCESS.keys()
    assert 1_000_000 < numbers["resident_bytes"] < numbers["virtual_bytes"]
    assert 0 < numbers["open_files"] <= numbers["open_files_max"]
