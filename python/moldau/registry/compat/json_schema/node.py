"""A place in a JSON schema, as its draft reads it, and where its `$ref`s lead.

What a draft does not know counts for nothing, and so does what stands beside a `$ref` up to draft 7. References lead
into the same document, into a schema that is referred to by name or by its `$id`, or to the drafts' own schemas; the
network is never asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012

from moldau.registry.languages.language import SchemaError

SPECIFICATIONS: Final = {4: DRAFT4, 6: DRAFT6, 7: DRAFT7, 2019: DRAFT201909, 2020: DRAFT202012}
DRAFTS: Final = {
    "http://json-schema.org/draft-04/schema": 4,
    "http://json-schema.org/draft-06/schema": 6,
    "http://json-schema.org/draft-07/schema": 7,
    "https://json-schema.org/draft/2019-09/schema": 2019,
    "https://json-schema.org/draft/2020-12/schema": 2020,
}
SINCE: Final = {
    "const": 6,
    "contains": 6,
    "propertyNames": 6,
    "if": 7,
    "dependentRequired": 2019,
    "dependentSchemas": 2019,
    "minContains": 2019,
    "maxContains": 2019,
    "unevaluatedItems": 2019,
    "unevaluatedProperties": 2019,
    "$recursiveRef": 2019,
    "prefixItems": 2020,
    "$dynamicRef": 2020,
}
"""The first draft that knows a keyword; the others are in all."""
UNTIL: Final = {"dependencies": 7, "additionalItems": 2019, "$recursiveRef": 2019}

REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
HOLDS_ONE: Final = frozenset(
    [
        "items",
        "additionalItems",
        "contains",
        "additionalProperties",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
HOLDS_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
HOLDS_NAMED: Final = frozenset(
    ["properties", "patternProperties", "dependencies", "dependentSchemas", "definitions", "$defs"]
)
MISSING: Final = object()


def draft_of(document: Any, default: int = 7) -> int:
    """The draft that `$schema` names."""
    named = document.get("$schema") if isinstance(document, Mapping) else None
    return DRAFTS.get(named.rstrip("#"), default) if isinstance(named, str) else default


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A subschema. `raw` is a mapping or a boolean; `dropped` are keywords that do not count any more."""

    raw: Any
    draft: int
    resolver: Any
    dropped: frozenset[str] = frozenset()

    @property
    def key(self) -> tuple[int, frozenset[str]]:
        """What makes two nodes the same."""
        return id(self.raw), self.dropped

    def get(self, keyword: str, default: Any = None) -> Any:
        if not isinstance(self.raw, Mapping) or keyword in self.dropped:
            return default
        if not SINCE.get(keyword, 0) <= self.draft <= UNTIL.get(keyword, 9999):
            return default
        if self.draft <= 7 and keyword != "$ref" and isinstance(self.raw.get("$ref"), str):
            return default
        return self.raw.get(keyword, default)

    def has(self, keyword: str) -> bool:
        return self.get(keyword, MISSING) is not MISSING

    def number(self, keyword: str) -> Fraction | None:
        value = self.get(keyword)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return Fraction(str(value))

    def text(self, keyword: str) -> str | None:
        value = self.get(keyword)
        return value if isinstance(value, str) else None

    def names(self, keyword: str) -> list[str]:
        value = self.get(keyword)
        return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []

    def child(self, keyword: str) -> Node | None:
        """The schema under a keyword."""
        value = self.get(keyword)
        return self._at(value) if isinstance(value, Mapping | bool) else None

    def children(self, keyword: str) -> list[Node]:
        """The schemas in the list under a keyword."""
        value = self.get(keyword)
        if not isinstance(value, list):
            return []
        return [self._at(each) for each in value if isinstance(each, Mapping | bool)]

    def named(self, keyword: str) -> dict[str, Node]:
        """The schemas under a keyword, by name."""
        value = self.get(keyword)
        if not isinstance(value, Mapping):
            return {}
        return {name: self._at(each) for name, each in value.items() if isinstance(each, Mapping | bool)}

    def without(self, *keywords: str) -> Node:
        """The node as if these were not there."""
        return replace(self, dropped=self.dropped.union(keywords))

    def _at(self, raw: Any) -> Node:
        if isinstance(raw, bool):
            return Node(raw, self.draft, self.resolver)
        draft = draft_of(raw, self.draft)
        specification = SPECIFICATIONS[draft]
        if specification.id_of(raw) is None:
            return Node(raw, draft, self.resolver)
        return Node(raw, draft, self.resolver.in_subresource(specification.create_resource(raw)))

    def subschemas(self) -> Iterator[tuple[Node, str]]:
        """Every schema directly inside, with the rest of its path."""
        for keyword in self.raw if isinstance(self.raw, Mapping) else ():
            if keyword in HOLDS_ONE and (one := self.child(keyword)) is not None:
                yield one, f"/{keyword}"
            elif keyword in HOLDS_LIST:
                yield from ((each, f"/{keyword}/{index}") for index, each in enumerate(self.children(keyword)))
            elif keyword in HOLDS_NAMED:
                yield from ((each, f"/{keyword}/{name}") for name, each in self.named(keyword).items())
        if isinstance(self.get("items"), list):
            yield from ((each, f"/items/{index}") for index, each in enumerate(self.children("items")))

    def targets(self) -> Iterator[Node]:
        """Where its references lead. Raises SchemaError if they lead nowhere."""
        for keyword in REFERENCES:
            reference = self.get(keyword)
            if not isinstance(reference, str):
                continue
            document, _, _ = reference.partition("#")
            try:
                found = self.resolver.lookup(reference)
                draft = self.draft
                if document:
                    draft = draft_of(self.resolver.lookup(document).contents)
            except (Unresolvable, ValueError, LookupError, AttributeError, TypeError):
                raise SchemaError(f"{keyword} {reference!r} leads nowhere; nothing is fetched from the web") from None
            if not isinstance(found.contents, Mapping | bool):
                raise SchemaError(f"{keyword} {reference!r} does not lead to a schema")
            yield Node(found.contents, draft_of(found.contents, draft), found.resolver)


TRUE: Final = Node(True, 7, None)
FALSE: Final = Node(False, 7, None)


def root(document: Any, references: Mapping[str, Any]) -> Node:
    """The whole of a document; `references` are the documents it may refer to, by name."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    known = {name: _resource(each) for name, each in references.items()}
    known |= {str(each.id()): each for each in [*known.values()] if each.id()}

    def retrieve(uri: str) -> Resource[Any]:
        # A name is relative to the $id of whoever refers to it, which is an address that nobody has to serve.
        found = next((each for name, each in known.items() if uri == name or uri.endswith(f"/{name}")), None)
        if found is None:
            raise LookupError(uri)
        return found

    resource = _resource(document)
    uri = resource.id() or ""
    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    registry = registry.with_resources([*((each, REGISTRY[each]) for each in REGISTRY), (uri, resource)])
    return Node(document, draft_of(document), registry.resolver(uri))


def _resource(document: Any) -> Resource[Any]:
    return SPECIFICATIONS[draft_of(document)].create_resource(document)


def parts(node: Node, path: str = "") -> list[tuple[Node, str]]:
    """Everything that holds at once: the node, what it refers to, and the members of allOf, with their paths.

    Raises SchemaError if a reference leads nowhere.
    """
    found: dict[tuple[int, frozenset[str]], tuple[Node, str]] = {}
    waiting = [(node, path)]
    while waiting:
        each, place = waiting.pop()
        if each.key in found:
            continue
        found[each.key] = (each, place)
        waiting += [(target, place) for target in each.targets()]
        waiting += [(member, f"{place}/allOf/{index}") for index, member in enumerate(each.children("allOf"))]
    return list(found.values())


@lru_cache(maxsize=1000)
def pattern(text: str) -> re.Pattern[str] | None:
    """A regular expression; None if Python cannot read it."""
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return None


def matching(patterns: Mapping[str, Node], name: str) -> Sequence[Node]:
    """The schemas of the patterns that a property's name matches."""
    return [
        node for text, node in patterns.items() if (compiled := pattern(text)) is not None and compiled.search(name)
    ]
