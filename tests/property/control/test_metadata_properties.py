"""Laws of the metadata machine: whatever is asked, in whatever order, and wherever the node dies."""

import contextlib
import dataclasses
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata import records as r
from moldau.control.metadata.brokers import BeginControlledShutdown, FenceBroker, UnfenceBroker
from moldau.control.metadata.cluster import Activate, AllocateProducerIds, FeatureUpdate, UpdateFeatures
from moldau.control.metadata.configs import AlterConfigs, ConfigChange, ReplaceConfigs
from moldau.control.metadata.elections import AlterReassignments, ElectLeaders, Reassignment
from moldau.control.metadata.image import ConfigResource, MetadataImage
from moldau.control.metadata.records import RECORD_TYPES, decode_record, encode_record
from moldau.control.metadata.snapshot import encode_for, records_of
from moldau.control.metadata.topic_names import metric_name
from moldau.control.metadata.topics import (
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    NewPartitions,
    NewTopic,
    TopicRef,
)
from moldau.control.placement.striped import UsableBroker, place
from moldau.control.schema import SchemaError
from moldau.errors import ApiError, ErrorCode

NAMES = st.sampled_from(["a", "a.b", "a_b", "orders", "bad name", "__cluster_metadata", "__consumer_offsets", ""])
BROKERS = st.integers(0, 4)
REPLICAS = st.lists(BROKERS, max_size=4).map(tuple)
CONFIGS = st.tuples(
    st.sampled_from(
        ["retention.ms", "cleanup.policy", "min.insync.replicas", "unclean.leader.election.enable", "nope"]
    ),
    st.sampled_from(["1", "2", "true", "compact", "", "x", None]),
)
RESOURCES = st.builds(
    ConfigResource, st.sampled_from([2, 4, 8, 16, 32, 3]), st.sampled_from(["", "1", "2", "orders", "a.b"])
)
NEW_TOPICS = st.builds(
    NewTopic,
    NAMES,
    st.integers(-2, 4),
    st.integers(-2, 4),
    st.one_of(st.just(()), st.lists(st.tuples(st.integers(0, 2), REPLICAS), max_size=3).map(tuple)),
    st.lists(CONFIGS, max_size=2).map(tuple),
)
CHANGES = st.tuples(
    RESOURCES,
    st.lists(st.builds(lambda c, o: ConfigChange(c[0], o, c[1]), CONFIGS, st.integers(-1, 4)), max_size=3).map(tuple),
)
PARTITIONS = st.tuples(NAMES, st.integers(-1, 3))
REQUESTS = st.one_of(
    st.builds(CreateTopics, st.lists(NEW_TOPICS, max_size=3).map(tuple), st.booleans()),
    st.builds(DeleteTopics, st.lists(st.builds(TopicRef, NAMES), max_size=2).map(tuple)),
    st.builds(
        CreatePartitions,
        st.lists(st.builds(NewPartitions, NAMES, st.integers(-1, 6), st.none()), max_size=2).map(tuple),
        st.booleans(),
    ),
    st.builds(AlterConfigs, st.lists(CHANGES, max_size=2).map(tuple), st.booleans()),
    st.builds(
        ReplaceConfigs, st.lists(st.tuples(RESOURCES, st.lists(CONFIGS, max_size=2).map(tuple)), max_size=2).map(tuple)
    ),
    st.builds(ElectLeaders, st.integers(0, 2), st.one_of(st.none(), st.lists(PARTITIONS, max_size=3).map(tuple))),
    st.builds(
        AlterReassignments,
        st.lists(st.builds(Reassignment, PARTITIONS, st.one_of(st.none(), REPLICAS)), max_size=2).map(tuple),
    ),
    st.builds(
        UpdateFeatures,
        st.lists(
            st.builds(
                FeatureUpdate,
                st.sampled_from(["group.version", "eligible.leader.replicas.version", "metadata.version", "x"]),
                st.integers(-1, 31),
                st.integers(0, 4),
            ),
            max_size=2,
        ).map(tuple),
    ),
    st.tuples(st.sampled_from(["stop", "fence", "start", "crash", "producer ids"]), BROKERS),
)


def as_request(cluster, step):
    """Steps that need to know the cluster's epochs."""
    if not isinstance(step, tuple):
        return step
    what, broker_id = step
    broker = cluster.image.brokers.get(broker_id)
    epoch = -1 if broker is None else broker.epoch
    kinds = {"stop": BeginControlledShutdown, "fence": FenceBroker, "start": UnfenceBroker}
    return kinds.get(what, AllocateProducerIds)(broker_id, epoch)


def take(cluster, step, counter):
    if isinstance(step, tuple) and step[0] == "crash" and step[1] > 0:
        cluster.join(step[1], incarnation=counter)
        return
    try:
        cluster.run(as_request(cluster, step))
    except ApiError as refusal:
        assert refusal.code is not ErrorCode.UNKNOWN_SERVER_ERROR


def check(image):
    """What holds of every image, whatever has happened."""
    assert {topic.id for topic in image.topics.values()} == set(image.topics_by_id)
    for topic in image.topics.values():
        assert sorted(topic.partitions) == list(range(len(topic.partitions)))
        assert topic.partitions
        same = [
            other for other in image.topics if other != topic.name and metric_name(other) == metric_name(topic.name)
        ]
        assert image.topic_colliding_with(topic.name) == next(iter(same), None)
        for partition in topic.partitions.values():
            replicas = set(partition.replicas)
            assert len(replicas) == len(partition.replicas) == len(partition.directories)
            assert set(partition.isr) <= replicas
            assert not set(partition.isr) & set(partition.eligible_leader_replicas)
            assert partition.leader == -1 or partition.leader in partition.isr
            assert partition.leader == -1 or image.brokers[partition.leader].active
            assert partition.partition_epoch >= partition.leader_epoch
    for resource in image.configs:
        assert resource.type != 2 or resource.name in image.topics


@settings(max_examples=300, deadline=None)
@given(st.lists(REQUESTS, max_size=12), st.sampled_from([7, 8, 16, 17, 22, 23, 29, 30, 30, 30]))
def test_a_replayed_log_gives_the_image_that_wrote_it(steps, metadata_version):
    cluster = Cluster(1, 2, 3, metadata_version=metadata_version)
    for counter, step in enumerate(steps, 1):
        take(cluster, step, counter)
        check(cluster.image)
    assert cluster.reopened().image == cluster.image
    image, level = cluster.image, cluster.image.metadata_version
    snapshot = MetadataImage()
    for record in records_of(image):
        snapshot.apply(decode_record(encode_for(record, level))[0])
    assert snapshot == image, "a snapshot says what the whole log says"


@settings(max_examples=200, deadline=None)
@given(st.lists(REQUESTS, max_size=8), REQUESTS)
def test_a_decision_that_was_not_committed_never_happened(steps, lost):
    cluster = Cluster(1, 2)
    for counter, step in enumerate(steps, 1):
        take(cluster, step, counter)
    before = cluster.reopened().image
    with contextlib.suppress(ApiError):
        cluster.decide(as_request(cluster, lost))
    assert cluster.image == before


@settings(max_examples=200, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=8), st.data())
def test_a_node_that_dies_anywhere_opens_again_and_goes_on(steps, data):
    """A decision is one batch, so the log ends with a whole one; the next start closes what it finds open."""
    cluster = Cluster(1, 2)
    lengths = [len(cluster.log)]
    for counter, step in enumerate(steps, 1):
        take(cluster, step, counter)
        lengths.append(len(cluster.log))
    cluster.log = cluster.log[: data.draw(st.sampled_from(lengths))]
    cluster.machine = cluster.reopened()
    cluster.run(Activate())
    cluster.join(1, incarnation=99)
    check(cluster.image)
    cluster.run(CreateTopics((NewTopic("after-the-crash", 1, 1),)))
    assert cluster.reopened().image == cluster.image


def any_message(message, version):
    """A strategy for one record in one version: fields outside of it stay at their defaults."""
    values = {}
    for field in dataclasses.fields(message):
        wire = field.metadata["wire"]
        if not wire.since <= version <= wire.until:
            continue
        values[field.name] = (
            st.one_of(st.none(), of_type(wire.type, version))
            if version >= wire.nullable_since
            else of_type(wire.type, version)
        )
    return st.builds(message, **values)


STRUCTS = {each.__name__: each for each in (r.Endpoint, r.SupportedFeature, r.QuotaEntity)}
SCALARS = {
    "int8": st.integers(-(2**7), 2**7 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "uuid": st.uuids(),
    "string": st.text(max_size=12),
    "bytes": st.binary(max_size=12),
}


def of_type(wire_type, version):
    if wire_type.name.startswith("[]"):
        name = wire_type.name[2:]
        element = SCALARS[name] if name in SCALARS else any_message(STRUCTS[name], version)
        return st.lists(element, max_size=3).map(tuple)
    return SCALARS[wire_type.name]


RECORDS = st.sampled_from(
    [
        (message, version)
        for message in RECORD_TYPES.values()
        for version in range(message.lowest_version, message.highest_version + 1)
    ]
).flatmap(lambda pair: st.tuples(any_message(*pair), st.just(pair[1])))


@settings(max_examples=500, deadline=None)
@given(RECORDS)
def test_every_record_comes_back_as_it_was_in_every_version(record_and_version):
    record, version = record_and_version
    assert decode_record(encode_record(record, version)) == (record, version)


@settings(max_examples=500, deadline=None)
@given(RECORDS, st.data())
def test_a_damaged_record_is_an_error_or_another_record_and_nothing_else(record_and_version, data):
    value = bytearray(encode_record(*record_and_version))
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        record, version = decode_record(bytes(value))
    except SchemaError:
        return
    # What was read is a record that can be written, so that a repair tool could show it.
    encode_record(record, version)


@settings(max_examples=500)
@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_an_error_or_a_record(data):
    with contextlib.suppress(SchemaError):
        decode_record(data)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from([None, "x", "y", "z"]), st.booleans()), min_size=1, max_size=9),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(),
)
def test_placement_spreads_replicas_and_leads_only_with_live_brokers(shape, factor, partitions, seed):
    brokers = [UsableBroker(number, rack, fenced) for number, (rack, fenced) in enumerate(shape)]
    live = {broker.id for broker in brokers if not broker.fenced}
    try:
        placed = place(partitions, factor, brokers, random.Random(seed))
    except ApiError as refusal:
        assert refusal.code is ErrorCode.INVALID_REPLICATION_FACTOR
        assert not live or factor > len(brokers)
        return
    assert placed == place(partitions, factor, brokers, random.Random(seed))
    racks = {broker.id: broker.rack for broker in brokers}
    for replicas in placed:
        assert len(replicas) == len(set(replicas)) == factor
        assert replicas[0] in live
        assert len({racks[replica] for replica in replicas}) == min(factor, len(set(racks.values())))
    if len(set(racks.values())) == 1:
        leaders = [replicas[0] for replicas in placed]
        counts = [leaders.count(broker) for broker in live]
        assert max(counts) - min(counts) <= 1
