"""`FileStreamSource` and `FileStreamSink`: lines of a file to a topic, records of topics to lines of a file.

Settings, offsets (`{"filename": …}` to `{"position": …}`, the byte after the line) and answers are those of Kafka's
`org.apache.kafka.connect.file` connectors. For first steps and tests; not for a log that is rotated.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.config_validators import NonEmptyString
from moldau.connect.data import Schema
from moldau.connect.errors import ConnectError
from moldau.connect.plugin import ExactlyOnceSupport, SinkConnector, SinkTask, SourceConnector, SourceTask
from moldau.connect.records import SinkRecord, SourceRecord

logger: Final = logging.getLogger("moldau.connect.file")

FILENAME: Final = "filename"
POSITION: Final = "position"
BATCH_SIZE: Final = 2000
CHUNK_BYTES: Final = 64 * 1024
WAIT_S: Final = 1.0
VERSION: Final = "4.3.1"
_END_OF_LINE: Final = re.compile(rb"\r?\n|\r")

SOURCE_CONFIG: Final = (
    ConfigDef()
    .define("file", Type.STRING, default=None, importance=Importance.HIGH, doc="The file to read; stdin without it.")
    .define("topic", Type.STRING, validator=NonEmptyString(), importance=Importance.HIGH, doc="Where the lines go.")
    .define(
        "batch.size",
        Type.INT,
        default=BATCH_SIZE,
        importance=Importance.LOW,
        doc="How many lines are read at most before they are sent.",
    )
)
SINK_CONFIG: Final = ConfigDef().define(
    "file", Type.STRING, default=None, importance=Importance.HIGH, doc="The file to append to; stdout without it."
)


class FileStreamSourceConnector(SourceConnector):
    """Lines of one file; one task, whatever `tasks.max` says."""

    def start(self, props: Mapping[str, str]) -> None:
        """Keep the settings for the task."""
        self._props = dict(props)

    def stop(self) -> None:
        """Nothing is watched."""

    def version(self) -> str:
        """Kafka's, whose behaviour it is."""
        return VERSION

    def config(self) -> ConfigDef:
        """The settings."""
        return SOURCE_CONFIG

    def task_class(self) -> type[SourceTask]:
        """What reads."""
        return FileStreamSourceTask

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        """One: a file has one beginning."""
        del max_tasks
        return [dict(self._props)]

    def exactly_once_support(self, props: Mapping[str, str]) -> ExactlyOnceSupport:
        """A file that is only appended to; stdin cannot be read again."""
        return ExactlyOnceSupport.SUPPORTED if props.get("file") else ExactlyOnceSupport.UNSUPPORTED

    def alter_offsets(self, props: Mapping[str, str], offsets: Any) -> bool:
        """See that what shall be an offset is one. Raises ConnectError."""
        if not props.get("file"):
            raise ConnectError(
                "Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used "
                "for input and offsets are not tracked."
            )
        for partition, offset in offsets:
            if offset is not None:
                _check_offset(partition, offset)
        return True


def _check_offset(partition: Any, offset: Mapping[str, Any]) -> None:
    if POSITION not in offset:
        raise ConnectError(f"Offset objects should either be null or contain the key '{POSITION}'")
    position = offset[POSITION]
    if not isinstance(position, int) or isinstance(position, bool):
        raise ConnectError(f"The value for the '{POSITION}' key in the offset is expected to be a Long value")
    if position < 0:
        raise ConnectError(f"The value for the '{POSITION}' key in the offset should be a non-negative value")
    if partition is None:
        raise ConnectError("Partition objects cannot be null")
    if FILENAME not in partition:
        raise ConnectError(f"Partition objects should contain the key '{FILENAME}'")


class FileStreamSourceTask(SourceTask):
    """Follows a file, as `tail -f` does, and waits for one that is not there yet."""

    def __init__(self) -> None:
        self._stream: BinaryIO | None = None
        self._position: int | None = None
        self._pending = b""
        self._at = 0
        self._stopped = threading.Event()

    def version(self) -> str:
        """As the connector's."""
        return VERSION

    def start(self, props: Mapping[str, str]) -> None:
        """Read the settings; the file is opened by the first poll."""
        config = SOURCE_CONFIG.parse(props)
        self._file: str | None = config["file"] or None
        self._topic: str = config["topic"]
        self._batch_size: int = config["batch.size"]
        if self._file is None:
            self._stream = sys.stdin.buffer

    def poll(self) -> list[SourceRecord] | None:
        """The next lines; None after a second without any."""
        if self._stream is None and not self._open():
            self._stopped.wait(WAIT_S)
            return None
        lines: list[SourceRecord] = []
        while len(lines) < self._batch_size:
            line = self._next_line()
            if line is None and not self._read_more():
                break
            if line is not None:
                lines.append(self._record(line))
        if not lines:
            self._stopped.wait(WAIT_S)
            return None
        return lines

    def _open(self) -> bool:
        assert self._file is not None
        try:
            stream = Path(self._file).open("rb", buffering=0)  # noqa: SIM115 (kept until `stop`)
        except FileNotFoundError:
            logger.warning("there is no file %s yet; waiting for it", self._file)
            return False
        except OSError as error:
            raise ConnectError(f"cannot read the file {self._file}: {error.strerror}") from error
        offset = self.context.offset_storage_reader().offset({FILENAME: self._file})
        position = 0 if offset is None else offset.get(POSITION) or 0
        if not isinstance(position, int):
            raise ConnectError("Offset position is the incorrect type")
        stream.seek(position)
        self._position = position
        self._stream = stream
        return True

    def _read_more(self) -> bool:
        assert self._stream is not None
        try:
            more = self._stream.read(CHUNK_BYTES) if self._file is not None else os.read(0, CHUNK_BYTES)
        except ValueError:
            # Closed by `stop`.
            return False
        self._pending = self._pending[self._at :] + more
        self._at = 0
        return bool(more)

    def _next_line(self) -> bytes | None:
        """A line ends with a line feed, a carriage return, or both."""
        end = _END_OF_LINE.search(self._pending, self._at)
        if end is None or (end[0] == b"\r" and end.end() == len(self._pending)):
            # Whether a line feed follows a carriage return at the end is not known yet.
            return None
        line = self._pending[self._at : end.start()]
        if self._position is not None:
            self._position += end.end() - self._at
        self._at = end.end()
        return line

    def _record(self, line: bytes) -> SourceRecord:
        place = {FILENAME: self._file}
        offset = {POSITION: self._position}
        return SourceRecord(
            place,
            offset,
            self._topic,
            value_schema=Schema.STRING_SCHEMA,
            value=line.decode(errors="replace"),
            timestamp=int(time.time() * 1000),
        )

    def stop(self) -> None:
        """Close the file; a poll that waits ends."""
        self._stopped.set()
        if self._stream is not None and self._file is not None:
            self._stream.close()


class FileStreamSinkConnector(SinkConnector):
    """Appends to one file; every task to the same."""

    def start(self, props: Mapping[str, str]) -> None:
        """Keep the settings for the tasks."""
        self._props = dict(props)

    def stop(self) -> None:
        """Nothing is watched."""

    def version(self) -> str:
        """Kafka's, whose behaviour it is."""
        return VERSION

    def config(self) -> ConfigDef:
        """The settings."""
        return SINK_CONFIG

    def task_class(self) -> type[SinkTask]:
        """What writes."""
        return FileStreamSinkTask

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        """The same for each."""
        return [dict(self._props) for _ in range(max_tasks)]

    def alter_offsets(self, props: Mapping[str, str], offsets: Mapping[Any, Any]) -> bool:
        """Nothing is kept beside the consumer group's offsets."""
        del props, offsets
        return True


class FileStreamSinkTask(SinkTask):
    """A line per record: its value as text."""

    def __init__(self) -> None:
        self._output: TextIO = sys.stdout
        self._file: str | None = None

    def version(self) -> str:
        """As the connector's."""
        return VERSION

    def start(self, props: Mapping[str, str]) -> None:
        """Open the file. Raises ConnectError."""
        self._file = SINK_CONFIG.parse(props)["file"] or None
        if self._file is not None:
            try:
                self._output = Path(self._file).open("a", encoding="utf-8", newline="")  # noqa: SIM115 (kept until `stop`)
            except OSError as error:
                raise ConnectError(
                    f"Couldn't find or create file '{self._file}' for FileStreamSinkTask: {error.strerror}"
                ) from error

    def put(self, records: Sequence[SinkRecord]) -> None:
        """Write them."""
        if records:
            self._output.write("".join(f"{_text(record.value)}\n" for record in records))
            self._output.flush()

    def flush(self, offsets: Mapping[Any, Any]) -> None:
        """See that they are written."""
        del offsets
        self._output.flush()

    def stop(self) -> None:
        """Close the file."""
        if self._file is not None and self._output is not sys.stdout:
            self._output.close()


def _text(value: Any) -> str:
    """As Java prints it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}={_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value)
