"""Records what Debezium tells of snapshots, and what it reads in those that signals ask for.

`python -m tests.golden.debezium.record_signals [NAME ...]` (Java 17, Maven) writes `signals.jsonl` and `pauses.jsonl`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
from tests.golden.debezium.scenarios import DATABASE, Scenario
from tests.golden.debezium.signals import INITIAL, MARK, RECORDED, TOPIC, Step, is_told, statement_of
from tests.postgres_under_test import Postgres, postgres_under_test


def ended(event: dict[str, Any], told: tuple[str, str]) -> bool:
    return event["topic"] == TOPIC and is_told(event["value"]["payload"], told)


def record(scenario: Scenario, steps: Sequence[Step], server: Postgres) -> None:
    with engine(scenario, server, recorder()) as lines:
        events = until(lines, partial(ended, told=(INITIAL, "COMPLETED")))
        wait_for_stream(server)
        for number, step in enumerate(steps, 1):
            server.execute(statement_of(step, number), dbname=DATABASE)
            if step.told is not None:
                events += until(lines, partial(ended, told=step.told))
            elif step is MARK:
                events += until(lines, partial(is_marker, operation="c"))
    write(HERE / f"{scenario.name}.jsonl", with_schemas_apart(events))
    print(scenario.name, len(events), "events")


def main(names: Sequence[str]) -> None:
    with postgres_under_test() as server:
        for scenario, steps in RECORDED:
            if not names or scenario.name in names:
                record(scenario, steps, server)


if __name__ == "__main__":
    main(sys.argv[1:])
