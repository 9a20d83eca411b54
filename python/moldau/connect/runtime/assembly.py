"""Tasks put together from settings: plugins made and configured, clients with their defaults and overrides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from confluent_kafka import KafkaException

from moldau.client import AdminClient, Consumer, Producer
from moldau.connect.errors import ConfigError, ConnectError
from moldau.connect.plugin import SinkTask, SourceTask
from moldau.connect.plugins import Kind, Plugins, java_name
from moldau.connect.runtime import deadlines
from moldau.connect.runtime.clusters import Clusters, servers_of
from moldau.connect.runtime.config_provider import ConfigResolver
from moldau.connect.runtime.connector_offsets import ConnectorOffsets
from moldau.connect.runtime.contexts import RunningSourceTaskContext
from moldau.connect.runtime.dead_letters import DeadLetterQueue, make_sure_of_queue
from moldau.connect.runtime.exactly_once_task import ExactlyOnceSourceTask
from moldau.connect.runtime.fenced_writer import patiently, task_id_of
from moldau.connect.runtime.fencing import Gate
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.offset_changes import OFFSET, PARTITION, TOPIC, committed_offsets
from moldau.connect.runtime.offsets import Entry, OffsetStore, TopicOffsetStore
from moldau.connect.runtime.pipeline import Converters, Step, Transforms, direct_converters
from moldau.connect.runtime.settings import WorkerSettings, with_prefix
from moldau.connect.runtime.sink_context import MAX_POLL_INTERVAL_MS, ErrantRecords, SinkContext
from moldau.connect.runtime.sink_task import SinkParts, WorkerSinkTask
from moldau.connect.runtime.source_task import SourceParts, WorkerSourceTask
from moldau.connect.runtime.task import TaskListener, WorkerTask
from moldau.connect.runtime.tolerance import LogReporter, Reporter, Tolerance
from moldau.connect.runtime.topic_creation import TopicCreation, groups_of
from moldau.connect.runtime.topic_log import Clients, TopicSettings
from moldau.connect.runtime.transaction_boundaries import EachPoll, boundary_of

DLQ: Final = "errors.deadletterqueue."
FOR_EVER_MS: Final = 2_147_483_647
MAX_POLL_RECORDS: Final = 500
TRANSACTION_TIMEOUT_MS: Final = 60_000
BUFFER_KBYTES: Final = 32 << 10
FENCED_AT_ONCE: Final = 8
CHANGE_TIMEOUT_S: Final = 30.0

Config = Mapping[str, str]


class Assembly:
    """One for each worker."""

    def __init__(
        self,
        settings: WorkerSettings,
        plugins: Plugins,
        resolver: ConfigResolver,
        offsets: OffsetStore,
        uses_topic: Callable[[str, TaskId], None],
    ) -> None:
        self._settings = settings
        self._plugins = plugins
        self._resolver = resolver
        self._offsets = offsets
        self._clusters = Clusters()
        self._uses_topic = uses_topic if settings["topic.tracking.enable"] else _nobody_notes
        self.gate: Gate | None = None
        """What a task that writes in transactions has to pass."""

    def task(
        self,
        task_id: TaskId,
        config: Config,
        task_config: Config,
        target: TargetState,
        listener: TaskListener,
        generation: int,
    ) -> WorkerTask:
        """A task that is not started yet.

        Raises:
            ConnectError: its plugins or clients cannot be made.
        """
        task = self._plugins.new(task_config.get("task.class") or "", Kind.TASK)
        version = _version_of(task)
        if isinstance(task, SourceTask):
            return self._source_task(task_id, task, config, task_config, target, listener, version, generation)
        if isinstance(task, SinkTask):
            sink = self._sink_parts(task_id, task, config, task_config)
            return WorkerSinkTask(task_id, target, listener, version, sink)
        raise ConnectError(f"Failed to start task {task_id} since it is not a recognizable type (source or sink)")

    def _source_task(
        self,
        task_id: TaskId,
        task: SourceTask,
        config: Config,
        task_config: Config,
        target: TargetState,
        listener: TaskListener,
        version: str | None,
        generation: int,
    ) -> WorkerTask:
        settings = self._settings
        if not settings.exactly_once:
            producer = Producer(self._producer_settings(task_id, config))
            parts = self._source_parts(task_id, task, config, task_config, producer, None)
            return WorkerSourceTask(task_id, target, listener, version, parts)
        assert self.gate is not None, "a distributed worker has one"
        boundary = boundary_of(config, settings.seconds("offset.flush.interval.ms"))
        chosen = self._transactional_settings(task_id, config)
        parts = self._source_parts(task_id, task, config, task_config, Producer(chosen), boundary)
        parts.transaction_timeout_ms = int(chosen.get("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS))
        return ExactlyOnceSourceTask(task_id, target, listener, version, parts, boundary, self.gate, generation)

    def _source_parts(
        self,
        task_id: TaskId,
        task: SourceTask,
        config: Config,
        task_config: Config,
        producer: Producer,
        boundary: EachPoll | None,
    ) -> SourceParts:
        settings = self._settings
        tolerance = self._tolerance(config, self._log_reporters(task_id, config))
        groups = groups_of(config) if settings["topic.creation.enable"] else []
        offsets = self.offsets_for(config)
        converters = self._converters(config)
        transforms = self._transforms(config, tolerance)
        transactions, direct = None, direct_converters(converters, transforms, tolerance)
        if boundary is not None:
            # Records and offsets of a transaction are written one by one.
            transactions, direct = boundary.context, None
        return SourceParts(
            task=task,
            config=task_config,
            context=RunningSourceTaskContext(offsets, task_id.connector, task_config, transactions, direct),
            producer=producer,
            converters=converters,
            transforms=transforms,
            tolerance=tolerance,
            offsets=offsets,
            topics=TopicCreation(groups, self.admin_settings(config)),
            uses_topic=lambda topic: self._uses_topic(topic, task_id),
            flush_interval_s=settings.seconds("offset.flush.interval.ms"),
            flush_timeout_s=settings.seconds("offset.flush.timeout.ms"),
            stop_timeout_s=settings.seconds("task.shutdown.graceful.timeout.ms"),
        )

    def _sink_parts(self, task_id: TaskId, task: SinkTask, config: Config, task_config: Config) -> SinkParts:
        reporters = self._log_reporters(task_id, config)
        queue = config.get(f"{DLQ}topic.name", "").strip()
        if queue:
            factor = int(config.get(f"{DLQ}topic.replication.factor") or 3)
            make_sure_of_queue(queue, factor, self.admin_settings(config))
            with_headers = _true(config, f"{DLQ}context.headers.enable")
            client = self._settings.client("producer", self._overrides(config, "producer"))
            reporters.append(DeadLetterQueue(task_id, queue, client, with_headers=with_headers))
        tolerance = self._tolerance(config, reporters)
        consumer_settings = self._consumer_settings(task_id, config)
        batch = int(consumer_settings.pop("max.poll.records", MAX_POLL_RECORDS))
        consumer = Consumer(consumer_settings)
        context = SinkContext(
            lambda: task_config,
            keeps_originals=bool(queue),
            max_poll_interval_ms=int(consumer_settings.get("max.poll.interval.ms", MAX_POLL_INTERVAL_MS)),
        )
        if queue or _true(config, "errors.log.enable"):
            context.reporter = ErrantRecords(tolerance, context.original_of, java_name(type(task)))
        return SinkParts(
            task=task,
            config=task_config,
            context=context,
            consumer=consumer,
            topics=topics_of(config),
            converters=self._converters(config),
            transforms=self._transforms(config, tolerance),
            tolerance=tolerance,
            uses_topic=lambda topic: self._uses_topic(topic, task_id),
            max_poll_records=batch,
            commit_interval_s=self._settings.seconds("offset.flush.interval.ms"),
        )

    # Plugins.

    def _converters(self, config: Config) -> Converters:
        key, value, header = (self._converter(kind, config) for kind in ("key", "value", "header"))
        return Converters(key, value, header)

    def _converter(self, kind: str, config: Config) -> Any:
        """The connector's own, with its settings; or the worker's, with the worker's."""
        name = f"{kind}.converter"
        own = bool(config.get(name))
        source: Mapping[str, str] = config if own else self._settings.given
        chosen = config[name] if own else self._settings[name]
        converter = self._plugins.new(chosen, Kind.HEADER_CONVERTER if kind == "header" else Kind.CONVERTER)
        settings = with_prefix(source, f"{name}.")
        if kind == "header":
            converter.configure({**settings, "converter.type": "header"})
        else:
            converter.configure(settings, kind == "key")
        return converter

    def _transforms(self, config: Config, tolerance: Tolerance) -> Transforms:
        return Transforms([self._step(alias, config) for alias in names_in(config.get("transforms"))], tolerance)

    def _step(self, alias: str, config: Config) -> Step:
        settings = with_prefix(config, f"transforms.{alias}.")
        transformation = self._plugins.new(settings.pop("type", ""), Kind.TRANSFORMATION)
        predicate_alias = settings.pop("predicate", None)
        negate = settings.pop("negate", "false").lower() == "true"
        transformation.configure(settings)
        if predicate_alias is None:
            return Step(transformation)
        predicate_settings = with_prefix(config, f"predicates.{predicate_alias}.")
        predicate = self._plugins.new(predicate_settings.pop("type", ""), Kind.PREDICATE)
        predicate.configure(predicate_settings)
        return Step(transformation, predicate, negate=negate)

    # Errors.

    def _log_reporters(self, task_id: TaskId, config: Config) -> list[Reporter]:
        if not _true(config, "errors.log.enable"):
            return []
        return [LogReporter(task_id, include_messages=_true(config, "errors.log.include.messages"))]

    def _tolerance(self, config: Config, reporters: list[Reporter]) -> Tolerance:
        timeout_ms = int(config.get("errors.retry.timeout") or 0)
        return Tolerance(
            tolerate_all=(config.get("errors.tolerance") or "none").lower() == "all",
            retry_timeout_s=timeout_ms / 1000 if timeout_ms >= 0 else -1,
            retry_delay_max_s=int(config.get("errors.retry.delay.max.ms") or 60_000) / 1000,
            reporters=reporters,
        )

    # Clients.

    def _overrides(self, config: Config, role: str) -> dict[str, str]:
        found = with_prefix(config, f"{role}.override.")
        policy = str(self._settings["connector.client.config.override.policy"])
        if found and policy.lower() == "none":
            raise ConfigError(
                f"Client Config Overrides not allowed {sorted(found)}: the worker's "
                "connector.client.config.override.policy is None"
            )
        return found

    def admin_settings(self, config: Config) -> dict[str, Any]:
        """The settings of an admin client that works for a connector."""
        return self._settings.client("admin", self._overrides(config, "admin"))

    def _beside_producer(self, config: Config, role: str) -> dict[str, Any]:
        """The settings of a client for what the connector's producer writes: of its cluster, unless told otherwise."""
        cluster = self._settings.client("producer", self._overrides(config, "producer"))["bootstrap.servers"]
        return self._settings.client(role, {"bootstrap.servers": cluster, **self._overrides(config, role)})

    def _producer_settings(self, task_id: TaskId, config: Config) -> dict[str, Any]:
        given = self._settings.client("producer", self._overrides(config, "producer"))
        # What is no number the client refuses itself.
        largest = str(given.get("max.request.size", given.get("message.max.bytes", ""))).strip()
        largest_kbytes = -(-int(largest) // 1024) if largest.isdecimal() else 0
        chosen = {"acks", "request.required.acks", "enable.idempotence", "max.in.flight.requests.per.connection"}
        # Order and no doubles of the producer's own, whatever happens on the way; a record waits for its cluster.
        careful = {} if chosen & given.keys() else {"acks": "all", "enable.idempotence": True}
        bounds = {"buffer.memory", "queue.buffering.max.kbytes", "queue.buffering.max.messages"}
        # Java's default of buffer.memory: what a source has read ahead of its cluster is no more than this, unless a
        # single record may be larger: one that never finds room would be tried for ever.
        kbytes = max(BUFFER_KBYTES, 2 * largest_kbytes)
        bounded = {} if bounds & given.keys() else {"queue.buffering.max.kbytes": kbytes}
        return {
            "client.id": f"connector-producer-{task_id}",
            "delivery.timeout.ms": FOR_EVER_MS,
            "linger.ms": 5,
            **careful,
            **bounded,
            **given,
        }

    def _transactional_settings(self, task_id: TaskId, config: Config) -> dict[str, Any]:
        given = self._producer_settings(task_id, config)
        # librdkafka bounds a record's life by the transaction's, and Kafka's workers insist on these two as well.
        given.pop("delivery.timeout.ms", None)
        given["enable.idempotence"] = True
        given["transactional.id"] = task_id_of(self._settings["group.id"], *task_id)
        return given

    def fence_producers(self, name: str, config: Config, count: int) -> None:
        """Take over the transactional ids of a connector's first `count` tasks. Raises ConnectError."""
        client = self._beside_producer(config, "admin")

        def fence(number: int) -> None:
            transactional_id = task_id_of(self._settings["group.id"], name, number)
            patiently(Producer({**client, "transactional.id": transactional_id}).init_transactions, deadlines.WORK_S)

        with ThreadPoolExecutor(FENCED_AT_ONCE, thread_name_prefix=f"fencing-{name}") as threads:
            for done in [threads.submit(fence, number) for number in range(count)]:
                try:
                    done.result()
                except KafkaException as error:
                    raise ConnectError(
                        f"the older tasks of connector {name} could not be shut out: {error.args[0].str()}"
                    ) from error

    # How far sources have come.

    def offsets_for(self, config: Config) -> ConnectorOffsets:
        """Where a source connector keeps its offsets; started by whoever uses it.

        What is written in a transaction goes to one cluster: with its records to another one, offsets go there too, to
        a topic that is called as the worker's if the connector names none.
        """
        topic = (config.get("offsets.storage.topic") or "").strip()
        settings = self._settings
        if settings.exactly_once and not topic:
            topic = settings["offset.storage.topic"]
        if not topic or not settings.distributed:
            return ConnectorOffsets(self._offsets)
        clients = Clients(
            settings.client("producer", self._overrides(config, "producer")),
            self._beside_producer(config, "consumer"),
            self._beside_producer(config, "admin"),
        )
        workers, at_home = settings.topic("offset"), settings.own_clients().admin
        named_alike = topic == workers.name
        if named_alike and servers_of(clients.producer) == servers_of(at_home):
            return ConnectorOffsets(self._offsets)
        own = TopicOffsetStore(
            TopicSettings(
                topic, "offsets.storage.topic", workers.partitions, workers.replication_factor, workers.config
            ),
            clients,
        )

        def is_the_workers(given_up: Callable[[], bool]) -> bool | None:
            return named_alike and self._clusters.same(clients.admin, at_home, given_up)

        return ConnectorOffsets(self._offsets, own, is_the_workers)

    def change_offsets(self, name: str, config: Config, store: ConnectorOffsets, entries: Sequence[Entry]) -> None:
        """Keep offsets, or forget those that are None, of a connector whose tasks are stopped. Raises ConnectError."""
        if not self._settings.exactly_once:
            store.put(name, entries, CHANGE_TIMEOUT_S)
            return
        store.before(name, entries, CHANGE_TIMEOUT_S)
        topic = store.topic
        assert topic is not None
        producer = Producer(self._transactional_settings(TaskId(name, 0), config))
        try:
            patiently(producer.init_transactions, CHANGE_TIMEOUT_S)
            producer.begin_transaction()
            for key, value in store.records(name, entries):
                producer.produce(topic, value, key)
            patiently(producer.commit_transaction, CHANGE_TIMEOUT_S)
        except KafkaException as error:
            raise ConnectError(
                f"Failed to modify offsets for source connector {name}: {error.args[0].str()}"
            ) from error
        store.after(name, entries, CHANGE_TIMEOUT_S)

    def group_of(self, name: str, config: Config) -> str:
        """The consumer group of a sink."""
        return str(
            config.get("consumer.override.group.id")
            or self._settings.given.get("consumer.group.id")
            or f"connect-{name}"
        )

    def _consumer_settings(self, task_id: TaskId, config: Config) -> dict[str, Any]:
        return {
            "client.id": f"connector-consumer-{task_id}",
            "auto.offset.reset": "earliest",
            **self._settings.client("consumer", self._overrides(config, "consumer")),
            "group.id": self.group_of(task_id.connector, config),
            "enable.auto.commit": False,
        }

    def sink_offsets(self, name: str, config: Config) -> list[dict[str, Any]]:
        """What the group of a sink has committed."""
        found = committed_offsets(AdminClient(self.admin_settings(config)), self.group_of(name, config))
        return [
            {"partition": {PARTITION: partition, TOPIC: topic}, "offset": {OFFSET: offset}}
            for topic, partition, offset in found
        ]


def topics_of(config: Config) -> list[str]:
    """What a sink subscribes to; a pattern of Java's matches whole names."""
    regex = config.get("topics.regex")
    return [f"^(?:{regex})$"] if regex else names_in(config.get("topics"))


def names_in(text: str | None) -> list[str]:
    """The parts of a list in a setting."""
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def _true(config: Config, name: str) -> bool:
    return (config.get(name) or "false").lower() == "true"


def _version_of(task: Any) -> str | None:
    try:
        return str(task.version())
    except Exception:  # noqa: BLE001 (only for show)
        return None


def _nobody_notes(topic: str, task: TaskId) -> None:
    """`topic.tracking.enable` is false."""
