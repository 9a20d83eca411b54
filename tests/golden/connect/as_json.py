"""Records of Moldau's Connect from and to the JSON of the cases, as `Recorder.java` reads and writes it."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
from typing import Any

from moldau.connect.data import Date, Decimal, Schema, SchemaBuilder, Struct, Time, Timestamp, Type
from moldau.connect.data.java_text import to_float32
from moldau.connect.data.values import milliseconds_of
from moldau.connect.records import ConnectRecord, Headers, SinkRecord, SourceRecord

Node = dict[str, Any]
LOGICAL = {
    Decimal.LOGICAL_NAME: decimal.Decimal,
    Date.LOGICAL_NAME: lambda ms: Date.to_logical(ms // 86_400_000),
    Time.LOGICAL_NAME: Time.to_logical,
    Timestamp.LOGICAL_NAME: Timestamp.to_logical,
}


def schema_of(node: Node | None) -> Schema | None:
    if node is None:
        return None
    kind = Type[node["type"]]
    builder = SchemaBuilder(kind)
    if kind is Type.ARRAY:
        builder = SchemaBuilder.array(known(node["values"]))
    elif kind is Type.MAP:
        builder = SchemaBuilder.map(known(node["keys"]), known(node["values"]))
    for name, each in node.get("fields", []):
        builder.field(name, known(each))
    if node.get("optional"):
        builder.optional()
    builder.name(node.get("name")).version(node.get("version")).doc(node.get("doc")).parameters(node.get("parameters"))
    if "default" in node:
        builder.default_value(value_of(builder.build(), node["default"]))
    return builder.build()


def known(node: Node) -> Schema:
    schema = schema_of(node)
    assert schema is not None
    return schema


def value_of(schema: Schema | None, node: Any) -> Any:
    if node is None:
        return None
    if schema is None:
        return plain(node)
    if schema.name in LOGICAL:
        return LOGICAL[schema.name](node)
    if schema.type is Type.STRUCT:
        return Struct(schema, **{name: value_of(schema.by_name[name].schema, each) for name, each in node.items()})
    if schema.type is Type.ARRAY:
        return [value_of(schema.value_schema, each) for each in node]
    if schema.type is Type.MAP:
        return {value_of(schema.key_schema, key): value_of(schema.value_schema, each) for key, each in node}
    if schema.type is Type.BYTES:
        return base64.b64decode(node)
    return node


def plain(node: Any) -> Any:
    if isinstance(node, dict):
        if "$bytes" in node:
            return base64.b64decode(node["$bytes"])
        if "$timestamp" in node:
            return Timestamp.to_logical(node["$timestamp"])
        if "$decimal" in node:
            return decimal.Decimal(node["$decimal"])
        return {name: plain(each) for name, each in node.items()}
    return [plain(each) for each in node] if isinstance(node, list) else node


def record_of(node: Node) -> ConnectRecord:
    key_schema, value_schema = schema_of(node.get("key_schema")), schema_of(node.get("value_schema"))
    headers = Headers()
    for name, declared, each in node.get("headers", []):
        schema = schema_of(declared)
        headers.add(name, value_of(schema, each), schema)
    key, value = value_of(key_schema, node.get("key")), value_of(value_schema, node.get("value"))
    timestamp, partition = node.get("timestamp"), node.get("partition")
    if "offset" in node:
        return SinkRecord(
            node["topic"], partition, key_schema, key, value_schema, value, node["offset"], timestamp, headers=headers
        )
    return SourceRecord({}, {}, node["topic"], partition, key_schema, key, value_schema, value, timestamp, headers)


def written(record: ConnectRecord) -> Node:
    return {
        "topic": record.topic,
        "partition": record.kafka_partition,
        "timestamp": record.timestamp,
        "key": typed(record.key_schema, record.key),
        "value": typed(record.value_schema, record.value),
        "headers": [[header.key, typed(header.schema, header.value)] for header in record.headers],
    }


def typed(schema: Schema | None, value: Any) -> list[Any]:
    return [None if schema is None else written_schema(schema), written_value(value)]


def written_schema(schema: Schema | None) -> Node | None:
    if schema is None:
        return None
    node: Node = {"type": schema.type.name}
    if schema.type is Type.MAP:
        node["keys"] = written_schema(schema.key_schema)
    if schema.type in {Type.MAP, Type.ARRAY}:
        node["values"] = written_schema(schema.value_schema)
    if schema.type is Type.STRUCT:
        node["fields"] = [[field.name, written_schema(field.schema)] for field in schema.fields]
    if schema.optional:
        node["optional"] = True
    for name in ("name", "version", "doc", "parameters"):
        if getattr(schema, name) is not None:
            node[name] = getattr(schema, name)
    if schema.default_value is not None:
        node["default"] = written_value(schema.default_value)
    return node


def written_value(value: Any) -> Any:
    if isinstance(value, Struct):
        return {name: written_value(each) for name, each in value.items()}
    if isinstance(value, dict):
        return {str(key): written_value(each) for key, each in value.items()}
    if isinstance(value, list):
        return [written_value(each) for each in value]
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dt.date | dt.time):
        return {"$ms": milliseconds_of(value)}
    if isinstance(value, decimal.Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, float):
        return {"$float": comparable(value)}
    return value


def comparable(value: Any) -> Any:
    """What Java has recorded, with its floating point numbers, which it may write with more digits, made comparable."""
    if isinstance(value, float):
        return repr(to_float32(value))
    if isinstance(value, dict):
        if set(value) == {"$float"}:
            return {"$float": comparable(float(value["$float"]))}
        return {name: comparable(each) for name, each in value.items()}
    return [comparable(each) for each in value] if isinstance(value, list) else value
