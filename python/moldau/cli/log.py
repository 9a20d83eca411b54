"""`moldau log dump`: what stands in the files of a partition, of ours and of Apache Kafka's alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from moldau.cli.outcome import RefusedError, UsageError
from moldau.cli.output import Output, say
from moldau.cli.record_format import text_or_base64
from moldau.server import log_files

if TYPE_CHECKING:
    from moldau.cli.log_records import Decode

Row = dict[str, Any]
Decoding = Literal["auto", "none", "metadata", "offsets", "transactions"]

BATCH_COLUMNS: Final = (
    "base_offset", "last_offset", "record_count", "size_bytes", "codec", "producer_id", "leader_epoch", "control",
)  # fmt: skip
DECODED: Final = {
    "__cluster_metadata": "metadata",
    "__consumer_offsets": "offsets",
    "__transaction_state": "transactions",
}
CHECKPOINTS: Final = ("checkpoint", "meta.properties", "partition.metadata", "quorum-state")


def dump_log(
    *paths: Path,
    records: Annotated[bool, Parameter(name=["--records", "-r"], negative=())] = False,
    decode: Decoding = "auto",
    from_offset: Annotated[int, Parameter(name="--from")] = 0,
    output: Output = Output(),
) -> None:
    """Show what stands in log files. Reads only; the node may run.

    A .log or .checkpoint gives its batches, an index its entries, a .snapshot its producers, a checkpoint its lines; a
    folder gives all of its files.

    Parameters
    ----------
    paths
        Files, folders of a partition, or a whole log directory.
    records
        The records in the batches as well.
    decode
        How keys and values are read: auto goes by the name of the folder (__cluster_metadata, __consumer_offsets,
        __transaction_state).
    from_offset
        Leave out batches that end before this offset.
    """
    if not paths:
        raise UsageError("no file was named")
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise RefusedError(f"there is nothing to dump in {', '.join(map(str, paths))}")
    problems = 0
    everything: list[Row] = []
    for file in files:
        rows = list(_rows(file, _decoder(file, decode) if records else None, from_offset))
        problems += sum(row.get("problem") is not None for row in rows)
        if output.for_eyes:
            print(f"{file}")
            _show(rows, output)
            print()
        elif output.output == "jsonl":
            output.records(rows, ())
        else:
            everything += rows
    if output.output in ("json", "yaml"):
        output.records(everything, ())
    if problems:
        raise RefusedError(f"{problems} damaged places were found", "their rows say what is wrong")


def _files(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise UsageError(f"there is no {path}")
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.is_dir():
            yield from _files(entry)
        elif _kind(entry) is not None and entry.stat().st_size:
            yield entry


def _kind(file: Path) -> str | None:
    """What a file is, by its name."""
    if file.suffix in (".log", ".index", ".timeindex", ".txnindex", ".snapshot"):
        return file.suffix[1:]
    if file.suffix == ".checkpoint":
        return "log"
    return "text" if file.name.endswith(CHECKPOINTS) else None


def _rows(file: Path, decode: Decode | None, from_offset: int) -> Iterator[Row]:
    kind = _kind(file)
    if kind is None:
        raise UsageError(f"{file} is no file of a log", ".log, .index, .timeindex, .txnindex, .snapshot, …checkpoint")
    if kind == "log":
        yield from _batch_rows(file, decode, from_offset)
        return
    content, base = file.read_bytes(), log_files.base_offset_of(file)
    if kind == "text":
        for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
            yield _row(file, "line", number=number, text=line)
    elif kind == "snapshot":
        producers, problem = log_files.producer_snapshot(content)
        yield from (_row(file, "producer", **entry._asdict()) for entry in producers)
        if problem is not None:
            yield _row(file, "damage", problem=problem)
    else:
        entries: dict[str, Iterator[Any]] = {
            "index": log_files.offset_index(content, base),
            "timeindex": log_files.time_index(content, base),
            "txnindex": log_files.transaction_index(content),
        }
        names = {"index": "offset", "timeindex": "time", "txnindex": "aborted transaction"}
        yield from (_row(file, names[kind], **entry._asdict()) for entry in entries[kind])


def _row(file: Path, kind: str, **fields: Any) -> Row:
    return {"file": str(file), "kind": kind, **fields}


def _batch_rows(file: Path, decode: Decode | None, from_offset: int) -> Iterator[Row]:
    with file.open("rb") as stream:
        for batch in log_files.batches(stream, file.stat().st_size):
            if batch.problem is None and batch.last_offset < from_offset:
                continue
            fields = {name: getattr(batch, name) for name in batch.__dataclass_fields__ if name != "stored"}
            yield _row(file, "batch", **fields)
            if decode is not None and batch.problem is None:
                yield from _record_rows(file, batch, decode, from_offset)


def _record_rows(file: Path, batch: log_files.Batch, decode: Decode, from_offset: int) -> Iterator[Row]:
    try:
        for record in log_files.records(batch):
            if record.offset < from_offset:
                continue
            yield _row(
                file,
                "record",
                offset=record.offset,
                timestamp_ms=record.timestamp_ms,
                headers=[{"name": name, **text_or_base64("value", value)} for name, value in record.headers],
                **decode(record, batch.control),
            )
    except ValueError as error:
        yield _row(file, "damage", base_offset=batch.base_offset, problem=str(error))


def _decoder(file: Path, decoding: Decoding) -> Decode:
    from moldau.cli.log_records import DECODERS

    if decoding != "auto":
        return DECODERS[decoding]
    topic = file.resolve().parent.name.rpartition("-")[0]
    return DECODERS[DECODED.get(topic, "none")]


def _show(rows: list[Row], output: Output) -> None:
    """A table per kind of row; records one per line below their batches."""
    from moldau.cli.log_records import as_line

    kinds = [kind for kind in dict.fromkeys(row["kind"] for row in rows) if kind not in ("record", "damage", "line")]
    for kind in kinds:
        found = [row for row in rows if row["kind"] == kind]
        columns = BATCH_COLUMNS if kind == "batch" else tuple(name for name in found[0] if name not in ("file", "kind"))
        output.records([row for row in found if row.get("problem") is None], columns)
    for row in rows:
        if row["kind"] == "record":
            print(as_line(row))
        elif row["kind"] == "line":
            print(row["text"])
        if row.get("problem") is not None:
            place = f" at byte {row['position']}" if "position" in row else ""
            say(f"damaged{place}: {row['problem']}")
