"""What a node does with a metadata log that is not whole."""

import pytest
from tests.integration.clients import admin, create_topic

import moldau
from moldau.server.boot import StartError


def segment(path):
    return next((path / "__cluster_metadata-0").glob("*.log"))


def test_a_log_that_begins_in_a_snapshot_that_is_not_there_is_refused_and_not_written_over(tmp_path):
    with moldau.Broker(tmp_path / "data") as broker:
        create_topic(broker, "kept")
    (tmp_path / "data" / "log-start-offset-checkpoint").write_text("0\n1\n__cluster_metadata 0 5\n")
    before = segment(tmp_path / "data").read_bytes()
    with pytest.raises(StartError, match="begins at offset 5"), moldau.Broker(tmp_path / "data"):
        pass
    assert segment(tmp_path / "data").read_bytes() == before


def test_a_torn_last_batch_is_cut_and_everything_before_it_is_there(tmp_path):
    with moldau.Broker(tmp_path / "data") as broker:
        create_topic(broker, "kept", 3)
    for clean in (tmp_path / "data").glob(".kafka_cleanshutdown"):
        clean.unlink()
    torn = segment(tmp_path / "data")
    torn.write_bytes(torn.read_bytes()[:-7])
    with moldau.Broker(tmp_path / "data") as broker:
        assert len(admin(broker).list_topics("kept", timeout=10).topics["kept"].partitions) == 3


def test_a_flipped_bit_in_the_middle_stops_the_node_or_cuts_the_log_but_invents_nothing(tmp_path):
    with moldau.Broker(tmp_path / "data") as broker:
        for number in range(5):
            create_topic(broker, f"t{number}")
    for clean in (tmp_path / "data").glob(".kafka_cleanshutdown"):
        clean.unlink()
    damaged = segment(tmp_path / "data")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 0x10
    damaged.write_bytes(data)
    try:
        with moldau.Broker(tmp_path / "data") as broker:
            names = set(admin(broker).list_topics(timeout=10).topics)
            assert names <= {f"t{number}" for number in range(5)}
    except StartError:
        pass
