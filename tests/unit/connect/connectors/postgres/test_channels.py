"""Signals in a file: lines of JSON, each obeyed once."""

from __future__ import annotations

import pytest

from moldau.connect.connectors.postgres.channels import FileChannel, parsed
from moldau.connect.connectors.postgres.settings import Settings
from moldau.connect.connectors.postgres.signals import Signal
from moldau.connect.errors import ConfigError


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


def test_channels_that_are_open_are_closed_when_a_later_one_cannot_be_opened(monkeypatch, tmp_path):
    closed = []

    def close(channel):
        closed.append(channel)

    monkeypatch.setattr(FileChannel, "close", close)
    channels = {"signal.enabled.channels": "file,kafka", "signal.file": str(tmp_path / "signals.txt")}
    settings = Settings({"topic.prefix": "p", **channels})
    with pytest.raises(ConfigError, match=r"signal\.kafka\.bootstrap\.servers"):
        settings.open_channels()
    assert len(closed) == 1
