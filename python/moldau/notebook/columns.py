"""From messages to frames, a column at a time.

Numbers, bytes and text go from confluent-kafka's messages straight into Arrow; only JSON and Avro become Python objects
on the way. What is needed beside the base install is asked for when it is used.
"""

from __future__ import annotations

import importlib
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final, Literal

from moldau.client import Message
from moldau.errors import MoldauError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from moldau.notebook.records import Records
    from moldau.notebook.registered import Shape

EXTRAS: Final = {"pyarrow": "moldau[frames]", "polars": "moldau[frames]", "pandas": "pandas"}


class MissingPackageError(MoldauError, ImportError):
    """A package that is not in the base install; the message has the line that installs it."""


def needed(package: str) -> Any:
    """The package. Raises MissingPackageError."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f"{package} is not installed\nhint: python -m pip install '{EXTRAS[package]}'", name=package
        ) from error


def arrow_table(records: Records) -> pa.Table:
    """All records as one table, built batch by batch."""
    columns = Columns(needed("pyarrow"), records)
    for batch in records.batches():
        columns.add(batch)
    return columns.table()


class Columns:
    """Chunks of columns, one per batch. JSON and Avro wait until the end: only all values together have a type."""

    def __init__(self, arrow: Any, records: Records) -> None:
        self._arrow = arrow
        self._records = records
        header = arrow.struct([("name", arrow.string()), ("value", arrow.binary())])
        self._types = {
            "topic": arrow.string(),
            "partition": arrow.int32(),
            "offset": arrow.int64(),
            "timestamp": arrow.timestamp("ms", tz="UTC"),
            "key": self._type_of(records.key),
            "value": self._type_of(records.value),
            "headers": arrow.list_(header),
        }
        self._chunks: dict[str, list[Any]] = {name: [] for name in self._types}
        self._objects: dict[str, list[Any]] = {"key": [], "value": []}
        self._shapes: dict[str, dict[int, Shape]] = {"key": {}, "value": {}}

    def _type_of(self, form: str) -> Any:
        return {"bytes": self._arrow.binary(), "str": self._arrow.string()}.get(form)

    def add(self, batch: list[Message]) -> None:
        """The next messages."""
        self._put("topic", [message.topic() for message in batch])
        self._put("partition", [message.partition() for message in batch])
        self._put("offset", [message.offset() for message in batch])
        self._put("timestamp", [milliseconds(message) for message in batch])
        self._add_part("key", [message.key() for message in batch], batch)
        self._add_part("value", [message.value() for message in batch], batch)
        self._put("headers", [headers(message) for message in batch])

    def _put(self, name: str, values: list[Any]) -> None:
        self._chunks[name].append(self._arrow.array(values, self._types[name]))

    def _add_part(self, part: Literal["key", "value"], data: list[Any], batch: list[Message]) -> None:
        if getattr(self._records, part) == "avro":
            self._objects[part] += [self._shaped(part, *pair) for pair in zip(data, batch, strict=True)]
            return
        if self._types[part] is None:
            self._objects[part] += [self._records.decoded(message, part) for message in batch]
            return
        try:
            self._chunks[part].append(self._arrow.array(data, self._arrow.binary()).cast(self._types[part]))
        except self._arrow.ArrowInvalid:
            for message in batch:
                # The one that is no text raises the error that names it.
                self._records.decoded(message, part)
            raise

    def _shaped(self, part: Literal["key", "value"], data: bytes | None, message: Message) -> Any:
        value = self._records.decoded(message, part)
        if data is None:
            return None
        shape = self._records.reader.shape(self._arrow, message, part, data)
        self._shapes[part][id(shape)] = shape
        return shape.of(value)

    def table(self) -> pa.Table:
        """Everything so far."""
        arrays = {}
        for name, kind in self._types.items():
            if kind is None:
                arrays[name] = self._typed(name, self._objects[name])
            else:
                arrays[name] = self._arrow.chunked_array(self._chunks[name], kind)
        return self._arrow.table(arrays)

    def _typed(self, part: str, objects: list[Any]) -> Any:
        form = getattr(self._records, part)
        try:
            return self._arrow.array(objects, self._common_type(part))
        except (self._arrow.ArrowInvalid, self._arrow.ArrowTypeError, OverflowError, TypeError) as error:
            what, leaves = ("JSON", "str") if form == "json" else (form, "bytes")
            raise TypeError(
                f"the {what} of these {part}s does not fit into one column: {error}; "
                f'{part}="{leaves}" leaves it as it is'
            ) from error

    def _common_type(self, part: str) -> Any:
        """The type of all schemas that were met; None where none was: Arrow finds one."""
        kinds = [shape.type for shape in self._shapes[part].values()]
        if not kinds:
            return None
        from moldau.notebook.registered import joined

        return reduce(partial(joined, self._arrow), kinds)


def milliseconds(message: Message) -> int | None:
    """A record's time; None if it has none."""
    kind, value = message.timestamp()
    return None if kind == 0 or value < 0 else value


def headers(message: Message) -> list[dict[str, Any]]:
    """A record's headers as Arrow takes them."""
    pairs: Any = message.headers() or ()
    return [{"name": name, "value": value} for name, value in pairs]


def polars_frame(records: Records) -> pl.DataFrame:
    """All records as a frame of polars."""
    frame: pl.DataFrame = needed("polars").from_arrow(arrow_table(records))
    return frame


def pandas_frame(records: Records) -> pd.DataFrame:
    """All records as a frame of pandas."""
    needed("pandas")
    return arrow_table(records).to_pandas()
