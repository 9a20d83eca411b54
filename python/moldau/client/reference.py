"""The tables of settings as docs/reference shows them: from `java_settings` and `defaults`, never written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from moldau.client.defaults import PRODUCER_DEFAULTS
from moldau.client.java_settings import JAVA_SETTINGS
from moldau.client.settings import Fate, JavaSetting, Role

HEADINGS = {
    Fate.TRANSLATED: ("Translated", "becomes"),
    Fate.OURS: ("Taken by Moldau", ""),
    Fate.WITHOUT_EFFECT: ("Accepted without effect", ""),
    Fate.REFUSED: ("Refused", ""),
}
INTRODUCTIONS = {
    Fate.TRANSLATED: "",
    Fate.OURS: "librdkafka has nothing like these.",
    Fate.WITHOUT_EFFECT: "Said once in the log, when the client is made.",
    Fate.REFUSED: "The error says what to do instead.",
}


def settings_table() -> str:
    """Markdown: one table for each fate, in the order in which a reader asks, and one of defaults."""
    return "\n\n".join([*(section(fate) for fate in HEADINGS), defaults_table()])


def defaults_table() -> str:
    lines = ["## Defaults that are not librdkafka's", "", "A value that you set is never touched.", ""]
    lines += ["| setting | default here | in | |", "| --- | --- | --- | --- |"]
    lines += [f"| `{each.name}` | `{each.value}` | {each.who} | {each.note} |" for each in PRODUCER_DEFAULTS]
    return "\n".join(lines)


def section(fate: Fate) -> str:
    heading, column = HEADINGS[fate]
    rows = [row for row in JAVA_SETTINGS if row.fate is fate]
    lines = [f"## {heading}", ""]
    if INTRODUCTIONS[fate]:
        lines += [INTRODUCTIONS[fate], ""]
    if column:
        lines += [f"| Java | {column} | in | |", "| --- | --- | --- | --- |"]
        lines += [f"| `{row.name}` | {row.becomes} | {clients(row)} | {row.note} |" for row in rows]
    else:
        lines += ["| Java | in | |", "| --- | --- | --- |"]
        for note, same in groupby(rows, key=lambda row: (row.note, row.roles)):
            together = list(same)
            lines.append(f"| {names(together)} | {clients(together[0])} | {sentence(note[0])} |")
    return "\n".join(lines)


def clients(row: JavaSetting) -> str:
    return "all" if len(row.roles) == len(Role) else ", ".join(role for role in Role if role in row.roles)


def names(rows: Iterable[JavaSetting]) -> str:
    return ", ".join(f"`{row.name}`" for row in rows)


def sentence(note: str) -> str:
    """A hint of an error message as a sentence of a page."""
    return note[:1].upper() + note[1:] + ("" if note.endswith(".") else ".")
