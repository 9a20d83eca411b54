"""Log lines are for eyes at a terminal and for programs elsewhere."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from moldau.observe.logs import JsonFormatter, is_json


def record(message, *arguments, **more):
    made = logging.LogRecord(
        "moldau.server", logging.WARNING, __file__, 1, message, arguments, more.pop("exc_info", None)
    )
    made.__dict__.update(more)
    return made


def test_a_line_of_json_is_one_line_whatever_is_in_it():
    try:
        raise OSError("disk\nfull")
    except OSError:
        line = JsonFormatter().format(record("it %s\nbroke", "really", exc_info=sys.exc_info()))
    assert "\n" not in line
    parsed = json.loads(line)
    assert parsed["message"] == "it really\nbroke"
    assert parsed["exception"].startswith("Traceback")
    assert (parsed["level"], parsed["logger"]) == ("WARNING", "moldau.server")


def test_times_are_utc_with_milliseconds():
    line = JsonFormatter().format(record("x", created=1_700_000_000.5))
    assert json.loads(line)["time"] == "2023-11-14T22:13:20.500Z"


def test_facts_stand_under_their_own_names():
    line = json.loads(JsonFormatter().format(record("started", facts={"node_id": 1, "log_dirs": ["/data"]})))
    assert (line["node_id"], line["log_dirs"]) == (1, ["/data"])


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("log_format", "stream", "json_lines"),
    [
        ("auto", Terminal(), False),
        ("auto", io.StringIO(), True),
        ("json", Terminal(), True),
        ("text", io.StringIO(), False),
    ],
)
def test_a_terminal_gets_text_and_a_pipe_json_unless_somebody_says_otherwise(log_format, stream, json_lines):
    assert is_json(log_format, stream) is json_lines
