"""Reading a broker's settings for a command: file, environment and flags, with everything wrong said at once.

A file is a `server.properties`, or TOML with the same keys: `"log.dirs" = "/data"`, or dots as tables, at the top or
under `[tool.moldau]`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from moldau.cli.connection import pairs
from moldau.cli.outcome import UsageError
from moldau.config import Value
from moldau.config.properties import decode
from moldau.config.settings import STANDALONE, BrokerSettings, Given, Origin, SettingsError, load

_TABLE: Final = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_KEY: Final = re.compile(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w\-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[\w\-]+))*)\s*=")
_TOOL: Final = "tool.moldau."


def read_settings(
    file: Path | None, overrides: Iterable[str | Given], base: Mapping[str, Value] = STANDALONE
) -> BrokerSettings:
    """Load what a broker runs with.

    Args:
        overrides: `key=value` texts of `--override`, or settings with an origin of their own.

    Raises:
        UsageError: the file cannot be read, or something in it is wrong.
    """
    given = [
        one if isinstance(one, Given) else Given(*next(iter(pairs([one]).items())), Origin("flag", "--override"))
        for one in overrides
    ]
    try:
        return read_file(file, given, os.environ, base)
    except SettingsError as error:
        several = len(error.problems) > 1
        text = "\n".join(f"  {problem}" for problem in error.problems) if several else error.problems[0]
        raise UsageError(f"{len(error.problems)} settings are wrong:\n{text}" if several else text) from error


def read_file(
    file: Path | None,
    overrides: Iterable[Given] = (),
    environment: Mapping[str, str] | None = None,
    base: Mapping[str, Value] = STANDALONE,
) -> BrokerSettings:
    """What a file says, with whatever wins over it.

    Raises:
        UsageError: the file cannot be read.
        SettingsError: everything that is wrong with what it says.
    """
    try:
        content = decode(file.read_bytes()) if file is not None else None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    if file is None or content is None:
        return load(environment=environment, overrides=overrides, base=base)
    if file.suffix != ".toml":
        return load(file=(str(file), content), environment=environment, overrides=overrides, base=base)
    # The environment wins over a file, and `load` puts overrides last: a variable takes the place of the file's value.
    from moldau.config.environment import settings_in

    named = settings_in(environment or {})
    entries = [one for one in _from_toml(str(file), content) if one.name not in named]
    return load(environment=environment, overrides=[*entries, *overrides], base=base)


def _from_toml(name: str, content: str) -> Iterator[Given]:
    try:
        document = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{name}: {error}"]) from error
    ours = document.get("tool", {}).get("moldau") if isinstance(document.get("tool"), dict) else None
    lines = _lines_of_keys(content)
    for key, value in _flattened(ours if isinstance(ours, dict) else document):
        line = lines.get(key)
        yield Given(key, _as_text(value), Origin("file", f"{name}:{line}" if line is not None else name))


def _flattened(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _as_text(value: Any) -> str:
    """A value as a properties file has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(_as_text, value)) if isinstance(value, list) else str(value)


def _lines_of_keys(content: str) -> dict[str, int]:
    """Where each key stands. The parser of the standard library does not tell, and a mistake needs its line."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(content.splitlines(), start=1):
        heading, key = _TABLE.fullmatch(line), _KEY.match(line)
        if heading is not None:
            table = _dotted(heading[1]) + "."
        elif key is not None:
            lines.setdefault((table + _dotted(key[1])).removeprefix(_TOOL), number)
    return lines


def _dotted(text: str) -> str:
    parts = re.findall(r"\"([^\"]*)\"|'([^']*)'|([\w\-]+)", text)
    return ".".join(next(filter(None, part), "") for part in parts)
