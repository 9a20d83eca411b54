"""Serializers and deserializers for a schema registry: confluent-kafka's, with Avro compiled to machine code.

`AvroSerializer` and `AvroDeserializer` take the arguments and settings of confluent-kafka's and go wherever those go;
records may be dicts, dataclasses or msgspec Structs. JSON Schema and Protobuf are confluent-kafka's own classes, here
so that one import serves all three. `AvroEncoder` and `AvroDecoder` are the codec alone, for values without a registry.

What asks a registry needs `moldau[registry]`, so every name is loaded when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import (
        AsyncSchemaRegistryClient,
        Schema,
        SchemaReference,
        SchemaRegistryClient,
        header_schema_id_serializer,
    )
    from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

    from moldau._core import AvroDecoder, AvroEncoder, AvroError
    from moldau.client.serdes.asynchronous import AsyncAvroDeserializer, AsyncAvroSerializer
    from moldau.client.serdes.synchronous import AvroDeserializer, AvroSerializer

__all__ = [
    "AsyncAvroDeserializer",
    "AsyncAvroSerializer",
    "AsyncSchemaRegistryClient",
    "AvroDecoder",
    "AvroDeserializer",
    "AvroEncoder",
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

_HOMES: Final = {
    "moldau._core": ("AvroDecoder", "AvroEncoder", "AvroError"),
    "moldau.client.serdes.asynchronous": ("AsyncAvroDeserializer", "AsyncAvroSerializer"),
    "moldau.client.serdes.synchronous": ("AvroDeserializer", "AvroSerializer"),
    "confluent_kafka.serialization": ("MessageField", "SerializationContext", "SerializationError"),
    "confluent_kafka.schema_registry.json_schema": ("JSONDeserializer", "JSONSerializer"),
    "confluent_kafka.schema_registry.protobuf": ("ProtobufDeserializer", "ProtobufSerializer"),
    "confluent_kafka.schema_registry": (
        "AsyncSchemaRegistryClient",
        "Schema",
        "SchemaReference",
        "SchemaRegistryClient",
        "header_schema_id_serializer",
    ),
}

if not TYPE_CHECKING:
    # For a type checker there are the names above and no others: it finds a misspelled one.

    def __getattr__(name: str) -> Any:
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(home), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
