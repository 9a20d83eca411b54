"""Snapshots of the metadata log as files: whole or nothing, whatever a crash or a disk has left."""

import pytest

from moldau.server import snapshot_files
from moldau.server.core_types import StoredRecord
from moldau.server.snapshot_files import (
    SnapshotError,
    SnapshotWriter,
    control_type,
    is_whole,
    read_snapshot,
    remove_leftovers,
    snapshots_in,
)

QUORUM = {6: (b"\x00\x00\x00\x06", b"voters"), 5: (b"\x00\x00\x00\x05", b"version")}


def write(folder, end_offset=40, epoch=3, batches=((b"one", b"two"), (b"three",)), quorum=None):
    writer = SnapshotWriter(folder, end_offset, epoch, durable=True)
    writer.begin(1_000, quorum or {})
    for values in batches:
        writer.append(values, 2_000)
    return writer.finish(3_000)


def test_what_was_written_is_read(tmp_path):
    file = write(tmp_path)
    content = read_snapshot(file)
    assert is_whole(file)
    assert file.path.name == "00000000000000000040-0000000003.checkpoint"
    assert [record.value for record in content.records] == [b"one", b"two", b"three"]
    assert [record.offset for record in content.records] == [1, 2, 3]
    assert content.timestamp_ms == 1_000
    assert snapshots_in(tmp_path) == [file]


def test_what_the_quorum_says_of_itself_stands_in_the_order_of_kafka(tmp_path):
    content = read_snapshot(write(tmp_path, quorum=QUORUM))
    assert [(control_type(record), record.value) for record in content.records[:2]] == [(5, b"version"), (6, b"voters")]


def test_an_empty_cluster_has_a_snapshot_too(tmp_path):
    assert list(read_snapshot(write(tmp_path, batches=())).records) == []


def test_it_has_its_name_only_when_it_is_whole(tmp_path):
    writer = SnapshotWriter(tmp_path, 40, 3, durable=True)
    writer.begin(1_000, {})
    writer.append([b"one"], 2_000)
    assert snapshots_in(tmp_path) == []
    assert [file.name for file in tmp_path.iterdir()] == ["00000000000000000040-0000000003.checkpoint.part"]
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_go_and_nothing_else(tmp_path):
    file = write(tmp_path)
    kept = [file.path, tmp_path / "00000000000000000000.log", tmp_path / "leader-epoch-checkpoint"]
    for path in kept[1:]:
        path.touch()
    # As we leave them, and as Kafka does, which puts a number between.
    for name in ("7-3.checkpoint.part", f"{7:020}-{3:010}-123.checkpoint.part", f"{7:020}-{3:010}.checkpoint.deleted"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert set(tmp_path.iterdir()) == set(kept)


def test_the_newest_is_the_one_that_goes_furthest_whatever_its_epoch(tmp_path):
    files = [write(tmp_path, 100, 1), write(tmp_path, 20, 9), write(tmp_path, 100, 2)]
    assert snapshots_in(tmp_path) == [files[1], files[0], files[2]]


@pytest.mark.parametrize("cut", range(1, 310, 13))
def test_one_that_is_torn_anywhere_is_none(tmp_path, cut):
    file = write(tmp_path)
    content = file.path.read_bytes()
    assert len(content) > 310
    file.path.write_bytes(content[:-cut])
    with pytest.raises(SnapshotError, match="checkpoint"):
        read_snapshot(file)
    assert not is_whole(file)


def test_one_with_a_flipped_bit_anywhere_is_none_or_says_the_same(tmp_path):
    file = write(tmp_path)
    content, whole = file.path.read_bytes(), read_snapshot(file).records
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        file.path.write_bytes(damaged)
        try:
            found = read_snapshot(file).records
        except SnapshotError:
            continue
        assert is_whole(file)
        # Offsets and the leader epoch of a batch are not in its checksum, and nobody asks for them.
        assert [record.value for record in found] == [record.value for record in whole]


@pytest.mark.parametrize("missing", ["begin", "finish"])
def test_one_without_header_or_footer_is_none(tmp_path, monkeypatch, missing):
    monkeypatch.setattr(snapshot_files, "HEADER_TYPE" if missing == "begin" else "FOOTER_TYPE", 9)
    file = write(tmp_path)
    monkeypatch.undo()
    with pytest.raises(SnapshotError, match="no header or no footer"):
        read_snapshot(file)


def test_an_empty_file_and_one_that_is_gone_are_none(tmp_path):
    file = write(tmp_path)
    file.path.write_bytes(b"")
    with pytest.raises(SnapshotError):
        read_snapshot(file)
    file.path.unlink()
    with pytest.raises(SnapshotError, match="No such file"):
        read_snapshot(file)
    assert not is_whole(file)


def test_data_is_no_control_record():
    assert control_type(StoredRecord(0, 0, b"\x00\x00\x00\x03", None)) is None
    assert control_type(StoredRecord(0, 0, None, None, is_control=True)) is None
