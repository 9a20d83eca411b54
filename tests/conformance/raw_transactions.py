"""A producer that says to the broker exactly what a test tells it to, in the version that it is told to.

It keeps its producer id and epoch and nothing else: no retries, no sequence numbers, no idea of what comes next. Each
request has a connection of its own, which is closed afterwards; so a request that is sent twice is one whose answer was
lost. Messages are kio's (see `frames`), a record batch is put together here.
"""

from __future__ import annotations

import datetime as dt
import io
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import crc32c
from kio.index import load_request_schema
from kio.schema.errors import ErrorCode
from kio.serial import entity_writer
from tests.conformance import frames

PRODUCE, OFFSET_FETCH, FIND_COORDINATOR = 0, 9, 10
INIT_PRODUCER_ID, ADD_PARTITIONS, ADD_OFFSETS, END_TXN, WRITE_MARKERS, TXN_OFFSET_COMMIT = 22, 24, 25, 26, 27, 28
DESCRIBE_PRODUCERS, DESCRIBE_TRANSACTIONS, LIST_TRANSACTIONS = 61, 65, 66
OF_GROUPS, OF_TRANSACTIONS = 0, 1
PASSING = {
    ErrorCode.coordinator_load_in_progress,
    ErrorCode.coordinator_not_available,
    ErrorCode.not_coordinator,
    ErrorCode.concurrent_transactions,
    # What Produce says of a coordinator that cannot be asked about the transaction now.
    ErrorCode.not_enough_replicas,
    # Kafka names a new partition before it can lead it.
    ErrorCode.unknown_topic_or_partition,
    ErrorCode.not_leader_or_follower,
}
"""What a client asks again after."""
PATIENCE_S = 60.0
ADDS_PARTITIONS_BY_ITSELF = 12
"""From this version of Produce on (KIP-890)."""


def ask(bootstrap_servers: str, api_key: int, version: int, **values: Any) -> Any:
    """One request and its answer. Fields that are not given are empty, zero or null."""
    out = io.BytesIO()
    kind = load_request_schema(api_key, version)
    entity_writer(kind)(out, message(kind, values))
    answer = frames.exchange(bootstrap_servers, frames.framed(frames.header(api_key, version) + out.getvalue()))
    assert answer is not None, f"the broker closed the connection on version {version} of {api_key}"
    return frames.parse(api_key, version, answer)


def message(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """An instance of a kio class from dictionaries, lists and primitives."""
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}
    assert set(values) <= names, f"{kind} has no {set(values) - names}"
    empty = frames.build(kind, frames.EMPTY, 0)
    arguments = {}
    for field in fields(kind):
        given = values.get(field.name, getattr(empty, field.name))
        entity = next((part for part in _leaves(hints[field.name]) if is_dataclass(part)), None)
        if isinstance(given, list | tuple):
            made = (message(entity, each) if isinstance(each, Mapping) else each for each in given)
            arguments[field.name] = tuple(made)
        else:
            arguments[field.name] = given
    return kind(**arguments)


def _leaves(hint: Any) -> list[Any]:
    arguments = get_args(hint)
    return [leaf for part in arguments for leaf in _leaves(part)] if arguments else [hint]


def patiently(call: Callable[[], Any], error_of: Callable[[Any], ErrorCode] = lambda answer: answer.error_code) -> Any:
    """Make the call until its answer is not one that passes."""
    deadline = time.monotonic() + PATIENCE_S
    while error_of(answer := call()) in PASSING:
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return answer


def only_partition(answer: Any) -> ErrorCode:
    """The error code of the one partition in an answer."""
    (code,) = frames.error_codes(answer.topics)
    return code


class RawProducer:
    """See above. Attributes may be set, to lie."""

    def __init__(self, bootstrap_servers: str, transactional_id: str | None, timeout_s: float = 60) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.transactional_id = transactional_id
        self.timeout_s = timeout_s
        self.producer_id = -1
        self.epoch = -1

    def ask(self, api_key: int, version: int, **values: Any) -> Any:
        return ask(self.bootstrap_servers, api_key, version, **values)

    @property
    def _identity(self) -> dict[str, Any]:
        return {
            "transactional_id": self.transactional_id,
            "producer_id": self.producer_id,
            "producer_epoch": self.epoch,
        }

    def find_coordinator(self) -> None:
        """Which makes the coordinator's topic, if this is the first time that anybody asks."""
        patiently(lambda: self.ask(FIND_COORDINATOR, 3, key=self.transactional_id, key_type=OF_TRANSACTIONS))

    def find_group(self, group: str) -> None:
        """The same for a group."""
        patiently(lambda: self.ask(FIND_COORDINATOR, 3, key=group, key_type=OF_GROUPS))

    def ask_for_id(self, version: int = 4) -> Any:
        """InitProducerId, as it is; with the id and epoch of this producer where the version has room for them."""
        values: dict[str, Any] = {
            "transactional_id": self.transactional_id,
            "transaction_timeout": dt.timedelta(seconds=self.timeout_s),
        }
        if version >= 3:
            values |= {"producer_id": self.producer_id, "producer_epoch": self.epoch}
        return self.ask(INIT_PRODUCER_ID, version, **values)

    def begin_life(self, version: int = 4) -> None:
        """InitProducerId of a new producer, until it is answered with an id and an epoch; they are kept."""
        if self.transactional_id is not None:
            self.find_coordinator()
        self.producer_id, self.epoch = -1, -1
        answer = patiently(lambda: self.ask_for_id(version))
        assert answer.error_code is ErrorCode.none, answer
        self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch

    def add_partitions(self, topics: Mapping[str, Sequence[int]], version: int = 3) -> dict[tuple[str, int], ErrorCode]:
        """AddPartitionsToTxn as a client (versions 0 to 3); the error of each partition."""
        identity = {f"v3_and_below_{name}": value for name, value in self._identity.items()}
        named = [{"name": topic, "partitions": tuple(numbers)} for topic, numbers in topics.items()]
        answer = self.ask(ADD_PARTITIONS, version, **identity, v3_and_below_topics=named)
        return {
            (topic.name, each.partition_index): each.partition_error_code
            for topic in answer.results_by_topic_v3_and_below
            for each in topic.results_by_partition
        }

    def add_partition(self, topic: str, partition: int = 0, version: int = 3) -> ErrorCode:
        """The same for one partition; waits while the transaction before is being ended."""
        return patiently(
            lambda: self.add_partitions({topic: [partition]}, version), lambda codes: next(iter(codes.values()))
        )[topic, partition]

    def add_offsets(self, group: str, version: int = 3) -> ErrorCode:
        code: ErrorCode = self.ask(ADD_OFFSETS, version, **self._identity, group_id=group).error_code
        return code

    def commit_offset(
        self, group: str, topic: str, offset: int, version: int = 3, partition: int = 0, **member: Any
    ) -> ErrorCode:
        """TxnOffsetCommit of one partition; `member` are generation_id, member_id and group_instance_id."""
        self.find_group(group)
        if version >= 3:
            member = {"generation_id": -1, "group_instance_id": None} | member
        place: dict[str, Any] = {"partition_index": partition, "committed_offset": offset, "committed_metadata": ""}
        if version >= 2:
            place["committed_leader_epoch"] = -1
        topics = [{"name": topic, "partitions": [place]}]
        values = {**self._identity, "group_id": group, "topics": topics, **member}
        return only_partition(patiently(lambda: self.ask(TXN_OFFSET_COMMIT, version, **values), only_partition))

    def produce(
        self, topic: str, values: Sequence[str], sequence: int, version: int = 11, partition: int = 0
    ) -> tuple[ErrorCode, int]:
        """One batch with acks=all; the error and the base offset."""
        return patiently(lambda: self.produce_once(topic, values, sequence, version, partition), lambda found: found[0])

    def produce_once(
        self, topic: str, values: Sequence[str], sequence: int, version: int = 11, partition: int = 0
    ) -> tuple[ErrorCode, int]:
        """The same, whatever the first answer is."""
        batch = record_batch(self, values, sequence)
        answer = self.ask(
            PRODUCE,
            version,
            transactional_id=self.transactional_id,
            acks=-1,
            timeout=dt.timedelta(seconds=30),
            topic_data=[{"name": topic, "partition_data": [{"index": partition, "records": batch}]}],
        )
        (found,) = answer.responses[0].partition_responses
        return found.error_code, found.base_offset

    def end(self, *, commit: bool, version: int = 3) -> Any:
        return self.ask(END_TXN, version, **self._identity, committed=commit)


def record_batch(producer: RawProducer, values: Sequence[str], sequence: int) -> bytes:
    """A batch of format 2 (KIP-98) of that producer; transactional if it has a transactional id."""
    records = bytearray()
    for number, value in enumerate(values):
        data = value.encode()
        record = b"\x00\x00" + _varint(number) + _varint(-1) + _varint(len(data)) + data + b"\x00"
        records += _varint(len(record)) + record
    attributes = 0 if producer.transactional_id is None else 0x10
    now_ms = int(time.time() * 1000)
    identity = (producer.producer_id, producer.epoch, sequence)
    checked = struct.pack(">hiqqqhii", attributes, len(values) - 1, now_ms, now_ms, *identity, len(values)) + records
    head = struct.pack(">ibI", -1, 2, crc32c.crc32c(checked))
    return struct.pack(">qi", 0, len(head) + len(checked)) + head + checked


def _varint(number: int) -> bytes:
    encoded = (number << 1) ^ (number >> 63)
    out = bytearray()
    while encoded > 0x7F:
        out.append(0x80 | (encoded & 0x7F))
        encoded >>= 7
    return bytes((*out, encoded))


def committed_offset(bootstrap_servers: str, group: str, topic: str, *, stable: bool = True) -> tuple[ErrorCode, int]:
    """What OffsetFetch says of partition 0; -1 when nothing is committed."""
    groups = [{"group_id": group, "topics": [{"name": topic, "partition_indexes": (0,)}]}]
    (answer,) = ask(bootstrap_servers, OFFSET_FETCH, 8, groups=groups, require_stable=stable).groups
    if answer.error_code is not ErrorCode.none:
        # A group that is being loaded has no topics yet.
        return answer.error_code, -1
    (found,) = answer.topics[0].partitions
    return found.error_code, found.committed_offset
