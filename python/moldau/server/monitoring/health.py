"""Is the node ready, and if it is not, why? One check per reason; a node is ready when all of them hold.

What a check reads belongs to the event loop's thread, except for the look at the directories, which may wait for a
disk.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moldau.server.coordinators import Coordinators
from moldau.server.core_types import DirectoryStatus
from moldau.server.shell import Shell


class Phase(enum.IntEnum):
    """What a node does with itself; the numbers are those of Kafka's BrokerState."""

    STARTING = 1
    SERVING = 3
    STOPPING = 6


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of being ready."""

    name: str
    ok: bool
    reason: str | None = None
    """Why it does not hold, or what else one should know."""

    def record(self) -> dict[str, str | bool | None]:
        """As it stands in the answer of `/readyz`."""
        return {"check": self.name, "ok": self.ok, "reason": self.reason}


def checks(phase: Phase, shell: Shell | None, directories: Sequence[DirectoryStatus]) -> list[Check]:
    """Every condition, those that hold too."""
    if phase is not Phase.SERVING or shell is None:
        doing = "it is stopping" if phase is Phase.STOPPING else "it is starting: partitions are being loaded"
        return [Check("serving", ok=False, reason=doing)]
    loaded = [_loaded("groups", shell.groups), _loaded("transactions", shell.transactions.coordinators)]
    return [Check("serving", ok=True), _metadata(shell), _directories(directories), *loaded]


def _metadata(shell: Shell) -> Check:
    stopped_by = shell.metadata.stopped_by
    if stopped_by is not None:
        return Check("metadata", ok=False, reason=f"the metadata log cannot be followed: {stopped_by}")
    return Check("metadata", ok=True)


def _directories(directories: Sequence[DirectoryStatus]) -> Check:
    """One healthy directory is enough to go on; a failed one beside it is told."""
    failed = [directory for directory in directories if not directory.online]
    reasons = "; ".join(f"{directory.path}: {directory.error or 'it has failed'}" for directory in failed)
    return Check("directories", ok=len(failed) < len(directories), reason=reasons or None)


def _loaded(name: str, coordinators: Coordinators[Any]) -> Check:
    loading = coordinators.loading_count
    if loading:
        return Check(name, ok=False, reason=f"{loading} partitions of {coordinators.topic} are being loaded")
    return Check(name, ok=True)
