"""One measurement, and all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.versus import peers


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one row on one broker. `cpu` is what the broker process used, in `cpu_unit`."""

    row: str
    unit: str
    value: float
    cpu: float | None = None
    cpu_unit: str = "s/GB"
    lower_is_better: bool = False


@dataclass(slots=True)
class Results:
    """Samples by peer, one list per round."""

    samples: dict[str, list[list[Sample]]] = field(default_factory=lambda: {peer: [] for peer in peers.PEERS})
    notes: list[str] = field(default_factory=list)

    def values(self, peer: str, row: str) -> list[Sample]:
        return [sample for one_round in self.samples[peer] for sample in one_round if sample.row == row]

    def rows(self) -> list[str]:
        first = self.samples[peers.PEERS[0]]
        return list(dict.fromkeys(sample.row for one_round in first for sample in one_round))
