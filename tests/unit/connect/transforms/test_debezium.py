"""Debezium's transforms against what Debezium's own make of the same records (recorded in tests/golden/debezium)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.golden.connect.as_json import comparable, record_of, written
from tests.golden.debezium.transform_cases import named

from moldau.connect.errors import ConfigError, ConnectError
from moldau.connect.plugins import Plugins

GOLDEN = Path(__file__).parents[3] / "golden" / "debezium"
# Where Moldau does otherwise, and why.
EARLIER = "it is refused with the settings, not with the first event"
TEXT_STAYS = "Debezium gives the text the schema of the struct that it has not become"
OTHERWISE = {
    "EventRouter table.fields.additional.placement=type:footer: event": EARLIER,
    "EventRouter route.topic.replacement=${other}: event": EARLIER,
    "EventRouter table.expand.json.payload=true: array": TEXT_STAYS,
    "EventRouter table.expand.json.payload=true: large number": TEXT_STAYS,
}


def recorded(name: str) -> dict[str, Any]:
    """What was recorded, by case, with each schema where its number stands."""
    lines = [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]
    schemas = [line["schema"] for line in lines if "schema" in line]

    def put(pair: list[Any]) -> list[Any]:
        return [None if pair[0] is None else schemas[pair[0]], pair[1]]

    found = {}
    for line in lines[len(schemas) :]:
        record = line.get("record")
        if record is not None:
            record |= {"key": put(record["key"]), "value": put(record["value"])}
            record["headers"] = [[key, put(value)] for key, value in record["headers"]]
        found[line.pop("case")] = line
    return found


def outcome_of(case: dict[str, Any]) -> dict[str, Any]:
    plugin = Plugins().new(case["class"])
    try:
        plugin.configure(case["config"])
    except ConfigError:
        return {"failed": "configure"}
    record = record_of(case["record"])
    before = written(record)
    try:
        made = plugin.apply(record)
    except ConnectError:
        return {"failed": "apply"}
    assert written(record) == before, "a record that goes in is not changed"
    return {"dropped": True} if made is None else {"record": written(made)}


RECORDED = recorded("transforms")
RECORDED_OF_2 = recorded("transforms_of_2")


def by_name(cases: list[dict[str, Any]]) -> dict[str, Any]:
    return {"argvalues": cases, "ids": [re.sub(r"[^\w$.,:=-]+", "_", case["name"]) for case in cases]}


def test_every_case_is_recorded_and_no_other():
    assert [case["name"] for case in named()] == list(RECORDED)
    assert [case["name"] for case in named(legacy=True)] == list(RECORDED_OF_2)


@pytest.mark.parametrize("case", **by_name(named()))
def test_the_outcome_is_that_of_debezium(case: dict[str, Any]):
    expected = dict(RECORDED[case["name"]])
    expected.pop("error", None)
    same = comparable(outcome_of(case)) == comparable(expected)
    assert same is (case["name"] not in OTHERWISE), outcome_of(case)


@pytest.mark.parametrize("case", **by_name(named(legacy=True)))
def test_settings_of_debezium_2_do_what_they_did(case: dict[str, Any]):
    expected = dict(RECORDED_OF_2[case["name"]])
    expected.pop("error", None)
    assert comparable(outcome_of(case)) == comparable(expected)
