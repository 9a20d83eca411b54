"""Records what Kafka's workers say to each other and what their leader decides, in `group.json`.

`python -m tests.golden.connect.record_group` (JDK 17, Maven). The worlds are random ones in which everybody does what
our leader says; Kafka's is asked about each round of them.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from bench.versus.jars import kafka_jars, require_tool
from tests.unit.connect.runtime.worlds import World

from moldau.connect.runtime.work import Work

HERE: Final = Path(__file__).parent
GOLDEN: Final = HERE / "group.json"
WORLDS: Final = 25
ROUNDS: Final = 14
NOTHING: Final[dict[str, Any]] = {"connectors": [], "tasks": []}
SOME: Final = {"connectors": ["a", "b"], "tasks": [["a", 0], ["a", 2], ["c", 0]]}


def given(**more: Any) -> dict[str, Any]:
    """An answer of a leader."""
    return {
        "error": 0,
        "leader": "connect-1-0b6f",
        "leader_url": "http://127.0.0.1:8083/",
        "offset": 7,
        "assigned": SOME,
        "revoked": NOTHING,
        "delay_ms": 0,
        **more,
    }


def byte_cases() -> list[dict[str, Any]]:
    """What workers may have to say."""
    return [
        {"url": "http://127.0.0.1:8083/", "offset": -1, "has": None},
        {"url": "http://höst:8083/", "offset": 1 << 40, "has": given()},
        {"url": "http://a:1/", "offset": 7, "has": given(assigned=NOTHING, error=1, offset=9)},
        {"url": "http://a:1/", "offset": 7, "has": given(revoked={"connectors": ["d"], "tasks": [["a", 1], ["d", 0]]})},
        {"url": "http://a:1/", "offset": 7, "has": given(assigned=NOTHING, delay_ms=300_000)},
    ]


def as_json(work: Work) -> dict[str, Any]:
    """In order, so that both begin with the same ones where any will do."""
    return {"connectors": sorted(work.connectors), "tasks": [list(each) for each in sorted(work.tasks)]}


class Recorded(World):
    """A world that keeps what its leader was asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rounds: list[dict[str, Any]] = []

    def round(self) -> Any:
        asked = {
            "now_ms": self.now_ms,
            "connectors": dict(self.connectors),
            "held": {member: as_json(self.held[member]) for member in sorted(self.held)},
            "last": self.generation or -1,
            "generation": self.generation + 1,
        }
        self.rounds.append(asked)
        return super().round()


def world(seed: int) -> dict[str, Any]:
    """Things happen, and after each of them the group rebalances."""
    chance = random.Random(seed)
    made = Recorded(chance.choice([0, 1_000, 300_000]), {"u": 3})
    made.join("a")
    made.rebalance()
    while len(made.rounds) < ROUNDS:
        what = chance.choice(["join", "join", "leave", "connector", "wait", "unheard"])
        if what == "join":
            made.join(chance.choice([each for each in "abcdefgh" if each not in made.held] or ["a"]))
        elif what == "leave" and len(made.held) > 1:
            made.leave(*chance.sample(sorted(made.held), chance.randint(1, len(made.held) - 1)))
        elif what == "connector":
            made.connectors[chance.choice("uvwx")] = chance.randint(1, 9)
            if len(made.connectors) > 2 and chance.random() < 0.3:
                del made.connectors[chance.choice(sorted(made.connectors))]
        elif what == "wait":
            made.wait(chance.randint(1, 2 * made.delay_ms + 1))
            continue
        elif what == "unheard":
            before = dict(made.held)
            made.round()
            made.held = before
        made.rebalance()
    return {"delay_ms": made.delay_ms, "rounds": made.rounds}


def main() -> None:
    """Ask the Java classes."""
    javac, java = require_tool("javac", "openjdk-17-jdk-headless"), require_tool("java", "openjdk-17-jre-headless")
    classes = f"{kafka_jars()}/*"
    with tempfile.TemporaryDirectory() as folder:
        asked, made = Path(folder, "asked.json"), Path(folder, "made.json")
        asked.write_text(json.dumps({"bytes": byte_cases(), "worlds": [world(seed) for seed in range(WORLDS)]}))
        subprocess.run([javac, "-cp", classes, "-d", folder, str(HERE / "GroupRecorder.java")], check=True)
        name = "org.apache.kafka.connect.runtime.distributed.GroupRecorder"
        subprocess.run(
            [java, "-cp", f"{folder}:{classes}", name, str(asked), str(made)], check=True, stdout=subprocess.DEVNULL
        )
        recorded = json.loads(made.read_text())
    lines = [f'"{key}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for key, rows in recorded.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
