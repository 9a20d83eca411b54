"""Records what Debezium makes of the scenarios: `python -m tests.golden.debezium.record [NAME ...]` (Java 17, Maven).

A recording holds each schema once and each event on a line. PostgreSQL is Debian's 15 when it is there: only that one
brings hstore, citext and ltree; the events do not differ between majors.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from bench.versus.jars import jars_of, require_tool
from tests.golden.debezium.scenarios import DATABASE, MARKER, PREFIX, SCENARIOS, Scenario
from tests.postgres_under_test import Postgres, postgres_under_test, programs

HERE = Path(__file__).parent
EVENT_TIMEOUT_S = 90

Lines: TypeAlias = "queue.Queue[str]"


def settings_of(scenario: Scenario, server: Postgres) -> dict[str, str]:
    settings = {"plugin.name": "pgoutput", "topic.prefix": PREFIX}
    settings |= server.connector_settings(DATABASE) | scenario.settings
    if "table.include.list" in settings:
        settings["table.include.list"] += f",{MARKER}"
    return settings


def in_step(statements: tuple[str, ...]) -> list[list[str]]:
    """The statements in groups that each end with a marker: before a table changes, what was written to it has arrived.

    Both connectors look a table up in the catalog when its first row of a new shape arrives, so it must still look so.
    """
    groups: list[list[str]] = [[]]
    for statement in statements:
        if statement.startswith("ALTER"):
            groups.append([])
        groups[-1].append(statement)
    return [[*group, f"INSERT INTO {MARKER} VALUES ({number})"] for number, group in enumerate(groups, 1)]


def properties(settings: dict[str, str]) -> str:
    return "".join(f"{key}={value}\n".replace("\\", "\\\\") for key, value in settings.items())


def engine_settings(scenario: Scenario, server: Postgres) -> dict[str, str]:
    return {
        "name": scenario.name,
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
        "offset.flush.interval.ms": "1000",
        **settings_of(scenario, server),
    }


def record(scenario: Scenario, server: Postgres, java: list[str]) -> list[dict[str, Any]]:
    with engine(scenario, server, java) as lines:
        events = until(lines, partial(is_marker, operation="r"))
        wait_for_stream(server)
        for group in in_step(scenario.during):
            server.execute(*group, dbname=DATABASE)
            events += until(lines, partial(is_marker, operation="c"))
    return events


@contextmanager
def engine(scenario: Scenario, server: Postgres, java: list[str]) -> Iterator[Lines]:
    """Debezium in a fresh database; what it says, an event on a line."""
    server.execute(f'DROP DATABASE IF EXISTS "{DATABASE}"', f'CREATE DATABASE "{DATABASE}"')
    server.execute(*before(scenario), dbname=DATABASE)
    with (
        tempfile.NamedTemporaryFile("w", suffix=".properties") as file,
        Path(f"/tmp/{scenario.name}.log").open("w") as log,
    ):
        file.write(properties(engine_settings(scenario, server)))
        file.flush()
        process = subprocess.Popen(
            [*java, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        lines: Lines = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line) for line in process.stdout], daemon=True).start()
        try:
            yield lines
        finally:
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    server.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


def before(scenario: Scenario) -> list[str]:
    """What stands in the database when the connector starts."""
    return [*scenario.before, f"CREATE TABLE {MARKER} (id int PRIMARY KEY)", f"INSERT INTO {MARKER} VALUES (0)"]


def wait_for_stream(server: Postgres) -> None:
    """Streaming has begun once the slot is active."""
    while not server.execute("SELECT 1 FROM pg_replication_slots WHERE active"):
        pass


def until(lines: Lines, done: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The events up to one for which `done` is true."""
    events = []
    while True:
        event = json.loads(lines.get(timeout=EVENT_TIMEOUT_S))
        events.append(event)
        if done(event):
            return events


def is_marker(event: dict[str, Any], operation: str) -> bool:
    return event["topic"].endswith("marker") and event["value"]["payload"]["op"] == operation


def with_schemas_apart(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Each schema once, by number; a key, value or header says the number."""
    known: dict[str, int] = {}

    def apart(part: Any) -> Any:
        if not isinstance(part, dict) or "schema" not in part:
            return part
        return {"schema": known.setdefault(json.dumps(part["schema"]), len(known)), "payload": part["payload"]}

    for event in events:
        event["key"], event["value"] = apart(event["key"]), apart(event["value"])
        event["headers"] = [[name, apart(part)] for name, part in event["headers"]]
    return {"events": events, "schemas": [json.loads(schema) for schema in known]}


def write(path: Path, recording: dict[str, Any]) -> None:
    lines = [json.dumps({"schema": schema}, ensure_ascii=False) for schema in recording["schemas"]]
    lines += [json.dumps(event, ensure_ascii=False) for event in recording["events"]]
    path.write_text("\n".join(lines) + "\n")


def recorder() -> list[str]:
    """The command that takes a file of settings."""
    jars = jars_of(HERE / "pom.xml", "debezium-jars")
    java = [require_tool("java", "openjdk-17-jre-headless"), "-Xmx512m", "-Duser.timezone=UTC", "-cp", f"{jars}/*"]
    return [*java, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", str(HERE / "Recorder.java")]


def main(names: list[str]) -> None:
    java = recorder()
    with postgres_under_test(15 if 15 in programs() else None) as server:
        for scenario in SCENARIOS:
            if not names or scenario.name in names:
                events = record(scenario, server, java)
                write(HERE / f"{scenario.name}.jsonl", with_schemas_apart(events))
                print(scenario.name, len(events), "events")


if __name__ == "__main__":
    main(sys.argv[1:])
