"""Topologies of expressions on a node: through columns, with what is unusual among it, restarted and killed."""

from __future__ import annotations

import json
import random

import pytest
from confluent_kafka import Producer
from tests.integration.streams.cluster import WITHIN_S, committed, eventually
from tests.integration.streams.test_kill import spawn
from tests.integration.streams.topologies import T0, expressions

from moldau.streams.runtime.exception_handlers import log_and_continue

KILLS = 5
RECORDS = 4000
UNUSUAL = [None, b"no json", b'{"status":"COMPLETED"}', b'{"status":"COMPLETED","customer":5,"number":1,"amount":1}']


def order(number, status="COMPLETED"):
    return json.dumps({"number": number, "customer": f"c{number % 7}", "amount": number / 4, "status": status}).encode()


def records(count):
    return [(b"k", order(number, "COMPLETED" if number % 3 else "CANCELLED"), T0 + number) for number in range(count)]


def written(cluster, topic):
    return [(one.partition(), one.key(), one.value(), one.timestamp()[1]) for one in cluster.read(topic)]


def columnar(app):
    return sum(task["columnar"] for thread in app.metrics()["threads"].values() for task in thread["tasks"].values())


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_what_comes_out_is_the_same_with_columns_and_without(cluster, guarantee):
    name = f"columns-{guarantee}"
    cluster.create(2, name, f"{name}-with", f"{name}-without")
    mixed = records(2000)
    for place, value in zip((0, 500, 501, 1999), UNUSUAL, strict=True):
        mixed.insert(place, (b"k", value, T0))
    cluster.write(name, mixed)
    through = {}
    for how, enabled in (("with", True), ("without", False)):
        app = cluster.app(
            expressions(name, f"{name}-{how}"),
            f"{name}-{how}",
            processing_guarantee=guarantee,
            columns_enabled=enabled,
            deserialization_exception_handler=log_and_continue,
            processing_exception_handler=log_and_continue,
            production_exception_handler=log_and_continue,
        )
        app.start()
        eventually(lambda how=how: sum(committed(cluster, f"{name}-{how}").values()) == len(mixed))
        through[how] = columnar(app)
        app.close()
    # Behind what is unusual a few more are taken one by one.
    assert through["with"] > 1990
    assert through["without"] == 0
    assert len(written(cluster, f"{name}-with")) == sum(number % 3 > 0 for number in range(2000))
    assert written(cluster, f"{name}-with") == written(cluster, f"{name}-without")


def test_aborted_records_are_not_seen_under_exactly_once(cluster):
    cluster.create(1, "columns-aborted", "columns-aborted-out")
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": "columns", "linger.ms": 0})
    producer.init_transactions(WITHIN_S)
    for number in range(10):
        producer.begin_transaction()
        for _ in range(20):
            producer.produce("columns-aborted", order(number), b"k", timestamp=T0)
        producer.flush(WITHIN_S)
        (producer.abort_transaction if number % 2 else producer.commit_transaction)(WITHIN_S)
    app = cluster.app(
        expressions("columns-aborted", "columns-aborted-out"), "columns-aborted", processing_guarantee="exactly_once_v2"
    )
    app.start()
    eventually(lambda: len(cluster.read("columns-aborted-out")) == 100)
    assert columnar(app) == 100
    seen = [json.loads(message.value())["number"] for message in cluster.read("columns-aborted-out")]
    assert seen == [number for number in range(0, 10, 2) for _ in range(20)]


@pytest.mark.timeout(300)
def test_each_record_comes_out_once_however_often_the_process_is_killed(cluster, tmp_path):
    cluster.create(3, "columns-kill", "columns-killed")
    chance = random.Random(11)
    for kill in range(KILLS + 1):
        process = spawn(cluster, "columns-kill", "columns-killed", "columns-kill", tmp_path / "state", "columns")
        try:
            assert process.stdout.readline() == b"running\n"
            # Killed somewhere in the middle of the work, and of a transaction; the last one may end it.
            enough = len(cluster.read("columns-killed")) + chance.randrange(RECORDS)
            if kill == KILLS:
                enough = KILLS * RECORDS
            else:
                numbers = range(kill * RECORDS, (kill + 1) * RECORDS)
                cluster.write("columns-kill", [(b"%d" % number, order(number), T0) for number in numbers])
            eventually(lambda enough=enough: len(cluster.read("columns-killed")) >= enough, 60)
        finally:
            process.kill()
            process.wait(30)
            process.stdout.close()
    seen = sorted(json.loads(message.value())["number"] for message in cluster.read("columns-killed"))
    assert seen == list(range(KILLS * RECORDS))
