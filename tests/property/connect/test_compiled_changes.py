"""The short way of changes against the long one: the same bytes, positions and errors for any table and any values."""

from __future__ import annotations

import math
from dataclasses import replace
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.connect.connectors.postgres import pgoutput_messages as say
from tests.unit.connect.converters.registries import Registry, connected

from moldau.connect.connectors.postgres.acknowledged import Acknowledged
from moldau.connect.connectors.postgres.catalog import Column, Table, TableId, TypeInfo, Types
from moldau.connect.connectors.postgres.columns import ColumnRules
from moldau.connect.connectors.postgres.compiled import Compiler
from moldau.connect.connectors.postgres.copied import CopiedRows
from moldau.connect.connectors.postgres.copying import copy_row
from moldau.connect.connectors.postgres.direct import Direct
from moldau.connect.connectors.postgres.events import Events, EventSettings
from moldau.connect.connectors.postgres.naming import Topics
from moldau.connect.connectors.postgres.offsets import Position, Resume, snapshot_map
from moldau.connect.connectors.postgres.pgoutput import UNCHANGED, Relation
from moldau.connect.connectors.postgres.streaming import Streaming
from moldau.connect.connectors.postgres.table import Shape, TableSchema
from moldau.connect.connectors.postgres.tables import Tables
from moldau.connect.connectors.postgres.transactions import Transactions
from moldau.connect.connectors.postgres.types import Modes
from moldau.connect.converters.avro import AvroConverter
from moldau.connect.converters.header import SimpleHeaderConverter
from moldau.connect.converters.json import JsonConverter
from moldau.connect.errors import DataError
from moldau.connect.name_adjustment import adjuster, field_adjuster
from moldau.connect.ready import DirectConverters, ReadyRecords, stretches_of

OID = 16_400
TOPICS = Topics("p")
HEADERS = (("connectorName", "postgresql"),)


def float_text(number: float) -> str:
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else f"{'-' if number < 0 else ''}Infinity"
    text = repr(number)
    return text.removesuffix(".0")


def numeric_text(unscaled: int) -> str:
    digits = f"{abs(unscaled):03d}"
    return f"{'-' if unscaled < 0 else ''}{digits[:-2]}.{digits[-2:]}"


years = st.sampled_from(["0001", "0999", "1969", "2000", "2026", "9999", "12026"])
dates = st.builds(lambda year, day: f"{year}-{day.isoformat()[5:]}", years, st.dates()).filter(
    lambda said: not said.endswith("02-29")
)
clocks = st.builds(lambda clock: clock.isoformat(), st.times())
moments = st.builds(lambda date, clock: f"{date} {clock}", dates, clocks)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
odd = st.sampled_from(["infinity", "-infinity", "0044-03-15 BC"])

# By type: OID, name, modifier, and texts.
TYPES: dict[str, tuple[int, int, st.SearchStrategy[str]]] = {
    "bool": (16, -1, st.sampled_from("tf")),
    "bytea": (17, -1, st.builds(lambda raw: "\\x" + raw.hex(), st.binary(max_size=9))),
    "int8": (20, -1, st.builds(str, st.integers(-(2**63), 2**63 - 1))),
    "int2": (21, -1, st.builds(str, st.integers(-(2**15), 2**15 - 1))),
    "int4": (23, -1, st.builds(str, st.integers(-(2**31), 2**31 - 1))),
    "text": (25, -1, words),
    "json": (114, -1, st.just('{"a": "b\\n"}')),
    "float4": (700, -1, st.builds(float_text, st.floats(width=32))),
    "float8": (701, -1, st.builds(float_text, st.floats())),
    "date": (1082, -1, dates | odd),
    "time": (1083, -1, clocks | st.just("24:00:00")),
    "timestamp": (1114, -1, moments | odd),
    "timestamptz": (1184, -1, st.builds(lambda moment: f"{moment}+00", moments) | st.just("infinity")),
    "interval": (1186, -1, st.just("1 mon 00:00:01.5")),
    "numeric": (1700, (10 << 16 | 2) + 4, st.builds(numeric_text, st.integers(-(10**12), 10**12)) | st.just("NaN")),
    "uuid": (2950, -1, st.builds(str, st.uuids())),
}
SHORT_TYPES = {"time": (1083, 3), "timestamp": (1114, 3), "timestamptz": (1184, 0)}
modes = st.builds(
    Modes,
    decimal=st.sampled_from(["precise", "double", "string"]),
    time=st.sampled_from(["adaptive", "adaptive_time_microseconds", "microseconds", "nanoseconds", "isostring"]),
    binary=st.sampled_from(["bytes", "base64", "hex"]),
)


class KnownTypes(Types):
    def __init__(self) -> None:
        self._known = {oid: TypeInfo(oid, name, "pg_catalog", "b") for name, (oid, _, _) in TYPES.items()}


@st.composite
def tables(draw: Any, among: list[str]) -> tuple[Table, list[st.SearchStrategy[str]]]:
    names = draw(st.lists(st.sampled_from(among), min_size=1, max_size=6))
    columns, texts = [], []
    for number, name in enumerate(names):
        oid, modifier, values = TYPES[name]
        if name in SHORT_TYPES and draw(st.booleans()):
            modifier = SHORT_TYPES[name][1]
        columns.append(Column(f'c{number}"ž', oid, modifier, nullable=draw(st.booleans())))
        texts.append(values)
    keyed = draw(st.booleans())
    columns[0] = replace(columns[0], nullable=not keyed)
    table = Table(TableId("public", "t"), tuple(columns), (columns[0].name,) if keyed else ())
    return table, texts


@st.composite
def loads(draw: Any, among: list[str]) -> tuple[Table, list[bytes]]:
    """A table with columns of some types, and transactions that change its rows."""
    table, texts = draw(tables(among))

    def row(*more: Any) -> Any:
        parts = []
        for column, values in zip(table.columns, texts, strict=True):
            choices = [values.map(str.encode)]
            if column.nullable:
                choices.append(st.none())
            parts.append(st.one_of(*choices, *more))
        return list(draw(st.tuples(*parts)))

    unsent = st.just(UNCHANGED)
    messages: list[bytes] = []
    lsn = 1000
    for xid in range(1, draw(st.integers(1, 3)) + 1):
        lsn += 8
        messages.append(wal(lsn, say.begin(lsn + 500, 1_700_000_000_000_000 + xid, xid)))
        if draw(st.integers(0, 4)) == 0:
            messages.append(wal(lsn, say.origin(77, "elsewhere")))
        for kind in draw(st.lists(st.sampled_from("IUFKD"), max_size=5)):
            lsn += draw(st.sampled_from([0, 8]))
            change = {
                "I": lambda: say.insert(OID, row()),
                "U": lambda: say.update(OID, None, False, row(unsent)),
                "F": lambda: say.update(OID, row(), False, row(unsent)),
                "K": lambda: say.update(OID, row(st.none()), True, row()),
                "D": lambda: say.delete(OID, row(st.none()), True),
            }[kind]
            messages.append(wal(lsn, change()))
        lsn += 600
        messages.append(wal(lsn, say.commit(lsn, lsn + 8, 1_700_000_000_000_000 + xid)))
    return table, messages


def wal(lsn: int, message: bytes) -> bytes:
    return b"w" + pack(">qqq", lsn, 0, 0) + message


def json(**given: str) -> DirectConverters:
    made = []
    for is_key in (True, False):
        converter = JsonConverter()
        converter.configure({name.replace("_", "."): value for name, value in given.items()}, is_key)
        made.append(converter)
    return DirectConverters(*made, SimpleHeaderConverter())


REGISTRY = Registry()
CONVERTERS = {
    "plain": json(schemas_enable="false"),
    "with schemas": json(schemas_enable="true", decimal_format="NUMERIC"),
    "avro": DirectConverters(
        *(connected(AvroConverter, REGISTRY, is_key=is_key, scrub_invalid_names="true") for is_key in (True, False)),
        SimpleHeaderConverter(),
    ),
}


class Source:
    """A stream of one table, with the short way or without."""

    def __init__(self, table: Table, modes: Modes, converters: DirectConverters, *, direct: bool) -> None:
        self.converters = converters
        shape = Shape(modes, ColumnRules({}), TOPICS, adjuster("none"), field_adjuster("none"))
        schema = TableSchema(table, KnownTypes(), shape)
        known = Tables(None, KnownTypes(), shape, lambda _: True)  # type: ignore[arg-type]
        known._set(Relation(OID, "public", "t", "d", ()), schema)
        events = Events(EventSettings("p", "shop", TOPICS, extended_headers=HEADERS), lambda: 1_700_000_000_123_456_789)
        self.position = Position()
        self.acknowledged = Acknowledged()
        self.ready = 0
        short = Direct(Compiler(converters, events), events, lambda _: False) if direct else None
        if short is not None:
            short.announce(OID, schema)
        self.streaming = Streaming(
            None,  # type: ignore[arg-type]
            known,
            events,
            Transactions(events, TOPICS, enabled=False),
            self.position,
            Resume(None),
            self.acknowledged,
            direct=short,
        )

    def take(self, messages: list[bytes]) -> list[Any]:
        """Everything that would be sent, with the last offset; or the error."""
        out: list[Any] = []
        offset: Any = None
        try:
            for part in stretches_of(self.streaming.take(messages)):
                if isinstance(part, ReadyRecords):
                    self.ready += part.size
                    for topic, records in part.messages.items():
                        for record in records:
                            out.append((topic, record.get("key"), record["value"], part.headers[topic]))
                    offset = dict(part.source_offset)
                    part.sent()
                    part.arrived()
                    continue
                for record in part:
                    out.append(self.sent(record))
                    offset = dict(record.source_offset)
                    self.acknowledged.arrived(record)
        except DataError as error:
            return [str(error)]
        return [*out, offset, replace(self.position), self.acknowledged.lsn, self.acknowledged.outstanding]

    def sent(self, record: Any) -> tuple[Any, ...]:
        key = self.converters.key.from_connect_data(record.topic, record.key_schema, record.key)
        value = self.converters.value.from_connect_data(record.topic, record.value_schema, record.value)
        convert = self.converters.header.from_connect_header
        headers = [(each.key, convert(record.topic, each.key, each.schema, each.value)) for each in record.headers]
        return record.topic, key, value, headers


ANY = sorted(TYPES)


def check_both_ways(table: Table, messages: list[bytes], chosen: Modes, name: str, batch: int) -> None:
    short, long = (Source(table, chosen, CONVERTERS[name], direct=direct) for direct in (True, False))
    for start in range(0, len(messages), batch):
        taken, expected = short.take(messages[start : start + batch]), long.take(messages[start : start + batch])
        assert taken == expected
        if len(expected) == 1:
            return


@settings(max_examples=100)
@given(loads(ANY), modes, st.sampled_from(sorted(CONVERTERS)), st.integers(1, 12))
def test_both_ways_give_the_same_bytes_positions_and_errors(load, chosen, name, batch):
    check_both_ways(*load, chosen, name, batch)


@pytest.mark.parametrize("name", CONVERTERS)
@pytest.mark.parametrize("kind", ANY)
@settings(max_examples=10)
@given(data=st.data())
def test_both_ways_write_values_of_each_type_the_same(kind, name, data):
    oid, modifier, texts = TYPES[kind]
    columns = [Column("id", 23, nullable=False), Column("v", oid, modifier)]
    if kind in SHORT_TYPES:
        columns.append(Column("short", oid, SHORT_TYPES[kind][1]))
    table = Table(TableId("public", "t"), tuple(columns), ("id",))
    values = [text.encode() for text in data.draw(st.lists(texts, min_size=5, max_size=20))]
    messages = [wal(1, say.begin(9, 0, 1))]
    messages += [wal(2, say.insert(OID, [b"%d" % at, *[text] * (len(columns) - 1)])) for at, text in enumerate(values)]
    for chosen in (Modes(), Modes("double", "microseconds", "hex"), Modes("string", "isostring", "base64")):
        check_both_ways(table, messages, chosen, name, len(messages))


@settings(max_examples=50)
@given(loads(ANY), modes, st.sampled_from(sorted(CONVERTERS)))
def test_whoever_looks_at_ready_records_sees_what_they_were_made_of(load, chosen, name):
    table, messages = load
    source = Source(table, chosen, CONVERTERS[name], direct=True)
    try:
        parts = stretches_of(source.streaming.take(messages))
    except DataError:
        return
    for part in parts:
        if isinstance(part, ReadyRecords):
            made = [source.sent(record) for record in part]
            [(topic, records)] = part.messages.items()
            assert made == [(topic, each.get("key"), each["value"], part.headers[topic]) for each in records]
            assert dict(part[-1].source_offset) == dict(part.source_offset)


def test_usual_rows_go_the_short_way():
    table = Table(TableId("public", "t"), (Column("id", 23, nullable=False), Column("name", 25)), ("id",))
    source = Source(table, Modes(), CONVERTERS["plain"], direct=True)
    messages = [wal(1, say.begin(9, 0, 1)), wal(2, say.insert(OID, [b"1", b"Ada"])), wal(3, say.commit(3, 4, 0))]
    source.take(messages)
    assert source.ready == 1


# Rows that are copied: a snapshot's.


def copied(row: list[bytes | None]) -> bytes:
    """A line of COPY as PostgreSQL writes it."""
    escapes = {b"\\": b"\\\\", b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b"\v": b"\\v"}
    fields = []
    for text in row:
        field = b"\\N" if text is None else b"".join(escapes.get(bytes([byte]), bytes([byte])) for byte in text)
        fields.append(field)
    return b"\t".join(fields) + b"\n"


@st.composite
def snapshots(draw: Any) -> tuple[Table, list[list[bytes | None]]]:
    table, texts = draw(tables(ANY))
    parts = []
    for column, values in zip(table.columns, texts, strict=True):
        there = values.map(str.encode)
        parts.append(st.one_of(there, st.none()) if column.nullable else there)
    return table, [list(row) for row in draw(st.lists(st.tuples(*parts), max_size=12))]


class Copied(Source):
    """Rows of a table by way of COPY, with the short way or without."""

    def __init__(self, table: Table, modes: Modes, converters: DirectConverters, *, direct: bool) -> None:
        self.converters = converters
        self.table = TableSchema(
            table, KnownTypes(), Shape(modes, ColumnRules({}), TOPICS, adjuster("none"), field_adjuster("none"))
        )
        self.events = Events(
            EventSettings("p", "shop", TOPICS, extended_headers=HEADERS), lambda: 1_700_000_000_123_456_789
        )
        self.position = Position(lsn=77, processed_lsn=77, xid=5, time_us=1_700_000_000_000_001)
        self.offset = snapshot_map(self.position, last=False)
        self.acknowledged = Acknowledged()
        compiler = Compiler(converters, self.events) if direct else None
        self.rows = CopiedRows(compiler, self.events, self.position, self.offset, self.acknowledged)
        self.rows.prepare([self.table])
        self.ready = 0

    def read(self, lines: bytes) -> list[Any]:
        """Everything that would be sent, or the error; what came ready, and what was made of it by looking, agree."""
        out: list[Any] = []
        pieces, size = self.rows.pieces(self.table, lines)
        try:
            for piece in pieces:
                if isinstance(piece, ReadyRecords):
                    [(topic, records)] = piece.messages.items()
                    sent = [(topic, each.get("key"), each["value"], piece.headers[topic]) for each in records]
                    assert sent == [self.sent(record) for record in piece]
                    assert dict(piece[-1].source_offset) == dict(piece.source_offset)
                    size -= sum(len(each.get("key") or b"") + len(each["value"]) for each in records)
                    self.ready += piece.size
                    out += sent
                    continue
                for raw in piece:
                    self.events.row("r", self.table, None, raw, self.position, self.offset, "true")
                out += map(self.sent, self.events.take())
        except DataError as error:
            return [str(error)]
        assert size == 0
        return out


@settings(max_examples=100)
@given(snapshots(), modes, st.sampled_from(sorted(CONVERTERS)))
def test_copied_rows_are_the_same_both_ways(load, chosen, name):
    table, rows = load
    lines = b"".join(map(copied, rows))
    assert [copy_row(line) for line in lines.split(b"\n")[:-1]] == rows
    short, long = (Copied(table, chosen, CONVERTERS[name], direct=direct) for direct in (True, False))
    assert short.read(lines) == long.read(lines)
    assert long.ready == 0


def test_copied_rows_that_are_usual_go_the_short_way_whatever_is_between_them():
    table = Table(TableId("public", "t"), (Column("id", 23, nullable=False), Column("at", 1082)), ("id",))
    source = Copied(table, Modes(), CONVERTERS["plain"], direct=True)
    rows = [[b"%d" % number, b"2026-01-01" if number % 3 else b"0044-03-15 BC"] for number in range(9)]
    assert len(source.read(b"".join(map(copied, rows)))) == 9
    assert source.ready == 6
    # Where hardly anything is usual nobody goes on trying.
    source.ready = 0
    rows = [[b"%d" % number, b"0044-03-15 BC"] for number in range(200)] + [[b"1", b"2026-01-01"]] * 5
    assert len(source.read(b"".join(map(copied, rows)))) == 205
    assert source.ready == 0
