"""The image as the records of a snapshot."""

from uuid import UUID

import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata import records as r
from moldau.control.metadata.image import MetadataImage
from moldau.control.metadata.snapshot import encode_for, records_of
from moldau.control.metadata.topics import CreateTopics, NewTopic


def from_records(records):
    image = MetadataImage()
    for record in records:
        image.apply(record)
    return image


@pytest.fixture
def cluster():
    made = Cluster(1, 2, 3)
    made.run(CreateTopics((NewTopic("orders", 3, 2, (), (("retention.ms", "60000"),)), NewTopic("other", 1, 3)), False))
    for record in (
        r.ConfigRecord(4, "", "log.retention.ms", "1"),
        r.ConfigRecord(32, "billing", "consumer.session.timeout.ms", "50000"),
        r.ClientQuotaRecord(
            (r.QuotaEntity("user", None), r.QuotaEntity("client-id", "app")), "producer_byte_rate", 7.5
        ),
        r.ProducerIdsRecord(1, 5, 4_000),
        r.AccessControlEntryRecord(UUID(int=9), 2, "orders", 3, "User:a", "*", 3, 3),
        r.UserScramCredentialRecord("a", 1, b"salt", b"stored", b"server", 4_096),
        r.DelegationTokenRecord("User:a", "User:a", ("User:b",), 1, 2, 3, "token"),
        r.RegisterControllerRecord(1, UUID(int=3)),
    ):
        made.image.apply(record)
    return made


def test_an_image_made_of_its_records_is_the_same(cluster):
    assert from_records(records_of(cluster.image)) == cluster.image


def test_it_is_the_same_after_it_was_written_and_read(cluster):
    values = [encode_for(record, cluster.image.metadata_version) for record in records_of(cluster.image)]
    assert from_records(r.decode_record(value)[0] for value in values) == cluster.image


def test_how_records_are_to_be_read_is_said_first(cluster):
    first, *_ = records_of(cluster.image)
    assert first == r.FeatureLevelRecord("metadata.version", cluster.image.metadata_version)


def test_records_are_those_of_their_moment_whatever_happens_while_they_are_written(cluster):
    before = from_records(records_of(cluster.image))
    records = records_of(cluster.image)
    next(records)
    cluster.run(CreateTopics((NewTopic("later", 2, 1),), False))
    topic = cluster.image.topics["orders"]
    cluster.image.apply(r.PartitionChangeRecord(0, topic.id, leader=2))
    cluster.image.apply(r.RemoveTopicRecord(cluster.image.topics["other"].id))
    cluster.image.apply(r.ConfigRecord(4, "", "log.retention.ms", None))
    late = from_records([r.FeatureLevelRecord("metadata.version", before.metadata_version), *records])
    assert late == before


def test_what_is_half_done_is_in_no_snapshot(cluster):
    cluster.image.apply(r.BeginTransactionRecord())
    with pytest.raises(AssertionError, match="half done"):
        records_of(cluster.image)
