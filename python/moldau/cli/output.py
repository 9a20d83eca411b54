"""What a command prints: data on stdout, everything else on stderr.

Data is a list of records (plain mappings with the same keys) or one record. `table` is for eyes and may change;
`json` and `yaml` (one document) and `jsonl` (one record per line) are for programs: names and types stay
(`moldau.cli.shapes`), 64-bit numbers are written whole. Colour only at a terminal and not with NO_COLOR; a progress
bar only at a terminal. A table that is wider than the terminal shortens its longest cells instead of wrapping.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TextIO

from cyclopts import Parameter

if TYPE_CHECKING:
    from moldau.observe.logs import LogFormat

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What could move the cursor or end the line: a name from the cluster must not write over the table."""
CELL_WIDTH_MIN: Final = 12

Format = Literal["table", "json", "jsonl", "yaml", "name", "schema"]
Record = Mapping[str, Any]


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How to print."""

    output: Annotated[Format, Parameter(name=["--output", "-o"], group="Output")] = "table"
    """For eyes (table), for programs, or the names alone; schema prints the shape of what programs get."""

    @property
    def for_eyes(self) -> bool:
        """Whether a person reads it."""
        return self.output == "table"

    def records(self, records: Iterable[Record], columns: Sequence[str]) -> None:
        """Print many records; a table shows `columns` only."""
        if self.output == "table":
            _print_table(list(records), columns)
        elif self.output == "name":
            for record in records:
                print(_cell(next(iter(record.values()))))
        elif self.output == "jsonl":
            for record in records:
                print(_json(record))
        elif self.output == "yaml":
            print(as_yaml(list(records)), end="")
        else:
            print(_json(list(records), indent=2))

    def record(self, record: Record, columns: Sequence[str]) -> None:
        """Print one record; for eyes as one line per name."""
        if self.output == "table":
            width = max(map(len, columns))
            for column in columns:
                print(f"{column.replace('_', ' '):{width}}  {_cell(record[column])}")
        elif self.output == "yaml":
            print(as_yaml(record), end="")
        elif self.output == "name":
            print(_cell(next(iter(record.values()))))
        else:
            print(_json(record, indent=None if self.output == "jsonl" else 2))


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def as_yaml(value: Any) -> str:
    """One YAML document. Numbers of any size are written whole, as in JSON."""
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=2**31 - 1)
    return text


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(_cell, value)) or "-"
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(value))


def _print_table(records: Sequence[Record], columns: Sequence[str]) -> None:
    if not records:
        return
    numeric = [all(isinstance(record[column], int | float | None) for record in records) for column in columns]
    rows = [[column.replace("_", " ") for column in columns]]
    rows += [[_cell(record[column]) for column in columns] for record in records]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    if sys.stdout.isatty():
        # Only a table on a terminal needs it, and what it imports is a tenth of a command's start.
        import shutil

        room = shutil.get_terminal_size().columns
        widths = _narrowed(widths, numeric, room)
        if sum(widths) + 2 * (len(widths) - 1) > room:
            _print_blocks(rows)
            return
    for number, row in enumerate(rows):
        cells = [
            f"{_cut(cell, width):>{width}}" if right else f"{_cut(cell, width):{width}}"
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        line = "  ".join(cells).rstrip()
        print(emphasised(line, sys.stdout) if number == 0 else line)


def _narrowed(widths: Sequence[int], numeric: Sequence[bool], room: int) -> list[int]:
    """The widths of columns so that a line fits into `room`, if it can: the widest give first, numbers never."""
    narrowed = list(widths)
    texts = [index for index, number in enumerate(numeric) if not number]
    while texts and sum(narrowed) + 2 * (len(narrowed) - 1) > room:
        widest = max(texts, key=narrowed.__getitem__)
        if narrowed[widest] <= CELL_WIDTH_MIN:
            break
        narrowed[widest] -= 1
    return narrowed


def _print_blocks(rows: Sequence[Sequence[str]]) -> None:
    """A line per cell where a table would have to wrap."""
    names, *records = rows
    width = max(map(len, names))
    for number, record in enumerate(records):
        if number:
            print()
        for name, cell in zip(names, record, strict=True):
            print(f"{name:{width}}  {cell}")


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


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


def log_to_stderr(level: int, log_format: LogFormat = "auto") -> None:
    """Send the log of a command that stays in the foreground to stderr."""
    from moldau.observe.logs import log_to

    log_to(sys.stderr, level, log_format)


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

    def clear(self) -> None:
        """Take the bar away, so that something else can be printed on its line."""
        if self._visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()
