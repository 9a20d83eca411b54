"""Topologies of expressions on a node: through columns, with what is unusual among it, restarted and killed."""

from __future__ import annotations

import json
import random

import pytest
from confluent_kafka import Producer
from msgspec.structs import astuple
from tests.integration.streams.cluster import WITHIN_S, committed, eventually
from tests.integration.streams.test_kill import spawn
from tests.integration.streams.topologies import (
    HOUR_MS,
    T0,
    expressions,
    priced_in_expressions,
    revenue_in_expressions,
)

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


def over_hours(count):
    """Orders of three hours, every tenth of them late by up to an hour and a half, some of them not usual."""
    chance = random.Random(count)
    made = []
    for number in range(count):
        moment = T0 + number * 3 * HOUR_MS // count - (number % 10 == 0) * chance.randrange(HOUR_MS * 3 // 2)
        made.append(
            (
                f"k{chance.randrange(30)}".encode(),
                order(number, "CANCELLED" if number % 4 == 0 else "COMPLETED"),
                moment,
            )
        )
    for place in range(100, count, 700):
        made.insert(place, (b"k1", UNUSUAL[place % len(UNUSUAL)], T0))
    return made


@pytest.mark.parametrize("rekeyed", [False, True], ids=["by key", "repartitioned"])
@pytest.mark.parametrize("cache_bytes", [0, 1 << 20], ids=["every update", "cached"])
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_aggregates_are_the_same_with_columns_and_without(cluster, guarantee, cache_bytes, rekeyed):
    name = f"totals-{guarantee}-{cache_bytes}-{rekeyed}"
    cluster.create(1, name, f"{name}-with", f"{name}-without")
    mixed, told = over_hours(3000), {}
    for last, part in (("probe-1", mixed[:1700]), ("probe-2", mixed[1700:])):
        probe = json.dumps({"number": 0, "customer": last, "amount": 1.0, "status": "COMPLETED"}).encode()
        cluster.write(name, [*part, (last.encode(), probe, part[-1][2])])
        # The second part is worked on by another instance, which gets the state of the first.
        for how, enabled in (("with", True), ("without", False)):
            sink = f"{name}-{how}"
            app = cluster.app(
                revenue_in_expressions(name, sink, rekeyed=rekeyed),
                sink,
                last,
                processing_guarantee=guarantee,
                columns_enabled=enabled,
                statestore_cache_max_bytes=cache_bytes,
                deserialization_exception_handler=log_and_continue,
                processing_exception_handler=log_and_continue,
                production_exception_handler=log_and_continue,
            )
            app.start()
            eventually(
                lambda sink=sink, last=last: any(one.key().startswith(last.encode()) for one in cluster.read(sink))
            )
            assert (columnar(app) > 0.9 * len(part)) is enabled
            # Each topology has a class of its own for what `agg` keeps.
            told[how, last] = [(key, astuple(value)) for key, value in sorted(app.store("revenue").all())]
            app.close()
    with_columns, without, more_with, more_without = told.values()
    assert (with_columns, more_with) == (without, more_without)
    assert len(more_with) > 10
    changes = [latest(cluster, f"{name}-{how}-revenue-changelog") for how in ("with", "without")]
    assert changes[0] == changes[1]
    assert latest(cluster, f"{name}-with") == latest(cluster, f"{name}-without") != {}
    if not cache_bytes:
        assert written(cluster, f"{name}-with") == written(cluster, f"{name}-without")


def prices(since, until):
    """Prices that change now and then, and one that goes."""
    given = [(b"k%d" % key, b'{"price":%d}' % key, since) for key in range(10)]
    middle = (since + until) // 2
    return [*given, (b"k1", b'{"price":101}', middle), (b"k2", None, middle + 1), (b"k3", b"no json", middle + 2)]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_joins_with_tables_are_the_same_with_columns_and_without(cluster, guarantee):
    name = f"priced-{guarantee}"
    cluster.create(1, name, f"{name}-prices", f"{name}-with", f"{name}-without")
    for part in range(2):
        since = T0 + part * 10_000
        orders = [(b"k%d" % (number % 12), order(number), since + 1 + number) for number in range(2000)]
        orders.insert(700, (b"k1", b"no json", since + 700))
        cluster.write(f"{name}-prices", prices(since, since + 2000))
        cluster.write(name, orders)
        # The second part is worked on by another instance, which gets the table of the first.
        for how, enabled in (("with", True), ("without", False)):
            sink = f"{name}-{how}"
            app = cluster.app(
                priced_in_expressions(name, f"{name}-prices", sink),
                sink,
                str(part),
                processing_guarantee=guarantee,
                columns_enabled=enabled,
                deserialization_exception_handler=log_and_continue,
            )
            app.start()
            wanted = (part + 1) * 2000
            eventually(lambda sink=sink, wanted=wanted: len(cluster.read(sink)) >= wanted)
            assert (columnar(app) > 1900) is enabled
            app.close()
    assert written(cluster, f"{name}-with") == written(cluster, f"{name}-without")
    values = [json.loads(value) for _, _, value, _ in written(cluster, f"{name}-with")]
    assert len(values) == 4000
    assert {value["price"] for value in values[:900]} == {*range(10), None}
    assert {value["price"] for value in values[1100:2000]} == {0, 101, *range(3, 10), None}


def latest(cluster, topic):
    return {one.key(): (one.value(), one.timestamp()[1]) for one in cluster.read(topic)}


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
