"""The chain of transforms of the streaming guide, as it is written there, over a nested order."""

import datetime as dt

import pytest

from moldau.connect.data import Schema, SchemaBuilder, Struct, Timestamp
from moldau.connect.errors import DataError
from moldau.connect.records import SourceRecord
from moldau.connect.transforms.fields import MaskFieldValue, ValueToKey
from moldau.connect.transforms.flatten import FlattenValue
from moldau.connect.transforms.insert_field import InsertFieldValue
from moldau.connect.transforms.predicates import RecordIsTombstone
from moldau.connect.transforms.timestamps import TimestampConverterValue

AT = dt.datetime(2024, 5, 6, 7, 8, 9, 7000, dt.UTC)
SETTINGS = (
    (ValueToKey, {"fields": "region"}),
    (FlattenValue, {"delimiter": "_"}),
    (MaskFieldValue, {"fields": "ssn,credit_card,email", "replacement": "[REDACTED]"}),
    (InsertFieldValue, {"static.field": "_source", "static.value": "postgres-prod"}),
    (TimestampConverterValue, {"field": "created_at", "target.type": "unix"}),
)
CUSTOMER = SchemaBuilder.struct().field("id", Schema.INT64_SCHEMA).field("zip", Schema.OPTIONAL_STRING_SCHEMA).build()
ORDER = (
    SchemaBuilder.struct()
    .name("order")
    .field("region", Schema.STRING_SCHEMA)
    .field("customer", CUSTOMER)
    .field("email", Schema.OPTIONAL_STRING_SCHEMA)
    .field("ssn", Schema.STRING_SCHEMA)
    .field("created_at", Timestamp.builder().optional())
    .build()
)


def applied(record: SourceRecord) -> SourceRecord:
    for kind, settings in SETTINGS:
        transform = kind()
        transform.configure(settings)
        record = transform.apply(record)
    return record


def test_an_order_with_a_schema_goes_through_the_chain():
    customer = Struct(CUSTOMER, id=7)
    order = Struct(ORDER, region="eu", customer=customer, ssn="123", created_at=AT)
    made = applied(SourceRecord({}, {}, "orders", value_schema=ORDER, value=order))
    assert made.key.values == ["eu"]
    assert dict(made.value.items()) == {
        "region": "eu",
        "customer_id": 7,
        "customer_zip": None,
        "email": None,
        "ssn": "[REDACTED]",
        "created_at": 1_714_979_289_007,
        "_source": "postgres-prod",
    }
    made.value.validate()
    assert order.get("ssn") == "123"


def test_an_order_without_a_schema_goes_through_the_chain():
    order = {"region": "eu", "customer": {"id": 7}, "ssn": "123", "created_at": 5}
    made = applied(SourceRecord({}, {}, "orders", value=order))
    assert made.key == {"region": "eu"}
    assert made.value == {
        "region": "eu",
        "customer_id": 7,
        "ssn": "[REDACTED]",
        "created_at": 5,
        "_source": "postgres-prod",
        "credit_card": None,
        "email": None,
    }
    assert order["ssn"] == "123"


def test_a_tombstone_fails_in_the_chain_and_the_message_says_what_to_write():
    tombstone = SourceRecord({}, {}, "orders", key="k")
    assert RecordIsTombstone().test(tombstone)
    with pytest.raises(DataError, match="predicate RecordIsTombstone and negate=true"):
        applied(tombstone)
