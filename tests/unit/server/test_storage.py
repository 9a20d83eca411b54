from pathlib import Path
from uuid import UUID

import pytest

from moldau.server.storage import (
    CLEAN_SHUTDOWN,
    META_PROPERTIES,
    StorageError,
    format_directories,
    open_directories,
    random_uuid,
    read_clean_shutdown_epoch,
    read_meta_properties,
    uuid_from_text,
    uuid_to_text,
    write_clean_shutdown_epoch,
)

CLUSTER = "4L6g3nShT-eMCtK--X86sw"


def test_uuids_are_written_as_kafka_writes_them():
    assert uuid_from_text(CLUSTER) == UUID(bytes=bytes.fromhex("e0bea0de74a14fe78c0ad2be f97f3ab3".replace(" ", "")))
    assert uuid_to_text(uuid_from_text(CLUSTER)) == CLUSTER
    assert uuid_to_text(UUID(int=1)) == "AAAAAAAAAAAAAAAAAAAAAQ"


@pytest.mark.parametrize("text", ["", "short", "not base64 at all!!!!!", CLUSTER + "AAAA", "🦊" * 22])
def test_what_is_not_a_uuid_is_refused(text):
    with pytest.raises(ValueError):
        uuid_from_text(text)


def test_random_ids_never_read_like_an_option():
    assert not any(uuid_to_text(random_uuid()).startswith("-") for _ in range(500))


def test_a_formatted_directory_says_who_it_is(tmp_path):
    assert format_directories([tmp_path / "a"], CLUSTER, 7) == [tmp_path / "a"]
    identity = open_directories([tmp_path / "a"], 7)
    assert identity.cluster_id == CLUSTER
    assert identity.directory_ids[tmp_path / "a"] == read_meta_properties(tmp_path / "a").directory_id


def test_meta_properties_of_apache_kafka_are_read(tmp_path):
    (tmp_path / META_PROPERTIES).write_text(
        f"#\n#Mon Nov 23 19:00:00 UTC 2026\ncluster.id={CLUSTER}\n"
        "directory.id=Pu-kQmxhQPCzBbsCpgX4VA\nnode.id=1\nversion=1\n"
    )
    assert open_directories([tmp_path], 1).directory_ids[tmp_path] == uuid_from_text("Pu-kQmxhQPCzBbsCpgX4VA")


def test_an_empty_directory_is_refused_unless_it_may_be_formatted(tmp_path):
    with pytest.raises(StorageError, match="not formatted"):
        open_directories([tmp_path], 1)
    first = open_directories([tmp_path], 1, format_new=True)
    assert open_directories([tmp_path], 1) == first


def test_a_directory_that_joins_a_formatted_node_gets_an_id(tmp_path):
    format_directories([tmp_path / "a"], CLUSTER, 1)
    identity = open_directories([tmp_path / "a", tmp_path / "b"], 1)
    assert read_meta_properties(tmp_path / "b").cluster_id == CLUSTER
    assert len(set(identity.directory_ids.values())) == 2


@pytest.mark.parametrize(
    ("cluster_id", "node_id", "message"), [(uuid_to_text(UUID(int=200)), 1, "cluster"), (CLUSTER, 2, "node 1")]
)
def test_a_directory_of_another_cluster_or_node_is_refused(tmp_path, cluster_id, node_id, message):
    format_directories([tmp_path], CLUSTER, 1)
    with pytest.raises(StorageError, match=message) as caught:
        open_directories([tmp_path], node_id, cluster_id=cluster_id)
    assert caught.value.hint


def test_directories_of_two_clusters_are_refused(tmp_path):
    format_directories([tmp_path / "a"], CLUSTER, 1)
    format_directories([tmp_path / "b"], uuid_to_text(random_uuid()), 1)
    with pytest.raises(StorageError, match="belongs to cluster"):
        open_directories([tmp_path / "a", tmp_path / "b"], 1)


def test_formatting_twice_is_refused_or_ignored(tmp_path):
    format_directories([tmp_path], CLUSTER, 1)
    with pytest.raises(StorageError, match="already formatted"):
        format_directories([tmp_path], CLUSTER, 1)
    assert format_directories([tmp_path], CLUSTER, 1, ignore_formatted=True) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version=0\nbroker.id=1\n",
        "version=1\nnode.id=1\n",
        f"version=1\ncluster.id={CLUSTER}\nnode.id=one\n",
        f"version=1\ncluster.id={CLUSTER}\nnode.id=1\ndirectory.id=x\n",
    ],
)
def test_a_damaged_meta_properties_is_refused_with_its_path(tmp_path, text):
    (tmp_path / META_PROPERTIES).write_text(text)
    with pytest.raises(StorageError, match=str(tmp_path)):
        open_directories([tmp_path], 1, format_new=True)


def test_binary_rubbish_in_meta_properties_is_refused(tmp_path):
    (tmp_path / META_PROPERTIES).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StorageError, match="cannot read"):
        open_directories([tmp_path], 1)


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        open_directories([Path(tmp_path / "file" / "below")], 1, format_new=True)


def test_the_broker_epoch_of_a_clean_shutdown_is_found_by_the_next_start(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        (folder / CLEAN_SHUTDOWN).write_text("")
    write_clean_shutdown_epoch(folders, 42)
    assert read_clean_shutdown_epoch(folders) == 42


def test_one_directory_without_a_mark_means_that_the_shutdown_was_not_clean(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    (folders[0] / CLEAN_SHUTDOWN).write_text("")
    write_clean_shutdown_epoch(folders, 42)
    assert not (folders[1] / CLEAN_SHUTDOWN).exists()
    assert read_clean_shutdown_epoch(folders) == -1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"brokerEpoch": "x"}', '{"brokerEpoch": null}', "\x00"])
def test_a_mark_that_says_nothing_is_no_clean_shutdown(tmp_path, text):
    (tmp_path / CLEAN_SHUTDOWN).write_text(text)
    assert read_clean_shutdown_epoch([tmp_path]) == -1
