"""Rules of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from moldau.registry.compat.json_schema.found import Comparison, Found, broken
from moldau.registry.compat.json_schema.node import Node
from moldau.registry.compat.json_schema.values import at_least, at_most
from moldau.registry.compat.json_schema.writer import Writer, is_false, of_item, prefix, rest, says_nothing


def arrays_are_long_enough(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """Every array has `minItems` items."""
    if "array" in writer.kinds:
        yield from at_least("minItems", "MIN_ITEMS", "arrays of fewer items than", reader, writer, path)


def arrays_are_short_enough(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """No array has more than `maxItems` items."""
    if "array" in writer.kinds:
        yield from at_most("maxItems", "MAX_ITEMS", "arrays of more items than", reader, writer, path)


def items_are_unique(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """With `uniqueItems`, no array was written that has an item twice."""
    if "array" not in writer.kinds or reader.get("uniqueItems") is not True:
        return
    limit = writer.smallest("maxItems")
    if not writer.any(lambda node: node.get("uniqueItems") is True) and (limit is None or limit > 1):
        yield broken(
            "UNIQUE_ITEMS_ADDED", f"{path}/uniqueItems", "arrays may have been written that have an item twice"
        )


def every_item_is_read(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What was written at each place of an array is what the reader takes there."""
    if "array" not in writer.kinds:
        return
    ours, theirs = len(prefix(reader)), max((len(prefix(node)) for node in writer.nodes), default=0)
    limit = writer.smallest("maxItems")
    for index in range(max(ours, theirs)):
        if limit is None or index < limit:
            yield from _item(comparison, reader, writer, index, ours, theirs, path)


def _item(comparison: Comparison, reader: Node, writer: Writer, index: int, ours: int, theirs: int, path: str) -> Found:
    written, expected = writer.at_item(index), of_item(reader, index)
    if is_false(written) or says_nothing(expected):
        return
    place = f"{path}/{'prefixItems' if reader.draft >= 2020 else 'items'}/{index}"
    found = comparison.compare(expected, written, place if index < ours else f"{path}/{_rest_keyword(reader)}")
    if not found:
        return
    if index < ours and index < theirs:
        yield from found
    elif index < ours:
        rule = "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        if all(says_nothing(each) for each in written):
            rule = "ITEM_ADDED_TO_OPEN_CONTENT_MODEL"
        yield broken(rule, place, f"item {index} may have been written as something else: {_first(found)}")
    else:
        rule = "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        if expected.raw is False:
            rule = "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"
        yield broken(rule, place, f"item {index} was written, and is not read any more: {_first(found)}")


def _first(found: Sequence[object]) -> str:
    return str(getattr(found[0], "message", ""))


def every_further_item_is_read(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """The items after those that have a schema of their own."""
    if "array" not in writer.kinds:
        return
    first = max(len(prefix(node)) for node in (reader, *writer.nodes))
    limit = writer.smallest("maxItems")
    if limit is not None and limit <= first:
        return
    written, expected = [rest(node) for node in writer.nodes], rest(reader)
    if is_false(written) or says_nothing(expected):
        return
    place = f"{path}/{_rest_keyword(reader)}"
    found = comparison.compare(expected, written, place)
    if not found:
        return
    if expected.raw is False:
        yield broken("ADDITIONAL_ITEMS_REMOVED", place, "further items may have been written, and none are read")
    elif all(says_nothing(each) for each in written):
        message = f"further items may have been written as anything: {_first(found)}"
        yield broken("ADDITIONAL_ITEMS_NARROWED", place, message)
    else:
        yield from found


def _rest_keyword(reader: Node) -> str:
    if reader.draft < 2020 and isinstance(reader.get("items"), list):
        return "additionalItems"
    return "items" if reader.has("items") else "unevaluatedItems"


def what_is_contained_stays(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """As many items match `contains` as the reader demands."""
    expected = reader.child("contains")
    if expected is None or "array" not in writer.kinds:
        return
    low, high = _times(reader)
    pairs = [(given, _times(node)) for node in writer.nodes if (given := node.child("contains")) is not None]
    place = f"{path}/contains"
    enough = low == 0 or any(
        times[0] >= low and not comparison.compare(expected, [given], place) for given, times in pairs
    )
    few_enough = high is None or any(
        times[1] is not None and times[1] <= high and not comparison.compare(given, [expected], place)
        for given, times in pairs
    )
    if not enough or not few_enough:
        how = "less" if not enough else "more"
        yield broken(
            "CONTAINS_CHANGED", place, f"arrays may have been written that contain {how} than the reader demands"
        )


def _times(node: Node) -> tuple[Fraction, Fraction | None]:
    low = node.number("minContains")
    return Fraction(1) if low is None else low, node.number("maxContains")
