"""How log lines look: for a person at a terminal, as JSON for everybody else.

    2026-11-25 20:45:26,120 INFO moldau.server: started
    {"time": "2026-11-25T20:45:26.120Z", "level": "INFO", "logger": "moldau.server", "message": "started"}

A line of JSON is one line whatever is in it: line ends in messages and tracebacks are escaped. What a record carries as
`facts` (`logger.info("…", extra={"facts": {…}})`) stands in it under its own names.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

LogFormat = Literal["auto", "text", "json"]
"""`auto`: text at a terminal, JSON elsewhere."""

TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write `record` as one line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def is_json(log_format: LogFormat, stream: TextIO) -> bool:
    """Whether lines on `stream` are JSON."""
    return log_format == "json" or (log_format == "auto" and not stream.isatty())


def log_to(stream: TextIO, level: int, log_format: LogFormat) -> None:
    """Send every record of at least `level` to `stream`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if is_json(log_format, stream) else logging.Formatter(TEXT))
    logging.basicConfig(level=level, handlers=[handler])
