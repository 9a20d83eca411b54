"""What classes of Java made of cases: run there by `Recorder.java`, kept in a file of lines, read without Java.

Each schema is kept once, on a line of its own; where it stands in an outcome there is its number.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.versus.jars import require_tool

RECORDER = Path(__file__).parent / "Recorder.java"
Outcome = dict[str, Any]


def record(file: Path, class_path: str, cases: list[dict[str, Any]]) -> None:
    """Run the cases with the jars of the class path, and write what comes of them (Java 17)."""
    java = require_tool("java", "openjdk-17-jdk-headless")
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"
    with tempfile.TemporaryDirectory() as folder:
        asked, made = Path(folder, "cases.json"), Path(folder, "outcomes.json")
        asked.write_text(json.dumps(cases))
        command = [java, quiet, "-cp", class_path, str(RECORDER), str(asked), str(made)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        outcomes = json.loads(made.read_text())
    file.write_text("\n".join(lines_of(outcomes)) + "\n")
    print(f"{file.name}: {len(outcomes)} cases")


def lines_of(outcomes: dict[str, Outcome]) -> list[str]:
    """The lines of the file."""
    known: dict[str, int] = {}
    lines = []
    for name, outcome in outcomes.items():
        numbered = _with_schemas(outcome, lambda schema: known.setdefault(json.dumps(schema), len(known)))
        lines.append(json.dumps({"case": name, **numbered}, ensure_ascii=False))
    return [f'{{"schema": {schema}}}' for schema in known] + lines


def read(file: Path) -> dict[str, Outcome]:
    """What was recorded, by the name of the case."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    schemas = [line["schema"] for line in lines if "schema" in line]
    return {line.pop("case"): _with_schemas(line, schemas.__getitem__) for line in lines[len(schemas) :]}


def _with_schemas(outcome: Outcome, other: Callable[[Any], Any]) -> Outcome:
    """The same outcome with something else in the place of each schema."""

    def put(pair: list[Any]) -> list[Any]:
        return [None if pair[0] is None else other(pair[0]), pair[1]]

    made = dict(outcome)
    if "parsed" in made:
        made["parsed"] = put(made["parsed"])
    if "record" in made:
        sides = {side: put(made["record"][side]) for side in ("key", "value")}
        headers = [[key, put(value)] for key, value in made["record"]["headers"]]
        made["record"] = {**made["record"], **sides, "headers": headers}
    return made
