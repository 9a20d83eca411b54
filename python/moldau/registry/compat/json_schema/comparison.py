"""The comparison of two JSON schemas: is everything that is valid under the old one valid under the new?

The writer is a conjunction of schemas, the reader one. Every keyword of the reader is a demand of its own, so each
rule looks whether what the writer says implies it. Where that is not known, the writer is taken apart: into the
alternatives of its anyOf or oneOf, or into the types it may have; each is compared for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from moldau.registry.compat.json_schema import arrays, combined, objects, values
from moldau.registry.compat.json_schema.found import Comparison, Found
from moldau.registry.compat.json_schema.node import Node, parts
from moldau.registry.compat.json_schema.writer import NUMBERS, Writer
from moldau.registry.compat.verdicts import Verdicts
from moldau.registry.languages.language import Incompatibility, Policy, SchemaError

STEPS_MAX: Final = 100_000
"""Schemas that are looked at in one check, each as often as it is: seconds. A oneOf of 30 objects is not refused."""

LENIENT: Final = frozenset(
    {
        "ADDITIONAL_PROPERTIES_NARROWED",
        "ADDITIONAL_PROPERTIES_REMOVED",
        "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
        "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    }
)
"""What the policy LENIENT lets pass: it trusts that nobody wrote properties that the schema did not speak of."""

Rule = Callable[[Comparison, Node, Writer, str], Found]

RULES: Final[tuple[Rule, ...]] = (
    values.every_written_type_is_read,
    values.every_written_value_is_in_the_enum,
    values.numbers_are_within_the_minimum,
    values.numbers_are_within_the_maximum,
    values.numbers_are_multiples,
    values.strings_are_long_enough,
    values.strings_are_short_enough,
    values.strings_match_the_pattern,
    arrays.arrays_are_long_enough,
    arrays.arrays_are_short_enough,
    arrays.items_are_unique,
    arrays.every_item_is_read,
    arrays.every_further_item_is_read,
    arrays.what_is_contained_stays,
    objects.objects_have_enough_properties,
    objects.objects_have_few_enough_properties,
    objects.what_is_required_was_written,
    objects.every_property_is_read,
    objects.every_further_property_is_read,
    objects.patterns_of_names_are_read,
    objects.every_name_is_read,
    objects.what_depends_was_written,
    objects.what_depends_is_read,
    combined.some_alternative_reads_it,
    combined.exactly_one_alternative_reads_it,
    combined.nothing_was_written_that_is_excluded,
    combined.the_condition_holds,
    combined.unevaluated_stays_as_it_is,
)

OF_KIND: Final = {
    name: Node({"type": name}, 7, None)
    for name in ("null", "boolean", "string", "number", "integer", "array", "object")
}


def check(reader: Node, writer: Node, policy: Policy) -> list[Incompatibility]:
    """Everything that keeps the reader from taking what the writer wrote; empty if nothing does.

    Raises SchemaError if they are too large to be compared, or a reference leads nowhere.
    """
    allowed = LENIENT if policy is Policy.LENIENT else frozenset()
    try:
        found = _Comparison(allowed).compare(reader, [writer], "")
    except RecursionError:
        raise SchemaError("the schemas are nested too deeply to be compared") from None
    return list(dict.fromkeys(found))


class _Comparison:
    """One check."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._verdicts = Verdicts()
        self._kept: list[Any] = []
        self._steps = 0

    def compare(self, reader: Node, writer: Iterable[Node], path: str) -> list[Incompatibility]:
        written = Writer(writer)
        if not written.kinds or reader.raw is True:
            return []
        self._steps += len(written.nodes)
        if self._steps > STEPS_MAX:
            raise SchemaError(f"it takes more than {STEPS_MAX} comparisons to know who can read whom", path)
        key = reader.key, written.key
        known = self._verdicts.get(key)
        if known is not None:
            return known
        # Nodes are known again by the identity of what they hold, which is theirs only while they live.
        self._kept.append((reader, written))
        return self._verdicts.found(key, lambda: self._compared(reader, written, path))

    def _compared(self, reader: Node, writer: Writer, path: str) -> list[Incompatibility]:
        if writer.values is not None and all(
            _accepts(reader, value) for value in writer.values.values() if _was_written(writer, value)
        ):
            return []
        found: list[Incompatibility] = []
        demands = parts(reader, path)
        for part, place in demands:
            for rule in RULES:
                found += [each for each in rule(self, part, writer, place) if each.rule not in self._allowed]
        if not found:
            return found
        apart = self._by_alternatives(reader, writer, path)
        if apart is None and any(part.has(keyword) for part, _ in demands for keyword in (*combined.SUMS, "if", "not")):
            apart = self._by_kinds(reader, writer, path)
        return found if apart is None else apart

    def _by_alternatives(self, reader: Node, writer: Writer, path: str) -> list[Incompatibility] | None:
        for node in writer.nodes:
            for keyword in combined.SUMS:
                branches = node.children(keyword)
                if not branches:
                    continue
                others = [node.without(keyword), *(each for each in writer.nodes if each is not node)]
                found: list[Incompatibility] = []
                for branch in branches:
                    reasons = self.compare(reader, [*others, branch], path)
                    if reasons and keyword == "oneOf" and self._is_covered(branch, branches, others, path):
                        continue
                    found += reasons
                return found
        return None

    def _is_covered(self, branch: Node, branches: list[Node], others: list[Node], path: str) -> bool:
        """Whether everything under this branch of a oneOf is under another too: then nothing of it was valid."""
        return any(each is not branch and not self.compare(each, [*others, branch], path) for each in branches)

    def _by_kinds(self, reader: Node, writer: Writer, path: str) -> list[Incompatibility] | None:
        kinds = writer.kinds - NUMBERS | {"number"} if "fraction" in writer.kinds else writer.kinds
        if len(kinds) < 2:
            return None
        found: list[Incompatibility] = []
        for kind in sorted(kinds):
            found += self.compare(reader, [*writer.nodes, OF_KIND[kind]], path)
        return found


def _was_written(writer: Writer, value: Any) -> bool:
    return all(_accepts(node, value) for node in writer.nodes)


def _accepts(node: Node, value: Any) -> bool:
    """Whether a value is valid."""
    from jsonschema import validators

    classes: dict[int, Any] = {
        4: validators.Draft4Validator,
        6: validators.Draft6Validator,
        7: validators.Draft7Validator,
        2019: validators.Draft201909Validator,
        2020: validators.Draft202012Validator,
    }
    try:
        return bool(classes[node.draft](node.raw, _resolver=node.resolver).is_valid(value))
    except Exception:  # noqa: BLE001
        # Schemas that were stored unchecked fail in any way; then the rules decide.
        return False
