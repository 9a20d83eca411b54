"""What every format is: a `Format` opens a `RecordWriter` for each object, which takes records and ends the object.

A record has up to three objects: of its values, its keys and its headers (`View`); see `views.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from moldau.connect.connectors.s3.storage import Upload
from moldau.connect.data import Schema
from moldau.connect.errors import DataError
from moldau.connect.records import SinkRecord

Refuse = Callable[[SinkRecord, DataError], None]
"""Raises the error if nobody wants to hear of the record."""


class View:
    """The part of a record that goes into an object, with its schema; `extension` tells the objects apart."""

    extension = ""
    enveloped_in_json = False

    def schema(self, record: SinkRecord, *, enveloped: bool) -> Schema | None:
        """Return the schema of the part; `enveloped` puts a struct around what is none, for formats of columns."""
        return record.value_schema

    def value(self, record: SinkRecord, *, enveloped: bool) -> Any:
        """Return the part itself."""
        return record.value


class RecordWriter:
    """One object being written. Raises `DataError` for a record that does not fit, before it has written any of it."""

    takes_runs = False
    """Whether `write_run` may be called: it costs less than a `write` for each."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.refuse: Refuse | None = None
        """What a format that finds late that a record does not fit does with it, and goes on without it.

        None where the record has a part in another object, which cannot be taken back.
        """

    @property
    def size_bytes(self) -> int:
        """How large the object is so far: what was written and what is held back; the same for the same records."""
        return self.upload.position

    def write(self, record: SinkRecord) -> None:
        raise NotImplementedError

    def write_run(self, records: Sequence[SinkRecord]) -> None:
        """Write records that all have the schema object of the one before."""
        raise NotImplementedError

    def commit(self) -> None:
        """Write what is held back and complete the object."""
        self._finish()
        self.upload.commit()

    def close(self) -> None:
        """Throw the object away."""
        self.upload.abort()

    def _finish(self) -> None:
        """Write what comes at the end of the object."""


class Format:
    """How records become an object; made once per task and view."""

    extension = ""

    def open(self, upload: Upload, view: View) -> RecordWriter:
        """Begin an object."""
        raise NotImplementedError
