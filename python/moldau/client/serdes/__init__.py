"""Serializers and deserializers for a schema registry: confluent-kafka's, with Avro compiled to machine code.

`AvroSerializer` and `AvroDeserializer` take the arguments and settings of confluent-kafka's and go wherever those go;
records may be dicts, dataclasses or msgspec Structs. JSON Schema and Protobuf are confluent-kafka's own classes, here
so that one import serves all three. Needs `moldau[registry]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from confluent_kafka.schema_registry import (
    AsyncSchemaRegistryClient,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
)
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from moldau._core import AvroError
from moldau.client.serdes.asynchronous import AsyncAvroDeserializer, AsyncAvroSerializer
from moldau.client.serdes.synchronous import AvroDeserializer, AvroSerializer

if TYPE_CHECKING:
    from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer

__all__ = [
    "AsyncAvroDeserializer",
    "AsyncAvroSerializer",
    "AsyncSchemaRegistryClient",
    "AvroDeserializer",
    "AvroError",
    "AvroSerializer",
    "JSONDeserializer",
    "JSONSerializer",
    "MessageField",
    "ProtobufDeserializer",
    "ProtobufSerializer",
    "Schema",
    "SchemaReference",
    "SchemaRegistryClient",
    "SerializationContext",
    "SerializationError",
    "header_schema_id_serializer",
]

if not TYPE_CHECKING:
    # They need packages of their own (jsonschema, protobuf), which only their users install.

    def __getattr__(name: str) -> Any:
        if name in {"JSONDeserializer", "JSONSerializer"}:
            from confluent_kafka.schema_registry import json_schema

            return getattr(json_schema, name)
        if name in {"ProtobufDeserializer", "ProtobufSerializer"}:
            from confluent_kafka.schema_registry import protobuf

            return getattr(protobuf, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
