"""What was written: everything that holds for it at once, and what follows from that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import Any, Final

from moldau.registry.compat.json_schema.node import REFERENCES, TRUE, Node, matching, parts

NUMBERS: Final = frozenset({"integer", "fraction"})
KINDS: Final = frozenset({"null", "boolean", "string", "array", "object"}) | NUMBERS
"""The kinds of values, disjoint: a `number` is an integer or a fraction."""


class Writer:
    """A conjunction: what was written is valid under each of `nodes`."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        flat = [part.without(*FLATTENED) for node in nodes for part, _ in parts(node)]
        found = {part.key: part for part in flat}
        self.nodes: Sequence[Node] = list(found.values())
        self.key = frozenset(found)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of values that may have been written; none at all if nothing can be."""
        allowed = frozenset(KINDS)
        for node in self.nodes:
            allowed &= kinds_of(node)
        return allowed

    @cached_property
    def values(self) -> dict[str, Any] | None:
        """All that may have been written, if enum or const say so."""
        found: dict[str, Any] | None = None
        for node in self.nodes:
            given = values_of(node)
            if given is not None:
                found = given if found is None else {key: each for key, each in found.items() if key in given}
        return found

    def largest(self, keyword: str) -> Fraction | None:
        """The strictest lower limit."""
        return max((each for node in self.nodes if (each := node.number(keyword)) is not None), default=None)

    def smallest(self, keyword: str) -> Fraction | None:
        """The strictest upper limit."""
        return min((each for node in self.nodes if (each := node.number(keyword)) is not None), default=None)

    @cached_property
    def lower(self) -> Bound | None:
        """The lower bound of numbers."""
        bounds = [each for node in self.nodes for each in bounds_of(node, "inimum")]
        return max(map(self._of_integers_up, bounds), default=None)

    @cached_property
    def upper(self) -> Bound | None:
        """The upper bound of numbers."""
        bounds = [each for node in self.nodes for each in bounds_of(node, "aximum")]
        return min(map(self._of_integers_down, bounds), key=lambda bound: (bound[0], -bound[1]), default=None)

    # Of integers, more than 0 is at least 1.

    def _of_integers_up(self, bound: Bound) -> Bound:
        if "fraction" in self.kinds:
            return bound
        return (Fraction(floor(bound[0]) + 1) if bound[1] else Fraction(ceil(bound[0]))), False

    def _of_integers_down(self, bound: Bound) -> Bound:
        if "fraction" in self.kinds:
            return bound
        return (Fraction(ceil(bound[0]) - 1) if bound[1] else Fraction(floor(bound[0]))), False

    @cached_property
    def required(self) -> frozenset[str]:
        """The properties that are always there."""
        return frozenset(name for node in self.nodes for name in node.names("required"))

    def properties(self) -> set[str]:
        """The names that are spoken of."""
        return {name for node in self.nodes for name in node.named("properties")}

    def at_property(self, name: str) -> list[Node]:
        """What holds for the value of a property."""
        return [each for node in self.nodes for each in of_property(node, name)]

    def at_item(self, index: int) -> list[Node]:
        """What holds for an item."""
        return [of_item(node, index) for node in self.nodes]

    def any(self, rule: Callable[[Node], bool]) -> bool:
        """Whether one of the nodes alone is enough."""
        return any(rule(node) for node in self.nodes)


FLATTENED: Final = (*REFERENCES, "allOf")
IN_PLACE: Final = (*FLATTENED, "anyOf", "oneOf", "if", "dependentSchemas", "contains")

Bound = tuple[Fraction, bool]
"""A number, and whether it is itself outside."""


def kinds_of(node: Node) -> frozenset[str]:
    """The kinds of values that a node allows, by its type and its values."""
    values = values_of(node)
    declared = declared_kinds(node)
    return declared if values is None else declared & {kind_of(each) for each in values.values()}


def declared_kinds(node: Node) -> frozenset[str]:
    """The kinds of values that `type` allows."""
    if node.raw is False:
        return frozenset()
    given = node.get("type")
    names = [given] if isinstance(given, str) else given if isinstance(given, list) else None
    if names is None:
        return KINDS
    return frozenset(kind for name in names for kind in (NUMBERS if name == "number" else {name})) & KINDS


def kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "fraction"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def values_of(node: Node) -> dict[str, Any] | None:
    """The values of enum and const, by a text that is the same for equal values; None if there is neither."""
    found: dict[str, Any] | None = None
    given = node.get("enum")
    if isinstance(given, list):
        found = {identity(value): value for value in given}
    if node.has("const"):
        value = node.get("const")
        found = {identity(value): value} if found is None or identity(value) in found else {}
    return found


def identity(value: Any) -> str:
    """1 and 1.0 are the same to JSON, 1 and true are not."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


def bounds_of(node: Node, name: str) -> list[Bound]:
    """Of `minimum` or `maximum` and their exclusive forms: a boolean in draft 4, a number since."""
    found: list[Bound] = []
    exclusive = node.get(f"exclusiveM{name}")
    if (limit := node.number(f"m{name}")) is not None:
        found.append((limit, exclusive is True and node.draft == 4))
    if node.draft > 4 and (limit := node.number(f"exclusiveM{name}")) is not None:
        found.append((limit, True))
    return found


def additional(node: Node) -> Node:
    """What holds for properties that nothing else speaks of."""
    found = node.child("additionalProperties")
    return found if found is not None else unevaluated(node, "unevaluatedProperties")


def of_property(node: Node, name: str) -> list[Node]:
    """What a node demands of the property of this name."""
    own = node.named("properties").get(name)
    found = [*([own] if own is not None else []), *matching(node.named("patternProperties"), name)]
    return found or [additional(node)]


def prefix(node: Node) -> list[Node]:
    """What is demanded of the first items, by their place."""
    if node.draft >= 2020:
        return node.children("prefixItems")
    return node.children("items")


def rest(node: Node) -> Node:
    """What is demanded of the items after those."""
    keyword = "items"
    if node.draft < 2020 and isinstance(node.get("items"), list):
        keyword = "additionalItems"
    found = node.child(keyword)
    return found if found is not None else unevaluated(node, "unevaluatedItems")


def unevaluated(node: Node, keyword: str) -> Node:
    """Unevaluated is the same as additional where nothing beside it evaluates; otherwise it is not known: `true`."""
    found = node.child(keyword)
    if found is None or evaluates_elsewhere(node):
        return TRUE
    return found


def evaluates_elsewhere(node: Node) -> bool:
    """Whether other schemas speak of the same value."""
    return isinstance(node.raw, dict) and any(keyword in node.raw for keyword in IN_PLACE)


def of_item(node: Node, index: int) -> Node:
    """What is demanded of one item."""
    first = prefix(node)
    return first[index] if index < len(first) else rest(node)


def says_nothing(node: Node) -> bool:
    """Whether it is `true` or `{}`, or only talks."""
    return node.raw is True or (
        isinstance(node.raw, dict) and not any(node.has(key) for key in node.raw if key in SAYING)
    )


def is_false(nodes: Iterable[Node]) -> bool:
    """Whether nothing can be valid, at a glance."""
    return any(node.raw is False for node in nodes)


SAYING: Final = frozenset(
    [
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "type",
        "enum",
        "const",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
        "uniqueItems",
        "items",
        "prefixItems",
        "additionalItems",
        "contains",
        "unevaluatedItems",
        "minProperties",
        "maxProperties",
        "required",
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
    ]
)
"""The keywords that demand something; the others describe."""
