"""What a topology is run over: files, frames, stretches of topics and lists, as the records of its input topics.

A record is anything with a key, a value and a timestamp: what `moldau.consume()` gives, a `TestRecord`, a tuple of
these three, a row with columns of these names. Of any other row the columns are named: `Rows(frame, key="customer_id",
timestamp="ordered_at")`, and the row as a whole is the value. Keys and values are what the source of the topic reads,
or its bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from moldau.streams.errors import StreamsError
from moldau.streams.operators.contract import Headers
from moldau.streams.serdes import Serde, required
from moldau.streams.serdes.structured import encode_json
from moldau.streams.topology.nodes import SourceNode

_LINES: Final = frozenset({".jsonl", ".ndjson"})
_PAIR: Final = 2


class GivenError(StreamsError):
    """Something is no record of the topic that it was given for; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with names of columns: those of the key (None: there is none), of the time, and of the value (None: all)."""

    of: Any
    key: str | None = None
    timestamp: str = "timestamp"
    value: str | None = None


class Given(NamedTuple):
    """One record in bytes; the timestamp is in ms since 1970."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers


def records_of(topic: str, source: SourceNode, given: Any) -> Iterator[Given]:
    """The records of one topic, in their order.

    Raises:
        GivenError: something cannot be a record of it.
    """
    place = f"source {source.name} ({topic})"
    key = required(source.key, place, "key").bind(topic, "key")
    value = required(source.value, place, "value").bind(topic, "value")
    rows = given if isinstance(given, Rows) else None
    for number, row in enumerate(_rows(given.of if rows is not None else given, topic)):
        at = f"record {number} of {topic}"
        parts = _named(row, rows, at) if rows is not None else _parts(row, at)
        yield Given(
            topic,
            _bytes(key, parts[0], f"the key of {at}"),
            _bytes(value, parts[1], f"the value of {at}"),
            _time(parts[2], at),
            tuple(parts[3]),
        )


def _rows(given: Any, topic: str) -> Iterable[Any]:
    rows = given
    if isinstance(given, (str, Path)):
        rows = _lines(Path(given), topic)
    elif hasattr(given, "iter_rows"):
        rows = given.iter_rows(named=True)
    elif hasattr(given, "to_pylist"):
        rows = given.to_pylist()
    elif hasattr(given, "itertuples"):
        rows = given.to_dict("records")
    if not isinstance(rows, Iterable) or isinstance(rows, (bytes, Mapping)):
        raise GivenError(
            f"{type(given).__name__} is nothing that has records of {topic}\n"
            "hint: give a file, a frame, moldau.consume(...), or a list of (key, value, timestamp)"
        )
    return rows


def _lines(path: Path, topic: str) -> Iterator[Any]:
    if path.suffix not in _LINES:
        yield from _frame(path, topic).iter_rows(named=True)
        return
    read = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = read(line)
            except msgspec.DecodeError as error:
                raise GivenError(f"line {number} of {path} is no JSON: {error}") from error
            yield row


def _frame(path: Path, topic: str) -> Any:
    try:
        import polars as pl
    except ModuleNotFoundError as error:
        raise GivenError(f"{path} is read with polars\nhint: python -m pip install 'moldau[frames]'") from error
    readers = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".arrow": pl.read_ipc, ".feather": pl.read_ipc}
    reader: Any = readers.get(path.suffix)
    if reader is None:
        known = ", ".join(sorted(itertools.chain(_LINES, readers)))
        raise GivenError(f"{path}, with records of {topic}, is none of {known}")
    return reader(path)


def _parts(row: Any, at: str) -> tuple[Any, Any, Any, Headers]:
    if isinstance(row, tuple) and not hasattr(row, "_fields"):
        if len(row) <= _PAIR:
            raise GivenError(f"{at} has no timestamp: {row!r}\nhint: give (key, value, timestamp)")
        key, value, timestamp, *headers = row
        return key, value, timestamp, headers[0] if headers else ()
    if isinstance(row, Mapping):
        if "value" not in row or "timestamp" not in row:
            raise GivenError(
                f"{at} has the columns {', '.join(map(str, row))}, and none says what its value and timestamp are\n"
                'hint: Rows(..., key="…", timestamp="…") names them; the row as a whole is the value then'
            )
        return row.get("key"), row["value"], row["timestamp"], _headers(row.get("headers"))
    try:
        return row.key, row.value, row.timestamp, row.headers
    except AttributeError as error:
        raise GivenError(f"{at} is no record: {row!r}") from error


def _named(row: Any, rows: Rows, at: str) -> tuple[Any, Any, Any, Headers]:
    try:
        key = None if rows.key is None else row[rows.key]
        return key, row if rows.value is None else row[rows.value], row[rows.timestamp], ()
    except (KeyError, TypeError) as error:
        raise GivenError(f"{at} has no column {error}: {row!r}") from error


def _headers(held: Any) -> Headers:
    """Pairs, or the objects with a key and a value that frames have."""
    return [(one["key"], one["value"]) if isinstance(one, Mapping) else tuple(one) for one in held or ()]


def _bytes(serde: Serde[Any], given: Any, what: str) -> bytes | None:
    if given is None or isinstance(given, bytes):
        return given
    try:
        if isinstance(given, Mapping) and serde.name.startswith("JSON"):
            return encode_json(given)
        return serde.serialize(given)
    except Exception as error:
        raise GivenError(f"{what} is not what its source reads ({serde.name}): {given!r}") from error


def _time(given: Any, at: str) -> int:
    """Ms since 1970 of a number, a datetime or its ISO form; without a zone it is UTC."""
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given)
        except ValueError as error:
            raise GivenError(
                f"the timestamp of {at} is {given!r}, neither ms since 1970 nor a date and time"
            ) from error
    if isinstance(given, datetime):
        moment = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    if not isinstance(given, int):
        raise GivenError(f"the timestamp of {at} is {given!r}, neither ms since 1970 nor a date and time")
    return given
