"""Which log directory keeps which replica, told to the metadata log; and directories that have failed.

With several log directories the controller cannot know where this broker puts a new replica, so the broker says it
afterwards (KIP-858). When a directory fails, its partitions lose their leader at once and the rest of the node goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from uuid import UUID

from moldau._core import Core
from moldau.control.metadata.brokers import AssignDirectories, FailDirectories
from moldau.control.metadata.image import Topic
from moldau.control.metadata.machine import MetadataMachine
from moldau.errors import ApiError
from moldau.server.runner import MachineRunner

logger: Final = logging.getLogger("moldau.server.directories")

CHECK_INTERVAL_MS: Final = 5_000


class DirectoryReports:
    """Tells the metadata machine what only this broker can know about its directories."""

    def __init__(
        self,
        core: Core,
        metadata: MachineRunner[MetadataMachine],
        directory_ids: Mapping[Path, UUID],
        broker_id: int,
        broker_epoch: int,
    ) -> None:
        self._core = core
        self._metadata = metadata
        self._ids = {directory.resolve(): id_ for directory, id_ in directory_ids.items()}
        self._ids_by_name: dict[str, UUID | None] = {}
        self._broker = (broker_id, broker_epoch)
        self._failed: set[UUID] = set()
        self._moves_told = 0

    def assignments(self, among: Iterable[Topic] | None = None) -> tuple[tuple[UUID, int, UUID], ...]:
        """(topic id, partition, directory) of the replicas that the image puts elsewhere, or nowhere yet.

        Those of all topics, or of these.
        """
        topics, (broker_id, _) = self._metadata.machine.image.topics_by_id, self._broker
        asked = None
        if among is not None:
            asked = [
                (topic.name, index)
                for topic in among
                for index, each in topic.partitions.items()
                if broker_id in each.replicas
            ]
        found = []
        for log in self._core.logs(asked):
            topic = topics.get(log.topic_id)
            partition = topic.partitions.get(log.partition) if topic is not None else None
            directory = self._id_of(log.directory)
            if partition is None or directory is None or broker_id not in partition.replicas:
                continue
            if partition.directories[partition.replicas.index(broker_id)] != directory:
                found.append((log.topic_id, log.partition, directory))
        return tuple(found)

    def _id_of(self, directory: str) -> UUID | None:
        if directory not in self._ids_by_name:
            self._ids_by_name[directory] = self._ids.get(Path(directory).resolve())
        return self._ids_by_name[directory]

    def report_assignments(self, among: Iterable[Topic] | None = None) -> None:
        """Write down where new replicas live, of all topics or of these. With one directory everybody knows."""
        if len(self._ids) > 1 and (assignments := self.assignments(among)):
            self._metadata.submit(AssignDirectories(*self._broker, assignments))

    def report_moves(self) -> None:
        """Write down where those replicas live that have changed their directory since the last look."""
        if (moves := self._core.moves_done()) > self._moves_told:
            self._moves_told = moves
            self.report_assignments()

    async def report_failures(self) -> None:
        """Take partitions in directories that have failed since the last look out of service."""
        failed = {}
        for status in self._core.directories():
            directory = self._id_of(status.path)
            if not status.online and directory is not None and directory not in self._failed:
                failed[directory] = status
        if not failed:
            return
        for status in failed.values():
            logger.error("log directory %s is offline: %s", status.path, status.error)
        self._failed.update(failed)
        try:
            await self._metadata.run(FailDirectories(*self._broker, tuple(failed)))
        except ApiError as error:
            # The metadata log may live in the very directory that failed.
            logger.error("the failure cannot be written into the metadata log: %s", error)  # noqa: TRY400
