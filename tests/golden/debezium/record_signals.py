"""Records what Debezium tells of snapshots, and what it reads in those that signals ask for.

`python -m tests.golden.debezium.record_signals` (Java 17, Maven) writes `signals.jsonl`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.golden.debezium.record import (
    HERE,
    engine,
    is_marker,
    recorder,
    until,
    wait_for_stream,
    with_schemas_apart,
    write,
)
from tests.golden.debezium.scenarios import DATABASE
from tests.golden.debezium.signals import INITIAL, SCENARIO, STEPS, TOPIC, is_told, statement_of
from tests.postgres_under_test import postgres_under_test


def ended(event: dict[str, Any], told: tuple[str, str]) -> bool:
    return event["topic"] == TOPIC and is_told(event["value"]["payload"], told)


def main() -> None:
    with postgres_under_test() as server:
        with engine(SCENARIO, server, recorder()) as lines:
            events = until(lines, partial(ended, told=(INITIAL, "COMPLETED")))
            wait_for_stream(server)
            for number, step in enumerate(STEPS, 1):
                server.execute(statement_of(step, number), dbname=DATABASE)
                done = partial(is_marker, operation="c") if step.told is None else partial(ended, told=step.told)
                events += until(lines, done)
        write(HERE / f"{SCENARIO.name}.jsonl", with_schemas_apart(events))
        print(len(events), "events")


if __name__ == "__main__":
    main()
