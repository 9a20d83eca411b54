"""Serdes of Avro with schemas in a registry: the bytes of Confluent's serializers, read and written compiled.

Bound to a topic, a serde writes under that topic's subject (`orders-value`). What a store keeps has no topic: it is
registered under the name of its record, wherever it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from moldau.streams.errors import StreamsError
from moldau.streams.serdes.serde import Serde, Side
from moldau.streams.serdes.structured import is_frozen

_TIMEOUT_S: Final = 30


@dataclass(frozen=True, slots=True)
class RegisteredSerde(Serde[Any]):
    """A serde that is another one for each side of each topic."""

    bound: Callable[[str, Side], Serde[Any]] | None = None

    def bind(self, topic: str, side: Side) -> Serde[Any]:
        """The serde that writes under the subject of one side of one topic."""
        assert self.bound is not None
        return self.bound(topic, side)


def avro_serde(kind: type | None, registry: Any, schema: str | None, conf: Mapping[str, Any] | None) -> Serde[Any]:
    """What `Serdes.avro` is. The registry is asked once per schema, when the first value of it comes by."""
    from confluent_kafka.schema_registry import record_subject_name_strategy

    from moldau.client.serdes import (
        AvroDeserializer,
        AvroSerializer,
        MessageField,
        SchemaRegistryClient,
        SerializationContext,
    )

    client = SchemaRegistryClient({"url": registry, "timeout": _TIMEOUT_S}) if isinstance(registry, str) else registry
    into = None if kind in {None, dict} else kind
    name, immutable = f"Avro({getattr(into, '__name__', 'dict')})", into is not None and is_frozen(into)
    read = AvroDeserializer(client, into=into)
    by_record = {**(conf or {}), "subject.name.strategy": record_subject_name_strategy}
    write: Any = _only_reads if schema is None else AvroSerializer(client, schema, conf=conf)
    keep: Any = _only_reads if schema is None else AvroSerializer(client, schema, conf=by_record)

    def bound(topic: str, side: Side) -> Serde[Any]:
        context = SerializationContext(topic, MessageField.KEY if side == "key" else MessageField.VALUE)
        return Serde(name, lambda value: write(value, context), lambda data: read(data, context), immutable)

    return RegisteredSerde(name, keep, read, immutable, bound)


def _only_reads(_value: Any, _context: Any = None) -> NoReturn:
    raise StreamsError("an Avro serde without a schema only reads\nhint: Serdes.avro(..., schema=...) writes as well")
