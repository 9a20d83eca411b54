"""Debezium's transforms against what Debezium's own make of the same records (recorded in tests/golden/debezium)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.golden.connect.recordings import read
from tests.golden.debezium.record_transforms import GOLDEN, GOLDEN_OF_2
from tests.golden.debezium.transform_cases import named
from tests.unit.connect.transforms.replay import agree, by_name, outcome_of

# Where Moldau does otherwise, and why.
EARLIER = "it is refused with the settings, not with the first event"
TEXT_STAYS = "Debezium gives the text the schema of the struct that it has not become"
OTHERWISE = {
    "EventRouter table.fields.additional.placement=type:footer: event": EARLIER,
    "EventRouter route.topic.replacement=${other}: event": EARLIER,
    "EventRouter table.expand.json.payload=true: array": TEXT_STAYS,
    "EventRouter table.expand.json.payload=true: large number": TEXT_STAYS,
    "EventRouter table.expand.json.payload=true: list": TEXT_STAYS,
}
# Java asks a set for the fields of objects in a list: their order changes from one recording to the next.
BY_CHANCE = {
    "EventRouter table.expand.json.payload=true: arrays",
    "EventRouter table.expand.json.payload=true: objects that differ",
    "EventRouter table.expand.json.payload=true table.json.payload.null.behavior=optional_bytes: arrays",
}
RECORDED, RECORDED_OF_2 = read(GOLDEN), read(GOLDEN_OF_2)


def test_every_case_is_recorded_and_no_other():
    assert [case["name"] for case in named()] == list(RECORDED)
    assert [case["name"] for case in named(legacy=True)] == list(RECORDED_OF_2)


def in_any_order(node: Any) -> Any:
    """The same outcome with the fields of each schema sorted by name."""
    if isinstance(node, dict):
        parts = {name: in_any_order(part) for name, part in node.items()}
        return {**parts, "fields": sorted(parts["fields"], key=str)} if "fields" in parts else parts
    return [in_any_order(part) for part in node] if isinstance(node, list) else node


@pytest.mark.parametrize("case", **by_name(named()))
def test_the_outcome_is_that_of_debezium(case: dict[str, Any]):
    ours, recorded = outcome_of(case), RECORDED[case["name"]]
    if case["name"] in BY_CHANCE:
        ours, recorded = in_any_order(ours), in_any_order(recorded)
    assert agree(ours, recorded) is (case["name"] not in OTHERWISE), ours


@pytest.mark.parametrize("case", **by_name(named(legacy=True)))
def test_settings_of_debezium_2_do_what_they_did(case: dict[str, Any]):
    ours = outcome_of(case)
    assert agree(ours, RECORDED_OF_2[case["name"]]), ours
