"""What something took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """So many records in so much time of the wall and of the processor, whose seconds are of one process alone."""

    records: int
    wall_s: float
    cpu_s: float
    megabytes: float | None = None

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.wall_s

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor for a record."""
        return self.cpu_s / self.records * 1e6

    def __str__(self) -> str:
        more = "" if self.megabytes is None else f", {self.megabytes / self.wall_s:.0f} MB/s"
        return f"{self.rate:,.0f} records/s{more}, {self.cpu_us:.2f} µs of CPU for each"
