"""Signals in a file: lines of JSON, each obeyed once."""

from __future__ import annotations

import pytest

from moldau.connect.connectors.postgres.channels import FileChannel, parsed
from moldau.connect.connectors.postgres.signals import Signal


def test_a_file_is_read_once_and_what_is_no_signal_is_left_out(tmp_path, caplog):
    path = tmp_path / "signals.txt"
    channel = FileChannel(path)
    assert channel.read() == []
    path.write_text('{"id": "a", "type": "log", "data": {"message": "ž"}}\n\nno json\n{"id": "b"}\n[]\n{"type": "x"}')
    first, second = channel.read()
    assert first == Signal("a", "log", {"message": "ž"})
    assert (second.type, second.data) == ("x", {})
    assert second.id
    assert channel.read() == []
    assert path.read_text() == ""
    assert caplog.text.count("is left out") == 3


def test_a_file_that_is_no_text_is_told(tmp_path, caplog):
    path = tmp_path / "signals.txt"
    path.write_bytes(b"\xff\xfe")
    assert FileChannel(path).read() == []
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("data", "expected"), [('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), ("", {}), (None, {}), ([1], {})]
)
def test_data_is_an_object_or_the_text_of_one(data, expected):
    import json

    signal = parsed(json.dumps({"id": "a", "type": "log", "data": data}), "here")
    assert signal is not None
    assert signal.data == expected


def test_data_that_is_a_torn_text_is_left_out(caplog):
    assert parsed('{"id": "a", "type": "log", "data": "{torn"}', "here") is None
    assert "its data is no JSON" in caplog.text
