"""The leases of group members, as the group machines see them: held in Rust, in the machines' own time."""

from __future__ import annotations

from collections.abc import Mapping

from moldau._core import Leases
from moldau.server.clock import Clock


class HeldLeases:
    """Implements `control.groups.leases.Leases`. All methods belong to the event loop's thread."""

    def __init__(self, held: Leases, clock: Clock) -> None:
        self._held = held
        self._clock = clock
        self.grant = held.grant
        self.grant_consumer = held.grant_consumer

    def end(self, group_id: str, member_id: str | None = None) -> Mapping[str, int]:
        ages_ms = self._held.end(group_id, member_id)
        if not ages_ms:
            return ages_ms
        now_ms = self._clock.now().steady_ms
        return {member: now_ms - age_ms for member, age_ms in ages_ms.items()}
