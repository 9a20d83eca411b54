"""`moldau log dump` on real directories, whole and damaged."""

import shutil
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from tests.cli.conftest import moldau

import moldau as package
from moldau.cli.control_records import describe_control
from moldau.cli.log_records import as_plain


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


@pytest.fixture(scope="module")
def transactions(tmp_path_factory):
    """A directory after a commit, an abort, and a member of a group of the consumer protocol; segments are small."""
    folder = tmp_path_factory.mktemp("transactions") / "data"
    with package.Broker(folder) as broker:
        servers = broker.bootstrap_servers
        moldau("topic", "create", "t", "-p", "1", "-c", "index.interval.bytes=1", servers=servers)
        producer = Producer({"bootstrap.servers": servers, "transactional.id": "copier"})
        producer.init_transactions(30)
        for end, values in ((producer.commit_transaction, (b"1", b"2")), (producer.abort_transaction, (b"3",))):
            producer.begin_transaction()
            for value in values:
                producer.produce("t", value)
            producer.flush(30)
            end(30)
        member = Consumer({
            "bootstrap.servers": servers, "group.id": "modern", "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
        })  # fmt: skip
        member.subscribe(["t"])
        assert member.poll(60).value() == b"1"
        member.commit(asynchronous=False)
        member.close()
    return folder


def records_in(*paths):
    return [row for path in paths for row in rows(path, "-r") if row["kind"] == "record"]


def test_what_the_coordinator_of_transactions_wrote_is_decoded(transactions):
    found = records_in(*transactions.glob("__transaction_state-*"))
    states = [row["data"]["transaction"]["state"] for row in found if row["type"] == "TransactionRecord"]
    assert [row["data"]["transactional_id"] for row in found] == ["copier"] * len(found)
    assert [state for state in states if state.startswith(("Prepare", "Complete"))] == [
        "PrepareCommit", "CompleteCommit", "PrepareAbort", "CompleteAbort",
    ]  # fmt: skip
    ongoing = next(row for row in found if row["data"]["transaction"]["state"] == "Ongoing")
    assert ongoing["data"]["transaction"]["partitions"] == [{"topic": "t", "partition": 0}]


def test_the_ends_of_transactions_say_who_wrote_them(transactions):
    found = records_in(transactions / "t-0" / "00000000000000000000.log")
    assert [row.get("control") or row["value"] for row in found] == ["1", "2", "commit", "3", "abort"]
    assert found[2]["data"] == {"version": 0, "coordinator_epoch": found[2]["data"]["coordinator_epoch"]}
    assert "commit marker" in moldau("log", "dump", str(transactions / "t-0"), "-r").out


def test_the_index_of_aborted_transactions_and_that_of_times_are_read(transactions):
    (aborted,) = rows(transactions / "t-0" / "00000000000000000000.txnindex")
    assert (aborted["kind"], aborted["first_offset"], aborted["last_offset"]) == ("aborted transaction", 3, 4)
    assert aborted["last_stable_offset"] <= 5
    batches = [row for row in rows(transactions / "t-0" / "00000000000000000000.log") if row["kind"] == "batch"]
    times = {
        row["offset"]: row["timestamp_ms"] for row in rows(transactions / "t-0" / "00000000000000000000.timeindex")
    }
    assert times
    assert max(times.values()) == max(batch["max_timestamp_ms"] for batch in batches)
    (torn,) = {row["kind"] for row in rows(cut(transactions / "t-0" / "00000000000000000000.txnindex", 34))}
    assert torn == "aborted transaction"


def cut(file, size):
    """The file with half an entry more, as a crash leaves it."""
    file.write_bytes(file.read_bytes()[:size] + b"\0" * 7)
    return file


def test_records_of_a_group_of_the_consumer_protocol_are_decoded(transactions):
    kinds = [row["type"] for row in records_in(*transactions.glob("__consumer_offsets-*"))]
    assert {"GroupEpochRecord", "MemberRecord", "TargetMemberRecord", "OffsetRecord"} <= set(kinds), kinds
    assert "OtherRecord" not in kinds


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (3, "0000 0000 0000018bcfe56800 00", {"version": 0, "last_contained_log_timestamp": 1700000000000}),
        (4, "0000 0000 00", {"version": 0}),
        (
            2,
            "0000 0001 00000007 02 00000007" + "00" * 16 + "00 01 00",
            {
                "version": 1,
                "leader_id": 7,
                "voters": [{"voter_id": 7, "voter_directory_id": "A" * 22}],
                "granting_voters": [],
            },
        ),
        (5, "0000 0000 0001 00", {"version": 0, "kraft_version": 1}),
    ],
)
def test_a_control_record_is_put_into_words(kind, value, said):
    body = bytes.fromhex(value)[2:]
    assert as_plain(describe_control(kind, body)["data"]) == said
    assert "note" in describe_control(kind, body[:-1])
    assert "note" in describe_control(kind, body + b"?")
    assert "note" in describe_control(kind, None)
    assert describe_control(77, body) == {"control": "77"}


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
