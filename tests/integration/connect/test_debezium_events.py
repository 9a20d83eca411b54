"""Our events against those that Debezium made of the same statements (tests/golden/debezium), event by event.

What cannot be the same is brought to one form first: clocks, and LSNs and transaction ids by their order of appearance.
What we do otherwise on purpose stands in `DIFFERENT`, each with its reason.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.golden.debezium import as_json
from tests.golden.debezium.record import in_step, settings_of
from tests.golden.debezium.scenarios import DATABASE, MARKER, SCENARIOS, Scenario
from tests.integration.connect.source_task import Source, op
from tests.postgres_under_test import programs

GOLDEN = Path(__file__).parents[2] / "golden" / "debezium"
CLOCKS = ("ts_ms", "ts_us", "ts_ns")
# What Debezium 3.6.1 calls the logical messages of a transaction; ours are called `message`.
MESSAGES = re.compile(
    r"io\.debezium\.connector\.postgresql\.LogicalDecodingMessageMonitor\$LogicalDecodingMessageId@\w+"
)

# Columns whose value is another on purpose. Debezium 3.6.1's is in brackets.
DIFFERENT = {
    "numbers": {"nneg"},  # numeric(5,-2): scale -2 (2046, the unsigned form of -2)
    "texts": {"nm"},  # name: streamed as in the snapshot (null in the stream)
    "networks": {"l", "ls", "bx", "pa", "po", "ci"},  # shapes as in Debezium 3.7 (left out)
    "times": {"d", "t6"},  # years before Christ, 24:00 in ISO (another day in the snapshot, 00:00)
    "infinite": {"d"},  # infinite dates: one value in snapshot and stream (two)
    "arrays": {"at6"},  # ISO times in arrays with their fraction (cut)
    "defaults": {"t"},  # the default with quotes in it is whole (cut at the quote)
}
# Columns of `numbers` whose source type Debezium tells otherwise in the stream than in the snapshot: ours is the same.
TOLD_IN_TWO_WAYS = {"n", "s"}


def recording(name: str) -> list[dict[str, Any]]:
    schemas, events = [], []
    for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if "topic" not in entry:
            schemas.append(entry["schema"])
            continue
        events.append(entry)

    def whole(part: Any) -> Any:
        return {"schema": schemas[part["schema"]], "payload": part["payload"]} if isinstance(part, dict) else None

    for event in events:
        event["key"], event["value"] = whole(event["key"]), whole(event["value"])
        event["headers"] = [[key, whole(part)] for key, part in event["headers"]]
    return events


class Same:
    """Brings what differs between two runs to one form.

    Positions are numbered in the order of their appearance, those of events and of commits apart: whether a commit ends
    where the next change begins depends on what else is in the WAL.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, dict[Any, str]] = {"lsn": {}, "commit": {}, "xid": {}}

    def _numbered(self, kind: str, value: Any) -> Any:
        if value is None:
            return None
        known = self._numbers[kind]
        return known.setdefault(str(value), f"{kind} {len(known)}")

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        offset = event["source_offset"]
        # Debezium's `d` has the offset behind its tombstone already, which is lost when a worker ends in between. Ours
        # has the number before a place in the WAL, all of which are multiples of eight.
        for key in ("lsn", "lsn_proc"):
            if offset.get(key, 0) % 8 == 7:
                offset[key] += 1
        lsn, commit = offset["lsn"], offset.get("lsn_commit")
        kind = "commit" if offset.get("messageType") == "COMMIT" else "lsn"
        if "lsn_proc" in offset:
            offset["lsn_proc"] = "its own" if offset["lsn_proc"] == lsn else "an earlier one"
        offset["lsn"] = self._numbered(kind, lsn)
        offset["lsn_commit"] = self._numbered("commit", commit)
        for key in ("txId", "transaction_id"):
            if key in offset:
                offset[key] = self._numbered("xid", offset[key])
        offset.pop("ts_usec", None)
        # Debezium 3.7's: it counts the rows of one position.
        offset.pop("lsn_events_processed", None)
        # Ours.
        offset.pop("lsn_snapshot", None)
        event["source_offset"] = {MESSAGES.sub("message", key): value for key, value in offset.items()}
        event["headers"] = [header for header in event["headers"] if header[0] != "__debezium.context.runId"]
        event["headers"].sort(key=lambda header: header[0])
        for part in (event["key"], event["value"]):
            if part is not None and isinstance(part["payload"], dict):
                self._payload(part["payload"], str(lsn), str(commit))
        return event

    def _payload(self, payload: dict[str, Any], lsn: str, commit: str) -> None:
        for clock in CLOCKS:
            if clock in payload:
                payload[clock] = "clock"
        if isinstance(payload.get("id"), str) and re.fullmatch(r"\d+:\d+", payload["id"]):
            xid, position = payload["id"].split(":")
            payload["id"] = f"{self._numbered('xid', xid)} at {'its own' if position == lsn else 'another position'}"
        for collection in payload.get("data_collections") or ():
            collection["data_collection"] = MESSAGES.sub("message", collection["data_collection"])
        if payload.get("data_collections"):
            payload["data_collections"].sort(key=lambda collection: collection["data_collection"])
        source = payload.get("source")
        if source is not None:
            for clock in CLOCKS:
                source[clock] = "clock"
            sequence = json.loads(source["sequence"])
            source["sequence"] = [sequence[0] == commit or sequence[0], sequence[1] == lsn]
            source["lsn"] = str(source["lsn"]) == lsn
            source["txId"] = self._numbered("xid", source["txId"])
        if payload.get("transaction"):
            self._payload(payload["transaction"], lsn, commit)


def without(event: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what is different on purpose, in schema and payload."""
    table = re.split(r"[.-]", event["topic"])[-1]
    columns = DIFFERENT.get(table, set())
    value = event["value"]
    if value is None or not columns or "after" not in value["payload"]:
        return event
    for field in value["schema"]["fields"]:
        if field["field"] in ("before", "after"):
            field["fields"] = [column for column in field["fields"] if column["field"] not in columns]
            for column in field["fields"]:
                if column["field"] in TOLD_IN_TWO_WAYS:
                    column["parameters"] = None
    for image in ("before", "after"):
        if value["payload"][image] is not None:
            value["payload"][image] = {k: v for k, v in value["payload"][image].items() if k not in columns}
    return event


def settled(value: Any) -> Any:
    """JSON within strings without its order: Java's hash maps have one of their own (hstore)."""
    if isinstance(value, dict):
        return {key: settled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [settled(part) for part in value]
    if isinstance(value, str) and value.startswith('{"'):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def differences(mine: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two values differ, each with its path."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        names = mine.keys() | theirs.keys()
        return [d for n in sorted(names) for d in differences(mine.get(n), theirs.get(n), f"{path}.{n}")]
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        pairs = enumerate(zip(mine, theirs, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{path}[{i}]")]
    return [] if mine == theirs else [f"{path}: {str(mine)[:300]} is not Debezium's {str(theirs)[:300]}"]


def ours(scenario: Scenario, postgres: Any) -> list[dict[str, Any]]:
    postgres.execute(f'DROP DATABASE IF EXISTS "{DATABASE}"', f'CREATE DATABASE "{DATABASE}"')
    before = [*scenario.before, f"CREATE TABLE {MARKER} (id int PRIMARY KEY)", f"INSERT INTO {MARKER} VALUES (0)"]
    postgres.execute(*before, dbname=DATABASE)
    with Source({**settings_of(scenario, postgres), "slot.drop.on.stop": "true"}) as source:
        source.until(lambda record: record.source_offset.get("snapshot_completed") is True)
        for group in in_step(scenario.during):
            postgres.execute(*group, dbname=DATABASE)
            source.until(lambda record: record.topic.endswith("marker") and op(record) == "c")
        if scenario.settings.get("provide.transaction.metadata"):
            # The end of the marker's own transaction is not in the recording.
            source.records = source.records[
                : 1 + max(i for i, r in enumerate(source.records) if r.topic.endswith("marker"))
            ]
        return [as_json.event_of(record) for record in source.records]


def major_with(extensions):
    """The newest server for a scenario: the wheel's, or one of Debian's for extensions, which the wheel lacks."""
    if not extensions:
        return 18
    share = Path("/usr/share/postgresql")
    majors = [
        major
        for major in programs()
        if all((share / f"{major}/extension/{each}.control").exists() for each in extensions)
    ]
    if not majors:
        pytest.skip(f"no PostgreSQL with {', '.join(extensions)} (Debian and Ubuntu: apt-get install postgresql)")
    return max(majors)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_events_are_those_of_debezium(scenario, servers):
    postgres = servers[major_with(scenario.needs)]
    expected_same, same = Same(), Same()
    expected = [settled(without(expected_same.event(event))) for event in recording(scenario.name)]
    actual = [settled(without(same.event(event))) for event in ours(scenario, postgres)]
    found = []
    for number, (theirs, mine) in enumerate(zip(expected, actual, strict=False)):
        found += differences(mine, theirs, f"event {number}")
    assert not found, "\n".join(found[:20])
    assert len(actual) == len(expected)
