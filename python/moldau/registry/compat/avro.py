"""Whether what was written with one Avro schema can be read with another.

Each rule of the specification's "Schema Resolution" is a function of its own, named after what it demands; it yields
`Incompatibility` for what breaks it. Rule names are those of Java's `SchemaIncompatibilityType`, which is what users of
Confluent's registry look for in messages. `DECIMAL_MISMATCH` is ours: the specification demands that scale and
precision match, Java does not look, and the reader would take 12.34 for 1.234.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from moldau.registry.compat.verdicts import Verdicts
from moldau.registry.languages.avro.types import (
    MISSING,
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Map,
    NamedType,
    Record,
    Union,
    described,
)
from moldau.registry.languages.language import Incompatibility, SchemaError

PROMOTIONS: Final = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
"""What a written type may be read as, beside itself."""

COMPARISONS_MAX: Final = 50_000
"""Pairs of types in one check: about a second. Two unions of 200 records each are not refused."""

Found = Iterator[Incompatibility]


def check(reader: AvroType, writer: AvroType) -> list[Incompatibility]:
    """Everything that keeps the reader from reading what the writer wrote; empty if nothing does.

    Raises SchemaError if they are too large to be compared.
    """
    return _Comparison().compare(reader, writer, "")


class _Comparison:
    """One check."""

    def __init__(self) -> None:
        self._verdicts = Verdicts()
        self._comparisons = 0

    def compare(self, reader: AvroType, writer: AvroType, path: str) -> list[Incompatibility]:
        pair = id(reader), id(writer)
        known = self._verdicts.get(pair)
        if known is not None:
            return known
        self._comparisons += 1
        if self._comparisons > COMPARISONS_MAX:
            raise SchemaError(f"it takes more than {COMPARISONS_MAX} comparisons to know who can read whom", path)
        return self._verdicts.found(pair, lambda: list(self._rules(reader, writer, path)))

    def _rules(self, reader: AvroType, writer: AvroType, path: str) -> Found:
        if isinstance(writer, Union):
            yield from every_written_branch_is_read(self, reader, writer, path)
        elif isinstance(reader, Union):
            yield from some_branch_reads_it(self, reader, writer, path)
        elif reader.kind != writer.kind:
            yield from type_is_the_same_or_promoted(reader, writer, path)
        elif isinstance(reader, Array) and isinstance(writer, Array):
            yield from self.compare(reader.items, writer.items, f"{path}/items")
        elif isinstance(reader, Map) and isinstance(writer, Map):
            yield from self.compare(reader.values, writer.values, f"{path}/values")
        else:
            if isinstance(reader, NamedType) and isinstance(writer, NamedType):
                yield from name_is_the_same_or_an_alias(reader, writer, path)
            if isinstance(reader, Record) and isinstance(writer, Record):
                yield from every_field_is_written_or_has_a_default(self, reader, writer, path)
            elif isinstance(reader, Enum) and isinstance(writer, Enum):
                yield from every_symbol_is_known_or_there_is_a_default(reader, writer, path)
            elif isinstance(reader, Fixed) and isinstance(writer, Fixed):
                yield from size_is_the_same(reader, writer, path)
            yield from decimals_have_the_same_scale(reader, writer, path)


def type_is_the_same_or_promoted(reader: AvroType, writer: AvroType, path: str) -> Found:
    """A written int is read as long, float or double, a long as float or double, a float as double; string is bytes."""
    if reader.kind in PROMOTIONS.get(writer.kind, ()):
        return
    yield Incompatibility(
        "TYPE_MISMATCH",
        path or "/",
        f"{described(writer)} was written, and cannot be read as {described(reader)}",
        f"reader type: {reader.kind.upper()} not compatible with writer type: {writer.kind.upper()}",
    )


def name_is_the_same_or_an_alias(reader: NamedType, writer: NamedType, path: str) -> Found:
    """A record, enum or fixed is found again by its name without the namespace, or by an alias of the reader."""
    if reader.name.simple == writer.name.simple or writer.name in reader.aliases:
        return
    yield Incompatibility(
        "NAME_MISMATCH",
        f"{path}/name",
        f"{writer.kind} {writer.name.full} was written, and the reader knows {reader.name.full} only; "
        f"an alias {writer.name.full!r} would say that they are the same",
        f"expected: {writer.name.full}",
    )


def written_field(reader: Field, writer: Record) -> Field | None:
    """The field that the reader's takes its value from: the one of its name, else of one of its aliases."""
    by_name = {field.name: field for field in writer.fields}
    return next((by_name[name] for name in (reader.name, *reader.aliases) if name in by_name), None)


def every_field_is_written_or_has_a_default(
    comparison: _Comparison, reader: Record, writer: Record, path: str
) -> Found:
    """A field of the reader has the value that was written, or its default; written fields it lacks are skipped."""
    for index, field in enumerate(reader.fields):
        place = f"{path}/fields/{index}"
        written = written_field(field, writer)
        if written is not None:
            yield from comparison.compare(field.type, written.type, f"{place}/type")
        elif field.default is MISSING:
            yield Incompatibility(
                "READER_FIELD_MISSING_DEFAULT_VALUE",
                place,
                f"the field {field.name!r} of {reader.name.full} was not written, and has no default to take its place",
                field.name,
            )


def every_symbol_is_known_or_there_is_a_default(reader: Enum, writer: Enum, path: str) -> Found:
    """A written symbol is one of the reader's, or the reader's enum has a default for the unknown."""
    unknown = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
    if unknown and reader.default is None:
        yield Incompatibility(
            "MISSING_ENUM_SYMBOLS",
            f"{path}/symbols",
            f"{', '.join(unknown)} may have been written, and the enum {reader.name.full} of the reader "
            "knows no such symbol and has no default",
            f"[{', '.join(unknown)}]",
        )


def size_is_the_same(reader: Fixed, writer: Fixed, path: str) -> Found:
    """A fixed has as many bytes as were written."""
    if reader.size != writer.size:
        yield Incompatibility(
            "FIXED_SIZE_MISMATCH",
            f"{path}/size",
            f"fixed {writer.name.full} was written with {writer.size} bytes, and the reader expects {reader.size}",
            f"expected: {writer.size}, found: {reader.size}",
        )


def every_written_branch_is_read(comparison: _Comparison, reader: AvroType, writer: Union, path: str) -> Found:
    """Whatever branch of a union was written, the reader can read it."""
    for branch in writer.branches:
        if isinstance(reader, Union):
            yield from some_branch_reads_it(comparison, reader, branch, path)
        elif comparison.compare(reader, branch, path):
            yield _missing_branch(reader, branch, path)


def some_branch_reads_it(comparison: _Comparison, reader: Union, writer: AvroType, path: str) -> Found:
    """One of the branches of the reader's union can read what was written."""
    same_name: list[Incompatibility] = []
    for index, branch in enumerate(reader.branches):
        found = comparison.compare(branch, writer, f"{path}/{index}")
        if not found:
            return
        if isinstance(branch, NamedType) and isinstance(writer, NamedType) and branch.name.simple == writer.name.simple:
            same_name = found
    # The branch of the same name is the one that was meant; what is wrong with it says more than that none fits.
    if same_name:
        yield from same_name
    else:
        yield _missing_branch(reader, writer, path)


def _missing_branch(reader: AvroType, writer: AvroType, path: str) -> Incompatibility:
    return Incompatibility(
        "MISSING_UNION_BRANCH",
        path or "/",
        f"{described(writer)} may have been written, and {described(reader)} cannot read it",
        f"reader union lacking writer type: {writer.kind.upper()}",
    )


def decimals_have_the_same_scale(reader: AvroType, writer: AvroType, path: str) -> Found:
    """Two decimals match if their scale and precision do (specification, "Logical Types", "Decimal")."""
    ours, theirs = _decimal(reader), _decimal(writer)
    if ours is not None and theirs is not None and ours != theirs:
        yield Incompatibility(
            "DECIMAL_MISMATCH",
            path or "/",
            f"a decimal of precision {theirs[0]} and scale {theirs[1]} was written, "
            f"and would be read as one of precision {ours[0]} and scale {ours[1]}",
            f"expected: {theirs[0]},{theirs[1]}",
        )


def _decimal(schema: AvroType) -> tuple[Any, Any] | None:
    properties = {} if isinstance(schema, Union) else schema.properties
    if properties.get("logicalType") != "decimal":
        return None
    return properties.get("precision"), properties.get("scale", 0)
