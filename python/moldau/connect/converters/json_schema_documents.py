"""A JSON Schema and what it refers to: `$ref` within the text, by identifier, and to texts that the registry knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec

from moldau.connect.errors import DataError

IDENTIFIERS: Final = ("$id", "id", "$anchor")
DEPTH_MAX: Final = 200


class Place(NamedTuple):
    """A schema, and the whole text in which it stands."""

    node: Any
    document: Any


class Documents:
    """The texts of a schema: its own and, by their names, those that it refers to."""

    def __init__(self, text: str, references: Mapping[str, str]) -> None:
        self.root = _parsed(text)
        self._others = {name: _parsed(other) for name, other in references.items()}

    def start(self) -> Place:
        """The schema itself."""
        return Place(self.root, self.root)

    def followed(self, place: Place) -> Place:
        """The schema that is meant, references followed. Raises `DataError` for one that leads nowhere."""
        for _ in range(DEPTH_MAX):
            reference = place.node.get("$ref") if isinstance(place.node, dict) else None
            if not isinstance(reference, str):
                return place
            place = self._at(reference, place.document)
        raise DataError("the references of a JSON Schema lead round in a circle")

    def _at(self, reference: str, document: Any) -> Place:
        name, _, fragment = reference.partition("#")
        if name:
            found = self._others.get(name) or _identified(document, name)
            if found is None:
                raise DataError(f"the JSON Schema refers to {name!r}, which is none of its references")
            # What is inside of a text is looked up there; what has an identifier there, in the text that holds it.
            document = found
        if not fragment:
            return Place(document, document)
        if not fragment.startswith("/"):
            found = _identified(document, f"#{fragment}") or _identified(document, fragment)
            if found is None:
                raise DataError(f"the JSON Schema has nothing with the identifier {fragment!r}")
            return Place(found, document)
        node = document
        for part in unquote(fragment)[1:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(key)] if isinstance(node, list) else node[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise DataError(f"the JSON Schema refers to {reference!r}, and there is nothing") from None
        return Place(node, document)


def _parsed(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DataError(f"the JSON Schema is no JSON: {error}") from error


def _identified(document: Any, name: str) -> Any:
    return next((node for node in _nodes(document) if any(node.get(key) == name for key in IDENTIFIERS)), None)


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
