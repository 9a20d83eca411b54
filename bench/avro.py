"""Moldau's Avro codec beside fastavro's, on the guide's Order: `python -m bench.avro`.

Both take turns in one process, and the best round of each counts, in CPU time: noise only ever adds. The loop around
the call is measured too and taken off. `schemaless_reader` and `schemaless_writer` are called as confluent-kafka's
serializers call them, with a parsed schema and a BytesIO. JSON by msgspec stands beside them as the measure of what
making the objects costs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import time
from collections.abc import Callable
from typing import Any

import fastavro
import msgspec

from moldau.client.serdes import AvroDecoder, AvroEncoder
from moldau.client.serdes.shapes import Shapes

ORDER: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "com.myco.ecommerce",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "customer_id", "type": "string"},
        {"name": "amount_cents", "type": "long"},
        {
            "name": "status",
            "type": {
                "type": "enum",
                "name": "OrderStatus",
                "symbols": ["PENDING", "PROCESSING", "COMPLETED", "CANCELLED"],
            },
        },
        {"name": "created_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {
            "name": "metadata",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Meta",
                    "fields": [
                        {"name": "ip", "type": "string"},
                        {"name": "ua", "type": ["null", "string"], "default": None},
                    ],
                },
            ],
            "default": None,
        },
    ],
}
VALUE: dict[str, Any] = {
    "order_id": "order-000001",
    "customer_id": "customer-42",
    "amount_cents": 129_900,
    "status": "PENDING",
    "created_at": dt.datetime(2026, 11, 25, 12, 30, 45, 123_000, tzinfo=dt.UTC),
    "metadata": {"ip": "10.0.0.1", "ua": "curl/8.0"},
}


class Meta(msgspec.Struct):
    ip: str
    ua: str | None = None


class Order(msgspec.Struct):
    order_id: str
    customer_id: str
    amount_cents: int
    status: str
    created_at: dt.datetime
    metadata: Meta | None = None


def variant(*, moment: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The guide's schema and a value; without `moment` the time is a plain long, so that no datetime is made."""
    if moment:
        return ORDER, VALUE
    fields = [{**field, "type": "long"} if field["name"] == "created_at" else field for field in ORDER["fields"]]
    return {**ORDER, "fields": fields}, {**VALUE, "created_at": 1_795_609_845_123}


def contenders(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """What is measured, by name. Each result is checked against fastavro's first."""
    text = json.dumps(schema)
    parsed = fastavro.parse_schema(json.loads(text))
    encode, decode = AvroEncoder(text).encode, AvroDecoder(text).decode
    shapes = Shapes(text, [], Order)
    decode_struct = AvroDecoder(text, shapes=shapes.shapes).decode

    def their_write() -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, value)
        return out.getvalue()

    content = their_write()
    struct = decode_struct(content)
    assert encode(value) == encode(struct) == content
    assert decode(content) == fastavro.schemaless_reader(io.BytesIO(content), parsed) == value
    in_json, from_json = msgspec.json.encode(value), msgspec.json.Decoder()
    to_json = msgspec.json.Encoder().encode
    return {
        "nothing": lambda: None,
        "decode: fastavro": lambda: fastavro.schemaless_reader(io.BytesIO(content), parsed),
        "decode: moldau to dict": lambda: decode(content),
        "decode: moldau to Struct": lambda: decode_struct(content),
        "decode: msgspec JSON to dict": lambda: from_json.decode(in_json),
        "encode: fastavro": their_write,
        "encode: moldau from dict": lambda: encode(value),
        "encode: moldau from Struct": lambda: encode(struct),
        "encode: msgspec JSON from dict": lambda: to_json(value),
    }


def measured(contenders: dict[str, Callable[[], Any]], count: int, rounds: int) -> dict[str, float]:
    """Nanoseconds of CPU for one call of each, the best of all rounds."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, call in contenders.items():
            started = time.process_time_ns()
            for _ in range(count):
                call()
            best[name] = min(best[name], (time.process_time_ns() - started) / count)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    for title, moment in (("the guide's Order", True), ("the same with the time as a plain long", False)):
        found = measured(contenders(*variant(moment=moment)), given.count, given.rounds)
        around = found.pop("nothing")
        print(f"{title} (fastavro {fastavro.__version__}, ns of CPU per record, best of {given.rounds})")
        for name, nanoseconds in found.items():
            theirs = found[f"{name.partition(':')[0]}: fastavro"] - around
            own = nanoseconds - around
            print(f"  {name:32}{own:8.0f} ns{1e3 / own:8.2f} M/s{theirs / own:8.1f} x")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
