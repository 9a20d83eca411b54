"""The steps that Kafka Streams and we are both driven through, and how its side is recorded.

    python -m tests.unit.streams.scenarios

fetches Kafka Streams from Maven Central, compiles the recorder in tests/conformance/clients/java/streams, runs every
scenario through Kafka's own TopologyTestDriver and writes `tests/golden/streams/recorded.json.gz` and, of stores with
caches, `recorded_cached.json.gz`. Needed only when a topology or a scenario is added; the tests read the files.

A step is a record `[topic, key, value, timestamp]` or a number: ms by which the wall clock moves.
"""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
RECORDER = ROOT / "tests" / "conformance" / "clients" / "java" / "streams"
GOLDEN = ROOT / "tests" / "golden" / "streams" / "recorded.json.gz"
GOLDEN_CACHED = GOLDEN.with_name("recorded_cached.json.gz")
CACHE_BYTES = 10 * 1024 * 1024

Step = list[Any] | int


def on(topic: str, *records: tuple[str | None, str | None, int]) -> list[Step]:
    return [[topic, *record] for record in records]


def walk(
    seed: int, topics: tuple[str, ...], values: tuple[str | None, ...], count: int = 40, back: int = 25
) -> list[Step]:
    """Records of three keys whose time mostly goes on, sometimes stands still, sometimes goes back."""
    chance = random.Random(seed)
    now, steps = 20, list[Step]()
    for _ in range(count):
        now += chance.choice((0, 1, 2, 3, 5, 8, 13))
        timestamp = now - (chance.randrange(back) if chance.random() < 0.3 else 0)
        steps.append([chance.choice(topics), chance.choice("AAB"), chance.choice(values), max(0, timestamp)])
    return steps


WORDS = ("a", "b", "ab", "ba", "abc")
PLAIN = on("in", ("A", "a", 1), ("B", "b", 5), ("A", "ab", 3), (None, "a", 7), ("A", "c c", 7), ("B", "ab b", 9))
ROWS = on(
    "in",
    ("A", "a1", 10),
    ("B", "b1", 11),
    ("A", "a2", 12),
    ("A", None, 13),
    ("A", None, 14),
    ("B", "a3", 9),
    (None, "x1", 20),
    ("C", "b2", 21),
    ("C", "b2", 22),
    ("C", "a4", 23),
)
ONE = ("in",)
TWO = ("left", "right")
TIMES = on(
    "in",
    ("A", "1", 0),
    ("A", "2", 9),
    ("B", "3", 10),
    ("A", "4", 8),
    ("A", "5", 24),
    ("A", "6", 15),
    ("A", "7", 12),
    ("B", "8", 19),
    (None, "9", 20),
    ("A", None, 21),
    ("A", "10", 100),
    ("A", "11", 90),
    ("B", "12", 84),
)
MEETING = [
    *on("left", ("A", "a1", 10)),
    *on("right", ("A", "b1", 15), ("A", "b2", 20), ("A", "b3", 21), ("B", "b4", 22)),
    *on("left", ("A", "a2", 22), (None, "a3", 23), ("A", None, 23), ("B", "a4", 50)),
    *on("right", ("A", "b5", 24), ("A", "b6", 45), (None, "b7", 46)),
    *on("left", ("C", "a5", 80), ("A", "a6", 44), ("A", "a7", 200)),
    *on("right", ("D", "b8", 300)),
]
LOOKING_UP = [
    *on("left", ("A", "a1", 5)),
    *on("right", ("A", "a-one", 10), ("B", "b-one", 3)),
    *on("left", ("A", "a2", 11), ("A", "b3", 4), ("B", "a4", 12), (None, "a5", 13), ("A", None, 14), ("A", "", 15)),
    *on("right", ("A", None, 20), ("B", "a-two", 2), ("a", "found", 21), ("b", "too", 22)),
    *on("left", ("A", "a6", 21), ("B", "b7", 22), ("C", "c8", 30)),
    *on("right", ("a", None, 31), ("c", "late", 32)),
]
NUMBERS: list[Step] = [
    ["in", "A", "a", 0],
    ["in", "B", "b", 3],
    ["in", "A", "a", 9],
    7,
    ["in", "A", "b", 35],
    10,
    25,
    ["in", "A", "c", 36],
    ["in", "A", "d", 61],
]


FAMILIES: list[tuple[str, dict[str, list[Step]]]] = [
    (
        """
        filter filter_not map map_values map_values_with_key flat_map flat_map_values select_key
        peek_and_for_each split split_named named one_source_twice repartition repartition_named
        to_table to_table_rekeyed back_in count count_stored count_named reduce aggregate group_by
        group_by_null group_by_named two_aggregates two_aggregates_named count_filtered
        count_of_counts
        """,
        {"": PLAIN, "walk": walk(1, ONE, ("a", "b", "ab", "bc d"))},
    ),
    ("merge two_topics", {"": MEETING}),
    (
        """
        tumbling tumbling_stored tumbling_grace tumbling_retention hopping unlimited
        tumbling_rekeyed tumbling_close hopping_close tumbling_key_bytes tumbling_regrouped session
        session_grace session_aggregate session_close session_key_bytes sliding sliding_grace
        sliding_count sliding_close suppress_close suppress_close_session
        """,
        {"": TIMES, "walk": walk(2, ONE, WORDS), "walk2": walk(3, ONE, (*WORDS, None), 60, 60)},
    ),
    (
        """
        table table_stored table_named table_filter table_filter_stored table_filter_not
        table_map_values table_map_values_stored table_group_by_count table_group_by_reduce
        table_group_by_aggregate table_filter_group_by table_filter_sends_old versioned_table
        versioned_group_by suppress_records suppress_bytes versioned_table_short versioned_filter
        versioned_filter_stored versioned_map_values versioned_aggregate versioned_reduce
        table_transform_values table_transform_values_stored table_optimized table_filter_optimized
        table_group_by_count_optimized timestamp_extractor
        """,
        {"": ROWS, "walk": walk(4, ONE, ("a1", "a2", "b1", "b2", None))},
    ),
    (
        """
        stream_stream stream_stream_late stream_stream_left stream_stream_left_late
        stream_stream_outer stream_stream_outer_late stream_stream_after stream_stream_before
        stream_stream_outer_after stream_stream_left_before stream_stream_rekeyed
        stream_stream_rekeyed_left stream_stream_named
        """,
        {"": MEETING, "walk": walk(5, TWO, ("a", "b", "ab"), 50), "walk2": walk(6, TWO, ("a", "b", None), 60, 50)},
    ),
    (
        """
        stream_stream_self stream_stream_self_optimized pattern chosen_topic two_aggregates_optimized
        two_aggregates_named_optimized regrouped regrouped_optimized count_of_counts_optimized
        """,
        {"": TIMES, "walk": walk(7, ONE, WORDS)},
    ),
    (
        """
        stream_table stream_table_left stream_table_rekeyed stream_table_rekeyed_named
        stream_table_filtered stream_global stream_global_left stream_versioned
        stream_versioned_grace table_table table_table_left table_table_outer table_table_stored
        table_table_named table_table_group_by table_table_filtered foreign_key foreign_key_left
        foreign_key_stored versioned_table_join foreign_key_stored_left foreign_key_grouped
        foreign_key_versioned foreign_key_with_key versioned_table_left versioned_table_outer
        stream_versioned_left stream_versioned_short stream_versioned_filtered
        stream_versioned_grace_inner suppress_joined stream_table_optimized table_table_optimized
        stream_stream_rekeyed_optimized
        """,
        {
            "": LOOKING_UP,
            "walk": walk(8, TWO, ("Aa", "Bb", "Ab", None), 50),
            "walk2": walk(9, TWO, ("A", "B"), 50, 60),
        },
    ),
    (
        "cogroup cogroup_rekeyed cogroup_windowed cogroup_session cogroup_named cogroup_sliding",
        {"": MEETING, "walk": walk(10, TWO, WORDS, 50)},
    ),
    ("process process_values punctuate suppress_time suppress_named", {"": NUMBERS, "walk": walk(11, ONE, WORDS)}),
]


def scenarios() -> dict[str, tuple[str, list[Step]]]:
    """Every scenario by name: the topology, and the steps."""
    found = {}
    for names, parts in FAMILIES:
        for topology in names.split():
            for part, steps in parts.items():
                found[f"{topology} {part}".strip()] = (topology, _that_fit(topology, steps))
    return found


def cached_scenarios() -> dict[str, tuple[str, list[Step]]]:
    """Those of tables and aggregates: one record may update a row several times.

    Without those in which Kafka's cache still finds a window that the store below it has given up: there it joins what
    came too late, as it would not without a cache. Ours finds what the store finds.
    """
    return {name: one for name, one in scenarios().items() if one[0] in CACHED and " walk2" not in name}


CACHED = frozenset(
    """
    to_table count count_stored reduce aggregate group_by two_aggregates count_filtered count_of_counts
    tumbling tumbling_stored tumbling_grace hopping tumbling_rekeyed tumbling_regrouped
    session_grace session_aggregate session_close sliding sliding_grace sliding_count suppress_close
    table table_stored table_filter table_filter_stored table_filter_not table_map_values
    table_map_values_stored table_group_by_count table_group_by_reduce table_group_by_aggregate
    table_filter_group_by table_filter_sends_old versioned_table suppress_records table_table table_table_left
    table_table_outer table_table_stored table_table_group_by foreign_key foreign_key_left foreign_key_stored
    stream_table stream_table_rekeyed cogroup cogroup_sliding suppress_time
    """.split()
)


def _that_fit(topology: str, steps: list[Step]) -> list[Step]:
    """Without records that make a callback of the topology fail, on both sides."""
    refuses: Callable[[list[Any]], bool] = lambda step: False  # noqa: E731
    if topology in NEEDS_VALUES:
        refuses = lambda step: step[2] is None  # noqa: E731
    if topology in NEEDS_KEYS:
        refuses = lambda step: step[1] is None  # noqa: E731
    return [step for step in steps if isinstance(step, int) or not refuses(step)]


NEEDS_VALUES = frozenset(
    {
        "stream_global",
        "stream_global_left",
        "map_values",
        "tumbling_rekeyed",
        "pattern",
        "regrouped",
        "regrouped_optimized",
    }
)
# A record without a key makes Kafka's own buffer of a join with grace fail.
NEEDS_KEYS = frozenset({"process", "stream_versioned_grace", "stream_versioned_grace_inner"})


def record() -> None:
    """Ask Kafka Streams, and write down what it did: without caches, and of some scenarios with them."""
    answer = ask(
        [{"name": name, "topology": topology, "steps": steps} for name, (topology, steps) in scenarios().items()]
    )
    texts: dict[str, str] = {}
    lines = []
    for name, (topology, steps) in scenarios().items():
        texts.setdefault(topology, answer[name].pop("describe"))
        entry = {"topology": topology, "inputs": steps, **answer[name]}
        lines.append(f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}")
    described = ",\n".join(f"{json.dumps(name)}: {json.dumps(text)}" for name, text in texts.items())
    scenarios_text = ",\n".join(lines)
    everything = f'{{"described": {{\n{described}\n}},\n"scenarios": {{\n{scenarios_text}\n}}}}\n'
    GOLDEN.write_bytes(gzip.compress(everything.encode(), 9, mtime=0))


def record_cached() -> None:
    """Ask Kafka Streams about those with caches; only what it did is kept."""
    wanted = [
        {"name": name, "topology": topology, "steps": steps, "cache_bytes": CACHE_BYTES}
        for name, (topology, steps) in cached_scenarios().items()
    ]
    lines = [
        f"{json.dumps(name)}: {json.dumps(one['steps'], separators=(',', ':'))}" for name, one in ask(wanted).items()
    ]
    everything = "{" + ",\n".join(lines) + "}\n"
    GOLDEN_CACHED.write_bytes(gzip.compress(everything.encode(), 9, mtime=0))


def ask(wanted: list[dict[str, Any]]) -> dict[str, Any]:
    """What Kafka Streams' own driver does."""
    from bench.versus.jars import jars_of, require_tool

    jars = f"{jars_of(RECORDER / 'pom.xml', 'kafka-streams-jars')}/*"
    with tempfile.TemporaryDirectory() as folder:
        sources = [str(path) for path in sorted(RECORDER.glob("*.java"))]
        subprocess.run(
            [require_tool("javac", "openjdk-17-jdk-headless"), "-cp", jars, "-d", folder, *sources], check=True
        )
        script = Path(folder, "scenarios.json")
        script.write_text(json.dumps(wanted))
        command = [require_tool("java", "openjdk-17-jre-headless"), "-cp", f"{folder}:{jars}", "Recorder", str(script)]
        answer: dict[str, Any] = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
    return answer


if __name__ == "__main__":
    record()
    record_cached()
    sys.stdout.write(f"{GOLDEN.relative_to(ROOT)}: {len(scenarios())} scenarios\n")
