"""From folders and settings to a running node, and back.

The order is the point of this module:

    directories    meta.properties says who we are; the core locks the folders
    metadata log   opened alone; the newest snapshot and what follows on it are replayed into the machine of
                   `control.metadata`: now it is known which topics exist
    quorum         a new leader epoch for the quorum of one; an empty log gets its first records
    partitions     every log that the image puts here is opened, in parallel
    registration   the broker of this process joins the cluster, is let in, and partitions get their leader
    listeners      only now may clients come

A listener on port 0 has no address to register before it is bound, so for such a node the last two change places:
nobody knows that port before `start` returns, and who comes by another one finds the topics as the last run left them.
Stopping goes the other way round.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from moldau._core import Core, CoreError, take_log_lines, version
from moldau.config import render
from moldau.config.settings import BrokerSettings
from moldau.control.groups.coordinator import GroupCoordinator
from moldau.control.groups.requests import DeletedTopic, Loaded, TopicsDeleted
from moldau.control.metadata.brokers import BeginControlledShutdown, FenceBroker, RegisterBroker, UnfenceBroker
from moldau.control.metadata.cluster import Activate, RegisterController
from moldau.control.metadata.effective import NodeSettings
from moldau.control.metadata.features import TRANSACTION_VERSION, told_levels
from moldau.control.metadata.image import MetadataDelta
from moldau.control.metadata.machine import MetadataMachine
from moldau.control.metadata.records import Endpoint as RegisteredEndpoint
from moldau.control.transactions.coordinator import TransactionCoordinator
from moldau.control.transactions.settings import TransactionSettings
from moldau.errors import MoldauError
from moldau.server import storage
from moldau.server.access import AccessControl
from moldau.server.clock import Clock, SystemClock
from moldau.server.cluster_view import ClusterView
from moldau.server.coordinator_codecs import OffsetsCodec
from moldau.server.coordinators import Coordinators, Kind
from moldau.server.core_types import Endpoint, ListenerSettings
from moldau.server.directories import CHECK_INTERVAL_MS, DirectoryReports
from moldau.server.dispatch import POLL_BATCH, Dispatcher
from moldau.server.flushing import FlushByAge
from moldau.server.handlers import load as load_handlers
from moldau.server.leases import HeldLeases
from moldau.server.markers import MarkerWriter
from moldau.server.metadata_log import METADATA_TOPIC, MetadataCodec, metadata_log_settings
from moldau.server.metadata_snapshots import CLEAN_EVERY_MS, LOOK_EVERY_MS, MetadataSnapshots
from moldau.server.monitoring.health import Phase
from moldau.server.monitoring.listener import HttpAddressError, Monitoring
from moldau.server.partition_log import CommitWaiter, PartitionLog
from moldau.server.periodic import PeriodicWork
from moldau.server.publish import Publisher
from moldau.server.runner import MachineRunner
from moldau.server.shell import Shell
from moldau.server.snapshot_files import SnapshotError
from moldau.server.topic_creation import OFFSETS_TOPIC
from moldau.server.transactions import TransactionCoordinators
from moldau.server.translation import MOVE_LIMIT, cleaner_settings, group_settings, listener_settings, server_settings

logger: Final = logging.getLogger("moldau.server")

PLAINTEXT: Final = 0
STOP_GRACE_MS: Final = 3_000


class StartError(MoldauError):
    """The node cannot start; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """How a node is run, beside Kafka's own settings."""

    format_new: bool = False
    """Format directories that are new, instead of asking for `moldau storage format`."""
    any_http_port: bool = False
    """Where the port of moldau.http.listener is taken, another one will do."""
    seed: int | None = None
    """Seed of every random choice; None takes one from the system."""


class Node:
    """One running broker on the running event loop. Make it with `start`."""

    def __init__(self, settings: BrokerSettings, options: NodeOptions) -> None:
        self.settings = settings
        self.options = options
        self.endpoints: list[Endpoint] = []
        """Where each listener for clients really listens."""
        self._directories = [Path(directory) for directory in settings.log_directories]
        self._clock: Clock = SystemClock(asyncio.get_running_loop())
        self._random = random.Random(options.seed)
        self._routes = load_handlers()
        self._access = AccessControl.of(settings)
        self._periodic = PeriodicWork()
        self._broker_epoch = -1
        self._directory_reports: DirectoryReports | None = None
        self._stopped = False

    async def start(self) -> None:
        """Bring the node up. When this fails, nothing is left open.

        Raises:
            StartError: a directory, the metadata log or an address cannot be used.
        """
        try:
            identity = storage.open_directories(
                self._directories,
                self.settings.integer("node.id"),
                cluster_id=self.settings.cluster_id,
                format_new=self.options.format_new,
            )
            previous_epoch = storage.read_clean_shutdown_epoch(self._directories)
            self._core = Core(
                [str(directory) for directory in identity.directory_ids],
                durable=self.settings.flag("moldau.fsync.enable"),
                recovery_threads=self.settings.integer("num.recovery.threads.per.data.dir"),
            )
        except storage.StorageError as error:
            raise StartError(str(error), error.hint) from error
        except CoreError as error:
            raise StartError(error.message) from error
        api_names = {key: route.api.name for key, route in self._routes.items()}
        self.monitoring = Monitoring(self._core, api_names, self.settings)
        try:
            await self._open(identity, previous_epoch)
            self.monitoring.phase = Phase.SERVING
            self._tell_started(identity)
        except BaseException as error:
            await self.monitoring.stop()
            self._core.shutdown(self._clock.now_ms())
            pass_on_log_lines()
            if isinstance(error, CoreError):
                raise StartError(error.message) from error
            if isinstance(error, HttpAddressError):
                raise StartError(str(error), hint="moldau.http.listener says where to listen for HTTP") from error
            if isinstance(error, MoldauError) and not isinstance(error, StartError):
                hint = error.hint if isinstance(error, SnapshotError) else None
                raise StartError(f"the metadata log cannot be followed: {error}", hint) from error
            raise

    async def stop(self, grace_ms: int = STOP_GRACE_MS) -> None:
        """Stop serving, let running requests end, close the logs. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        self.monitoring.phase = Phase.STOPPING
        await self._periodic.stop()
        self.shell.transactions.stop()
        self.shell.groups.stop()
        await asyncio.to_thread(self._core.stop_serving, grace_ms)
        await self._dispatcher.drain(grace_ms / 1000)
        await self._leave()
        await self.monitoring.stop()
        asyncio.get_running_loop().remove_reader(self._core.wake_fd)
        await asyncio.to_thread(self._core.shutdown, self._clock.now_ms())
        pass_on_log_lines()
        storage.write_clean_shutdown_epoch(self._directories, self._broker_epoch)

    async def kill(self) -> None:
        """Stop as a killed process does: nothing is flushed, nothing is marked, connections are cut. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        asyncio.get_running_loop().remove_reader(self._core.wake_fd)
        # First of all: what still runs must not write any more.
        self._core.abandon()
        self._metadata.stop()
        self.shell.groups.stop()
        await self._periodic.stop()
        await self._dispatcher.drain(0)
        pass_on_log_lines()

    async def _leave(self) -> None:
        """Tell the metadata log that this broker has stopped; if it cannot be told, stop all the same."""
        try:
            for request in (BeginControlledShutdown, FenceBroker):
                await self._metadata.run(request(self.shell.node_id, self._broker_epoch))
            await self._snapshots.take_before_a_stop()
        except MoldauError as error:
            logger.warning("stopping without a last word in the metadata log: %s", error)
        self._metadata.stop()

    def _tell_started(self, identity: storage.NodeIdentity) -> None:
        """The one line that says what runs here."""
        facts = {
            "version": version,
            "roles": list(self.settings.words("process.roles")),
            "node_id": identity.node_id,
            "cluster_id": identity.cluster_id,
            "listeners": [f"{each.listener}://{each.host}:{each.port}" for each in self.endpoints],
            "http": self.monitoring.url,
            "log_dirs": list(self.settings.log_directories),
        }
        told = ", ".join(
            f"{name} {','.join(value) if isinstance(value, list) else value}" for name, value in facts.items()
        )
        logger.info("started: %s", told, extra={"facts": facts})

    # Boot

    async def _open(self, identity: storage.NodeIdentity, previous_epoch: int) -> None:
        node_settings = NodeSettings(
            node_id=identity.node_id,
            cluster_id=identity.cluster_id,
            file_configs={
                name: text for name, value in self.settings.values.items() if (text := render(value)) is not None
            },
            clamp_replication_factor=self.settings.flag("moldau.replication.factor.clamp"),
        )
        http_listener = self.settings.value("moldau.http.listener")
        if http_listener is not None:
            await self.monitoring.listen(str(http_listener), any_port=self.options.any_http_port)
        self._machine = MetadataMachine(node_settings, self._random)
        self._configs = self._machine.configs
        self._cluster_view = ClusterView(self._machine.image, self._configs, self._access)
        await self._open_metadata_log()
        await self._load_partitions()
        self._shell_up(identity)
        listeners = listener_settings(self.settings.listeners)
        ports_are_known = all(listener["port"] != 0 for listener in listeners)
        if ports_are_known:
            await self._register(identity, previous_epoch, _registered(listeners, None))
        elif any(listener["port"] != 0 for listener in listeners):
            self._publisher.publish_topics()
        self._start_serving(listeners)
        if not ports_are_known:
            await self._register(identity, previous_epoch, _registered(listeners, self.endpoints))
        self._lead(*self._coordinators)
        self._begin_periodic_work()

    async def _open_metadata_log(self) -> None:
        now_ms = self._clock.now_ms()
        self._core.open_metadata_log(metadata_log_settings(self.settings), now_ms)
        self._commits = CommitWaiter(self._core)
        log = PartitionLog(self._core, self._commits, METADATA_TOPIC, 0, "raft", flushed=True)
        codec = MetadataCodec(self._machine)
        self._publisher = Publisher(
            self._core,
            self._machine.image,
            self._configs,
            self._clock,
            access=self._access,
            changed=self._metadata_changed,
        )
        self._metadata = MachineRunner(
            METADATA_TOPIC, self._machine, log, codec, self._clock, after_apply=self._publisher.publish
        )
        self._snapshots = MetadataSnapshots(
            self._core, self._machine, codec, self._clock, self.settings, self._metadata.settled
        )
        snapshot = self._snapshots.load()
        for records in log.batches(None if snapshot is None else snapshot.end_offset):
            self._metadata.replay(records)
        epochs = (self._core.latest_leader_epoch(METADATA_TOPIC, 0), None if snapshot is None else snapshot.epoch)
        self._core.begin_leader_epoch(METADATA_TOPIC, 0, max(epoch or 0 for epoch in epochs) + 1)
        await self._metadata.run(Activate())

    async def _load_partitions(self) -> None:
        specs = self._publisher.local_specs()
        failures = await asyncio.to_thread(self._core.load_partitions, specs, self._clock.now_ms())
        for failure in failures:
            logger.error("%s-%d stays offline: %s", failure.topic, failure.partition, failure.message)
        pass_on_log_lines()
        self._publisher.publish_cluster()
        self._core.set_cleaner_settings(cleaner_settings(self._configs))
        self._core.set_move_limit(self._configs.broker_int(MOVE_LIMIT))

    def _shell_up(self, identity: storage.NodeIdentity) -> None:
        self._cluster_view.replayed(self._last_metadata_offset())
        offsets = Kind(OFFSETS_TOPIC, OffsetsCodec(), self._group_machine, Loaded(), retire=GroupCoordinator.end_leases)
        groups = Coordinators(offsets, self._coordinator_log, self._clock)
        transactions = TransactionCoordinators(
            self._transaction_machine,
            self._coordinator_log,
            self._clock,
            self._transaction_version,
            MarkerWriter(self._commits),
        )
        self._coordinators: tuple[Coordinators[Any], ...] = (groups, transactions.coordinators)
        self.shell = Shell(
            core=self._core,
            clock=self._clock,
            random=self._random,
            configs=self._configs,
            settings=self.settings,
            node_id=identity.node_id,
            cluster_id=identity.cluster_id,
            directory_ids=identity.directory_ids,
            metadata=self._metadata,
            groups=groups,
            transactions=transactions,
            access=self._access,
        )
        transactions.serve(self.shell)
        self._dispatcher = Dispatcher(self.shell, self._routes)
        self.monitoring.shell = self.shell

    async def _register(
        self, identity: storage.NodeIdentity, previous_epoch: int, endpoints: tuple[RegisteredEndpoint, ...]
    ) -> None:
        incarnation_id = storage.random_uuid()
        await self._metadata.run(RegisterController(incarnation_id, endpoints))
        request = RegisterBroker(
            broker_id=identity.node_id,
            cluster_id=identity.cluster_id,
            incarnation_id=incarnation_id,
            new_epoch=self._core.log_end_offset(METADATA_TOPIC, 0),
            endpoints=endpoints,
            log_dirs=tuple(identity.directory_ids.values()),
            rack=self._configs.broker_text("broker.rack"),
            previous_epoch=previous_epoch,
        )
        self._broker_epoch = await self._metadata.run(request)
        # Coordinators of a node that serves already begin with this very change.
        self._publisher.let_topics_out()
        await self._metadata.run(UnfenceBroker(identity.node_id, self._broker_epoch))
        self._directory_reports = DirectoryReports(
            self._core, self._metadata, identity.directory_ids, identity.node_id, self._broker_epoch
        )
        self._directory_reports.report_assignments()

    def _start_serving(self, listeners: list[ListenerSettings]) -> None:
        settings = server_settings(
            self._configs,
            listeners,
            self._routes,
            told_levels(self._machine.image.features),
            self._last_metadata_offset(),
        )
        self.endpoints = self._core.start(settings)
        asyncio.get_running_loop().add_reader(self._core.wake_fd, self._take_events)

    def _begin_periodic_work(self) -> None:
        interval = self._configs.broker_int
        self._periodic.every(interval("log.retention.check.interval.ms"), "housekeeping", self._housekeeping)
        by_age = FlushByAge(self._core, self._configs, self._clock)
        self._periodic.every(by_age.pause_ms, "the flush by age", by_age.flush)
        self._periodic.every(LOOK_EVERY_MS, "the snapshot of the metadata", self._snapshots.tend)
        self._periodic.every(CLEAN_EVERY_MS, "the retention of metadata", self._clean_metadata)
        self._periodic.every(CHECK_INTERVAL_MS, "the look at the directories", self._look_at_directories)
        self._periodic.every(interval("log.flush.offset.checkpoint.interval.ms"), "checkpoint", self._checkpoint)

    async def _housekeeping(self) -> None:
        await asyncio.to_thread(self._core.housekeeping, self._clock.now_ms())

    async def _clean_metadata(self) -> None:
        await asyncio.to_thread(self._snapshots.clean)

    async def _look_at_directories(self) -> None:
        if self._directory_reports is not None:
            await self._directory_reports.report_failures()
            self._directory_reports.report_moves()

    async def _checkpoint(self) -> None:
        await asyncio.to_thread(self._core.checkpoint)

    # Coordinators

    def _group_machine(self, _partition: int) -> GroupCoordinator:
        leases = HeldLeases(self._core.leases, self._clock)
        return GroupCoordinator(group_settings(self._configs), self._random, self._cluster_view, leases)

    def _transaction_machine(self, _partition: int) -> TransactionCoordinator:
        integer = self._configs.broker_int
        settings = TransactionSettings(
            max_timeout_ms=integer("transaction.max.timeout.ms"),
            id_expiration_ms=integer("transactional.id.expiration.ms"),
            timeout_check_interval_ms=integer("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            expiration_check_interval_ms=integer("transaction.remove.expired.transaction.cleanup.interval.ms"),
        )
        return TransactionCoordinator(settings, self._transaction_version)

    @property
    def _transaction_version(self) -> int:
        return self._machine.image.features.get(TRANSACTION_VERSION, 0)

    def _coordinator_log(self, topic: str, partition: int) -> PartitionLog:
        return PartitionLog(self._core, self._commits, topic, partition, "coordinator", flushed=False)

    def _lead(self, *changed: Coordinators[Any]) -> None:
        """Begin to coordinate what the partitions keep that this node leads."""
        for coordinators in changed:
            topic = self._machine.image.topics.get(coordinators.topic)
            if topic is not None:
                led = [index for index, each in topic.partitions.items() if each.leader == self.shell.node_id]
                coordinators.begin_leading(sorted(led), len(topic.partitions))

    def _last_metadata_offset(self) -> int:
        return self._core.high_watermark(METADATA_TOPIC, 0) - 1

    def _metadata_changed(self, delta: MetadataDelta) -> None:
        self._cluster_view.changed(delta, self._last_metadata_offset())
        self._core.leases.cluster_changed()
        if not self.endpoints:
            return
        deleted = {topic.name for topic in delta.deleted_topics}
        for each in self._coordinators:
            if each.topic in deleted:
                # What it knew went with its log. A new topic of this name may be among those that have changed.
                each.stop()
        touched = (*delta.created_topics, *delta.changed_topics)
        changed = {topic.name for topic in touched}
        self._lead(*(each for each in self._coordinators if each.topic in changed))
        if self._directory_reports is not None and changed:
            self._directory_reports.report_assignments(touched)
        if delta.deleted_topics:
            gone = tuple(DeletedTopic(topic.name, topic.id) for topic in delta.deleted_topics)
            self.shell.groups.submit_everywhere(TopicsDeleted(gone))

    # Events of the core

    def _take_events(self) -> None:
        pass_on_log_lines()
        self._dispatcher.start_all(self._core.poll_requests(POLL_BATCH))
        for token in self._core.poll_committed():
            self._commits.committed(token)
        self._core.poll_closed()


def _registered(listeners: list[ListenerSettings], bound: list[Endpoint] | None) -> tuple[RegisteredEndpoint, ...]:
    """What others are told about our listeners; clients that came by a listener are told what `Core` sees instead."""
    endpoints = []
    for index, listener in enumerate(listeners):
        host = listener.get("advertised_host") or listener["host"] or "localhost"
        port = listener.get("advertised_port") or (listener["port"] if bound is None else bound[index].port)
        endpoints.append(RegisteredEndpoint(listener["name"], host, port, PLAINTEXT))
    return tuple(endpoints)


def pass_on_log_lines() -> None:
    """Give what Rust has logged to `logging`: `moldau_log::segment` becomes `moldau.log.segment`."""
    for level, target, message in take_log_lines():
        logging.getLogger(target.replace("_", ".", 1).replace("::", ".")).log(level, "%s", message)
