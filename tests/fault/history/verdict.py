"""The verdict on a history: every anomaly by its name, and what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.fault.history.anomalies import ANOMALIES
from tests.fault.history.cycles import write_cycles
from tests.fault.history.known import Known
from tests.fault.history.operations import AnyOperation

SHOWN_MAX = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a history, by the name of the anomaly, and how much it holds."""

    anomalies: dict[str, list[str]]
    write_cycles: int
    """Circles of transactions through the order of their writes: allowed by Kafka's model, see `cycles`."""
    counts: dict[str, int]

    def names(self) -> set[str]:
        """The names of the anomalies that were found."""
        return set(self.anomalies)

    def report(self) -> str:
        """For a person: the counts, then each anomaly with its first cases."""
        lines = [", ".join(f"{count} {what}" for what, count in self.counts.items())]
        lines.append(f"{self.write_cycles} write cycles (Kafka's model allows them: writers are not isolated)")
        for name, cases in self.anomalies.items():
            lines.append(f"{name}: {len(cases)}")
            lines.extend(f"    {case}" for case in cases[:SHOWN_MAX])
            if len(cases) > SHOWN_MAX:
                lines.append(f"    and {len(cases) - SHOWN_MAX} more")
        if not self.anomalies:
            lines.append("no anomaly")
        return "\n".join(lines)


def judge(operations: Iterable[AnyOperation]) -> Verdict:
    """Look for every anomaly."""
    known = Known(operations)
    anomalies = {name: cases for name, check in ANOMALIES.items() if (cases := list(check(known)))}
    sends = Counter(send.outcome for send in known.sends)
    ended = Counter(transaction.outcome for transaction in known.transactions.values())
    counts = {f"sends {outcome}": sends[outcome] for outcome in ("ok", "failed", "unknown")}
    counts["records read"] = sum(len(poll.records) for poll in known.polls)
    counts |= {f"transactions {outcome}": ended[outcome] for outcome in ("committed", "aborted", "unknown")}
    return Verdict(anomalies, len(write_cycles(known)), counts)
