"""A registry at work: the state, the topic behind it, and the right to write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeVar

from moldau.errors import MoldauError
from moldau.registry.decisions import Decision
from moldau.registry.decisions.modes import remembered_ids
from moldau.registry.decisions.registration import Registrar
from moldau.registry.election import Election
from moldau.registry.errors import RegistryError, leader_unknown
from moldau.registry.parsing import Parser
from moldau.registry.settings import RegistrySettings
from moldau.registry.state import RegistryState
from moldau.registry.store import TopicStore

logger: Final = logging.getLogger("moldau.registry")

T = TypeVar("T")


class NotLeaderError(MoldauError):
    """Another registry has to be asked; `url` is where it is."""

    def __init__(self, url: str) -> None:
        super().__init__(f"{url} leads")
        self.url = url


class Registry:
    """All methods belong to the event loop's thread."""

    def __init__(self, settings: RegistrySettings, url: str) -> None:
        """`url` is where other registries reach this one."""
        self.settings = settings
        self.state = RegistryState(settings.default_compatibility)
        self.parser = Parser(self.state)
        self.registrar = Registrar(self.state, self.parser)
        self.store = TopicStore(settings, self.state.apply)
        self.election = Election(settings, url, self._lead_changed)
        self._writing = asyncio.Lock()
        self._took_over = False
        self._taking_over: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Return when everything that is in the topic is known: from then on it can be read."""
        await self.store.open()
        self.election.start()

    async def close(self) -> None:
        """Give the lead away and stop."""
        await self.election.close()
        if self._taking_over is not None:
            await asyncio.wait([self._taking_over])
        await self.store.close()

    async def write(self, decide: Callable[[], Decision[T]]) -> T:
        """Decide, write, and answer when it can be read back.

        Raises:
            NotLeaderError: another registry has to be asked.
            RegistryError: refused, nobody leads, or the cluster does not answer.
        """
        leader = await self.election.leader()
        if leader is None:
            raise leader_unknown()
        if leader.url is not None:
            raise NotLeaderError(leader.url)
        async with self._writing:
            await self._take_over()
            decision = decide()
            if decision.records:
                await self.store.write(decision.records)
            return decision.answer

    def _lead_changed(self, leads: bool) -> None:
        # Whoever gets the lead (again) may have missed what others wrote.
        self._took_over = False
        if leads:
            self._taking_over = asyncio.create_task(self._prepare())

    async def _prepare(self) -> None:
        """Take over before somebody waits for it; if that fails, the next write tries again."""
        async with self._writing:
            try:
                await self._take_over()
            except RegistryError as error:
                logger.warning("could not take over yet: %s", error)

    async def _take_over(self) -> None:
        if not self._took_over or not self.store.leads:
            await self.store.lead(lambda: remembered_ids(self.state))
            self._took_over = True
