"""What a comparison of recursive schemas has found so far.

A pair that is met while it is being compared counts as compatible: so recursion ends. What was found compatible on that
ground is forgotten when the pair turns out not to be; else another alternative would be taken at its word.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from moldau.registry.languages.language import Incompatibility


class Verdicts:
    """The verdicts of one check, by the pair that was compared."""

    def __init__(self) -> None:
        self._known: dict[Hashable, list[Incompatibility]] = {}
        self._compatible: list[Hashable] = []

    def get(self, pair: Hashable) -> list[Incompatibility] | None:
        """What is known, or assumed, about a pair."""
        return self._known.get(pair)

    def found(self, pair: Hashable, compare: Callable[[], list[Incompatibility]]) -> list[Incompatibility]:
        """What `compare` finds; a pair that is being compared is assumed to be compatible until it has."""
        mark = len(self._compatible)
        self._known[pair] = []
        self._compatible.append(pair)
        reasons = compare()
        if reasons:
            for each in self._compatible[mark:]:
                del self._known[each]
            del self._compatible[mark:]
            self._known[pair] = reasons
        return reasons
