"""Files as a crash, a bad disk or a careless hand leave them: the node starts, cuts what is torn, keeps the rest."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bench.versus.broker_process import BrokerProcess
from confluent_kafka import Consumer, TopicPartition
from tests.fault.conftest import NodeFactory, nodes_in
from tests.fault.records import PATIENT, create_topic, numbered, produce, read

TOPIC = "torn"
WRITTEN = numbered(200)


@pytest.fixture(scope="module")
def left_by_a_kill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a node that was killed after it had acknowledged two hundred records in twenty batches."""
    with nodes_in(tmp_path_factory.mktemp("killed")) as new_node:
        node = new_node()
        node.start()
        create_topic(node.bootstrap_servers, TOPIC, 1)
        acknowledged, errors = produce(node.bootstrap_servers, TOPIC, WRITTEN)
        assert (acknowledged, errors) == (WRITTEN, [])
        node.kill()
        return node.data


@pytest.fixture
def node(new_node: NodeFactory, left_by_a_kill: Path) -> BrokerProcess:
    """That node, not started again yet, with a copy of its directory."""
    node = new_node()
    # Apache Kafka has formatted it.
    shutil.rmtree(node.data, ignore_errors=True)
    shutil.copytree(left_by_a_kill, node.data)
    return node


def folder_of(node: BrokerProcess, topic: str = TOPIC, partition: int = 0) -> Path:
    (folder,) = [path for path in node.log_file.parent.rglob(f"{topic}-{partition}") if path.is_dir()]
    return folder


def segment_of(node: BrokerProcess) -> Path:
    """The active segment, without what a broker may have preallocated behind it."""
    return max(folder_of(node).glob("*.log"))


def assert_takes_more(node: BrokerProcess, kept: list[str]) -> None:
    more = numbered(30, first=1000)
    assert produce(node.bootstrap_servers, TOPIC, more) == (more, [])
    assert read(node.bootstrap_servers, TOPIC)[0] == kept + more


def test_a_batch_cut_in_half_is_removed_and_said_in_the_log(node: BrokerProcess):
    segment = segment_of(node)
    with segment.open("r+b") as file:
        file.truncate(segment.stat().st_size - 7)
    node.start()
    kept = read(node.bootstrap_servers, TOPIC)[0]
    assert kept == WRITTEN[:190], "all but the torn batch"
    said = node.log_file.read_text()
    assert re.search(rf"{TOPIC}-0|{segment.name}", said), "the cut is said, with the place"
    assert_takes_more(node, kept)


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 4096, b"\xff" * 61, bytes(range(256)) * 40], ids=["zeros", "ones", "noise"]
)
def test_garbage_behind_the_last_batch_is_removed(node: BrokerProcess, garbage: bytes):
    with segment_of(node).open("ab") as file:
        file.write(garbage)
    node.start()
    assert_takes_more(node, WRITTEN)


def test_a_length_of_two_gigabytes_behind_the_last_batch_is_removed(node: BrokerProcess):
    with segment_of(node).open("ab") as file:
        file.write((200).to_bytes(8) + b"\x7f\xff\xff\xff" + bytes(100))
    node.start()
    assert node.usage().peak_resident_bytes < 1 << 30
    assert_takes_more(node, WRITTEN)


def test_a_flipped_bit_in_the_unflushed_part_cuts_there_and_keeps_what_is_before(node: BrokerProcess):
    segment = segment_of(node)
    size = segment.stat().st_size
    flip_bit(segment, size // 2 + 80)
    node.start()
    kept = read(node.bootstrap_servers, TOPIC)[0]
    assert len(kept) % 10 == 0
    assert len(kept) == 100, "up to the batch that the broken byte lies in"
    assert kept == WRITTEN[: len(kept)]
    assert_takes_more(node, kept)


def flip_bit(file: Path, position: int) -> None:
    with file.open("r+b") as handle:
        handle.seek(position)
        (byte,) = handle.read(1)
        handle.seek(position)
        handle.write(bytes([byte ^ 0x10]))


def _remove(pattern: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for file in folder.glob(pattern):
            file.unlink()

    return damage


def _overwrite(pattern: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for file in folder.glob(pattern):
            file.write_bytes(content)

    return damage


DAMAGE: dict[str, Callable[[Path], None]] = {
    "no-index": _remove("*.index"),
    "no-timeindex": _remove("*.timeindex"),
    "noise-in-index": _overwrite("*.index", bytes(range(256)) * 4),
    "noise-in-timeindex": _overwrite("*.timeindex", bytes(range(256)) * 3),
    "odd-length-index": _overwrite("*.index", b"\x00" * 13),
    "no-epoch-checkpoint": _remove("leader-epoch-checkpoint"),
    "noise-in-epoch-checkpoint": _overwrite("leader-epoch-checkpoint", b"not a checkpoint\n"),
    "noise-in-snapshot": _overwrite("*.snapshot", b"\x00\x01" + b"\xff" * 50),
    "no-snapshot": _remove("*.snapshot"),
}


@pytest.mark.parametrize("crashed", [True, False], ids=["after-a-crash", "after-a-clean-stop"])
def test_what_can_be_derived_from_the_records_is_built_again(new_node: NodeFactory, crashed: bool):
    node = new_node()
    node.start()
    # A partition for each kind of damage.
    create_topic(node.bootstrap_servers, TOPIC, len(DAMAGE))
    for number in range(len(DAMAGE)):
        assert produce(node.bootstrap_servers, TOPIC, WRITTEN[:50], number) == (WRITTEN[:50], [])
    if crashed:
        node.kill()
    else:
        assert node.stop() == 0
    for number, damage in enumerate(DAMAGE.values()):
        damage(folder_of(node, TOPIC, number))
    node.start()
    consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": "times", **PATIENT})
    found = consumer.offsets_for_times([TopicPartition(TOPIC, number, 1) for number in range(len(DAMAGE))], 20)
    consumer.close()
    for name, by_time in zip(DAMAGE, sorted(found, key=lambda entry: entry.partition), strict=True):
        assert by_time.offset == 0, f"{name}: a lookup by time still works"
    for number, name in enumerate(DAMAGE):
        assert produce(node.bootstrap_servers, TOPIC, WRITTEN[50:60], number) == (WRITTEN[50:60], []), name
    stored = read(node.bootstrap_servers, TOPIC, len(DAMAGE))
    assert stored == dict.fromkeys(range(len(DAMAGE)), WRITTEN[:60])


CHECKPOINTS = ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint"]


@pytest.mark.parametrize("content", [None, b"", b"0\n9999\ntorn 0"], ids=["missing", "empty", "torn"])
def test_missing_or_torn_checkpoints_do_not_hinder_the_start(node: BrokerProcess, content: bytes | None):
    # An orderly stop writes all of them; the kill after it leaves them without the mark of a clean shutdown.
    node.start()
    assert node.stop() == 0
    node.start()
    node.kill()
    for checkpoint in CHECKPOINTS:
        (file,) = node.log_file.parent.rglob(checkpoint)
        file.unlink() if content is None else file.write_bytes(content)
    node.start()
    assert_takes_more(node, WRITTEN)


def test_a_torn_topic_id_beside_records_is_written_anew_after_a_crash_and_said_in_the_log(node: BrokerProcess):
    """A folder of an older topic of this name would have another one since before there was this topic."""
    metadata = folder_of(node) / "partition.metadata"
    metadata.write_bytes(b"vers")
    node.start()
    assert "a crash tore a partition.metadata" in node.log_file.read_text()
    assert "topic_id" in metadata.read_text()
    assert_takes_more(node, WRITTEN)


def test_a_flipped_bit_on_disk_stops_neither_the_node_nor_other_partitions(node: BrokerProcess):
    node.start()
    create_topic(node.bootstrap_servers, "sound", 1)
    assert produce(node.bootstrap_servers, "sound", WRITTEN) == (WRITTEN, [])
    assert node.stop() == 0
    segment = segment_of(node)
    # Twenty batches of one size: the middle is where a batch begins, and its first bytes are not under the checksum.
    flip_bit(segment, segment.stat().st_size // 2 + 80)
    node.start()
    consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": "r", "check.crcs": True, **PATIENT})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    values: list[str] = []
    # librdkafka checks the checksum and passes the broken batch over; it must not be handed out as if it were whole.
    for _ in range(20):
        values += [m.value().decode() for m in consumer.consume(500, 0.2) if m.error() is None]
    consumer.close()
    assert set(values) < set(WRITTEN)
    assert read(node.bootstrap_servers, "sound")[0] == WRITTEN


def test_a_torn_metadata_log_loses_no_acknowledged_topic(node: BrokerProcess):
    segment = max(folder_of(node, "__cluster_metadata").glob("*.log"))
    with segment.open("ab") as file:
        file.write(b"\x00" * 8 + b"\x00\x00\x40\x00" + b"torn")
    node.start()
    create_topic(node.bootstrap_servers, "after", 2)
    assert_takes_more(node, WRITTEN)
    node.kill()
    node.start()
    assert read(node.bootstrap_servers, "after", 2) == {0: [], 1: []}


def test_torn_offset_partitions_lose_no_acknowledged_commit(node: BrokerProcess):
    node.start()
    consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": "kept", **PATIENT})
    consumer.commit(offsets=[TopicPartition(TOPIC, 0, 123)], asynchronous=False)
    consumer.close()
    node.kill()
    for folder in node.log_file.parent.rglob("__consumer_offsets-*"):
        for segment in folder.glob("*.log"):
            with segment.open("ab") as file:
                file.write(b"\x00\x00\x00torn")
    node.start()
    consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": "kept", **PATIENT})
    (committed,) = consumer.committed([TopicPartition(TOPIC, 0)], 20)
    consumer.close()
    assert committed.offset == 123


def test_a_stray_folder_is_put_aside_and_not_served(node: BrokerProcess):
    folder = folder_of(node)
    shutil.copytree(folder, folder.parent / "never-created-0")
    node.start()
    consumer = Consumer({"bootstrap.servers": node.bootstrap_servers, "group.id": "r", **PATIENT})
    assert "never-created" not in consumer.list_topics(timeout=20).topics
    consumer.close()
    assert_takes_more(node, WRITTEN)
