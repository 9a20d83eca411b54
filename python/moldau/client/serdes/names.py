"""The names of a schema's types, as Python walks it: for the classes of records, and for JSON that means a value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

NAMED: Final = ("record", "error", "enum", "fixed")


def full_name(name: str, namespace: str) -> str:
    """A name with its namespace."""
    return name if "." in name or not namespace else f"{namespace}.{name}"


def name_and_inside(node: dict[str, Any], namespace: str) -> tuple[str, str]:
    """The full name of a named type, and the namespace for names inside of it."""
    full = full_name(node["name"], node.get("namespace", namespace))
    return full, full.rpartition(".")[0]


class Names:
    """A schema, and every named type in it and in what it refers to."""

    def __init__(self, schema: str, references: Sequence[str] = ()) -> None:
        self._named: dict[str, tuple[dict[str, Any], str]] = {}
        for text in references:
            self._declare(json.loads(text), "")
        self.root: Any = json.loads(schema)
        self._declare(self.root, "")

    def _declare(self, node: Any, namespace: str) -> None:
        if isinstance(node, list):
            for branch in node:
                self._declare(branch, namespace)
        if not isinstance(node, dict):
            return
        if node.get("type") in NAMED:
            full, inside = name_and_inside(node, namespace)
            self._named[full] = node, namespace
            namespace = inside
        for child in (node.get("items"), node.get("values"), node.get("type")):
            self._declare(child, namespace)
        for field in node.get("fields", ()):
            self._declare(field["type"], namespace)

    def resolved(self, node: Any, namespace: str) -> tuple[Any, str]:
        """A list (a union) or an object whose "type" is a word, and the namespace that it stands in."""
        while True:
            if isinstance(node, str):
                found = self._named.get(full_name(node, namespace)) or self._named.get(node)
                return found if found is not None else ({"type": node}, namespace)
            if isinstance(node, list):
                return node, namespace
            kind = node["type"]
            if isinstance(kind, str) and full_name(kind, namespace) not in self._named and kind not in self._named:
                return node, namespace
            node = kind
