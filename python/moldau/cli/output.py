"""What a command prints: data on stdout, everything else on stderr.

Data is a list of records (plain mappings with the same keys) or one record. `table` is for eyes and may change;
`json` (one document) and `jsonl` (one record per line) are for programs: names and types stay, 64-bit numbers are
written whole. Colour only at a terminal and not with NO_COLOR; a progress bar only at a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, Literal, Self, TextIO

from cyclopts import Parameter

Format = Literal["table", "json", "jsonl"]
Record = Mapping[str, Any]


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How to print."""

    output: Annotated[Format, Parameter(name=["--output", "-o"])] = "table"
    """For eyes (table), or for programs: one JSON document, or one JSON record per line."""

    def records(self, records: Iterable[Record], columns: Sequence[str]) -> None:
        """Print many records; a table shows `columns` only."""
        if self.output == "table":
            _print_table(list(records), columns)
        elif self.output == "jsonl":
            for record in records:
                print(_json(record))
        else:
            print(_json(list(records), indent=2))

    def record(self, record: Record, columns: Sequence[str]) -> None:
        """Print one record; for eyes as one line per name."""
        if self.output == "table":
            width = max(map(len, columns))
            for column in columns:
                print(f"{column.replace('_', ' '):{width}}  {_cell(record[column])}")
        else:
            print(_json(record, indent=None if self.output == "jsonl" else 2))


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(_cell, value)) or "-"
    return str(value)


def _print_table(records: Sequence[Record], columns: Sequence[str]) -> None:
    if not records:
        return
    numeric = [all(isinstance(record[column], int | float | None) for record in records) for column in columns]
    rows = [[column.replace("_", " ") for column in columns]]
    rows += [[_cell(record[column]) for column in columns] for record in records]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    for number, row in enumerate(rows):
        cells = [
            f"{cell:>{width}}" if right else f"{cell:{width}}"
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        line = "  ".join(cells).rstrip()
        print(emphasised(line, sys.stdout) if number == 0 else line)


def emphasised(text: str, stream: TextIO) -> str:
    """Bold, where that can be seen."""
    return f"\033[1m{text}\033[0m" if _has_colour(stream) else text


def _has_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return stream.isatty() or bool(os.environ.get("FORCE_COLOR"))


def say(text: str) -> None:
    """Tell the user something that is not data."""
    print(text, file=sys.stderr, flush=True)


def say_error(message: str, hint: str | None = None) -> None:
    """Tell what was wrong, and what to do."""
    colour = _has_colour(sys.stderr)
    print(("\033[31merror:\033[0m " if colour else "error: ") + message, file=sys.stderr)
    if hint is not None:
        print(("\033[36mhint:\033[0m " if colour else "hint: ") + hint, file=sys.stderr)


class Progress:
    """A bar on stderr while something takes its time; nothing at all when nobody watches."""

    WIDTH = 30
    EVERY_S = 0.1

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = max(total, 1)
        self._visible = sys.stderr.isatty() and not os.environ.get("MOLDAU_NO_PROGRESS")
        self._shown_at = 0.0

    def show(self, done: int, note: str = "") -> None:
        """Draw the bar at `done` of the total; calls in quick succession cost nothing."""
        now = time.monotonic()
        if not self._visible or (done < self.total and now - self._shown_at < self.EVERY_S):
            return
        self._shown_at = now
        filled = min(self.WIDTH, self.WIDTH * done // self.total)
        bar = "█" * filled + "·" * (self.WIDTH - filled)
        print(f"\r\033[K{self.label} {bar} {done:,}/{self.total:,} {note}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
