"""Transforms, predicates and the guessing of types do what Kafka's own do: the recorded cases, one by one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.golden.connect.as_json import comparable, record_of, typed, written
from tests.golden.connect.cases import named

from moldau.connect.data.values import parse_string
from moldau.connect.errors import ConfigError, ConnectError
from moldau.connect.plugin import Predicate
from moldau.connect.plugins import Kind, Plugins

RECORDED = json.loads(Path("tests/golden/connect/recorded.json").read_text())
PLUGINS = Plugins()
# Where Moldau does otherwise, and why.
OTHERWISE = {
    "TimestampRouter {'timestamp.format': 'yyyy-bb'} of text": "a bad pattern is found when it is configured",
    "TimestampRouter {'timestamp.format': \"'open\"} of text": "a bad pattern is found when it is configured",
    "SetSchemaMetadata$Value {'schema.name': 'n', 'schema.version': '9'} of text": "Kafka asks a string for its fields",
    "outbox.EventRouter {'table.expand.json.payload': 'true'} of event with nested payload": (
        "fields found in several objects of a list stand in their order, not in that of Java's hash"
    ),
    "outbox.EventRouter {'table.expand.json.payload': 'true'} of event with a list": (
        "a list is no payload to expand; Debezium leaves the text, under the schema of a list"
    ),
}


def outcome_of(case: dict[str, Any]) -> dict[str, Any]:
    if "text" in case:
        return {"parsed": typed(*parse_string(case["text"]))}
    plugin = PLUGINS.find(case["class"], Kind.TRANSFORMATION, Kind.PREDICATE)()
    try:
        plugin.configure(case["config"])
    except ConfigError:
        return {"failed": "configure"}
    try:
        record = record_of(case["record"])
        if isinstance(plugin, Predicate):
            return {"is": plugin.test(record)}
        made = plugin.apply(record)
    except ConnectError:
        return {"failed": "apply"}
    return {"dropped": True} if made is None else {"record": written(made)}


CASES = named()


def test_every_case_is_recorded_and_no_other():
    assert [case["name"] for case in CASES] == list(RECORDED)


@pytest.mark.parametrize("case", CASES, ids=[re.sub(r"[^\w$.,:=-]+", "_", case["name"]) for case in CASES])
def test_the_outcome_is_that_of_kafka(case: dict[str, Any]):
    expected = dict(RECORDED[case["name"]])
    expected.pop("error", None)
    same = comparable(outcome_of(case)) == comparable(expected)
    assert same is (case["name"] not in OTHERWISE), outcome_of(case)
