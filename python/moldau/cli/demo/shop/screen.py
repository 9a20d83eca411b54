"""What a person sees while the shop is open: a screen of figures at a terminal, a line every two seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_EVERY_S: Final = 2.0
RATE_OVER_S: Final = 3.0
BAR: Final = 20
CITY_BAR: Final = 14
WIDTH: Final = 78


@dataclass(frozen=True, slots=True)
class Stage:
    """One place that every order passes, and how many have."""

    part: str
    what: str
    count: int


@dataclass(frozen=True)
class Figures:
    """Everything that is shown, of one moment."""

    seconds: float
    total: int
    state: str
    stages: Sequence[Stage]
    hours: Mapping[int, Decimal] = field(default_factory=dict)
    cities: Mapping[str, Decimal] = field(default_factory=dict)
    latency_ms: tuple[float | None, float | None] = (None, None)
    """The median and the 99th percentile of the last orders."""


class Lines:
    """For logs and pipes."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._told_at = float("-inf")
        self._last: tuple[int, ...] = ()

    def show(self, figures: Figures) -> None:
        """Tell the figures if the last ones are old, and the last of all."""
        counts = tuple(stage.count for stage in figures.stages)
        if counts == self._last or (
            figures.seconds - self._told_at < LINE_EVERY_S and any(count < figures.total for count in counts)
        ):
            return
        self._told_at, self._last = figures.seconds, counts
        told = ", ".join(f"{stage.part} {stage.count:,}" for stage in figures.stages)
        self._tell("orders", f"{figures.seconds:5.1f} s  {told}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None: ...


class Screen:
    """For a terminal: the same few lines, drawn again and again."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(file=sys.stdout), auto_refresh=False)
        self._past: deque[tuple[float, tuple[int, ...]]] = deque()

    def show(self, figures: Figures) -> None:
        """Draw the figures."""
        self._live.update(self._drawn(figures), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def _drawn(self, figures: Figures) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        rates = self._rates(figures)
        head = Table.grid(expand=False)
        head.add_column(width=WIDTH - 20)
        head.add_column(width=20, justify="right")
        head.add_row(Text(f"The shop is {figures.state}", style="bold"), Text(f"{figures.seconds:.1f} s", style="dim"))
        stages = Table.grid(padding=(0, 1))
        for justify in ("left", "left", "right", "right", "left"):
            stages.add_column(justify=justify, no_wrap=True)
        for stage, rate in zip(figures.stages, rates, strict=True):
            done = Text(bar(stage.count, figures.total, BAR), style="green" if stage.count >= figures.total else "cyan")
            per_second = Text(f"{rate:,.0f}/s" if 0 < stage.count < figures.total else "", style="dim")
            stages.add_row(Text(stage.part, style="bold"), stage.what, f"{stage.count:,}", per_second, done)
        below = Table.grid(padding=(0, 4))
        below.add_row(self._hours(figures.hours), self._cities(figures.cities))
        median, worst = figures.latency_ms
        late = "" if median is None else f"{median:,.0f} ms (median), {worst:,.0f} ms (99 %)"
        foot = Text.assemble(("from PostgreSQL to the enriched order ", "dim"), late)
        return Group(head, Text(""), stages, Text(""), below, Text(""), foot)

    def _rates(self, figures: Figures) -> list[float]:
        counts = tuple(stage.count for stage in figures.stages)
        now = time.monotonic()
        self._past.append((now, counts))
        while now - self._past[0][0] > RATE_OVER_S:
            self._past.popleft()
        then, before = self._past[0]
        span = now - then
        return [(count - old) / span if span > 0 else 0.0 for count, old in zip(counts, before, strict=True)]

    @staticmethod
    def _hours(hours: Mapping[int, Decimal]) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = _figures("revenue by the hour")
        highest = max(hours.values(), default=Decimal(0))
        for start, amount in list(hours.items()):
            hour = datetime.fromtimestamp(start / 1000, UTC)
            drawn = Text(bar(amount, highest, CITY_BAR), style="magenta")
            table.add_row(f"{hour:%H:%M}", drawn, f"{amount:,.2f}")
        assert isinstance(table, Table)
        return table

    @staticmethod
    def _cities(cities: Mapping[str, Decimal]) -> Any:
        from rich.text import Text

        table = _figures("and by the customer's city")
        highest = max(cities.values(), default=Decimal(0))
        for city, amount in sorted(cities.items(), key=lambda one: -one[1])[:6]:
            table.add_row(city, Text(bar(amount, highest, CITY_BAR), style="blue"), f"{amount:,.2f}")
        return table


def _figures(title: str) -> Any:
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="dim", show_header=False, box=None, padding=(0, 1, 0, 0)
    )
    table.add_column(no_wrap=True)
    table.add_column(width=CITY_BAR, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    return table


def bar(count: Decimal | int, whole: Decimal | int, width: int) -> str:
    """A bar of eighths of a character; full only when all of it is there."""
    if whole <= 0:
        return " " * width
    eighths = min(int(count * width * 8 / whole), width * 8)
    full, part = divmod(eighths, 8)
    drawn: str = "█" * full + " ▏▎▍▌▋▊▉"[part].strip()
    return drawn.ljust(width)
