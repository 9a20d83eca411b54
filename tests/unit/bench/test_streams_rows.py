"""The side by side of stream processing: its records are what a client reads, and its checks know a wrong result."""

from __future__ import annotations

import json
import struct

import confluent_kafka
import pytest
from bench.versus.streams.load import HOUR_MS, ORDER_SCHEMA, Lot, send
from bench.versus.streams.rows import ROWS, Check, is_the_same

import moldau
from moldau.client.serdes import AvroDecoder


def window_key(customer: str, start: int) -> bytes:
    return customer.encode() + struct.pack(">q", start)


def test_a_lot_is_read_back_as_it_was_meant():
    lot = Lot(0, 1000, 10)
    with moldau.Broker() as broker:
        admin = moldau.AdminClient(bootstrap_servers=broker.bootstrap_servers)
        admin.create_topics([confluent_kafka.admin.NewTopic("orders", 1)])["orders"].result(30)
        send(broker.bootstrap_servers, {"orders": lot.encode("orders")})
        consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader"})
        consumer.assign([confluent_kafka.TopicPartition("orders", 0, 0)])
        found = []
        while len(found) < 1000:
            found += [message for message in consumer.consume(1000, 30) if message.error() is None]
        consumer.close()
    read = [(one.key().decode(), json.loads(one.value()), one.timestamp()[1]) for one in found]
    assert [(key, value["amount"], value["status"], time) for key, value, time in read] == list(lot.orders())


def test_the_last_of_a_window_counts_and_the_forms_of_two_peers_say_the_same():
    lot = Lot(0, 2000, 7)
    ours, theirs = Check(ROWS["hourly-revenue"].tell), Check(ROWS["hourly-revenue"].tell)
    totals: dict[tuple[str, int], float] = {}
    for customer, amount, status, moment in lot.orders():
        if status == "COMPLETED":
            start = moment // HOUR_MS * HOUR_MS
            total = totals[customer, start] = totals.get((customer, start), 0.0) + amount
            ours.take(window_key(customer, start), struct.pack(">d", total))
            value = {"start": start, "end": start + HOUR_MS, "value": total}
            theirs.take(customer.encode(), json.dumps(value).encode())
    assert is_the_same(ours.outcome(), ROWS["hourly-revenue"].expect(lot))
    assert is_the_same(theirs.outcome(), ours.outcome())


def test_results_that_come_and_go_are_counted_up_and_down_in_whatever_order():
    check = Check(ROWS["hourly-revenue"].tell)
    for value, diff in ((5.0, 1), (9.0, 1), (5.0, -1), (2.0, 1)):
        check.take(b"internal", json.dumps({"start": 0, "value": value, "diff": diff, "time": 1}).encode())
    assert check.outcome() == (2, 11.0)


def test_orders_in_avro_are_the_same_orders_behind_the_frame_of_a_registry():
    lot, framed = Lot(0, 10, 3), Lot(0, 10, 3, schema_id=7)
    assert framed.encode("orders") != lot.encode("orders")
    decoder = AvroDecoder(json.dumps(ORDER_SCHEMA))
    for (key, value, moment), (framed_key, data, framed_moment) in zip(lot._orders(), framed._orders(), strict=True):
        assert struct.unpack_from(">bi", data) == (0, 7)
        assert (framed_key, framed_moment) == (key, moment)
        assert decoder.decode(data[5:]) == json.loads(value)


@pytest.mark.parametrize("row", ["stateless", "expressions", "hourly-revenue", "enriched", "paid", "sessions"])
def test_a_result_too_few_or_twice_is_seen(row: str):
    count, total = ROWS[row].expect(Lot(0, 1000, 10))
    assert not is_the_same((count, total), (count - 1, total))
    assert not is_the_same((count, total), (count, total + 1))


def test_a_session_that_became_longer_takes_the_place_of_the_one_that_was():
    check = Check(ROWS["sessions"].tell)
    check.take(b"ann" + struct.pack(">qq", 5, 5), struct.pack(">q", 1))
    check.take(b"ann" + struct.pack(">qq", 5, 5), None)
    check.take(b"ann" + struct.pack(">qq", 9, 5), struct.pack(">q", 2))
    assert check.outcome() == (1, 2.0)
