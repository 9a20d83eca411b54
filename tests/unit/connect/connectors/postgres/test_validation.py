"""What is said of wrong settings, against what Debezium says of the same (recorded in tests/golden/debezium)."""

import json
import logging
import socket
from pathlib import Path

import pytest

from moldau.connect.connectors.postgres import validation
from moldau.connect.connectors.postgres.properties import PROPERTIES

RECORDED = Path(__file__).parents[4] / "golden" / "debezium" / "validate.jsonl"
# Taken on purpose: guides written for older Debezium use both.
TAKEN = ({"snapshot.mode": "never"}, {"database.server.name": "x"})


def cases():
    for line in RECORDED.read_text().splitlines():
        case = json.loads(line)
        if not any(taken.items() <= case["config"].items() for taken in TAKEN):
            yield pytest.param(case["config"], case["errors"], id=str(case["config"])[-60:])


@pytest.mark.parametrize(("config", "errors"), list(cases()))
def test_messages_are_debeziums(config, errors):
    found = validation.field_errors(config)
    assert found == errors


@pytest.mark.parametrize("taken", TAKEN)
def test_the_spellings_of_older_guides_are_taken(taken):
    config = {"database.hostname": "h", "database.user": "u", "database.dbname": "d", **taken}
    if "database.server.name" not in taken:
        config["topic.prefix"] = "p"
    assert validation.field_errors(config) == {}


def test_every_setting_of_debezium_is_known():
    """The recorded cases name all fields that were wrong; the table holds each with a word on what it does."""
    named = {name for line in RECORDED.read_text().splitlines() for name in json.loads(line)["errors"]}
    assert named <= PROPERTIES.keys()
    assert all(prop.doc.endswith(".") for prop in PROPERTIES.values())
    assert len(PROPERTIES) > 120


def test_a_server_that_does_not_answer_is_waited_for_as_long_as_was_said(caplog):
    # The kernel takes connections to it, and nobody says anything on them.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = {
            "topic.prefix": "p",
            "database.hostname": "127.0.0.1",
            "database.port": str(silent.getsockname()[1]),
            "database.user": "u",
            "database.dbname": "d",
            "connection.validation.timeout.ms": "50",
        }
        with caplog.at_level(logging.WARNING):
            found = {value.name: value.errors for value in validation.validate(config) if value.errors}
    (said,) = found.pop("database.hostname")
    assert said.startswith("Connection validation timed out after 50 ms: database 'd' on 127.0.0.1:")
    assert found == {}
    assert "Connection validation timed out after 50 ms" in caplog.text
