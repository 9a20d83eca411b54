"""The records of a real Apache Kafka 4.3.1, byte for byte.

`kafka-4.3.1.jsonl` holds every distinct kind of record of one `__cluster_metadata-0` that Kafka wrote in a life of one
combined node: formatted with a SCRAM user, topics created, grown and deleted, configs of topics and brokers, ACLs,
quotas, a feature downgrade, a clean restart, `kill -9`, another start and a clean stop. `value` is the record's value;
`kafka` is what Kafka's own DumpLogSegments says about it. Made with the published artifacts
(`org.apache.kafka:kafka_2.13:4.3.1`), no file of Kafka is copied.
"""

import base64
import dataclasses
import json
import random
import re
from pathlib import Path
from uuid import UUID

import pytest

from moldau.control.machine import Now
from moldau.control.metadata import features
from moldau.control.metadata import records as r
from moldau.control.metadata.brokers import (
    BeginControlledShutdown,
    FenceBroker,
    RegisterBroker,
    UnfenceBroker,
)
from moldau.control.metadata.cluster import Activate, AllocateProducerIds
from moldau.control.metadata.effective import NodeSettings
from moldau.control.metadata.image import RECOVERING, ConfigResource, MetadataImage
from moldau.control.metadata.machine import MetadataMachine
from moldau.control.metadata.records import decode_record, encode_record
from moldau.control.metadata.topics import CreateTopics, NewTopic
from moldau.control.schema import SchemaError

LINES = [json.loads(line) for line in (Path(__file__).parent / "kafka-4.3.1.jsonl").read_text().splitlines()]
RECORDS = {line["offset"]: decode_record(bytes.fromhex(line["value"])) for line in LINES}
ORDERS = UUID(bytes=base64.urlsafe_b64decode("k8KaA_XFTAy2oz9AVzVxBw=="))


def at(first, last):
    """Kafka's records of an offset range, without those that change nothing."""
    return [record for offset, (record, _) in RECORDS.items() if first <= offset <= last and record != r.NoOpRecord()]


def image_before(offset):
    image = MetadataImage()
    for position, (record, _) in RECORDS.items():
        if position < offset:
            image.apply(record)
    return image


def machine_before(offset, cluster_id="4L6g3nShT-eMCtK--X86sw"):
    machine = MetadataMachine(NodeSettings(1, cluster_id, {}), random.Random(1))
    for position, (record, _) in RECORDS.items():
        if position < offset:
            machine.apply(record)
    return machine


def in_kafkas_words(value):
    """Our objects in the form of DumpLogSegments: camel case, ids and bytes in base64."""
    if isinstance(value, UUID):
        return base64.urlsafe_b64encode(value.bytes).decode().rstrip("=")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [in_kafkas_words(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {
            re.sub("_(.)", lambda match: match[1].upper(), name): in_kafkas_words(getattr(value, name))
            for name in value.__dataclass_fields__
        }
    return value


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['offset']}-{line['kafka']['type']}")
def test_every_record_reads_as_kafka_reads_it_and_is_written_as_kafka_wrote_it(line):
    record, version = RECORDS[line["offset"]]
    assert version == line["kafka"]["version"]
    assert encode_record(record, version).hex() == line["value"]
    told = in_kafkas_words(record)
    # Kafka's dump leaves tagged fields at their defaults out.
    assert {name: told[name] for name in line["kafka"]["data"]} == line["kafka"]["data"]


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['offset']}-{line['kafka']['type']}")
def test_the_version_of_a_record_is_chosen_as_kafka_chooses_it(line):
    record, version = RECORDS[line["offset"]]
    assert features.record_version(record, 30) == version


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['offset']}-{line['kafka']['type']}")
def test_a_record_that_is_cut_or_extended_anywhere_is_refused(line):
    value = bytes.fromhex(line["value"])
    for length in range(len(value)):
        with pytest.raises(SchemaError):
            decode_record(value[:length])
    with pytest.raises(SchemaError):
        decode_record(value + b"\0")


def test_the_replayed_image_says_what_the_admin_client_did():
    image = image_before(1_000_000)
    assert sorted(image.topics) == ["a.b", "manual", "orders"]
    assert len(image.topics["orders"].partitions) == 5
    assert image.configs[ConfigResource(2, "orders")] == {
        "cleanup.policy": "compact,delete",
        "segment.bytes": "1048576",
        "min.insync.replicas": "1",
    }
    assert image.configs[ConfigResource(4, "1")] == {"log.cleaner.threads": "2"}
    assert image.configs[ConfigResource(4, "")] == {"min.insync.replicas": "1", "log.retention.ms": "700000"}
    assert image.features == {name: level for name, level in features.bootstrap_levels() if name != "share.version"}
    assert image.next_producer_id == 2000
    assert image.client_quotas == {}
    assert image.acls == {}
    assert list(image.scram_credentials) == [("alice", 1)]
    assert image.brokers[1].fenced
    assert image.brokers[1].in_controlled_shutdown
    assert image.brokers[1].rack == "rack-a"


def test_a_new_cluster_begins_with_kafkas_records():
    machine = MetadataMachine(NodeSettings(1, "c", {}), random.Random(1))
    ours = machine.decide(Activate(), Now(0, 0)).records
    kafkas = [record for record in at(1, 10) if not isinstance(record, r.UserScramCredentialRecord)]
    assert list(ours) == kafkas


def test_created_topics_have_kafkas_records():
    machine = machine_before(288)
    new = (
        NewTopic("orders", 3, 1, configs=(("retention.ms", "60000"), ("cleanup.policy", "compact,delete"))),
        NewTopic("manual", assignments=((0, (1,)), (1, (1,)))),
    )
    ours = machine.decide(CreateTopics(new), Now(0, 0)).records
    ids = {record.name: record.topic_id for record in ours if isinstance(record, r.TopicRecord)}
    kafkas = [*at(288, 293), *at(296, 298)]
    named = {ORDERS: ids["orders"], kafkas[6].topic_id: ids["manual"]}
    for mine, theirs in zip(ours, kafkas, strict=True):
        expected = theirs
        if hasattr(theirs, "topic_id"):
            expected = dataclasses.replace(theirs, topic_id=named[theirs.topic_id])
        assert mine == expected


def sorted_changes(records):
    return sorted(records, key=lambda record: (type(record).__name__, repr(record)))


def test_a_clean_stop_writes_kafkas_records():
    machine = machine_before(311)
    shutdown = machine.decide(BeginControlledShutdown(1, 13), Now(0, 0)).records
    assert sorted_changes(shutdown) == sorted_changes(at(311, 319))
    for record in shutdown:
        machine.apply(record)
    assert list(machine.decide(FenceBroker(1, 13), Now(0, 0)).records) == at(320, 320)


def registration(record, cluster_id, new_epoch, previous_epoch):
    return RegisterBroker(
        broker_id=record.broker_id,
        cluster_id=cluster_id,
        incarnation_id=record.incarnation_id,
        new_epoch=new_epoch,
        endpoints=record.end_points,
        log_dirs=record.log_dirs,
        rack=record.rack,
        previous_epoch=previous_epoch,
        features=record.features,
    )


def test_a_start_after_a_clean_stop_writes_kafkas_records():
    machine = machine_before(324)
    (kafkas,) = at(324, 324)
    request = registration(kafkas, "4L6g3nShT-eMCtK--X86sw", new_epoch=324, previous_epoch=13)
    decision = machine.decide(request, Now(0, 0))
    assert decision.records == (kafkas,)
    assert decision.response == 324
    machine.apply(kafkas)
    unfenced = machine.decide(UnfenceBroker(1, 324), Now(0, 0)).records
    assert sorted_changes(unfenced) == sorted_changes(at(328, 336))


def test_a_start_after_a_crash_writes_kafkas_records_and_recovers_every_partition():
    machine = machine_before(483)
    kafkas = at(483, 491)
    decision = machine.decide(registration(kafkas[-1], "4L6g3nShT-eMCtK--X86sw", 483, previous_epoch=-1), Now(0, 0))
    assert sorted_changes(decision.records) == sorted_changes(kafkas)
    assert decision.records[-1] == kafkas[-1]
    for record in decision.records:
        machine.apply(record)
    unfenced = machine.decide(UnfenceBroker(1, 483), Now(0, 0)).records
    assert sorted_changes(unfenced) == sorted_changes(at(492, 500))
    for record in unfenced:
        machine.apply(record)
    for topic in machine.image.topics.values():
        for partition in topic.partitions.values():
            assert (partition.leader, partition.isr, partition.leader_recovery_state) == (1, (1,), RECOVERING)


def test_producer_ids_come_in_kafkas_blocks():
    machine = machine_before(450)
    decision = machine.decide(AllocateProducerIds(1, 324), Now(0, 0))
    assert list(decision.records) == at(450, 450)
    assert (decision.response.first, decision.response.size) == (0, 1000)
