"""Records what Debezium's transforms make of the cases: `python -m tests.golden.debezium.record_transforms` (Java 17).

Each schema is kept once; where it stands in an outcome there is its number.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench.versus.jars import jars_of, require_tool
from tests.golden.debezium.transform_cases import named

HERE = Path(__file__).parent
RECORDER = HERE.parent / "connect" / "Recorder.java"


def outcomes(jars: Path, cases: list[dict[str, Any]]) -> dict[str, Any]:
    java = require_tool("java", "openjdk-17-jdk-headless")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(cases, file)
        file.flush()
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"
        command = [java, quiet, "-cp", f"{jars}/*", str(RECORDER), file.name]
        return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def with_schemas_apart(recorded: dict[str, Any]) -> list[str]:
    """The lines of the file."""
    known: dict[str, int] = {}

    def number(schema: Any) -> int | None:
        return None if schema is None else known.setdefault(json.dumps(schema), len(known))

    lines = []
    for name, outcome in recorded.items():
        record = outcome.get("record")
        if record is not None:
            for side in ("key", "value"):
                record[side] = [number(record[side][0]), record[side][1]]
            record["headers"] = [[key, [number(schema), value]] for key, (schema, value) in record["headers"]]
        lines.append(json.dumps({"case": name, **outcome}, ensure_ascii=False))
    return [f'{{"schema": {schema}}}' for schema in known] + lines


def write(name: str, pom: str, cases: list[dict[str, Any]]) -> None:
    recorded = outcomes(jars_of(HERE / pom, "debezium-jars"), cases)
    (HERE / f"{name}.jsonl").write_text("\n".join(with_schemas_apart(recorded)) + "\n")
    print(name, len(recorded), "cases")


if __name__ == "__main__":
    write("transforms", "pom.xml", named())
    write("transforms_of_2", "pom_of_2.xml", named(legacy=True))
