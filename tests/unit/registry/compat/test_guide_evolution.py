"""The guide's Order schema, and each of the changes that it calls allowed or forbidden under BACKWARD.

Where the rule of Avro is not what the guide's words say, the test says so, and so does docs/guides/schemas.md.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from moldau.registry.languages import LANGUAGES, Policy

AVRO = LANGUAGES["AVRO"]

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


def with_fields(change) -> dict[str, Any]:
    schema = copy.deepcopy(ORDER)
    change(schema["fields"])
    return schema


def rename(field: dict[str, Any], name: str, **more: Any) -> None:
    field.update(name=name, **more)


ADD_WITH_DEFAULT = with_fields(lambda fields: fields.append({"name": "region", "type": "string", "default": "US"}))
ADD_WITHOUT_DEFAULT = with_fields(lambda fields: fields.append({"name": "region", "type": "string"}))
REMOVE_WITH_DEFAULT = with_fields(lambda fields: fields.pop(5))
REMOVE_WITHOUT_DEFAULT = with_fields(lambda fields: fields.pop(1))
CHANGE_TYPE = with_fields(lambda fields: fields[2].update(type="string"))
RENAME = with_fields(lambda fields: rename(fields[1], "customer_identifier"))
SAFE_RENAME = with_fields(lambda fields: rename(fields[1], "customer_identifier", aliases=["customer_id"]))


def rules(reader: Any, writer: Any) -> list[str]:
    parsed = [AVRO.parse(json.dumps(schema), [], strict=True) for schema in (reader, writer)]
    return [reason.rule for reason in AVRO.check(*parsed, Policy.STRICT)]


@pytest.mark.parametrize(
    ("new", "backward", "forward"),
    [
        pytest.param(ADD_WITH_DEFAULT, [], [], id="add a field with a default: allowed"),
        pytest.param(REMOVE_WITH_DEFAULT, [], [], id="remove a field that had a default: allowed"),
        # The guide: forbidden, "old consumers break". True, and it is FORWARD that protects old consumers; under
        # BACKWARD the new reader skips the field, and Confluent's registry allows it too.
        pytest.param(
            REMOVE_WITHOUT_DEFAULT,
            [],
            ["READER_FIELD_MISSING_DEFAULT_VALUE"],
            id="remove a field without default: allowed by BACKWARD, refused by FORWARD and FULL",
        ),
        pytest.param(CHANGE_TYPE, ["TYPE_MISMATCH"], ["TYPE_MISMATCH"], id="change a type: forbidden"),
        pytest.param(
            RENAME,
            ["READER_FIELD_MISSING_DEFAULT_VALUE"],
            ["READER_FIELD_MISSING_DEFAULT_VALUE"],
            id="rename: forbidden",
        ),
        # The alias is the new reader's: old readers do not know it.
        pytest.param(
            SAFE_RENAME,
            [],
            ["READER_FIELD_MISSING_DEFAULT_VALUE"],
            id="rename with an alias: allowed by BACKWARD, refused by FORWARD and FULL",
        ),
        pytest.param(
            ADD_WITHOUT_DEFAULT,
            ["READER_FIELD_MISSING_DEFAULT_VALUE"],
            [],
            id="add a field without default: refused by BACKWARD, allowed by FORWARD",
        ),
    ],
)
def test_a_change_of_the_guide_gets_its_verdict(new, backward, forward):
    assert rules(new, ORDER) == backward
    assert rules(ORDER, new) == forward
