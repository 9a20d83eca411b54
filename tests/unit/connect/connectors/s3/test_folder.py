"""A folder as the place for objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from moldau.connect.connectors.s3.folder import INCOMPLETE, FolderStorage
from moldau.connect.connectors.s3.storage import ObjectExistsError
from moldau.connect.errors import ConnectError, DataError


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_an_object_is_nothing_until_it_is_complete(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "lake")
    storage.check()
    upload = storage.create("a/b.parquet")
    upload.write(b"12")
    upload.write(memoryview(b"345"))
    assert not storage.exists("a/b.parquet")
    upload.commit()
    assert (tmp_path / "lake" / "a" / "b.parquet").read_bytes() == b"12345"
    assert files(tmp_path / "lake") == ["a/b.parquet"]
    assert upload.position == 5


def test_an_upload_that_ends_otherwise_leaves_nothing(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    for end in ("abort", "close", "__del__"):
        upload = storage.create("x")
        upload.write(b"1")
        getattr(upload, end)()
    assert files(tmp_path) == []
    with pytest.raises(ValueError):
        upload.write(b"2")


def test_an_object_is_replaced_unless_that_is_forbidden(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    for content, replace in ((b"1", True), (b"2", True)):
        upload = storage.create("x", replace=replace)
        upload.write(content)
        upload.commit()
    upload = storage.create("x", replace=False)
    upload.write(b"3")
    with pytest.raises(ObjectExistsError):
        upload.commit()
    assert (tmp_path / "x").read_bytes() == b"2"
    assert files(tmp_path) == ["x"]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/x", "a//b", "a/.", f"{INCOMPLETE}/x", "a\0b"])
def test_a_key_cannot_leave_the_folder_or_hide_in_it(tmp_path: Path, key: str) -> None:
    with pytest.raises(DataError):
        FolderStorage(tmp_path).create(key)


def test_what_a_crash_left_behind_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    upload = storage.create("x")
    upload.write(b"1")
    (tmp_path / INCOMPLETE / "left").write_bytes(b"half")
    FolderStorage(tmp_path).check()
    upload.commit()
    assert files(tmp_path) == ["x"]


def test_a_place_that_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConnectError, match="cannot be used"):
        FolderStorage(tmp_path / "file").check()
