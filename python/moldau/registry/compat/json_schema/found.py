"""What rules are given and what they yield."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from moldau.registry.compat.json_schema.node import Node
from moldau.registry.languages.language import Incompatibility

Found = Iterator[Incompatibility]


class Comparison(Protocol):
    """One check, as rules see it."""

    def compare(self, reader: Node, writer: Iterable[Node], path: str) -> list[Incompatibility]:
        """Why what is valid under all of `writer` is not valid under `reader`."""


def broken(rule: str, path: str, message: str, facts: str = "") -> Incompatibility:
    """A rule that does not hold."""
    return Incompatibility(rule, path or "/", message, facts)


def step(name: str | int) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")
