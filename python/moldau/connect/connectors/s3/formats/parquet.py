"""Records as Parquet: columns of Arrow, row groups bounded in memory, the codec in the name of the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from moldau.connect.connectors.s3.formats.arrow import arrow_schema, columns
from moldau.connect.connectors.s3.formats.writer import Format, RecordWriter, Refuse, View
from moldau.connect.connectors.s3.storage import Upload
from moldau.connect.data import Schema
from moldau.connect.errors import ConfigError, ConnectError, DataError
from moldau.connect.records import SinkRecord

# The extensions of parquet-java's `CompressionCodecName`.
EXTENSIONS = {
    "none": "",
    "snappy": ".snappy",
    "gzip": ".gz",
    "brotli": ".br",
    "zstd": ".zstd",
    "lz4_raw": ".lz4raw",
}
REFUSED = {
    "lzo": "no library for Python writes it",
    "lz4": "it is Hadoop's framing of LZ4, which pyarrow only reads; use lz4_raw",
}

# Rows are converted in lots of about this size: large enough for columns to pay, small enough to hold twice.
LOT_BYTES = 4 << 20
FIRST_LOT_ROWS = 256
MOST_LOT_ROWS = 16_384


class ParquetFormat(Format):
    """`parquet.codec`, and row groups of at most `parquet.row.group.bytes` before compression."""

    def __init__(self, codec: str = "snappy", row_group_bytes: int = 64 << 20) -> None:
        if codec not in EXTENSIONS:
            known = ", ".join(EXTENSIONS)
            why = REFUSED.get(codec, f"it must be one of: {known}")
            raise ConfigError(f"parquet.codec={codec} cannot be written: {why}", name="parquet.codec", value=codec)
        self.codec = codec
        self.row_group_bytes = row_group_bytes
        self.extension = f"{EXTENSIONS[codec]}.parquet"

    def open(self, upload: Upload, view: View) -> RecordWriter:
        return ParquetRecordWriter(upload, view, self)


class ParquetRecordWriter(RecordWriter):
    """One file of Parquet; all its records have the schema of the first."""

    def __init__(self, upload: Upload, view: View, form: ParquetFormat) -> None:
        super().__init__(upload)
        self._view = view
        self._form = form
        self._table: _Table | None = None
        self.takes_runs = type(view) is View

    @property
    def size_bytes(self) -> int:
        return self.upload.position + (self._table.held_bytes if self._table is not None else 0)

    def write(self, record: SinkRecord) -> None:
        value = self._view.value(record, enveloped=True)
        table = self._table
        if table is None:
            schema = self._view.schema(record, enveloped=True)
            if schema is None:
                raise DataError(
                    f"Parquet has columns, and {record.topic}-{record.kafka_partition} at offset {record.kafka_offset} "
                    "has no schema\nhint: use a converter with schemas, or JsonFormat"
                )
            table = self._table = _Table(schema, self.upload, self._form, self.refuse)
        try:
            table.add(value.values, record)
        except AttributeError:
            raise DataError(f"Parquet has columns, which {type(value).__name__} has not: a struct has") from None

    def write_run(self, records: Sequence[SinkRecord]) -> None:
        assert self._table is not None, "the first record of a file comes alone"
        try:
            rows = [record.value.values for record in records]
        except AttributeError:
            for record in records:
                self.write(record)
            return
        self._table.add_all(rows, records)

    def _finish(self) -> None:
        assert self._table is not None, "an object has at least one record"
        self._table.end()

    def close(self) -> None:
        self._table = None
        super().close()


class _Table:
    """Rows on their way into one file: Python's, then Arrow's, then a row group."""

    def __init__(self, schema: Schema, upload: Upload, form: ParquetFormat, refuse: Refuse | None) -> None:
        self.held_bytes = 0
        """Size of the batches that are not in a row group yet, as Arrow has them."""
        self._schema = arrow_schema(schema)
        self._columns = columns(schema)
        self._row_group_bytes = form.row_group_bytes
        self._lot_bytes = min(LOT_BYTES, form.row_group_bytes)
        self._rows: list[Sequence[Any]] = []
        self._records: list[SinkRecord] = []
        self._refuse = refuse
        self._lot_rows = FIRST_LOT_ROWS
        self._batches: list[pa.RecordBatch] = []
        self._writer = pq.ParquetWriter(
            upload,
            self._schema,
            compression=form.codec,
            data_page_size=64 * 1024,
            write_time_adjusted_to_utc=True,
        )

    def add(self, values: Sequence[Any], record: SinkRecord) -> None:
        self._rows.append(values)
        self._records.append(record)
        if len(self._rows) >= self._lot_rows:
            self._convert()

    def add_all(self, rows: list[Sequence[Any]], records: Sequence[SinkRecord]) -> None:
        """As `add` for each: lots end where they would."""
        done = 0
        while done < len(rows):
            end = done + max(self._lot_rows - len(self._rows), 1)
            self._rows += rows[done:end]
            self._records += records[done:end]
            done = end
            if len(self._rows) >= self._lot_rows:
                self._convert()

    def end(self) -> None:
        self._convert()
        self._write_row_group()
        self._writer.close()

    def _convert(self) -> None:
        if not self._rows:
            return
        try:
            arrays = self._columns(self._rows)
        except DataError as error:
            self._sort_out(error)
            if not self._rows:
                self._records = []
                return
            arrays = self._columns(self._rows)
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        # Lots follow from the records alone, so the same records make the same file after a restart.
        each = max(batch.nbytes // len(self._rows), 1)
        self._lot_rows = max(min(self._lot_bytes // each, MOST_LOT_ROWS), 1)
        self._rows, self._records = [], []
        self._batches.append(batch)
        self.held_bytes += batch.nbytes
        if self.held_bytes >= self._row_group_bytes:
            self._write_row_group()

    def _sort_out(self, error: DataError) -> None:
        """Refuse the records of the lot that have no place in a column, whichever they are."""
        good: list[Sequence[Any]] = []
        for values, record in zip(self._rows, self._records, strict=True):
            try:
                self._columns([values])
                good.append(values)
            except DataError as own:
                refused = DataError(f"the record at offset {record.kafka_offset}: {own}")
                if self._refuse is None:
                    # The error is not one of the record at hand, which whoever tolerates those would leave out.
                    raise ConnectError(
                        f"{refused}\nhint: with store.kafka.keys or store.kafka.headers it cannot be reported, because "
                        "these are written already; a transform before it (Filter, Cast) can keep it away"
                    ) from own
                self._refuse(record, refused)
        if len(good) == len(self._rows):
            first, last = self._records[0].kafka_offset, self._records[-1].kafka_offset
            raise ConnectError(f"a record at offset {first} to {last}: {error}") from error
        self._rows = good

    def _write_row_group(self) -> None:
        if self._batches:
            rows = sum(batch.num_rows for batch in self._batches)
            self._writer.write_table(pa.Table.from_batches(self._batches, self._schema), row_group_size=rows)
            self._batches, self.held_bytes = [], 0
