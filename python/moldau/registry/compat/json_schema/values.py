"""Rules of types, enumerations, numbers and strings."""

from __future__ import annotations

from fractions import Fraction

from moldau.registry.compat.json_schema.found import Comparison, Found, broken
from moldau.registry.compat.json_schema.node import Node
from moldau.registry.compat.json_schema.writer import NUMBERS, Bound, Writer, bounds_of, declared_kinds, values_of
from moldau.registry.languages.language import Incompatibility


def every_written_type_is_read(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What was written is of a type that the reader takes; an integer is a number."""
    expected = declared_kinds(reader)
    more = writer.kinds - expected
    if more:
        written, taken = named_kinds(more), named_kinds(expected) or "nothing"
        rule = "TYPE_NARROWED" if expected & writer.kinds else "TYPE_CHANGED"
        place = f"{path}/type" if reader.has("type") else path
        yield broken(rule, place, f"{written} may have been written, and {taken} is read", written)


def named_kinds(kinds: frozenset[str]) -> str:
    """The kinds in JSON Schema's words."""
    names = kinds - NUMBERS | {"number"} if "fraction" in kinds else kinds
    return ", ".join(sorted(names))


def every_written_value_is_in_the_enum(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """If the reader takes certain values only (enum, const), no other was written."""
    known = values_of(reader)
    if known is None:
        return
    place = f"{path}/enum" if reader.has("enum") else f"{path}/const"
    written = writer.values
    if written is None:
        yield broken(
            "ENUM_ARRAY_ADDED", place, f"other values may have been written than the {len(known)} that are read"
        )
        return
    unknown = ", ".join(key for key in written if key not in known)
    if unknown:
        rule = "ENUM_ARRAY_NARROWED" if known.keys() <= written.keys() else "ENUM_ARRAY_CHANGED"
        yield broken(
            rule, place, f"{unknown} may have been written, and is not among the values that are read", unknown
        )


def numbers_are_within_the_minimum(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """The smallest number that was written is not below `minimum` or `exclusiveMinimum`."""
    if not writer.kinds & NUMBERS:
        return
    written = writer.lower
    for limit in bounds_of(reader, "inimum"):
        if written is None or written < limit:
            yield _out_of_bounds("MINIMUM", "INCREASED", "smaller than", limit, written, path)


def numbers_are_within_the_maximum(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """The largest number that was written is not above `maximum` or `exclusiveMaximum`."""
    if not writer.kinds & NUMBERS:
        return
    written = writer.upper
    for limit in bounds_of(reader, "aximum"):
        if written is None or (written[0], -written[1]) > (limit[0], -limit[1]):
            yield _out_of_bounds("MAXIMUM", "DECREASED", "larger than", limit, written, path)


def _out_of_bounds(name: str, how: str, words: str, limit: Bound, written: Bound | None, path: str) -> Incompatibility:
    value, exclusive = limit
    rule = f"{'EXCLUSIVE_' if exclusive else ''}{name}_{'ADDED' if written is None else how}"
    keyword = f"exclusive{name.title()}" if exclusive else name.lower()
    shown = float(value) if value.denominator != 1 else int(value)
    more = f"{shown} or a number {words} it" if exclusive else f"a number {words} {shown}"
    return broken(rule, f"{path}/{keyword}", f"{more} may have been written", str(shown))


def numbers_are_multiples(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """Every number that was written is a multiple of `multipleOf`."""
    wanted = reader.number("multipleOf")
    if wanted is None or not writer.kinds & NUMBERS or wanted <= 0:
        return
    given = [each for node in writer.nodes if (each := node.number("multipleOf")) is not None and each > 0]
    whole = [] if "fraction" in writer.kinds else [Fraction(1)]
    if any(each % wanted == 0 for each in [*given, *whole]):
        return
    rule = "MULTIPLE_OF_CHANGED" if given else "MULTIPLE_OF_ADDED"
    if any(wanted % each == 0 for each in given):
        rule = "MULTIPLE_OF_EXPANDED"
    shown = reader.get("multipleOf")
    yield broken(
        rule, f"{path}/multipleOf", f"numbers may have been written that are no multiple of {shown}", str(shown)
    )


def strings_are_long_enough(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """Every string has `minLength` characters."""
    if "string" in writer.kinds:
        yield from at_least("minLength", "MIN_LENGTH", "strings of fewer characters than", reader, writer, path)


def strings_are_short_enough(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """No string has more than `maxLength` characters."""
    if "string" in writer.kinds:
        yield from at_most("maxLength", "MAX_LENGTH", "strings of more characters than", reader, writer, path)


def strings_match_the_pattern(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """Every string matches `pattern`; two patterns are compared as texts, not by what they match."""
    wanted = reader.text("pattern")
    if wanted is None or "string" not in writer.kinds:
        return
    if not writer.any(lambda node: node.text("pattern") == wanted):
        rule = "PATTERN_CHANGED" if writer.any(lambda node: node.has("pattern")) else "PATTERN_ADDED"
        message = f"strings may have been written that do not match {wanted!r}"
        yield broken(rule, f"{path}/pattern", message, wanted)


def at_least(keyword: str, name: str, what: str, reader: Node, writer: Writer, path: str) -> Found:
    """A lower limit of a size: `NAME_ADDED` or `NAME_INCREASED` if the writer's is lower; every size is at least 0."""
    wanted, written = reader.number(keyword), writer.largest(keyword)
    if wanted is not None and wanted > (written or 0):
        rule = f"{name}_{'ADDED' if written is None else 'INCREASED'}"
        yield broken(rule, f"{path}/{keyword}", f"{what} {wanted} may have been written", str(wanted))


def at_most(keyword: str, name: str, what: str, reader: Node, writer: Writer, path: str) -> Found:
    """An upper limit of a size: `NAME_ADDED` or `NAME_DECREASED` if the writer's is higher."""
    wanted, written = reader.number(keyword), writer.smallest(keyword)
    if wanted is not None and (written is None or written > wanted):
        rule = f"{name}_{'ADDED' if written is None else 'DECREASED'}"
        yield broken(rule, f"{path}/{keyword}", f"{what} {wanted} may have been written", str(wanted))
