"""Five transforms and JSON on one record of a source: `python -m bench.connect_chain`.

The chain is the streaming guide's. Each step is measured alone and all together, in CPU time of one process; the best
round counts, as noise only ever adds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Callable
from typing import Any

from moldau.connect.converters.json import JsonConverter
from moldau.connect.data import Schema, SchemaBuilder, Struct, Timestamp
from moldau.connect.plugin import Transformation
from moldau.connect.records import SourceRecord
from moldau.connect.runtime.pipeline import Step, Transforms
from moldau.connect.runtime.tolerance import Tolerance
from moldau.connect.transforms.fields import MaskFieldValue, ValueToKey
from moldau.connect.transforms.flatten import FlattenValue
from moldau.connect.transforms.insert_field import InsertFieldValue
from moldau.connect.transforms.timestamps import TimestampConverterValue

CUSTOMER = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).field("city", Schema.STRING_SCHEMA).build()
ORDER = (
    SchemaBuilder.struct()
    .name("order")
    .field("id", Schema.INT64_SCHEMA)
    .field("region", Schema.STRING_SCHEMA)
    .field("customer", CUSTOMER)
    .field("email", Schema.STRING_SCHEMA)
    .field("ssn", Schema.STRING_SCHEMA)
    .field("amount", Schema.FLOAT64_SCHEMA)
    .field("created_at", Timestamp.SCHEMA)
    .build()
)
CHAIN: tuple[tuple[type[Transformation[Any]], dict[str, str]], ...] = (
    (ValueToKey, {"fields": "region"}),
    (FlattenValue, {"delimiter": "_"}),
    (MaskFieldValue, {"fields": "ssn,credit_card,email", "replacement": "[REDACTED]"}),
    (InsertFieldValue, {"static.field": "_source", "static.value": "postgres-prod"}),
    (TimestampConverterValue, {"field": "created_at", "target.type": "unix"}),
)
AT = dt.datetime(2024, 5, 6, 7, 8, 9, 7000, dt.UTC)


def order(number: int) -> SourceRecord:
    customer = Struct.of(CUSTOMER, [number, "Praha"])
    value = Struct.of(ORDER, [number, "eu", customer, "a@example.org", "123-45", 9.5, AT])
    return SourceRecord({}, {}, "orders", value_schema=ORDER, value=value)


def best(step: Callable[[Any], Any], inputs: list[Any], rounds: int) -> float:
    """Records per second of CPU."""
    least = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        for each in inputs:
            step(each)
        least = min(least, time.process_time() - begun)
    return len(inputs) / least


def configured() -> list[Transformation[Any]]:
    """The steps of the chain."""
    steps = []
    for kind, settings in CHAIN:
        transform = kind()
        transform.configure(settings)
        steps.append(transform)
    return steps


def whole_chain(records: int, rounds: int) -> float:
    """Records per second through all steps, as a worker calls them, with key and value to JSON."""
    transforms = Transforms([Step(each) for each in configured()], Tolerance())
    key, value = JsonConverter(), JsonConverter()
    key.configure({}, is_key=True)
    value.configure({})

    def everything(record: Any) -> None:
        record = transforms.apply(record, record)
        key.from_connect_data(record.topic, record.key_schema, record.key)
        value.from_connect_data(record.topic, record.value_schema, record.value)

    return best(everything, [order(number) for number in range(records)], rounds)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=5)
    asked = arguments.parse_args()
    steps, json = configured(), JsonConverter()
    json.configure({})

    def to_json(record: SourceRecord) -> bytes | None:
        return json.from_connect_data(record.topic, record.value_schema, record.value)

    inputs: list[Any] = [order(number) for number in range(asked.records)]
    print(f"{'all five, key and value to JSON':40} {whole_chain(asked.records, asked.rounds):12,.0f} records/s")
    for step in steps:
        print(f"{type(step).__name__:40} {best(step.apply, inputs, asked.rounds):12,.0f} records/s")
        inputs = [step.apply(record) for record in inputs]
    print(f"{'JsonConverter, value with its schema':40} {best(to_json, inputs, asked.rounds):12,.0f} records/s")
    written = [to_json(record) for record in inputs]
    read = best(lambda data: json.to_connect_data("orders", data), written, asked.rounds)
    print(f"{'JsonConverter, read back':40} {read:12,.0f} records/s")


if __name__ == "__main__":
    main()
