"""`moldau log dump` on real directories, whole and damaged."""

import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import moldau

import moldau as package


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A data directory with records in every codec, a group, and a node that has ended."""
    folder = tmp_path_factory.mktemp("dump") / "data"
    with package.Broker(folder) as broker:
        servers = broker.bootstrap_servers
        moldau("topic", "create", "t", "-p", "1", servers=servers)
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            text = f"{codec}:{'x' * 200}\n" * 2
            moldau("produce", "t", "-K", ":", "-H", "h=1", "-z", codec, text=text, servers=servers)
        moldau("group", "seek", "g", "--to", "3", "-t", "t", "--execute", servers=servers)
    return folder


def rows(*arguments, code=0):
    ended = moldau("log", "dump", *map(str, arguments), "-o", "jsonl")
    assert ended.code == code, ended.err
    return ended.lines


def test_batches_and_records_of_every_codec_are_read(directory):
    found = rows(directory / "t-0" / "00000000000000000000.log", "--records")
    batches = [row for row in found if row["kind"] == "batch"]
    assert [batch["codec"] for batch in batches] == ["none", "gzip", "snappy", "lz4", "zstd"]
    assert all(batch["problem"] is None and batch["record_count"] == 2 for batch in batches)
    records = [row for row in found if row["kind"] == "record"]
    assert [record["offset"] for record in records] == list(range(10))
    assert [record["key"] for record in records[::2]] == ["none", "gzip", "snappy", "lz4", "zstd"]
    assert records[4]["value"] == "x" * 200
    assert records[4]["headers"] == [{"name": "h", "value": "1"}]
    later = rows(directory / "t-0" / "00000000000000000000.log", "--records", "--from", "7")
    assert [row["offset"] for row in later if row["kind"] == "record"] == [7, 8, 9]


def test_every_file_of_a_partition_is_read(directory):
    kinds = {(Path(row["file"]).name, row["kind"]) for row in rows(directory / "t-0")}
    assert ("00000000000000000000.log", "batch") in kinds
    assert ("00000000000000000000.timeindex", "time") in kinds
    assert ("00000000000000000010.snapshot", "producer") in kinds
    assert ("leader-epoch-checkpoint", "line") in kinds
    snapshot = [row for row in rows(directory / "t-0") if row["kind"] == "producer"]
    assert [row["last_offset"] for row in snapshot] == [1, 3, 5, 7, 9]


def test_what_the_internal_topics_say_is_decoded(directory):
    metadata = [row for row in rows(directory / "__cluster_metadata-0", "-r") if row["kind"] == "record"]
    topics = {row["data"]["name"]: row["data"] for row in metadata if row["type"] == "TopicRecord"}
    assert len(topics["t"]["topic_id"]) == 22
    offsets = [
        row
        for folder in directory.glob("__consumer_offsets-*")
        for row in rows(folder, "-r")
        if row.get("type") == "OffsetRecord"
    ]
    (commit,) = offsets
    assert (commit["data"]["group"], commit["data"]["topic"], commit["data"]["value"]["offset"]) == ("g", "t", 3)
    plain = rows(directory / "__cluster_metadata-0", "-r", "--decode", "none")
    assert all("type" not in row for row in plain)


def test_a_whole_directory_is_dumped_in_one_document(directory):
    document = moldau("log", "dump", str(directory), "-o", "json").json
    assert any(row["file"].endswith("meta.properties") for row in document)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda content: content[:-7], "bytes before the batch"),
        (lambda content: content + b"\0\1", "are no header"),
        (lambda content: content[:70] + b"?" + content[71:], "the checksum is"),
        (lambda content: content[:8] + b"\x7f\xff\xff\xff" + content[12:], "cannot be"),
        (lambda content: content[:16] + b"\1" + content[17:], "message format 1"),
        (lambda content: b"\0" * 5000, "cannot be"),
    ],
)
def test_what_is_damaged_is_said_in_its_place_and_never_raised(directory, tmp_path, damage, problem):
    file = tmp_path / "00000000000000000000.log"
    file.write_bytes(damage((directory / "t-0" / file.name).read_bytes()))
    found = rows(file, "--records", code=1)
    assert any(problem in (row.get("problem") or "") for row in found)


def test_a_snapshot_with_a_wrong_checksum_is_said(directory, tmp_path):
    file = tmp_path / "00000000000000000010.snapshot"
    shutil.copy(directory / "t-0" / file.name, file)
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    assert rows(file, code=1)[-1]["problem"] == "the checksum is wrong"


def test_a_file_that_is_none_of_a_log_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert moldau("log", "dump", str(tmp_path / "notes.txt")).code == 2
    assert moldau("log", "dump", str(tmp_path / "nothing")).code == 2
    assert moldau("log", "dump", str(tmp_path)).code == 1


def test_a_table_names_the_batches_and_the_records(directory):
    text = moldau("log", "dump", str(directory / "t-0"), "-r").out
    assert '0  key="none" value="xxx' in text
    assert "base offset" in text
