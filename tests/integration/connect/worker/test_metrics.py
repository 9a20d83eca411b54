"""What a worker's `/metrics` says of connectors and tasks that have worked, failed and been tolerated."""

from __future__ import annotations

import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

sys.path.insert(0, str(Path(__file__).parent))

from tests.integration.connect.worker.conftest import eventually
from tests.integration.connect.worker.test_pipelines import OURS, QUEUE, counter, keeper, kept

from moldau.observe import connect as names
from moldau.observe.families import PROCESS


def scraped(connect):
    """Every sample: its name, labels, value; parsed as Prometheus does."""
    answer = connect.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def of(connect, **labels):
    """Values by name of the samples that have these labels."""
    return {
        sample.name: sample.value
        for sample in scraped(connect)
        if all(sample.labels.get(label) == value for label, value in labels.items())
    }


SOURCE, SINK, ERROR = (f"kafka_connect_{kind}_metrics" for kind in ("source_task", "sink_task", "task_error"))
TASK, WORKER = "kafka_connect_connector_task_metrics", "kafka_connect_connect_worker_metrics"


def test_a_source_counts_what_it_polled_wrote_and_left_out(connect, name):
    odd = {"transforms": "odd", "transforms.odd.type": f"{OURS}:FailsOnOdd", "errors.tolerance": "all"}
    connect.create(name, counter(name, **odd, **{"errors.log.enable": "true"}))
    found = eventually(
        lambda: of(connect, connector=name, task="0"),
        lambda found: (
            (found.get(f"{SOURCE}_source_record_write_total"), found.get(f"{SOURCE}_source_record_active_count"))
            == (60, 0)
        ),
    )
    assert found[f"{SOURCE}_source_record_poll_total"] == 120
    assert found[f"{SOURCE}_source_record_poll_rate"] > 0
    assert found[f"{SOURCE}_poll_batch_max_time_ms"] >= found[f"{SOURCE}_poll_batch_avg_time_ms"] > 0
    assert (found[f"{TASK}_batch_size_max"], found[f"{TASK}_batch_size_avg"]) == (50, 40)
    assert found[f"{ERROR}_total_record_failures"] == found[f"{ERROR}_total_record_errors"] == 60
    assert found[f"{ERROR}_total_records_skipped"] == found[f"{ERROR}_total_errors_logged"] == 60
    assert found[f"{ERROR}_last_error_timestamp"] > 1_700_000_000_000
    eventually(lambda: of(connect, connector=name)[f"{TASK}_offset_commit_success_percentage"], lambda part: part == 1)


def test_a_sink_counts_what_it_read_put_and_committed(connect, name):
    connect.send(name, "a", "poison", "b")
    connect.create(name, keeper(name, **QUEUE, poison="poison", **{"errors.deadletterqueue.topic.name": f"{name}-dlq"}))
    assert kept(name, 2) == ["a", "b"]
    found = eventually(
        lambda: of(connect, connector=name, task="0"), lambda found: found[f"{SINK}_sink_record_active_count"] == 0
    )
    assert found[f"{SINK}_sink_record_read_total"] == found[f"{SINK}_sink_record_send_total"] == 3
    assert found[f"{SINK}_partition_count"] == 1
    assert found[f"{SINK}_offset_commit_completion_total"] >= 1
    assert found[f"{ERROR}_deadletterqueue_produce_requests"] == 1
    assert found[f"{ERROR}_deadletterqueue_produce_failures"] == 0


def test_states_and_starts_are_those_of_the_worker(connect, name):
    before = of(connect)
    connect.create(name, counter(name))
    connect.create(f"{name}-odd", counter(name, **{"transforms": "odd", "transforms.odd.type": f"{OURS}:FailsOnOdd"}))
    connect.wait(name)
    connect.wait(f"{name}-odd", tasks=["FAILED"])
    for connector, status in ((name, "running"), (f"{name}-odd", "failed")):
        statuses = [
            (sample.labels["status"], sample.value)
            for sample in scraped(connect)
            if sample.name == names.STATUS.name and sample.labels["connector"] == connector
        ]
        assert statuses == [(status, 1)]
        counted = of(connect, connector=connector)
        assert (
            counted[f"{WORKER}_connector_total_task_count"] == counted[f"{WORKER}_connector_{status}_task_count"] == 1
        )
    after = of(connect)
    for what in ("connector", "task"):
        assert after[f"{WORKER}_{what}_count"] == before[f"{WORKER}_{what}_count"] + 2
        for outcome in ("attempts", "success"):
            counter_name = f"{WORKER}_{what}_startup_{outcome}_total"
            assert after[counter_name] == before[counter_name] + 2
    connect.ask("PUT", f"/connectors/{name}/pause")
    connect.wait(name, "PAUSED", ["PAUSED"])
    assert 0 < of(connect, connector=name)[f"{TASK}_pause_ratio"] < 1
    # Nothing is left of what is deleted.
    connect.ask("DELETE", f"/connectors/{name}")
    eventually(lambda: of(connect, connector=name), lambda found: not found)


def test_what_is_shown_is_declared(connect, name):
    connect.create(name, counter(name))
    connect.wait(name)
    known = {family.name for family in (*names.ALL, *PROCESS.values())}
    assert {sample.name for sample in scraped(connect)} <= known


def test_changes_and_rows_are_counted_as_debezium_does(connect, newest, name):
    database = "metrics_cdc"
    given = newest.create_database(database)
    newest.execute(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TABLE other (id int PRIMARY KEY)",
        "INSERT INTO t SELECT generate_series(1, 500)",
        dbname=database,
    )
    connect.create(
        name,
        {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "topic.prefix": database,
            "slot.name": database,
            "slot.drop.on.stop": "true",
            "table.include.list": "public.t",
            "poll.interval.ms": "50",
            **{f"{side}.converter": "org.apache.kafka.connect.json.JsonConverter" for side in ("key", "value")},
            **given,
        },
    )

    def debezium(context, attribute, **more):
        found = of(connect, plugin="postgres", name=database, context=context, **more)
        return found.get(f"debezium_metrics_{attribute}")

    eventually(lambda: debezium("streaming", "Connected"), lambda connected: connected == 1)
    assert debezium("snapshot", "SnapshotCompleted") == 1
    assert debezium("snapshot", "SnapshotRunning") == 0
    assert debezium("snapshot", "RowsScanned", table="public.t") == 500
    assert (debezium("snapshot", "TotalTableCount"), debezium("snapshot", "RemainingTableCount")) == (1, 0)
    assert debezium("snapshot", "TotalNumberOfEventsSeen") == 500
    assert debezium("streaming", "MilliSecondsBehindSource") == -1
    newest.execute(
        "INSERT INTO t SELECT generate_series(501, 700)",
        "UPDATE t SET id = id WHERE id <= 20",
        "DELETE FROM t WHERE id <= 5",
        "INSERT INTO other VALUES (1), (2)",
        dbname=database,
    )
    eventually(lambda: debezium("streaming", "NumberOfEventsFiltered"), lambda count: count == 2)
    assert debezium("streaming", "TotalNumberOfCreateEventsSeen") == 200
    assert debezium("streaming", "TotalNumberOfUpdateEventsSeen") == 20
    assert debezium("streaming", "TotalNumberOfDeleteEventsSeen") == 5
    assert debezium("streaming", "TotalNumberOfEventsSeen") == 225
    assert debezium("streaming", "NumberOfCommittedTransactions") == 4
    assert debezium("streaming", "MilliSecondsBehindSource") >= 0
    assert debezium("streaming", "QueueRemainingCapacity") == debezium("streaming", "QueueTotalCapacity") == 8192
    connect.ask("DELETE", f"/connectors/{name}")
