"""Clients for any Kafka cluster: confluent-kafka's, plus what the guide uses and they lack.

`producer`, `consumer` and `admin` are the classes; `async_producer` and `async_consumer` their asyncio twins.
`java_settings` is the table of Java's settings, `translation` the rules that read it, `partitioner` and `transaction`
what their names say. Everything talks the public protocol: nothing here knows Moldau's own node.
"""

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
