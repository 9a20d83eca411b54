"""`COPY ... TO STDOUT` in text, on psycopg's `pq` level: lines in blocks, and rows from lines.

Text, since the stream's values are text too: one set of functions, in Python and in Rust, reads both. Facts of the
format: the manual, "COPY", "Text Format". `moldau-change` (`copy.rs`) reads lines as `copy_row` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import psycopg
from psycopg import pq

from moldau.connect.connectors.postgres.connection import Connection, readable
from moldau.connect.connectors.postgres.pgoutput import RawRow

# How often a reader that waits for the server looks whether it shall stop.
LOOK_S: Final = 0.2
_ESCAPED: Final = {
    b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\",
}  # fmt: skip


class Block(NamedTuple):
    """Some lines, each with its end."""

    rows: int
    lines: bytes


class BlockSize(NamedTuple):
    """How large a block becomes: whatever is reached first. A single row may be larger."""

    rows: int
    bytes: int


def never() -> bool:
    return False


def copy_blocks(
    connection: Connection, statement: str, size: BlockSize, stopped: Callable[[], bool] = never
) -> Iterator[Block]:
    """The lines of a COPY. Ends early when `stopped`; the connection is of no use then.

    Raises:
        psycopg.Error: as the server says.
    """
    pgconn = connection.pgconn
    _expect(pgconn.exec_(statement.encode()), pq.ExecStatus.COPY_OUT)
    get, lines, held, socket = pgconn.get_copy_data, [], 0, pgconn.socket
    while True:
        length, view = get(1)
        if length > 0:
            lines.append(view)
            held += length
            if held >= size.bytes or len(lines) >= size.rows:
                yield Block(len(lines), b"".join(lines))
                lines, held = [], 0
            continue
        if length == -1:
            break
        while not readable(socket, LOOK_S):
            if stopped():
                return
        pgconn.consume_input()
    if lines:
        yield Block(len(lines), b"".join(lines))
    while (result := pgconn.get_result()) is not None:
        _expect(result, pq.ExecStatus.COMMAND_OK)


def _expect(result: pq.abc.PGresult, status: pq.ExecStatus) -> None:
    if result.status != status:
        raise psycopg.errors.error_from_result(result)


def rows_of(lines: bytes) -> list[RawRow]:
    """The rows of whole lines."""
    return [copy_row(line) for line in lines.split(b"\n")[:-1]]


def copy_row(line: bytes) -> RawRow:
    """The columns of a line, which is given without its end."""
    fields = line.split(b"\t")
    if b"\\" not in line:
        return list(fields)
    return [None if field == b"\\N" else (_unescaped(field) if b"\\" in field else field) for field in fields]


def _unescaped(field: bytes) -> bytes:
    parts = field.split(b"\\")
    out = [parts[0]]
    index = 1
    while index < len(parts):
        part = parts[index]
        if part:
            out.append(_ESCAPED.get(part[:1], part[:1]) + part[1:])
        else:
            # Two backslashes in a row stand for one; what follows is plain.
            out.append(b"\\")
            index += 1
            if index < len(parts):
                out.append(parts[index])
        index += 1
    return b"".join(out)
