"""kill -9 between two steps of a producer whose answers are lost, and a disk that is full in the middle of its batches.

What a client does then is to send the same again: same epoch, same sequence numbers. The frames are bare, so that
nothing but the broker decides what comes of it. `MOLDAU_TEST_BOOTSTRAP=apache-kafka` asks Apache Kafka the same.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from bench.versus.broker_process import BrokerProcess
from kio.schema.errors import ErrorCode
from tests.conformance.committed import committed
from tests.conformance.raw_transactions import (
    DESCRIBE_PRODUCERS,
    LIST_TRANSACTIONS,
    PASSING,
    RawProducer,
    ask,
    committed_offset,
    patiently,
)
from tests.fault.conftest import NodeFactory
from tests.fault.records import create_topic, read
from tests.fault.small_disk import small_disk

OK = ErrorCode.none
T = TypeVar("T")
TOPIC = "outcomes"
ON_APACHE = os.environ.get("MOLDAU_TEST_BOOTSTRAP") == "apache-kafka"
LIMIT_S = 60
pytestmark = [pytest.mark.timeout(600)] if ON_APACHE else []
"""On a busy machine Apache Kafka takes up to a minute to start, and some of these start it four times."""


@pytest.fixture
def node(new_node: NodeFactory) -> BrokerProcess:
    made = new_node()
    made.start()
    create_topic(made.bootstrap_servers, TOPIC, 2)
    return made


@pytest.fixture
def producer(node: BrokerProcess) -> RawProducer:
    made = RawProducer(node.bootstrap_servers, f"outcomes-{uuid.uuid4().hex[:8]}")
    made.begin_life()
    return made


def again(node: BrokerProcess) -> None:
    node.kill()
    node.start()


def open_transactions(servers: str) -> list[int]:
    """Where a transaction is open, in each partition of the topic that has one."""
    topics = [{"name": TOPIC, "partition_indexes": (0, 1)}]
    described = ask(servers, DESCRIBE_PRODUCERS, 0, topics=topics).topics[0].partitions
    starts = [each.current_txn_start_offset for partition in described for each in partition.active_producers]
    return [start for start in starts if start >= 0]


def state_of(producer: RawProducer) -> str:
    def ask_for_it():
        return producer.ask(LIST_TRANSACTIONS, 0, producer_id_filters=(producer.producer_id,))

    # Just started, Apache Kafka lists what it has loaded by then, and does not say that there may be more.
    return soon(lambda: patiently(ask_for_it).transaction_states)[0].transaction_state


def soon(look: Callable[[], T | None]) -> T:
    """What there is to see, as soon as it is there."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_transaction_goes_on_after_a_kill_as_if_nothing_had_been(node: BrokerProcess, producer: RawProducer):
    servers = node.bootstrap_servers
    assert producer.add_partition(TOPIC) is OK
    assert producer.produce(TOPIC, ["a"], 0) == (OK, 0)
    again(node)
    assert producer.produce(TOPIC, ["a"], 0) == (OK, 0), "it is known to be there already"
    assert producer.produce(TOPIC, ["b"], 1) == (OK, 1)
    assert producer.produce_once(TOPIC, ["d"], 3)[0] is ErrorCode.out_of_order_sequence_number
    assert producer.add_partition(TOPIC, 1) is OK
    again(node)
    assert producer.produce(TOPIC, ["c"], 0, partition=1) == (OK, 0)
    assert patiently(lambda: producer.end(commit=True)).error_code is OK
    again(node)
    assert patiently(lambda: producer.end(commit=True)).error_code is OK, "an end that is asked again"
    assert sorted(committed(servers, TOPIC, 3)) == ["a", "b", "c"]


def test_offsets_of_a_transaction_are_pending_over_a_kill_and_count_with_its_commit(
    node: BrokerProcess, producer: RawProducer
):
    servers = node.bootstrap_servers
    assert producer.add_offsets("group") is OK
    again(node)
    assert patiently(lambda: producer.add_offsets("group"), lambda code: code) is OK
    assert producer.commit_offset("group", TOPIC, 5) is OK
    again(node)
    producer.find_group("group")
    pending = patiently(lambda: committed_offset(servers, "group", TOPIC), lambda found: found[0])
    assert pending[0] is ErrorCode.unstable_offset_commit
    assert producer.commit_offset("group", TOPIC, 5) is OK
    assert patiently(lambda: producer.end(commit=True)).error_code is OK
    wait_for_offset(servers, 5)
    again(node)
    producer.find_group("group")
    wait_for_offset(servers, 5)


def wait_for_offset(servers: str, offset: int) -> None:
    deadline = time.monotonic() + LIMIT_S
    while committed_offset(servers, "group", TOPIC) != (OK, offset):
        assert time.monotonic() < deadline, committed_offset(servers, "group", TOPIC)
        time.sleep(0.05)


@pytest.mark.skipif(ON_APACHE, reason="Apache Kafka cannot be stopped between two lines")
@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
def test_a_decision_without_a_marker_is_carried_out_after_a_kill(new_node: NodeFactory, commit: bool):
    node = new_node()
    sound = list(node.command)
    node.command[1:3] = ["-m", "tests.fault.planted", "markers-wait"]
    node.environment["PYTHONPATH"] += f":{Path(__file__).parents[2]}"
    node.start()
    create_topic(node.bootstrap_servers, TOPIC, 2)
    producer = RawProducer(node.bootstrap_servers, "decided")
    producer.begin_life()
    assert set(producer.add_partitions({TOPIC: [0, 1]}).values()) == {OK}
    assert producer.produce(TOPIC, ["a"], 0) == (OK, 0)
    assert producer.produce(TOPIC, ["b"], 0, partition=1) == (OK, 0)
    assert producer.commit_offset("group", TOPIC, 5) is ErrorCode.invalid_txn_state, "the group was not added"
    assert producer.add_offsets("group") is OK
    assert producer.commit_offset("group", TOPIC, 5) is OK
    assert producer.end(commit=commit).error_code is OK
    # The answer was lost, and while there are no markers nothing else can be said.
    assert producer.end(commit=commit).error_code is ErrorCode.concurrent_transactions
    assert producer.add_partitions({TOPIC: [0]})[TOPIC, 0] is ErrorCode.concurrent_transactions
    assert open_transactions(node.bootstrap_servers) == [0, 0]

    node.kill()
    node.command[:] = sound
    node.start()
    assert patiently(lambda: producer.end(commit=commit)).error_code is OK
    assert sorted(committed(node.bootstrap_servers, TOPIC, 2 if commit else 0)) == (["a", "b"] if commit else [])
    assert open_transactions(node.bootstrap_servers) == []
    producer.find_group("group")
    wait_for_offset(node.bootstrap_servers, 5 if commit else -1)
    assert producer.add_partition(TOPIC) is OK
    # Behind the record and its one marker.
    assert producer.produce(TOPIC, ["c"], 1) == (OK, 2)
    assert patiently(lambda: producer.end(commit=True)).error_code is OK


@pytest.mark.parametrize("after_ms", [0, 1, 2, 4, 8, 16])
def test_an_end_that_a_kill_may_have_prevented_is_asked_again(
    node: BrokerProcess, producer: RawProducer, after_ms: int
):
    """The node dies some milliseconds after the request: before the record, between record and markers, or later."""
    servers = node.bootstrap_servers
    assert set(producer.add_partitions({TOPIC: [0, 1]}).values()) == {OK}
    assert producer.produce(TOPIC, ["a"], 0) == (OK, 0)
    assert producer.produce(TOPIC, ["b"], 0, partition=1) == (OK, 0)

    def ask_and_lose() -> None:
        with contextlib.suppress(AssertionError, OSError):
            producer.end(commit=True)

    asking = threading.Thread(target=ask_and_lose)
    asking.start()
    time.sleep(after_ms / 1000)
    node.kill()
    asking.join(LIMIT_S)
    node.start()
    assert state_of(producer) in ("Ongoing", "PrepareCommit", "CompleteCommit")
    assert patiently(lambda: producer.end(commit=True)).error_code is OK
    assert sorted(committed(servers, TOPIC, 2)) == ["a", "b"]
    assert producer.add_partition(TOPIC) is OK
    assert producer.produce(TOPIC, ["c"], 1)[0] is OK
    assert patiently(lambda: producer.end(commit=False)).error_code is OK
    assert sorted(committed(servers, TOPIC, 2)) == ["a", "b"]


# A full disk

BATCHES_IN_FLIGHT = 5
RECORD = "x" * 100_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", 32 << 20) as folder:
        if folder is None:
            pytest.skip("mounting a tmpfs needs root")
        yield folder


@pytest.mark.parametrize("before", [0, 3], ids=["a producer that is new", "a producer that is known"])
def test_batches_that_a_full_disk_refused_are_taken_in_order_once_there_is_room(
    disk: Path, new_node: NodeFactory, tmp_path: Path, before: int
):
    """Five in flight, as of an idempotent producer. None may be taken while one before it is missing."""
    node = new_node(log_dirs=f"{tmp_path / 'sound'},{disk / 'data'}", log_index_size_max_bytes="65536")
    node.start()
    servers = node.bootstrap_servers
    # New partitions go where there are fewest, so each of the directories has some.
    create_topic(servers, TOPIC, 4)
    on_disk = soon(lambda: sorted((disk / "data").glob(f"{TOPIC}-[0-3]")))
    partition = int(on_disk[0].name.rpartition("-")[2])
    producer = RawProducer(servers, None)
    producer.begin_life()
    values = [f"{number}-{RECORD}" for number in range(before + BATCHES_IN_FLIGHT)]

    def send_once(number: int) -> ErrorCode:
        return producer.produce_once(TOPIC, [values[number]], number, partition=partition)[0]

    for number in range(before):
        assert producer.produce(TOPIC, [values[number]], number, partition=partition) == (OK, number)
    ballast = disk / "ballast"
    fill = ["dd", "if=/dev/zero", f"of={ballast}", "bs=4k", "status=none"]
    subprocess.run(fill, check=False, stderr=subprocess.DEVNULL)
    flying = range(before, before + BATCHES_IN_FLIGHT)
    refused = [send_once(number) for number in flying]
    assert refused[0] in OF_STORAGE, refused
    # That there is a batch before it which is missing is another reason, and clients know how to take it.
    assert set(refused[1:]) <= {*OF_STORAGE, ErrorCode.out_of_order_sequence_number}, refused
    ballast.unlink()
    assert send_once(before + 1) in {*OF_STORAGE, ErrorCode.out_of_order_sequence_number}, "it would overtake"
    if ON_APACHE:
        again(node)  # There the directory is offline until then.
    for number in (*flying, *flying):
        assert producer.produce(TOPIC, [values[number]], number, partition=partition) == (OK, number)
    again(node)
    assert read(servers, TOPIC, 4)[partition] == values


OF_STORAGE = {ErrorCode.kafka_storage_error, *PASSING}
"""The second is what Apache Kafka says of a partition whose directory has failed."""
