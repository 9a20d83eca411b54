"""The APIs of transactions in every version as bare frames, each with what has to come of it and what it has to refuse.

`MOLDAU_TEST_BOOTSTRAP=apache-kafka` asks Apache Kafka the same. Sources: KIP-98, 360, 447, 664, 890, 994;
`TransactionCoordinator`, `KafkaApis` of release 4.3.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import pytest
from kio.schema.errors import ErrorCode
from tests.conformance.committed import committed
from tests.conformance.conftest import wait_until
from tests.conformance.raw_transactions import (
    ADD_PARTITIONS,
    DESCRIBE_PRODUCERS,
    DESCRIBE_TRANSACTIONS,
    LIST_TRANSACTIONS,
    WRITE_MARKERS,
    RawProducer,
    ask,
    committed_offset,
    patiently,
)

NewTopic = Callable[..., str]
OK = ErrorCode.none


@pytest.fixture
def producer(bootstrap_servers: str) -> RawProducer:
    """One that has its id and epoch."""
    made = RawProducer(bootstrap_servers, f"frames-{uuid.uuid4().hex[:8]}")
    made.begin_life()
    return made


def fenced_since(version: int, named: int) -> ErrorCode:
    """PRODUCER_FENCED has a name of its own since some version of each API; before it was INVALID_PRODUCER_EPOCH."""
    return ErrorCode.producer_fenced if version >= named else ErrorCode.invalid_producer_epoch


def state_of(producer: RawProducer) -> str:
    """From ListTransactions: kio 0.6.5 reads the -1 that stands for no start in DescribeTransactions as a date."""
    filters = {"state_filters": (), "producer_id_filters": (producer.producer_id,)}
    (found,) = producer.ask(LIST_TRANSACTIONS, 0, **filters).transaction_states
    assert found.transactional_id == producer.transactional_id
    state: str = found.transaction_state
    return state


def wait_for_state(producer: RawProducer, wanted: str) -> None:
    wait_until(lambda: state_of(producer) == wanted, f"{producer.transactional_id} is {wanted}")


# InitProducerId


@pytest.mark.parametrize("version", range(6))
def test_each_life_of_a_transactional_id_has_the_next_epoch(bootstrap_servers: str, version: int):
    producer = RawProducer(bootstrap_servers, f"frames-{uuid.uuid4().hex[:8]}")
    producer.begin_life(version)
    first = producer.producer_id, producer.epoch
    assert first[0] >= 0
    assert first[1] == 0
    producer.begin_life(version)
    assert (producer.producer_id, producer.epoch) == (first[0], 1)


@pytest.mark.parametrize("version", range(6))
def test_a_producer_without_a_transactional_id_gets_an_id_of_its_own(bootstrap_servers: str, version: int):
    one, other = RawProducer(bootstrap_servers, None), RawProducer(bootstrap_servers, None)
    one.begin_life(version)
    other.begin_life(version)
    assert one.producer_id != other.producer_id
    assert (one.epoch, other.epoch) == (0, 0)


@pytest.mark.parametrize("version", range(3, 6))
def test_a_producer_goes_on_with_the_next_epoch_and_one_of_the_past_does_not(producer: RawProducer, version: int):
    answer = producer.ask_for_id(version)
    assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (OK, producer.producer_id, 1)
    # Asked again with the same epoch, as after an answer that was lost, it gets the same.
    answer = producer.ask_for_id(version)
    assert (answer.error_code, answer.producer_epoch) == (OK, 1)
    producer.epoch = 1
    assert producer.ask_for_id(version).producer_epoch == 2
    producer.epoch = 0
    assert producer.ask_for_id(version).error_code is fenced_since(version, 4)


@pytest.mark.parametrize("version", range(6))
def test_a_timeout_that_is_longer_than_allowed_is_refused(bootstrap_servers: str, version: int):
    producer = RawProducer(bootstrap_servers, f"frames-{uuid.uuid4().hex[:8]}", timeout_s=1_000_000)
    producer.find_coordinator()
    answer = patiently(lambda: producer.ask_for_id(version))
    assert answer.error_code is ErrorCode.invalid_transaction_timeout


# AddPartitionsToTxn


@pytest.mark.parametrize("version", range(4))
def test_partitions_are_added_all_or_none(producer: RawProducer, new_topic: NewTopic, version: int):
    topic = new_topic(2)
    codes = producer.add_partitions({topic: [0, 1], "no-such-topic": [0]}, version)
    assert codes == {
        (topic, 0): ErrorCode.operation_not_attempted,
        (topic, 1): ErrorCode.operation_not_attempted,
        ("no-such-topic", 0): ErrorCode.unknown_topic_or_partition,
    }
    assert state_of(producer) == "Empty"
    assert set(producer.add_partitions({topic: [0, 1]}, version).values()) == {OK}
    assert state_of(producer) == "Ongoing"


@pytest.mark.parametrize("version", range(4))
def test_partitions_of_another_epoch_or_id_are_refused(producer: RawProducer, new_topic: NewTopic, version: int):
    topic = new_topic(1)
    producer.epoch += 1
    assert producer.add_partitions({topic: [0]}, version)[topic, 0] is fenced_since(version, 2)
    producer.epoch -= 1
    producer.producer_id += 1
    assert producer.add_partitions({topic: [0]}, version)[topic, 0] is ErrorCode.invalid_producer_id_mapping


@pytest.mark.parametrize("version", [4, 5])
def test_brokers_ask_about_partitions_and_add_them(producer: RawProducer, new_topic: NewTopic, version: int):
    topic = new_topic(2)

    def ask_about(partitions: tuple[int, ...], *, verify_only: bool) -> list[ErrorCode]:
        transaction = {
            "transactional_id": producer.transactional_id,
            "producer_id": producer.producer_id,
            "producer_epoch": producer.epoch,
            "verify_only": verify_only,
            "topics": [{"name": topic, "partitions": partitions}],
        }
        answer = producer.ask(ADD_PARTITIONS, version, transactions=[transaction])
        assert answer.error_code is OK
        (result,) = answer.results_by_transaction
        assert result.transactional_id == producer.transactional_id
        found = sorted(result.topic_results[0].results_by_partition, key=lambda each: each.partition_index)
        return [each.partition_error_code for each in found]

    abortable = ErrorCode.transaction_abortable
    assert ask_about((0,), verify_only=True) == [abortable]
    assert ask_about((0,), verify_only=False) == [OK]
    assert ask_about((0, 1), verify_only=True) == [OK, abortable]


# AddOffsetsToTxn and TxnOffsetCommit


@pytest.mark.parametrize("version", range(5))
def test_offsets_are_added_by_the_producer_that_counts(producer: RawProducer, version: int):
    assert producer.add_offsets("frames-group", version) is OK
    assert producer.add_offsets("frames-group", version) is OK, "an answer may be lost"
    assert state_of(producer) == "Ongoing"
    producer.epoch += 1
    assert producer.add_offsets("frames-group", version) is fenced_since(version, 2)
    producer.producer_id += 1
    assert producer.add_offsets("frames-group", version) is ErrorCode.invalid_producer_id_mapping


@pytest.mark.parametrize("version", range(6))
@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
def test_offsets_count_with_the_commit_and_not_before(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic, version: int, commit: bool
):
    topic, group = new_topic(1), f"frames-{uuid.uuid4().hex[:8]}"
    if version < 5:
        assert producer.add_offsets(group) is OK
    assert producer.commit_offset(group, topic, 17, version) is OK
    assert producer.commit_offset(group, topic, 18, version) is OK
    assert committed_offset(bootstrap_servers, group, topic)[0] is ErrorCode.unstable_offset_commit
    assert committed_offset(bootstrap_servers, group, topic, stable=False) == (OK, -1)
    assert producer.end(commit=commit, version=5 if version == 5 else 3).error_code is OK
    _, offset = patiently(
        lambda: committed_offset(bootstrap_servers, group, topic),
        lambda found: ErrorCode.concurrent_transactions if found[0] is ErrorCode.unstable_offset_commit else found[0],
    )
    assert offset == (18 if commit else -1)


@pytest.mark.parametrize("version", range(3, 6))
def test_offsets_of_a_generation_or_member_that_is_not_are_refused(
    producer: RawProducer, new_topic: NewTopic, version: int
):
    topic, group = new_topic(1), f"frames-{uuid.uuid4().hex[:8]}"
    if version < 5:
        assert producer.add_offsets(group) is OK
    code = producer.commit_offset(group, topic, 1, version, generation_id=3, member_id="nobody")
    assert code in (ErrorCode.illegal_generation, ErrorCode.unknown_member_id)


def test_offsets_that_were_not_added_are_refused_before_version_five(producer: RawProducer, new_topic: NewTopic):
    assert producer.add_partition(new_topic(1)) is OK
    code = producer.commit_offset(f"frames-{uuid.uuid4().hex[:8]}", new_topic(1), 1, 3)
    assert code is ErrorCode.invalid_txn_state


# EndTxn


@pytest.mark.parametrize("version", range(6))
@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
def test_an_end_is_what_readers_see(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic, version: int, commit: bool
):
    topic, epoch = new_topic(1), producer.epoch
    if version < 5:
        assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a", "b"], 0, 12 if version == 5 else 11) == (OK, 0)
    answer = producer.end(commit=commit, version=version)
    assert answer.error_code is OK
    if version == 5:
        assert (answer.producer_id, answer.producer_epoch) == (producer.producer_id, epoch + 1)
    assert committed(bootstrap_servers, topic, 2 if commit else 0) == (["a", "b"] if commit else [])
    wait_for_state(producer, "CompleteCommit" if commit else "CompleteAbort")


@pytest.mark.parametrize("version", range(6))
def test_an_end_that_is_asked_again_is_the_same_end_and_no_other(
    producer: RawProducer, new_topic: NewTopic, version: int
):
    topic = new_topic(1)
    if version < 5:
        assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a"], 0, 12 if version == 5 else 11)[0] is OK
    first = producer.end(commit=True, version=version)
    assert first.error_code is OK
    again = patiently(lambda: producer.end(commit=True, version=version))
    assert again.error_code is OK
    if version == 5:
        assert again.producer_epoch == first.producer_epoch
    assert patiently(lambda: producer.end(commit=False, version=version)).error_code is ErrorCode.invalid_txn_state


@pytest.mark.parametrize("version", range(5))
def test_a_transaction_that_has_not_begun_cannot_be_ended_by_an_old_client(producer: RawProducer, version: int):
    assert producer.end(commit=True, version=version).error_code is ErrorCode.invalid_txn_state
    assert producer.end(commit=False, version=version).error_code is ErrorCode.invalid_txn_state


def test_a_transaction_that_has_not_begun_is_aborted_and_not_committed_by_a_new_client(producer: RawProducer):
    assert producer.end(commit=True, version=5).error_code is ErrorCode.invalid_txn_state
    answer = producer.end(commit=False, version=5)
    assert (answer.error_code, answer.producer_epoch) == (OK, producer.epoch + 1)


@pytest.mark.parametrize("version", range(6))
def test_an_end_of_another_epoch_or_id_is_refused(producer: RawProducer, new_topic: NewTopic, version: int):
    assert producer.add_partition(new_topic(1)) is OK
    producer.epoch += 1
    assert producer.end(commit=True, version=version).error_code is fenced_since(version, 2)
    producer.producer_id += 1
    assert producer.end(commit=True, version=version).error_code is ErrorCode.invalid_producer_id_mapping
    producer.producer_id -= 1
    producer.epoch -= 1
    assert state_of(producer) == "Ongoing"


# WriteTxnMarkers and what looks at transactions


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
def test_a_marker_ends_the_transaction_of_a_partition(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic, version: int, commit: bool
):
    topic = new_topic(2)
    assert set(producer.add_partitions({topic: [0, 1]}).values()) == {OK}
    assert producer.produce(topic, ["here"], 0) == (OK, 0)
    assert producer.produce(topic, ["there"], 0, partition=1) == (OK, 0)
    marker = {
        "producer_id": producer.producer_id,
        "producer_epoch": producer.epoch,
        "transaction_result": commit,
        "topics": [
            {"name": topic, "partition_indexes": (0,)},
            {"name": "no-such-topic", "partition_indexes": (0,)},
        ],
        "coordinator_epoch": 0,
    }
    (written,) = producer.ask(WRITE_MARKERS, version, markers=[marker]).markers
    codes = {each.name: each.partitions[0].error_code for each in written.topics}
    assert codes == {topic: OK, "no-such-topic": ErrorCode.unknown_topic_or_partition}
    assert written.producer_id == producer.producer_id
    # The other partition waits for the coordinator.
    assert committed(bootstrap_servers, topic, 1 if commit else 0) == (["here"] if commit else [])
    (one,), (other,) = (active_producers(bootstrap_servers, topic, number) for number in (0, 1))
    assert (one.current_txn_start_offset, other.current_txn_start_offset) == (-1, 0)


def active_producers(bootstrap_servers: str, topic: str, partition: int):
    topics = [{"name": topic, "partition_indexes": (partition,)}]
    answer = ask(bootstrap_servers, DESCRIBE_PRODUCERS, 0, topics=topics)
    (found,) = answer.topics[0].partitions
    assert found.error_code is OK
    return found.active_producers


def test_the_producers_of_a_partition_are_described(bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic):
    topic = new_topic(1)
    assert producer.add_partition(topic) is OK
    assert producer.produce(topic, ["a", "b", "c"], 0) == (OK, 0)
    assert producer.produce(topic, ["d"], 3) == (OK, 3)
    (found,) = active_producers(bootstrap_servers, topic, 0)
    assert (found.producer_id, found.producer_epoch) == (producer.producer_id, producer.epoch)
    assert found.last_sequence == 3
    assert found.current_txn_start_offset == 0
    assert found.last_timestamp > 0
    topics = [{"name": topic, "partition_indexes": (7,)}, {"name": "no-such-topic", "partition_indexes": (0,)}]
    answer = ask(bootstrap_servers, DESCRIBE_PRODUCERS, 0, topics=topics)
    codes = {each.partitions[0].error_code for each in answer.topics}
    assert codes == {ErrorCode.unknown_topic_or_partition}


def test_an_open_transaction_is_described(producer: RawProducer, new_topic: NewTopic):
    topic = new_topic(3)
    before_ms = time.time() * 1000
    assert set(producer.add_partitions({topic: [2, 0]}).values()) == {OK}
    answer = producer.ask(DESCRIBE_TRANSACTIONS, 0, transactional_ids=(producer.transactional_id, "no-such-id"))
    found = {each.transactional_id: each for each in answer.transaction_states}
    assert found["no-such-id"].error_code is ErrorCode.transactional_id_not_found
    described = found[producer.transactional_id]
    assert described.error_code is OK
    assert described.transaction_state == "Ongoing"
    assert (described.producer_id, described.producer_epoch) == (producer.producer_id, producer.epoch)
    assert described.transaction_timeout.total_seconds() == producer.timeout_s
    assert abs(described.transaction_start_time.timestamp() * 1000 - before_ms) < 60_000
    assert [(each.topic, sorted(each.partitions)) for each in described.topics] == [(topic, [0, 2])]


@pytest.mark.parametrize("version", range(3))
def test_transactions_are_listed_by_state_producer_age_and_pattern(
    bootstrap_servers: str, producer: RawProducer, new_topic: NewTopic, version: int
):
    def listed(**filters: object) -> set[str]:
        values: dict[str, object] = {"state_filters": (), "producer_id_filters": ()}
        if version >= 1:
            values["duration_filter"] = -1
        if version >= 2:
            values["transactional_id_pattern"] = None
        answer = ask(bootstrap_servers, LIST_TRANSACTIONS, version, **(values | filters))
        assert answer.error_code is OK
        return {each.transactional_id for each in answer.transaction_states}

    name = producer.transactional_id
    assert name in listed()
    assert name in listed(state_filters=("Empty",), producer_id_filters=(producer.producer_id,))
    assert name not in listed(state_filters=("Ongoing",))
    assert name not in listed(producer_id_filters=(producer.producer_id + 1_000_000,))
    assert producer.add_partition(new_topic(1)) is OK
    assert name in listed(state_filters=("Ongoing",))
    answer = ask(bootstrap_servers, LIST_TRANSACTIONS, version, state_filters=("Ongoing", "Sideways"))
    assert answer.unknown_state_filters == ("Sideways",)
    if version >= 1:
        assert name not in listed(duration_filter=3_600_000)
        assert name in listed(duration_filter=0, state_filters=("Ongoing",))
    if version >= 2:
        assert listed(transactional_id_pattern=f"{name[:-2]}..") == {name}
        assert listed(transactional_id_pattern="frames") == set(), "the whole name has to match"
        bad = ask(bootstrap_servers, LIST_TRANSACTIONS, version, transactional_id_pattern="(")
        assert bad.error_code is ErrorCode.invalid_regular_expression
