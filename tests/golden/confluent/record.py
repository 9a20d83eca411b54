"""Records what Apicurio's AvroData makes of the cases: `python -m tests.golden.confluent.record` (Java 17, Maven).

It began as a copy of Confluent's, and has its schemas. A line of `avro.jsonl` is a case and what came of it: the Avro
schema, the content, and the value that is read back, as Kafka's JsonConverter tells it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench.versus.jars import jars_of, kafka_jars, require_tool
from tests.golden.confluent.cases import CASES

HERE = Path(__file__).parent


def recorded(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What comes of cases, in their order."""
    java = require_tool("java", "openjdk-17-jre-headless")
    classes = f"{jars_of(HERE / 'pom.xml', 'avro-data-jars')}/*:{kafka_jars()}/*"
    given = "".join(json.dumps(case) + "\n" for case in cases)
    command = [java, "-Xmx512m", "-Duser.timezone=UTC", "-cp", classes, str(HERE / "AvroRecorder.java")]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    outcomes = recorded(CASES)
    assert len(outcomes) == len(CASES), f"{len(CASES)} cases, {len(outcomes)} outcomes"
    lines = (json.dumps(case | {"outcome": outcome}) for case, outcome in zip(CASES, outcomes, strict=True))
    (HERE / "avro.jsonl").write_text("\n".join(lines) + "\n")
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
