"""Steps that are done at once give what they give one after the other, failures included."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pytest

from moldau.connect.data import Schema, SchemaBuilder, Struct, Timestamp
from moldau.connect.errors import ConnectError, DataError
from moldau.connect.records import Header, SinkRecord, SourceRecord
from moldau.connect.runtime.pipeline import Run, Step, Transforms
from moldau.connect.runtime.tolerance import Skipped, Tolerance
from moldau.connect.transforms.cast import CastValue
from moldau.connect.transforms.fields import MaskFieldValue, ReplaceFieldValue, ValueToKey
from moldau.connect.transforms.flatten import FlattenKey, FlattenValue
from moldau.connect.transforms.insert_field import InsertFieldValue
from moldau.connect.transforms.predicates import TopicNameMatches
from moldau.connect.transforms.timestamps import TimestampConverterValue

AT = dt.datetime(2024, 5, 6, 7, 8, 9, 7000, dt.UTC)
CHAIN = (
    (ValueToKey, {"fields": "region,id"}),
    (FlattenValue, {"delimiter": "_"}),
    (MaskFieldValue, {"fields": "ssn,customer_city", "replacement": "[REDACTED]"}),
    (InsertFieldValue, {"static.field": "_source", "static.value": "shop", "topic.field": "_topic!"}),
    (TimestampConverterValue, {"field": "created_at", "target.type": "unix"}),
    (ReplaceFieldValue, {"exclude": "id", "renames": "ssn:number"}),
    (CastValue, {"spec": "amount:string"}),
)
CUSTOMER = (
    SchemaBuilder.struct()
    .optional()
    .field("id", Schema.INT64_SCHEMA)
    .field("city", Schema.OPTIONAL_STRING_SCHEMA)
    .build()
)
ORDER = (
    SchemaBuilder.struct()
    .name("order")
    .field("id", Schema.INT64_SCHEMA)
    .field("region", SchemaBuilder.string().default_value("eu").build())
    .field("customer", CUSTOMER)
    .field("ssn", Schema.OPTIONAL_STRING_SCHEMA)
    .field("amount", Schema.FLOAT64_SCHEMA)
    .field("created_at", Timestamp.builder().optional().build())
    .build()
)


def customer(number, city):
    return Struct.of(CUSTOMER, [number, city])


ORDERS = {
    "whole": [1, "us", customer(7, "Praha"), "123", 9.5, AT],
    "with nulls": [2, None, customer(8, None), None, 0.0, None],
    "without a customer": [3, "us", None, "1", 1.0, AT],
    "without its number": [None, "us", None, "1", 1.0, AT],
}


def steps(*chain):
    made = []
    for kind, settings in chain:
        transformation = kind()
        transformation.configure(settings)
        made.append(Step(transformation))
    return made


def source(values):
    headers = [Header("h", 1)]
    return SourceRecord({"of": 1}, {"at": 2}, "orders", 3, value_schema=ORDER, value=Struct.of(ORDER, values),
                        timestamp=5, headers=headers)  # fmt: skip


def sink(values):
    return SinkRecord("orders", 3, None, None, ORDER, Struct.of(ORDER, values), 7, 5)


def one_by_one(record):
    for step in steps(*CHAIN):
        record = step(record)
    return record


@pytest.mark.parametrize("record_of", [source, sink])
@pytest.mark.parametrize("values", ORDERS.values(), ids=ORDERS)
def test_a_chain_at_once_gives_what_its_steps_give_one_after_the_other(values, record_of):
    transforms = Transforms(steps(*CHAIN), Tolerance())
    given, before = record_of(list(values)), record_of(list(values))
    try:
        expected = one_by_one(given)
    except DataError as error:
        with pytest.raises(ConnectError) as raised:
            transforms.apply(given, given)
        assert str(raised.value.__cause__) == str(error)
    else:
        for _ in range(2):
            made = transforms.apply(given, given)
            assert made == expected
            made.value.validate()
        # It was at once: the steps themselves were not called.
        ((run, _),) = transforms._runs
        assert run.at_once(given) == expected
    assert given == before


@pytest.mark.parametrize("value", [None, {"region": "eu", "id": 1, "customer": {"id": 2}, "created_at": 5}])
def test_values_that_are_no_structs_go_one_by_one(value):
    (_, *chain) = CHAIN
    transforms = Transforms(steps(*chain), Tolerance())
    given = SourceRecord({}, {}, "orders", value=value)
    expected = given
    try:
        for step in steps(*chain):
            expected = step(expected)
    except DataError:
        with pytest.raises(ConnectError):
            transforms.apply(given, given)
    else:
        assert transforms.apply(given, given) == expected


def test_a_step_that_fails_is_named_and_called_once_more_under_the_rules_for_errors():
    flag = SchemaBuilder.struct().field("paid", Schema.BOOLEAN_SCHEMA).build()
    reported = []
    reporter = SimpleNamespace(report=reported.append)
    tolerance = Tolerance(tolerate_all=True, reporters=[reporter])
    chain = (
        (InsertFieldValue, {"static.field": "a", "static.value": "b"}),
        (
            MaskFieldValue,
            {"fields": "paid", "replacement": "no"},
        ),
    )
    record = SourceRecord({}, {}, "orders", value_schema=flag, value=Struct.of(flag, [True]))
    with pytest.raises(Skipped):
        Transforms(steps(*chain), tolerance).apply(record, record)
    (failure,) = reported
    assert failure.original is record
    assert failure.class_name == "org.apache.kafka.connect.transforms.MaskField$Value"
    assert tolerance.counts.failures == 1


class Asked(FlattenValue):
    """Is asked for a schema, and says that it has to see each record, or that it cannot be."""

    def __init__(self, error=None):
        self.asked = []
        self.error = error

    def changed_values(self, schema):
        self.asked.append(schema)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [None, DataError("no such field")])
def test_a_schema_that_cannot_be_compiled_is_tried_once(error):
    other = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).build()
    asked = Asked(error)
    run = Run([SimpleNamespace(changed_values=asked.changed_values)])
    for _ in range(3):
        assert run.at_once(source([1, "us", None, "1", 1.0, AT])) is None
        assert run.at_once(SourceRecord({}, {}, "t", value_schema=other, value=Struct.of(other, [1]))) is None
    assert asked.asked == [ORDER, other]


def test_only_values_without_a_condition_are_done_at_once():
    shorter = steps(*CHAIN[:2])
    conditional = Step(shorter[0]._transformation, TopicNameMatches())
    of_keys = steps((FlattenKey, {}))
    rows = Transforms([*shorter, conditional, *of_keys, *steps(*CHAIN[3:4])], Tolerance())._runs
    assert [(run is not None, len(row)) for run, row in rows] == [(True, 2), (False, 2), (False, 1)]


def test_what_somebody_makes_of_our_class_is_called():
    class Louder(FlattenValue):
        def apply(self, record):
            return super().apply(record).with_topic("louder")

    record = source(ORDERS["whole"])
    made = Transforms(steps((Louder, {}), *CHAIN[3:4]), Tolerance()).apply(record, record)
    assert made.topic == "louder"
