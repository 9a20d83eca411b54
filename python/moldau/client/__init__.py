"""Clients for any Kafka cluster: confluent-kafka's, plus what the guide uses and they lack.

`producer`, `consumer` and `admin` are the classes; `async_producer` and `async_consumer` their asyncio twins.
`java_settings` is the table of Java's settings, `translation` the rules that read it, `partitioner` and `transaction`
what their names say. Everything talks the public protocol: nothing here knows Moldau's own node.

A name is loaded when it is used: who only needs `protocol` does not wait for confluent-kafka.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition, murmur2
    from confluent_kafka.admin import NewTopic

    from moldau.client.admin import AdminClient
    from moldau.client.async_consumer import AsyncConsumer
    from moldau.client.async_producer import AsyncProducer
    from moldau.client.consumer import Consumer
    from moldau.client.partitioner import Partitioner
    from moldau.client.producer import PartitioningProducer, Producer
    from moldau.client.settings import ClientSettingsError

__all__ = [
    "AdminClient",
    "AsyncConsumer",
    "AsyncProducer",
    "ClientSettingsError",
    "Consumer",
    "KafkaError",
    "KafkaException",
    "Message",
    "NewTopic",
    "Partitioner",
    "PartitioningProducer",
    "Producer",
    "TopicPartition",
    "murmur2",
]

if not TYPE_CHECKING:
    # For a type checker there are the names above and no others: it finds a misspelled one.
    _PLACES = {
        **dict.fromkeys(("KafkaError", "KafkaException", "Message", "TopicPartition", "murmur2"), "confluent_kafka"),
        "NewTopic": "confluent_kafka.admin",
        "AdminClient": "moldau.client.admin",
        "AsyncConsumer": "moldau.client.async_consumer",
        "AsyncProducer": "moldau.client.async_producer",
        "ClientSettingsError": "moldau.client.settings",
        "Consumer": "moldau.client.consumer",
        "Partitioner": "moldau.client.partitioner",
        "PartitioningProducer": "moldau.client.producer",
        "Producer": "moldau.client.producer",
    }

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_PLACES[name]), name)
        return found
