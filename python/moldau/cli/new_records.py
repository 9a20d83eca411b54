r"""Records before they are sent: read from lines, by a template, or from whole files.

A template is a format string read backwards: `%k\t%v` takes the key up to the tab and the value behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final

from moldau.cli.outcome import UsageError
from moldau.cli.record_format import PIECE, Headers, unescape

CHUNK_BYTES: Final = 1 << 16


@dataclass(slots=True)
class NewRecord:
    """One record before it is sent."""

    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)
    partition: int = -1
    timestamp_ms: int = 0


Reading = Callable[[bytes, int], NewRecord]
"""From the content of a line and its number to a record."""


def pieces(stream: BinaryIO, delimiter: bytes) -> Iterator[bytes]:
    """The parts of a stream between delimiters; lines lose a carriage return as well."""
    if delimiter == b"\n":
        for line in stream:
            yield line.rstrip(b"\r\n")
        return
    rest = b""
    while chunk := stream.read(CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(delimiter)
        yield from whole
    if rest:
        yield rest


def whole_files(files: Iterable[Path]) -> Iterator[bytes]:
    """Each file as one piece."""
    for file in files:
        try:
            yield file.read_bytes()
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from error


def with_nulls(read: Reading, null: bytes) -> Reading:
    """Take a key or a value that is this text for null."""

    def reading(content: bytes, number: int) -> NewRecord:
        record = read(content, number)
        key = None if record.key == null else record.key
        return replace(record, key=key, value=None if record.value == null else record.value)

    return reading


def encoded(read: Reading, encoders: Mapping[str, Callable[[bytes], bytes]]) -> Reading:
    """Encode every "key" or "value" that is not null; an encoder raises ValueError for one that it cannot encode."""

    def reading(content: bytes, number: int) -> NewRecord:
        record = read(content, number)
        for part, encode in encoders.items():
            given = getattr(record, part)
            if given is not None:
                try:
                    setattr(record, part, encode(given))
                except ValueError as error:
                    of = "the key: " if part == "key" else ""
                    raise UsageError(f"line {number}: {of}{error}") from error
        return record

    return reading


def plain(content: bytes, _number: int) -> NewRecord:
    """The whole line is the value."""
    return NewRecord(None, content)


def separated(separator: str) -> Reading:
    """The key stands before the first `separator`, the value behind it."""
    middle = separator.encode()

    def reading(content: bytes, number: int) -> NewRecord:
        key, found, value = content.partition(middle)
        if not found:
            raise UsageError(f"line {number} has no {separator!r} between key and value")
        return NewRecord(key, value)

    return reading


def from_template(text: str) -> Reading:
    """Read lines by a format string.

    Raises:
        UsageError: it has a letter that cannot be read, or two fields with nothing between.
    """
    steps: list[tuple[str, bytes]] = []
    head = b""
    for literal, letter, spelling in PIECE.findall(text):
        if literal or letter == "%":
            content = unescape(literal) if literal else b"%"
            if steps:
                steps[-1] = (steps[-1][0], steps[-1][1] + content)
            else:
                head += content
        elif letter not in "kvspTh" or spelling:
            raise UsageError(f"%{letter} cannot be read from a line", "%k %v %p %T %h can")
        elif steps and not steps[-1][1]:
            raise UsageError("two fields need something between them")
        else:
            steps.append((letter, b""))
    if not steps:
        raise UsageError(f"the format {text!r} reads nothing", "%k %v %p %T %h do")
    # A line has lost its end already.
    steps[-1] = (steps[-1][0], steps[-1][1].removesuffix(b"\n"))
    return lambda content, number: _by_steps(head, steps, content, number)


def _by_steps(head: bytes, steps: list[tuple[str, bytes]], content: bytes, number: int) -> NewRecord:
    if not content.startswith(head):
        raise UsageError(f"line {number} does not begin with {head.decode()!r}")
    record = NewRecord(None, None)
    rest = content[len(head) :]
    for letter, behind in steps:
        found, middle, rest = rest.partition(behind) if behind else (rest, b"", b"")
        if behind and not middle:
            raise UsageError(f"line {number} has no {behind.decode(errors='replace')!r} where the format has one")
        try:
            _fill(record, letter, found)
        except ValueError as error:
            raise UsageError(f"line {number}: %{letter} is {found.decode(errors='replace')!r}") from error
    return record


def _fill(record: NewRecord, letter: str, content: bytes) -> None:
    if letter == "k":
        record.key = content
    elif letter in "vs":
        record.value = content
    elif letter == "p":
        record.partition = int(content)
    elif letter == "T":
        record.timestamp_ms = int(content)
    else:
        named = [part.partition(b"=") for part in content.split(b",") if part]
        record.headers = [(name.decode(), value) for name, _sign, value in named]
