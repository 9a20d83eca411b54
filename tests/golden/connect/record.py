"""Records what Kafka and Debezium make of the cases: `python -m tests.golden.connect.record` (Java 17, Maven)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from bench.versus.jars import jars_of, kafka_jars, require_tool
from tests.golden.connect.cases import named

HERE = Path(__file__).parent
GOLDEN = HERE / "recorded.json"


def main() -> None:
    debezium = jars_of(HERE.parent / "debezium" / "pom.xml", "debezium-jars")
    java = require_tool("java", "openjdk-17-jdk-headless")
    with tempfile.TemporaryDirectory() as folder:
        cases = Path(folder, "cases.json")
        cases.write_text(json.dumps(named()))
        made = Path(folder, "recorded.json")
        classes = f"{kafka_jars()}/*:{debezium}/*"
        subprocess.run(
            [java, "-cp", classes, str(HERE / "Recorder.java"), str(cases), str(made)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        recorded = json.loads(made.read_text())
    lines = [f"{json.dumps(name)}: {json.dumps(outcome)}" for name, outcome in recorded.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
