"""Log levels over REST: the loggers of this process, under Kafka's names for the levels."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

LEVELS: Final = {
    "OFF": logging.CRITICAL + 10,
    "FATAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "TRACE": logging.DEBUG,
    "ALL": logging.NOTSET + 1,
}
ROOT: Final = "root"
_NAMES: Final = {
    logging.ERROR: "ERROR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
    logging.CRITICAL: "FATAL",
}
_changed_ms: dict[str, int] = {}


def level_of(name: str) -> dict[str, Any] | None:
    """The level of a logger that is there."""
    if name != ROOT and name not in logging.root.manager.loggerDict:
        return None
    found = logging.getLogger(None if name == ROOT else name).getEffectiveLevel()
    return {
        "level": _NAMES.get(found, "OFF" if found > logging.CRITICAL else "TRACE"),
        "last_modified": _changed_ms.get(name),
    }


def all_levels() -> dict[str, dict[str, Any]]:
    """Every logger that is there."""
    names = [ROOT, *sorted(logging.root.manager.loggerDict)]
    return {name: level for name in names if (level := level_of(name)) is not None}


def is_level(text: str) -> bool:
    """Whether it is the name of a level."""
    return text.upper() in LEVELS


def set_level(namespace: str, level: str) -> list[str]:
    """Set the level of a logger and of those below it; their names. Nothing for what is no level."""
    if not is_level(level):
        return []
    below = [name for name in logging.root.manager.loggerDict if name.startswith(f"{namespace}.")]
    names = [namespace, *sorted(below)]
    if namespace == ROOT:
        names = [ROOT, *sorted(logging.root.manager.loggerDict)]
    now_ms = int(time.time() * 1000)
    for name in names:
        logging.getLogger(None if name == ROOT else name).setLevel(LEVELS[level.upper()])
        _changed_ms[name] = now_ms
    return names
