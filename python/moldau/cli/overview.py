"""What `moldau` alone prints: every command in a line, by what one wants to do, on one screen of 80 columns.

Written out rather than collected, so that nothing is imported for it. What a noun is for stands in `moldau.cli.NOUNS`.
"""

from __future__ import annotations

from typing import Final

from moldau.cli import EXIT_CODES, NOUNS, VERBS

GROUPS: Final = {
    "Run": ("up", "broker", "registry", "storage", "generate", "demo"),
    "Records": ("produce", "consume", "schema"),
    "A cluster": ("topic", "group", "txn", "config", "quota", "cluster", "api-versions"),
    "Know more": ("lag", "plan", "doctor", "log"),
    "Your shell": ("profile", "completion", "habits"),
}
SENTENCES: Final = {
    "up": "Start a node for this machine; no file needed.",
    "broker": "Run a broker from a server.properties.",
    "registry": "Run a schema registry on any Kafka cluster.",
    "demo": "See it work: moldau demo orders.",
    "produce": "Write records from lines or files.",
    "consume": "Read records; from a time, by filter, as JSON.",
    "api-versions": "List the APIs that a broker serves.",
    "lag": "How far groups are behind, in records and in seconds.",
    "plan": "Size a topic and its cluster, with the reasons.",
    "doctor": "Look for what usually goes wrong, and how to mend it.",
    "completion": "Print the completion script of a shell.",
    "habits": "Go on with the command lines of Kafka's own tools.",
}


def overview() -> str:
    """The text, with a command that no group knows at the end."""
    known = {*NOUNS, *VERBS, "demo"}
    grouped = {name for names in GROUPS.values() for name in names}
    groups = {**GROUPS, "More": tuple(sorted(known - grouped))}
    lines = ["Usage: moldau COMMAND [OPTIONS]", "", "The whole event-streaming platform in one install."]
    for title, names in groups.items():
        rows = [f"  {name:13} {_sentence(name)}".rstrip() for name in names if name in known]
        lines += ["", title, *rows] if rows else []
    return "\n".join(
        [*lines, "", "moldau COMMAND --help says more about one; moldau --version which this is.", *_codes()]
    )


def _sentence(name: str) -> str:
    return NOUNS[name][0] if name in NOUNS else SENTENCES.get(name, "")


def _codes() -> list[str]:
    """The exit codes in lines of 80 columns."""
    import textwrap

    return textwrap.wrap(EXIT_CODES, 79)
