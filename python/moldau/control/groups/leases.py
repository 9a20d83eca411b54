"""Leases: a coordinator lets somebody else tell a member that nothing has changed.

Most of what a coordinator is asked is a heartbeat to which it says just that. So it grants the member a lease, and who
holds the leases (`moldau-server`, in Rust) answers such heartbeats in its place, and remembers when it did. What the
coordinator promises for that: it ends the leases of a group whenever the answer to one of its members may be another
one, before anybody can learn of the change.

    grant   the answer that was just given holds until the lease is ended, or is replaced
    end     no answer is given under it any more; returns when its member was last seen

A lease is nothing but an answer given ahead: not durable, gone with the machine, and never needed. Whoever ends one too
many costs a member one slower heartbeat. So a machine may grant and end them in the middle of a decision, whatever
becomes of it: `docs/internals/decisions/0004-leases-for-heartbeats.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Leases(Protocol):
    """Who holds the leases. Times are of the steady time, as in `Now`."""

    def grant(self, group_id: str, member_id: str, instance_id: str | None, generation_id: int) -> None:
        """Heartbeats of this member of a classic group, in this generation, are answered with NONE.

        `instance_id` is that of a static member; a heartbeat may leave it out.
        """
        ...

    def grant_consumer(
        self,
        group_id: str,
        member_id: str,
        instance_id: str | None,
        member_epoch: int,
        *,
        client_id: str,
        client_host: str,
        heartbeat_interval_ms: int,
    ) -> None:
        """The same for a member of the consumer protocol whose heartbeat says nothing but who it is and what it owns.

        It holds until the cluster changes: `Cluster.version`, the settings of groups.
        """
        ...

    def end(self, group_id: str, member_id: str | None = None) -> Mapping[str, int]:
        """End the lease of a member, or of all members of a group. Returns when those that were seen under it were."""
        ...
