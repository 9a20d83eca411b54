"""The log of a node in the foreground, as those who collect logs read it."""

from __future__ import annotations

import json

import pytest
from tests.cli.conftest import moldau_process


def lines_until_started(*words):
    with moldau_process("up", "--port", "0", "--no-registry", "--verbose", *words) as process:
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "started: version" in line:
                    return lines
            raise AssertionError(lines)
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.mark.parametrize("words", [(), ("--log-format", "json")])
def test_a_pipe_gets_json_with_one_line_that_says_what_runs(words):
    started = json.loads(lines_until_started(*words)[-1])
    assert started["logger"] == "moldau.server"
    assert started["level"] == "INFO"
    assert started["version"] == "0.1.0"
    assert started["roles"] == ["broker", "controller"]
    assert started["listeners"][0].startswith("PLAINTEXT://127.0.0.1:")
    assert started["http"].startswith("http://127.0.0.1:")
    assert len(started["log_dirs"]) == 1


def test_text_is_had_for_the_asking():
    line = lines_until_started("--log-format", "text")[-1]
    assert " INFO moldau.server: started: version 0.1.0, roles broker,controller, node_id 1" in line
