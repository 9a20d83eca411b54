"""Records of ours in the form of the recordings: what Kafka Connect's JsonConverter writes, schema and payload."""

from __future__ import annotations

import base64
import math
from typing import Any

from moldau.connect.data import Date, Decimal, Schema, Struct, Time, Timestamp, Type
from moldau.connect.records import SourceRecord

NAMES = {Type.FLOAT32: "float", Type.FLOAT64: "double"}
LOGICAL = {kind.LOGICAL_NAME: kind for kind in (Date, Time, Timestamp)}


def schema_of(schema: Schema | None) -> Any:
    if schema is None:
        return None
    told: dict[str, Any] = {"type": NAMES.get(schema.type, schema.type.value), "optional": schema.optional}
    for name in ("name", "version", "doc", "parameters"):
        value = getattr(schema, name)
        if value is not None:
            told[name] = value
    if schema.default_value is not None:
        told["default"] = payload_of(schema, schema.default_value)
    if schema.type is Type.STRUCT:
        told["fields"] = [{**schema_of(field.schema), "field": field.name} for field in schema.fields]
    elif schema.type is Type.ARRAY:
        told["items"] = schema_of(schema.value_schema)
    elif schema.type is Type.MAP:
        told["keys"], told["values"] = schema_of(schema.key_schema), schema_of(schema.value_schema)
    return told


def payload_of(schema: Schema | None, value: Any) -> Any:
    if value is None:
        return None if schema is None or schema.default_value is None else payload_of(schema, schema.default_value)
    if schema is None:
        return value
    if schema.name == Decimal.LOGICAL_NAME:
        return base64.b64encode(Decimal.from_logical(schema, value)).decode()
    if schema.name in LOGICAL:
        return LOGICAL[schema.name].from_logical(value)
    if isinstance(value, Struct):
        return {
            field.name: payload_of(field.schema, part) for field, part in zip(schema.fields, value.values, strict=True)
        }
    if isinstance(value, list):
        return [payload_of(schema.value_schema, part) for part in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[str(value)]
    return value


def part_of(schema: Schema | None, value: Any) -> Any:
    if schema is None and value is None:
        return None
    return {"schema": schema_of(schema), "payload": payload_of(schema, value)}


def event_of(record: SourceRecord) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "key": part_of(record.key_schema, record.key),
        "value": part_of(record.value_schema, record.value),
        "source_offset": dict(record.source_offset),
        "source_partition": dict(record.source_partition),
        "headers": [[header.key, part_of(header.schema, header.value)] for header in record.headers],
        "partition": record.kafka_partition,
        "timestamp": record.timestamp,
    }
