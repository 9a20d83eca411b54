"""Reading a broker's settings for a command: file, environment and flags, with everything wrong said at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from moldau.cli.connection import pairs
from moldau.cli.outcome import UsageError
from moldau.config import Value
from moldau.config.properties import decode
from moldau.config.settings import STANDALONE, BrokerSettings, Given, Origin, SettingsError, load


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
        content = (str(file), decode(file.read_bytes())) if file is not None else None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    try:
        return load(file=content, environment=os.environ, overrides=given, base=base)
    except SettingsError as error:
        several = len(error.problems) > 1
        text = "\n".join(f"  {problem}" for problem in error.problems) if several else error.problems[0]
        raise UsageError(f"{len(error.problems)} settings are wrong:\n{text}" if several else text) from error
