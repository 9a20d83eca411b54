"""A node whose metadata log is cut behind snapshots, and what it makes of a directory that a crash has left."""

import contextlib

import pytest
from confluent_kafka.admin import ConfigResource
from tests.integration.clients import admin, create_topic
from tests.integration.snapshots import clean, cut_before, folder, in_the_node, take

import moldau
from moldau.errors import ApiError
from moldau.server.boot import StartError
from moldau.server.snapshot_files import SnapshotWriter, read_snapshot, snapshots_in

SMALL = {"metadata_max_retention_bytes": 1}
"""Nothing older than the two newest snapshots is kept."""
WHOLE = SnapshotWriter.append


def full(*_args):
    raise OSError(28, "No space left on device")


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def topics(broker):
    return set(admin(broker).list_topics(timeout=10).topics)


def log_start(broker):
    return broker._node.shell.core.log_start_offset("__cluster_metadata", 0)


def with_snapshot(data, **settings):
    """A directory with a topic before its snapshot and one after it. Returns the snapshot."""
    with moldau.Broker(data, **settings) as broker:
        create_topic(broker, "before", 3, config={"retention.ms": "60000"})
        take(broker)
        create_topic(broker, "after", 2)
    (file,) = snapshots_in(folder(data))
    return file


def retention_of(broker, topic):
    client = admin(broker)
    (future,) = client.describe_configs([ConfigResource("topic", topic)]).values()
    return future.result(10)["retention.ms"].value


def test_a_start_takes_the_snapshot_and_what_follows_on_it(data):
    file = with_snapshot(data)
    cut_before(data, file.end_offset)
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"before", "after"}
        assert retention_of(broker, "before") == "60000"
        assert len(admin(broker).list_topics("before", timeout=10).topics["before"].partitions) == 3
        create_topic(broker, "later")
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"before", "after", "later"}


def test_a_node_that_is_killed_at_once_after_a_snapshot_finds_everything(data):
    with moldau.Broker(data) as broker:
        create_topic(broker, "before")
        take(broker)
        broker.kill()
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"before"}


def test_snapshots_are_taken_when_enough_was_written(data, eventually):
    with moldau.Broker(data, metadata_log_max_record_bytes_between_snapshots=500) as broker:
        create_topic(broker, "a", 20)
        first = eventually(lambda: snapshots_in(folder(data)), within_s=30)[-1]
        create_topic(broker, "b", 20)
        eventually(lambda: snapshots_in(folder(data))[-1].end_offset > first.end_offset, within_s=30)


def test_snapshots_are_taken_in_time_when_anything_was_written_and_not_otherwise(data, eventually):
    with moldau.Broker(data, metadata_log_max_snapshot_interval_ms=1) as broker:
        create_topic(broker, "a")
        eventually(lambda: snapshots_in(folder(data)), within_s=30)
        in_the_node(broker, lambda snapshots: snapshots.tend())
        files = snapshots_in(folder(data))
        in_the_node(broker, lambda snapshots: snapshots.tend())
        assert snapshots_in(folder(data)) == files


def test_a_stop_takes_a_snapshot_that_spares_the_next_start_much_of_the_log(data, monkeypatch):
    monkeypatch.setattr("moldau.server.metadata_snapshots.WORTH_BYTES", 2_000)
    with moldau.Broker(data) as broker:
        create_topic(broker, "orders", 50, config={"retention.ms": "60000"})
    (file,) = snapshots_in(folder(data))
    with moldau.Broker(data) as broker:
        # A broker's epoch is where the log ended when it registered: there was hardly anything to read behind it.
        assert broker._node._broker_epoch - file.end_offset < 5
        assert retention_of(broker, "orders") == "60000"
        assert len(admin(broker).list_topics("orders", timeout=10).topics["orders"].partitions) == 50
    size = file.path.stat().st_size
    # Each life changes every partition twice, which is not much more than a snapshot has.
    for _ in range(3):
        with moldau.Broker(data) as broker:
            seen = broker._node._snapshots._codec.bytes_seen
        assert seen < 5 * size


def test_a_stop_takes_no_snapshot_of_what_is_soon_read(data):
    with moldau.Broker(data) as broker:
        create_topic(broker, "orders", 50)
    assert snapshots_in(folder(data)) == []


def test_a_node_stops_though_its_last_snapshot_cannot_be_written(data, monkeypatch):
    monkeypatch.setattr("moldau.server.metadata_snapshots.WORTH_BYTES", 1)
    with moldau.Broker(data) as broker:
        create_topic(broker, "orders", 3)
        monkeypatch.setattr(SnapshotWriter, "append", full)
    assert snapshots_in(folder(data)) == []
    monkeypatch.setattr(SnapshotWriter, "append", WHOLE)
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"orders"}
        # An orderly stop all the same.
        assert broker._node._machine.image.topics["orders"].partitions[0].leader_recovery_state == 0


def test_the_log_before_the_oldest_snapshot_that_stays_goes(data):
    with moldau.Broker(data, **SMALL) as broker:
        for name in ("a", "b", "c"):
            create_topic(broker, name)
            take(broker)
        files = snapshots_in(folder(data))
        assert len(files) == 3
        clean(broker)
        # Two stay: the newest might be found torn.
        assert snapshots_in(folder(data)) == files[1:]
        assert log_start(broker) == files[1].end_offset
        broker.kill()
    with moldau.Broker(data, **SMALL) as broker:
        assert topics(broker) == {"a", "b", "c"}


def test_a_machine_that_could_not_follow_its_log_leaves_no_snapshot(data, monkeypatch):
    with moldau.Broker(data) as broker:
        create_topic(broker, "before")
        runner = broker._node._metadata
        monkeypatch.setattr(runner, "_stopped_by", OSError(5, "Input/output error"))
        with pytest.raises(ApiError, match="was stopped"):
            take(broker)
        assert snapshots_in(folder(data)) == []
        broker.kill()
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"before"}


def test_a_snapshot_that_could_not_be_written_is_tried_again_soon(data, monkeypatch, eventually):
    monkeypatch.setattr("moldau.server.metadata_snapshots.TRY_AGAIN_AFTER_MS", 100)
    monkeypatch.setattr(SnapshotWriter, "append", full)
    with moldau.Broker(data, metadata_log_max_record_bytes_between_snapshots=1_000_000) as broker:
        snapshots = broker._node._snapshots
        create_topic(broker, "a")
        # All that was written is due; nothing more will be.
        monkeypatch.setattr(snapshots, "_bytes_between", snapshots._codec.bytes_seen)
        eventually(lambda: snapshots._not_before_ms > 0, within_s=30)
        monkeypatch.setattr(SnapshotWriter, "append", WHOLE)
        eventually(lambda: snapshots_in(folder(data)), within_s=30)


def test_within_its_limits_everything_stays(data):
    with moldau.Broker(data) as broker:
        for name in ("a", "b"):
            create_topic(broker, name)
            take(broker)
        clean(broker)
        assert len(snapshots_in(folder(data))) == 2
        assert log_start(broker) == 0


def test_what_is_older_than_a_damaged_snapshot_stays(data):
    with moldau.Broker(data, **SMALL) as broker:
        for name in ("a", "b"):
            create_topic(broker, name)
            take(broker)
        older, newer = snapshots_in(folder(data))
        newer.path.write_bytes(newer.path.read_bytes()[:-5])
        clean(broker)
        assert snapshots_in(folder(data)) == [older, newer]
        assert log_start(broker) == 0
        broker.kill()
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"a", "b"}


def test_a_torn_snapshot_gives_way_to_an_older_one_and_more_of_the_log(data):
    with moldau.Broker(data) as broker:
        for name in ("a", "b"):
            create_topic(broker, name)
            take(broker)
        create_topic(broker, "c")
    older, newer = snapshots_in(folder(data))
    cut_before(data, older.end_offset)
    newer.path.write_bytes(newer.path.read_bytes()[:-40])
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"a", "b", "c"}


def test_a_torn_snapshot_whose_log_is_whole_is_not_needed(data):
    file = with_snapshot(data)
    file.path.write_bytes(b"")
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"before", "after"}


def test_a_log_that_follows_on_nothing_is_refused_and_not_written_over(data):
    file = with_snapshot(data)
    cut_before(data, file.end_offset)
    file.path.write_bytes(file.path.read_bytes()[:-1])
    segment = next(folder(data).glob("*.log"))
    before = segment.read_bytes()
    with pytest.raises(StartError, match=f"begins at offset {file.end_offset}, and no whole snapshot") as refused:
        moldau.Broker(data).__enter__()
    assert ".checkpoint" in refused.value.hint
    assert segment.read_bytes() == before


def test_a_log_that_ends_before_its_snapshot_is_refused(data):
    file = with_snapshot(data)
    file.path.rename(file.path.with_name(f"{10**6:020}-{file.epoch:010}.checkpoint"))
    with pytest.raises(StartError, match="before the snapshot"):
        moldau.Broker(data).__enter__()


@pytest.mark.parametrize("step", ["begin", "append", "finish"])
def test_a_crash_while_a_snapshot_is_written_leaves_the_log_as_it_was(data, monkeypatch, step):
    class KilledError(Exception):
        pass

    def killed(*_args):
        raise KilledError

    with moldau.Broker(data) as broker:
        create_topic(broker, "before")
        # Nothing is tidied up by a process that is gone.
        monkeypatch.setattr(SnapshotWriter, step, killed)
        monkeypatch.setattr(SnapshotWriter, "abandon", lambda writer: writer._out.flush())
        with contextlib.suppress(KilledError):
            take(broker)
        broker.kill()
    monkeypatch.undo()
    assert list(folder(data).glob("*.part"))
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"before"}
        assert not list(folder(data).glob("*.part"))
        take(broker)
    (file,) = snapshots_in(folder(data))
    assert read_snapshot(file).records


def test_a_crash_between_the_cut_of_the_log_and_the_removal_of_what_held_it_is_finished_by_the_next_start(data):
    with moldau.Broker(data) as broker:
        for name in ("a", "b"):
            create_topic(broker, name)
            take(broker)
    older, newer = snapshots_in(folder(data))
    cut_before(data, newer.end_offset)
    with moldau.Broker(data) as broker:
        assert topics(broker) == {"a", "b"}
        assert snapshots_in(folder(data)) == [newer]
    assert not older.path.exists()


def test_epochs_of_brokers_and_of_leaders_go_on_after_a_snapshot(data):
    with moldau.Broker(data) as broker:
        create_topic(broker, "a")
        take(broker)
        broker.kill()
    (file,) = snapshots_in(folder(data))
    epochs = []
    for _ in range(2):
        with moldau.Broker(data) as broker:
            image = broker._node.shell.metadata.machine.image
            (partition,) = image.topics["a"].partitions.values()
            epochs.append((image.brokers[1].epoch, partition.leader_epoch))
            assert broker._node.shell.core.latest_leader_epoch("__cluster_metadata", 0) > file.epoch
    assert epochs == sorted(set(epochs))


def test_a_full_disk_costs_a_snapshot_and_nothing_else(data, monkeypatch):
    with moldau.Broker(data) as broker:
        create_topic(broker, "before")
        monkeypatch.setattr(SnapshotWriter, "append", full)
        with pytest.raises(OSError, match="No space"):
            take(broker)
        monkeypatch.undo()
        assert not list(folder(data).glob("*checkpoint*.part"))
        create_topic(broker, "after")
        take(broker)
        assert topics(broker) == {"before", "after"}
