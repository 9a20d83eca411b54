"""What a handler may use: the machines through their runners, the compiled core, time and chance.

A `Shell` is one running node seen from the event loop. It decides nothing; it is the bag of things that handlers,
coordinators and periodic work share, assembled by `boot`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from uuid import UUID

from moldau._core import Core, CoreError
from moldau.config.settings import BrokerSettings
from moldau.control.metadata.effective import Configs
from moldau.control.metadata.machine import MetadataMachine
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import AccessControl
from moldau.server.clock import Clock
from moldau.server.producer_ids import ProducerIds
from moldau.server.runner import MachineRunner

if TYPE_CHECKING:
    from moldau.control.groups.coordinator import GroupCoordinator
    from moldau.server.coordinators import Coordinators
    from moldau.server.transactions import TransactionCoordinators

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Shell:
    """One running node. Everything but `on_disk` belongs to the event loop's thread."""

    core: Core
    clock: Clock
    random: random.Random
    configs: Configs
    """Settings as they count now: file, dynamic broker configs, topic configs."""
    settings: BrokerSettings
    """Settings as the node was started with."""
    node_id: int
    cluster_id: str
    directory_ids: Mapping[Path, UUID]
    """The id of each log directory (KIP-858)."""
    metadata: MachineRunner[MetadataMachine]
    """The machine of `__cluster_metadata`; `metadata.machine` to read, `await metadata.run(request)` to change."""
    groups: Coordinators[GroupCoordinator]
    """The machines of `__consumer_offsets`: `await groups.run(group_id, request, token)`."""
    transactions: TransactionCoordinators
    """The machines of `__transaction_state`: `await transactions.run(transactional_id, request)`."""
    producer_ids: ProducerIds = field(default_factory=ProducerIds)
    access: AccessControl | None = None
    """Who may do what; None where everybody may do everything."""

    async def on_disk(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call of the core that may wait for a disk on another thread.

        Raises:
            ApiError: with the code of the `CoreError` that the core raised.
        """
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except CoreError as error:
            raise ApiError(ErrorCode(error.code), error.message) from error
