"""Snapshots that signals ask for, and what notifications tell, against those that Debezium made of the same signals.

Compared are the records of each topic in their order. In an incremental snapshot, what is told of a chunk comes before
the row that closes the window of the one before in Debezium, and behind it here: it reads the next chunk at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from tests.golden.debezium import as_json
from tests.golden.debezium.record import before, settings_of
from tests.golden.debezium.scenarios import DATABASE, Scenario
from tests.golden.debezium.signals import INCREMENTAL, INITIAL, MARK, RECORDED, TOPIC, Step, is_told, statement_of
from tests.integration.connect.source_task import Source, op
from tests.integration.connect.test_debezium_events import Same, differences, recording

from moldau.connect.records import SourceRecord


def ours(scenario: Scenario, steps: Sequence[Step], postgres: Any) -> list[dict[str, Any]]:
    postgres.execute(f'DROP DATABASE IF EXISTS "{DATABASE}"', f'CREATE DATABASE "{DATABASE}"')
    postgres.execute(*before(scenario), dbname=DATABASE)
    with Source({**settings_of(scenario, postgres), "slot.drop.on.stop": "true"}) as source:

        def until(told: tuple[str, str] | None) -> None:
            def done(record: SourceRecord) -> bool:
                if told is None:
                    return record.topic.endswith("marker") and op(record) == "c"
                return record.topic == TOPIC and is_told(dict(record.value.items()), told)

            source.until(done)

        until((INITIAL, "COMPLETED"))
        for number, step in enumerate(steps, 1):
            postgres.execute(statement_of(step, number), dbname=DATABASE)
            if step.told is not None or step is MARK:
                until(step.told)
        return [as_json.event_of(record) for record in source.records]


def by_topic(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What is compared of the records."""
    same, found = Same(), defaultdict(list)
    for event in events:
        if event["topic"] == TOPIC:
            found[TOPIC].append(_notification(event))
        elif not _is_mark(event):
            # The state of an incremental snapshot is ours, Debezium's are serialized Java objects.
            offset = event["source_offset"].items()
            event["source_offset"] = {key: value for key, value in offset if not key.startswith("incremental_")}
            if event["source_offset"].get("snapshot") == "BLOCKING":
                _as_if_at_an_insert(event)
            if event["source_offset"].get("snapshot") == "INCREMENTAL":
                for key in ("snapshot", "snapshot_completed", "last_snapshot_record"):
                    del event["source_offset"][key]
            found[event["topic"]].append(same.event(event))
    return found


def _notification(event: dict[str, Any]) -> dict[str, Any]:
    told = event["value"]["payload"]
    assert event["key"]["payload"] == {"id": told["id"]}
    if told["aggregate_type"] != INCREMENTAL or told["type"] == "ABORTED":
        # Else it is the signal's; of that Debezium has forgotten when all tables were stopped.
        event["key"]["payload"]["id"] = told["id"] = "some id"
    told["timestamp"] = "clock"
    data = told["additional_data"]
    if "data_collections" in data:
        # Debezium's come out of a set.
        data["data_collections"] = sorted(data["data_collections"].split(","))
    # Debezium's is empty at the beginning, and has no word of the snapshot at the end: ours is that of the last row.
    del event["source_offset"]
    return event


def _as_if_at_an_insert(event: dict[str, Any]) -> None:
    """A stream waits at the signal in Debezium, and here where what was read with it is handed on: its COMMIT."""
    offset, source = event["source_offset"], event["value"]["payload"]["source"]
    assert (source["lsn"], source["txId"]) == (offset["lsn"], offset["txId"])
    offset |= {"messageType": "INSERT", "lsn": 8, "lsn_proc": 8, "lsn_commit": 8}
    source |= {"lsn": 8, "sequence": '["8","8"]'}


def _is_mark(event: dict[str, Any]) -> bool:
    value = event["value"]
    row = value["payload"]["after"] if value is not None else None
    return event["topic"].endswith("signals") and row is not None and row["type"].startswith("snapshot-window-")


@pytest.mark.parametrize(("scenario", "steps"), RECORDED, ids=[scenario.name for scenario, _ in RECORDED])
def test_snapshots_and_notifications_are_those_of_debezium(newest, scenario, steps):
    expected, actual = by_topic(recording(scenario.name)), by_topic(ours(scenario, steps, newest))
    found = []
    for topic in sorted(expected.keys() | actual.keys()):
        for number, (theirs, mine) in enumerate(zip(expected[topic], actual[topic], strict=False)):
            found += differences(mine, theirs, f"{topic} {number}")
        if len(actual[topic]) != len(expected[topic]):
            found.append(f"{topic}: {len(actual[topic])} records are not Debezium's {len(expected[topic])}")
    assert not found, "\n".join(found[:20])
