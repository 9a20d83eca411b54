"""Prometheus' text format, version 0.0.4: one family after the other, each with its HELP and TYPE once.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from moldau.observe.families import Family, Kind

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


class Exposition:
    """A text that grows family by family."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def value(self, family: Family, value: float) -> None:
        """A family of one number."""
        self.values(family, [({}, value)])

    def values(self, family: Family, samples: Iterable[tuple[Labels, float]]) -> None:
        """A family with one number for each set of labels."""
        self._begin(family)
        for labels, value in samples:
            self._sample(family.name, labels, value)

    def histogram(
        self, family: Family, bounds: Sequence[float], rows: Iterable[tuple[Labels, Sequence[int], float]]
    ) -> None:
        """A family of histograms.

        Args:
            bounds: the upper bound of each bucket but the last, which has none.
            rows: labels, how many fell into each bucket (one more than there are bounds), and their sum.
        """
        assert family.kind is Kind.HISTOGRAM, family.name
        self._begin(family)
        edges = [*map(number, bounds), "+Inf"]
        for labels, buckets, total in rows:
            below = 0
            for edge, count in zip(edges, buckets, strict=True):
                below += count
                self._sample(f"{family.name}_bucket", {**labels, "le": edge}, below)
            self._sample(f"{family.name}_sum", labels, total)
            self._sample(f"{family.name}_count", labels, below)

    def text(self) -> bytes:
        """What was added so far."""
        return "".join(self._lines).encode()

    def _begin(self, family: Family) -> None:
        self._lines.append(f"# HELP {family.name} {_escaped(family.doc)}\n# TYPE {family.name} {family.kind.value}\n")

    def _sample(self, name: str, labels: Labels, value: float) -> None:
        shown = ",".join(
            f'{label}="{_escaped(text).replace(chr(34), chr(92) + chr(34))}"' for label, text in labels.items()
        )
        self._lines.append(f"{name}{{{shown}}} {number(value)}\n" if shown else f"{name} {number(value)}\n")


def number(value: float) -> str:
    """Whole numbers whole, however large."""
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
