"""The image as records: what a snapshot of the metadata log holds in the place of everything that led to it.

An image that these records were applied to equals the one that they are of. They come in the order in which Apache
Kafka writes them, because a reader takes them as it takes the log: feature levels first, a topic before its partitions.
Source: `MetadataImage.write` of Apache Kafka 4.3 and the images within it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from moldau.control.metadata import records as r
from moldau.control.metadata.features import METADATA_VERSION, record_version
from moldau.control.metadata.image import Broker, MetadataImage, Partition, Topic
from moldau.control.schema import Message

NOBODY: Final = -1
"""Whose block of producer ids the last one was is not kept."""


def records_of(image: MetadataImage) -> Iterator[Message]:
    """The records; they stay those of this moment, whatever becomes of the image meanwhile.

    The image must not be in the middle of a metadata transaction.
    """
    assert image.transaction is None, "what is half done is in no snapshot"
    # What is copied here is small beside what is written: values are frozen, so tables are all there is to copy.
    topics = [Topic(topic.name, topic.id, dict(topic.partitions)) for topic in image.topics.values()]
    small = [
        *_features(image),
        *map(_broker, image.brokers.values()),
        *image.controllers.values(),
    ]
    rest = [
        *(
            r.ConfigRecord(resource.type, resource.name, name, value)
            for resource, values in image.configs.items()
            for name, value in values.items()
        ),
        *_quotas(image),
        *([r.ProducerIdsRecord(NOBODY, NOBODY, image.next_producer_id)] if image.next_producer_id else ()),
        *image.acls.values(),
        *image.scram_credentials.values(),
        *image.delegation_tokens.values(),
    ]
    return chain(small, _topics(topics), rest)


def encode_for(record: Message, metadata_version: int) -> bytes:
    """The value of the log record, as a cluster of that `metadata.version` has it."""
    return r.encode_record(record, record_version(record, metadata_version))


def _features(image: MetadataImage) -> Iterator[r.FeatureLevelRecord]:
    # How the others are to be read follows from the first.
    yield r.FeatureLevelRecord(METADATA_VERSION, image.metadata_version)
    for name, level in image.features.items():
        if name != METADATA_VERSION:
            yield r.FeatureLevelRecord(name, level)


def _broker(broker: Broker) -> r.RegisterBrokerRecord:
    return r.RegisterBrokerRecord(
        broker_id=broker.id,
        is_migrating_zk_broker=False,
        incarnation_id=broker.incarnation_id,
        broker_epoch=broker.epoch,
        end_points=broker.endpoints,
        features=broker.features,
        rack=broker.rack,
        fenced=broker.fenced,
        in_controlled_shutdown=broker.in_controlled_shutdown,
        log_dirs=broker.log_dirs,
        cordoned_log_dirs=broker.cordoned_log_dirs,
    )


def _topics(topics: Iterable[Topic]) -> Iterator[Message]:
    for topic in topics:
        yield r.TopicRecord(topic.name, topic.id)
        for index, partition in topic.partitions.items():
            yield _partition(topic, index, partition)


def _partition(topic: Topic, index: int, partition: Partition) -> r.PartitionRecord:
    return r.PartitionRecord(
        partition_id=index,
        topic_id=topic.id,
        replicas=partition.replicas,
        isr=partition.isr,
        removing_replicas=partition.removing_replicas,
        adding_replicas=partition.adding_replicas,
        leader=partition.leader,
        leader_recovery_state=partition.leader_recovery_state,
        leader_epoch=partition.leader_epoch,
        partition_epoch=partition.partition_epoch,
        directories=partition.directories,
        # Nothing and an empty list are the same here, and the first is not written at all.
        eligible_leader_replicas=partition.eligible_leader_replicas or None,
        last_known_elr=partition.last_known_elr or None,
    )


def _quotas(image: MetadataImage) -> Iterator[r.ClientQuotaRecord]:
    for key, quotas in image.client_quotas.items():
        entity = tuple(r.QuotaEntity(type_, name) for type_, name in key.entity)
        for name, value in quotas.items():
            yield r.ClientQuotaRecord(entity, name, value, False)
