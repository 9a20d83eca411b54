"""`moldau config check`: everything that is wrong with a broker's file, said before the broker is started with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from moldau.cli.outcome import RefusedError
from moldau.cli.output import Output, say
from moldau.cli.settings_file import read_file
from moldau.config.settings import SettingsError


def check_config(file: Path, /, *, output: Output = Output()) -> None:
    """Check a server.properties or a TOML file: every mistake at once, each with its line.

    Variables KAFKA_… are not looked at. Settings that Kafka knows and that have no effect here are warnings.

    Parameters
    ----------
    file
        The settings, as moldau broker reads them.
    """
    try:
        warnings, problems = read_file(file).warnings, []
    except SettingsError as error:
        warnings, problems = [], error.problems
    records = [_record(file, "error", problem) for problem in problems]
    records += [_record(file, "warning", warning) for warning in warnings]
    records.sort(key=lambda record: (record["line"] is None, record["line"] or 0))
    if output.for_eyes:
        for record in records:
            place = f"{file}:{record['line']}" if record["line"] is not None else str(file)
            print(f"{place}: {record['severity']}: {record['problem']}")
    else:
        output.records(records, ())
    if problems:
        raise RefusedError(f"{len(problems)} mistakes in {file}", "`moldau config explain KEY` says what a key may be")
    say(f"{file} is fine")


def _record(file: Path, severity: str, text: str) -> dict[str, Any]:
    match = re.match(rf"{re.escape(str(file))}:(\d+): ", text)
    problem = text[match.end() :] if match is not None else text
    return {"line": int(match[1]) if match is not None else None, "severity": severity, "problem": problem}
