"""The quota on changes of topics (KIP-599): what creating, growing and deleting costs, in partitions.

Requests of versions that know THROTTLING_QUOTA_EXCEEDED are strict: once the client owes something, every further topic
is refused, and the answer says when to come back. Older ones are carried out, and their client waits afterwards.

A topic that is refused for another reason costs nothing, so the machine is asked first what it would decide. That is
free of consequences; without a quota it is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

from moldau.control.metadata.situation import Outcome
from moldau.errors import ErrorCode

OVER_QUOTA: Final = Outcome(
    ErrorCode.THROTTLING_QUOTA_EXCEEDED,
    "this client has used up its controller_mutation_rate; throttle_time_ms says when to come back",
)


@dataclass(slots=True)
class MutationQuota:
    """What one request costs its client."""

    shell: Any
    client_id: str | None
    strict: bool
    throttle_ms: int = 0
    """How long the client has to wait, so far."""

    @property
    def in_force(self) -> bool:
        """Whether anybody is limited at all."""
        return bool(self.shell.core.limits_mutations())

    def allows(self, partitions: int) -> bool:
        """Charge for a change; whether it may be made."""
        throttle_ms = self.shell.core.charge_mutations(self.client_id, partitions, strict=self.strict)
        self.throttle_ms = max(self.throttle_ms, throttle_ms)
        return not (self.strict and throttle_ms)

    def over(self, request: Any, cost: Callable[[Any], tuple[Hashable, int] | None]) -> dict[Any, Any]:
        """The entries of the answer to `request` that the client has no quota left for, by their names.

        Args:
            request: for the metadata machine.
            cost: name and partitions of one entry of its answer, or None when that is a refusal.
        """
        if not self.in_force:
            return {}
        answers = self.shell.metadata.machine.decide(request, self.shell.clock.now()).response
        costs = ((answer, cost(answer)) for answer in answers)
        return {found[0]: answer for answer, found in costs if found is not None and not self.allows(found[1])}
