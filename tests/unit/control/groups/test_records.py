"""The records of __consumer_offsets: against bytes that Apache Kafka 4.3 wrote, round trips, and wrong bytes."""

import contextlib
import json
import struct
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.control.groups.consumer.records import (
    ClassicMetadata,
    ClassicProtocol,
    CurrentMemberRecord,
    CurrentMemberValue,
    GroupEpochRecord,
    GroupEpochValue,
    MemberRecord,
    MemberValue,
    OwnedPartitionsValue,
    RegularExpressionRecord,
    RegularExpressionValue,
    TargetEpochRecord,
    TargetEpochValue,
    TargetMemberRecord,
    TargetMemberValue,
    TopicMetadataRecord,
    TopicPartitionsValue,
)
from moldau.control.groups.records import (
    _USUAL_NAMES,
    GroupMetadataKey,
    GroupMetadataValue,
    GroupRecord,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
    OffsetRecord,
    OtherRecord,
    _names_of_offset,
    decode_record,
    encode_record,
)
from moldau.control.placement.hashed import partition_for
from moldau.control.schema import SchemaError, encode

GOLDEN = Path(__file__).parents[3] / "golden" / "groups"
WRITTEN_BY_KAFKA = [
    json.loads(line)
    for name in ("kafka-4.3.1.jsonl", "kafka-4.3.1-consumer.jsonl")
    for line in (GOLDEN / name).read_text().splitlines()
]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
int16s = st.integers(-(2**15), 2**15 - 1)
int32s = st.integers(-(2**31), 2**31 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)
offset_values = st.builds(
    OffsetCommitValue,
    offset=int64s,
    leader_epoch=int32s,
    metadata=texts,
    commit_timestamp=int64s,
    topic_id=st.uuids(),
)
member_values = st.builds(
    MemberMetadata,
    member_id=texts,
    group_instance_id=st.none() | texts,
    client_id=texts,
    client_host=texts,
    rebalance_timeout=int32s,
    session_timeout=int32s,
    subscription=st.binary(max_size=40),
    assignment=st.binary(max_size=40),
)
group_values = st.builds(
    GroupMetadataValue,
    protocol_type=texts,
    generation=int32s,
    protocol=st.none() | texts,
    leader=st.none() | texts,
    current_state_timestamp=int64s,
    members=st.lists(member_values, max_size=4).map(tuple),
)
partition_lists = st.lists(int32s, max_size=4).map(tuple)
owned = st.lists(
    st.builds(OwnedPartitionsValue, st.uuids(), partition_lists, st.none() | partition_lists), max_size=3
).map(tuple)
classic_metadata = st.builds(
    ClassicMetadata,
    int32s,
    st.lists(st.builds(ClassicProtocol, texts, st.binary(max_size=20)), min_size=1, max_size=3).map(tuple),
)
consumer_members = st.builds(
    MemberValue,
    instance_id=st.none() | texts,
    rack_id=st.none() | texts,
    client_id=texts,
    client_host=texts,
    subscribed_topic_names=st.lists(texts, max_size=3).map(tuple),
    subscribed_topic_regex=st.none() | texts,
    rebalance_timeout_ms=int32s,
    server_assignor=st.none() | texts,
    classic=st.none() | classic_metadata,
)
targets = st.lists(st.builds(TopicPartitionsValue, st.uuids(), partition_lists), max_size=3).map(tuple)
consumer_records = st.one_of(
    st.builds(GroupEpochRecord, texts, st.none() | st.builds(GroupEpochValue, int32s, int64s)),
    st.builds(TopicMetadataRecord, texts, st.none()),
    st.builds(MemberRecord, texts, texts, st.none() | consumer_members),
    st.builds(TargetEpochRecord, texts, st.none() | st.builds(TargetEpochValue, int32s, int64s)),
    st.builds(TargetMemberRecord, texts, texts, st.none() | st.builds(TargetMemberValue, targets)),
    st.builds(
        CurrentMemberRecord,
        texts,
        texts,
        st.none() | st.builds(CurrentMemberValue, int32s, int32s, st.integers(-128, 127), owned, owned),
    ),
    st.builds(
        RegularExpressionRecord,
        texts,
        texts,
        st.none() | st.builds(RegularExpressionValue, st.lists(texts, max_size=3).map(tuple), int64s, int64s),
    ),
)
records = st.one_of(
    st.builds(OffsetRecord, texts, texts, int32s, st.none() | offset_values),
    st.builds(GroupRecord, texts, st.none() | group_values),
    consumer_records,
)


@given(texts, texts, int32s, offset_values)
def test_an_offset_is_written_by_hand_as_its_schemas_say(group, topic, partition, value):
    version = 4 if value.expire_timestamp == -1 else 1
    key, written = encode_record(OffsetRecord(group, topic, partition, value))
    assert key == struct.pack(">h", 1) + encode(OffsetCommitKey(group, topic, partition), 1)
    assert written == struct.pack(">h", version) + encode(value, version)


@pytest.mark.parametrize(
    "record",
    [
        OffsetRecord("x" * 40_000, "orders", 0, OffsetCommitValue()),
        OffsetRecord("billing", "x" * 40_000, 0, OffsetCommitValue()),
        OffsetRecord("billing", "orders", 1 << 31, OffsetCommitValue()),
        OffsetRecord("billing", "orders", 0, OffsetCommitValue(offset=1 << 63)),
        OffsetRecord("billing", "orders", 0, OffsetCommitValue(metadata="x" * 40_000)),
    ],
    ids=["group", "topic", "partition", "offset", "metadata"],
)
def test_an_offset_that_does_not_fit_is_refused_as_its_schemas_refuse_it(record):
    with pytest.raises(SchemaError):
        encode_record(record)


def raw(row):
    return bytes.fromhex(row["key"]), None if row["value"] is None else bytes.fromhex(row["value"])


@pytest.mark.parametrize("row", WRITTEN_BY_KAFKA, ids=lambda row: f"{row['partition']}-{row['offset']}")
def test_what_kafka_wrote_is_read_and_written_again_byte_for_byte(row):
    key, value = raw(row)
    assert encode_record(decode_record(key, value)) == (key, value)


@pytest.mark.parametrize("row", WRITTEN_BY_KAFKA, ids=lambda row: f"{row['partition']}-{row['offset']}")
def test_a_group_is_in_the_partition_where_kafka_keeps_it(row):
    assert partition_for(decode_record(*raw(row)).group, row["partitions"]) == row["partition"]


def test_a_generation_that_kafka_wrote_reads_as_it_was():
    static = [decode_record(*raw(row)) for row in WRITTEN_BY_KAFKA if b"static" in bytes.fromhex(row["key"])]
    generation = next(record.value for record in static if isinstance(record, GroupRecord) and record.value.members)
    (member,) = generation.members
    assert (generation.protocol_type, generation.generation, generation.protocol) == ("consumer", 1, "range")
    assert generation.leader == member.member_id
    assert (member.group_instance_id, member.client_id, member.client_host) == ("instance-1", "billing-1", "/127.0.0.1")
    assert (member.session_timeout, member.rebalance_timeout) == (10_000, 300_000)


def test_an_offset_that_kafka_wrote_reads_as_it_was():
    key, value = next(raw(row) for row in WRITTEN_BY_KAFKA if b"simple" in bytes.fromhex(row["key"]))
    record = decode_record(key, value)
    assert (record.topic, record.partition, record.value.offset) == ("orders", 1, 7)
    # The zero at the end is the client's own: it counts the terminator of its string.
    assert record.value.metadata == "replay é 🐎\x00"
    assert record.value.topic_id != UUID(int=0)


def test_records_of_a_consumer_group_are_read_as_what_they_are():
    modern = [decode_record(*raw(row)) for row in WRITTEN_BY_KAFKA if b"modern" in bytes.fromhex(row["key"])]
    types = {type(record) for record in modern}
    assert types >= {GroupEpochRecord, MemberRecord, TargetEpochRecord, TargetMemberRecord, CurrentMemberRecord}


def test_records_of_a_protocol_that_is_not_served_are_carried_as_they_are():
    share_group_key, value = b"\x00\x0b\x00\x05share", b"\x00\x00\x00\x00\x00\x01\x00"
    record = decode_record(share_group_key, value)
    assert isinstance(record, OtherRecord)
    assert (record.record_type, record.group) == (11, "share")
    assert encode_record(record) == (share_group_key, value)


@given(records)
def test_records_survive_the_round_trip(record):
    assert decode_record(*encode_record(record)) == record


@given(st.integers(0, 4), offset_values)
def test_an_offset_is_read_in_every_version_that_kafka_ever_wrote(version, value):
    key = struct.pack(">h", 1) + encode(OffsetCommitKey("billing", "orders", 3), 1)
    record = decode_record(key, struct.pack(">h", version) + encode(value, version))
    assert (record.value.offset, record.value.metadata) == (value.offset, value.metadata)
    assert record.value.leader_epoch == (value.leader_epoch if version >= 3 else -1)


@given(st.integers(0, 4), group_values)
def test_a_group_is_read_in_every_version_that_kafka_ever_wrote(version, value):
    key = struct.pack(">h", 2) + encode(GroupMetadataKey("billing"), 2)
    record = decode_record(key, struct.pack(">h", version) + encode(value, version))
    assert [member.assignment for member in record.value.members] == [member.assignment for member in value.members]
    assert record.value.current_state_timestamp == (value.current_state_timestamp if version >= 2 else -1)


def test_a_commit_with_its_own_retention_is_written_in_the_version_that_has_room_for_it():
    record = OffsetRecord("billing", "orders", 0, OffsetCommitValue(offset=4, expire_timestamp=99))
    _, value = encode_record(record)
    assert value[:2] == b"\x00\x01"
    assert decode_record(*encode_record(record)).value.expire_timestamp == 99


def test_an_offset_key_of_version_0_means_the_same():
    key, value = encode_record(OffsetRecord("billing", "orders", 0, OffsetCommitValue(offset=4)))
    assert decode_record(b"\x00\x00" + key[2:], value) == decode_record(key, value)


@given(records, st.data())
def test_a_record_that_is_cut_off_is_refused(record, data):
    key, value = encode_record(record)
    target = value if value is not None and data.draw(st.booleans()) else key
    cut = target[: data.draw(st.integers(0, len(target) - 1))]
    with pytest.raises(SchemaError):
        decode_record(*((key, cut) if target is value else (cut, value)))


@given(st.binary(max_size=60), st.none() | st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_but_nothing_else_happens(key, value):
    with contextlib.suppress(SchemaError):
        decode_record(key, value)


def test_a_hostile_length_is_refused_before_anything_is_made_of_it():
    key, _ = encode_record(GroupRecord("billing", None))
    members = struct.pack(">h", 3) + b"\x00\x00" + struct.pack(">i", 1) + b"\xff\xff\xff\xff" + b"\x00" * 8
    with pytest.raises(SchemaError):
        decode_record(key, members + struct.pack(">i", 2**31 - 1))


def test_a_record_without_a_key_is_refused():
    with pytest.raises(SchemaError, match="no key"):
        decode_record(None, b"")


@pytest.mark.parametrize(
    ("group_id", "partition"),
    # The last hashes to the smallest integer, whose absolute value Java cannot hold.
    [("", 0), ("a", 47), ("polygenelubricants", 0)],
)
def test_groups_hash_as_java_strings_do(group_id, partition):
    assert partition_for(group_id, 50) == partition


def test_names_that_are_not_usual_are_not_remembered():
    value = OffsetCommitValue(1, commit_timestamp=1, topic_id=UUID(int=0))
    encode_record(OffsetRecord("usual", "names", 0, value))
    before = _names_of_offset.cache_info().currsize
    for length in (300, 30_000):
        for record in (OffsetRecord("g" * length, "t", 0, value), OffsetRecord("g", "t" * length, 0, None)):
            assert decode_record(*encode_record(record)) == record
    assert _names_of_offset.cache_info().currsize == before
    # So many characters are remembered at the most, whatever clients send.
    assert _names_of_offset.cache_info().maxsize * _USUAL_NAMES < 2_000_000
