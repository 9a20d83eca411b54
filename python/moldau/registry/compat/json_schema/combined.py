"""Rules of anyOf, oneOf, not and if. allOf and `$ref` need none: all of it holds at once, and is compared so."""

from __future__ import annotations

from moldau.registry.compat.json_schema.found import Comparison, Found, broken
from moldau.registry.compat.json_schema.node import Node
from moldau.registry.compat.json_schema.writer import Writer, evaluates_elsewhere, identity, kinds_of
from moldau.registry.languages.language import Incompatibility

SUMS = ("anyOf", "oneOf")


def some_alternative_reads_it(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What was written is valid under one of the schemas of `anyOf`."""
    found = _tried(comparison, reader, writer, "anyOf", path)
    if found and all(found):
        yield from _no_alternative(reader, writer, "anyOf", found, path)


def exactly_one_alternative_reads_it(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What was written is valid under one of the schemas of `oneOf`, and is not always valid under two."""
    found = _tried(comparison, reader, writer, "oneOf", path)
    if found and all(found):
        yield from _no_alternative(reader, writer, "oneOf", found, path)
    reading = [index for index, each in enumerate(found) if not each]
    if len(reading) > 1:
        listed = ", ".join(map(str, reading))
        yield broken("ONE_OF_OVERLAPS", f"{path}/oneOf", f"the alternatives {listed} all take what was written", listed)


def _tried(
    comparison: Comparison, reader: Node, writer: Writer, keyword: str, path: str
) -> list[list[Incompatibility]]:
    branches = enumerate(reader.children(keyword))
    return [comparison.compare(branch, writer.nodes, f"{path}/{keyword}/{index}") for index, branch in branches]


def _no_alternative(reader: Node, writer: Writer, keyword: str, found: list[list[Incompatibility]], path: str) -> Found:
    branches = reader.children(keyword)
    close = [index for index, branch in enumerate(branches) if kinds_of(branch) & writer.kinds]
    if len(close) == 1:
        # The only one of this type is the one that was meant; what is wrong with it says more than that none fits.
        yield from found[close[0]]
        return
    alternative = writer.any(lambda node: bool(node.dropped.intersection(SUMS)))
    rule = "SUM_TYPE_NARROWED" if alternative else "COMBINED_TYPE_SUBSCHEMAS_CHANGED"
    why = found[close[0] if close else 0][0].message
    message = f"something may have been written that none of the {len(branches)} alternatives takes; for one: {why}"
    yield broken(rule, f"{path}/{keyword}", message)


def nothing_was_written_that_is_excluded(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What `not` excludes was excluded before, or is of another type."""
    excluded = reader.child("not")
    if excluded is None or not Writer((*writer.nodes, excluded)).kinds:
        return
    place = f"{path}/not"
    before = [each for node in writer.nodes if (each := node.child("not")) is not None]
    if not any(not comparison.compare(each, [excluded], place) for each in before):
        rule = "NOT_TYPE_EXTENDED" if before else "NOT_TYPE_ADDED"
        yield broken(rule, place, "something may have been written that is excluded")


def the_condition_holds(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What satisfies `if` is valid under `then`, and the rest under `else`."""
    condition = reader.child("if")
    if condition is None:
        return
    same = [node for node in writer.nodes if (other := node.child("if")) and _equal(comparison, condition, other, path)]
    then, otherwise = reader.child("then"), reader.child("else")
    if then is not None:
        given = [each for node in same if (each := node.child("then")) is not None]
        yield from comparison.compare(then, [*writer.nodes, condition, *given], f"{path}/then")
    if otherwise is not None:
        given = [each for node in same if (each := node.child("else")) is not None]
        yield from comparison.compare(otherwise, [*writer.nodes, *given], f"{path}/else")


def _equal(comparison: Comparison, one: Node, other: Node, path: str) -> bool:
    place = f"{path}/if"
    return not comparison.compare(one, [other], place) and not comparison.compare(other, [one], place)


def unevaluated_stays_as_it_is(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What is left over by other schemas: only the very same text is known to leave over the same."""
    for keyword in ("unevaluatedProperties", "unevaluatedItems"):
        if reader.get(keyword, True) is True or not evaluates_elsewhere(reader):
            continue
        text = identity(reader.raw)
        same = [node for node in writer.nodes if identity(node.raw) == text]
        if "Ref" in text or '"$ref"' in text or not same:
            message = f"{keyword} beside other schemas, and something has changed: what it refuses is not known"
            yield broken("UNEVALUATED_CHANGED", f"{path}/{keyword}", message)
