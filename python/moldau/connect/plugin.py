"""What a plugin is: the classes to extend, and what a worker hands to them.

A first connector is twenty lines:

    class Clock(SourceConnector):
        def start(self, props):
            self.props = dict(props)

        def task_class(self):
            return ClockTask

        def task_configs(self, max_tasks):
            return [self.props]

    class ClockTask(SourceTask):
        def start(self, props):
            self.topic = props["topic"]

        def poll(self):
            time.sleep(1)
            return [SourceRecord({}, {}, self.topic, value_schema=Schema.INT64_SCHEMA, value=time.time_ns())]

and its name in a configuration is `my_module:Clock`. A task is plain synchronous Python in a thread of its own: it may
wait in `poll` and `put`, and nothing of it is called at the same time as something else of it, `stop` of a source task
excepted. Whatever a plugin raises stops it with that message; `RetriableError` from `poll` or `put` makes the worker
try again.

Names and meaning are those of Kafka's `connect-api`, in Python's spelling.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from moldau.connect.config_def import ConfigDef, ConfigValue
from moldau.connect.data import Schema, SchemaAndValue
from moldau.connect.records import ConnectRecord, Header, SinkRecord, SourceRecord
from moldau.observe.families import Family

if TYPE_CHECKING:
    from moldau.connect.ready import DirectConverters

Record = TypeVar("Record", bound=ConnectRecord)

# What a plugin says of its version when it has none to name; shown by `GET /connector-plugins`.
UNDEFINED_VERSION = "undefined"


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class RecordMetadata(NamedTuple):
    """Where a source record was written; `timestamp` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class ExactlyOnceSupport(enum.Enum):
    SUPPORTED = "SUPPORTED"
    UNSUPPORTED = "UNSUPPORTED"


class TransactionBoundaries(enum.Enum):
    """Whether the tasks of a connector say themselves where a transaction ends (KIP-618)."""

    SUPPORTED = "SUPPORTED"
    UNSUPPORTED = "UNSUPPORTED"


class OffsetStorageReader(Protocol):
    """How far a source connector had come, as stored with its records."""

    def offset(self, partition: Mapping[str, Any]) -> dict[str, Any] | None:
        """The last stored offset of a part of the source, or None."""

    def offsets(self, partitions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
        """The same for several, in their order and in one look-up."""


class TransactionContext(Protocol):
    """How a source task under exactly-once ends a transaction: at once, or with the record it names."""

    def commit_transaction(self, record: SourceRecord | None = None) -> None: ...

    def abort_transaction(self, record: SourceRecord | None = None) -> None: ...


class ErrantRecordReporter(Protocol):
    """Where a sink task brings a record that it cannot use (KIP-610): to the dead letter queue, if there is one."""

    def report(self, record: SinkRecord, error: BaseException) -> Future[None]:
        """The future is done when the report is; it fails when errors are not tolerated."""


class ConnectorContext(Protocol):
    def request_task_reconfiguration(self) -> None:
        """Ask that `task_configs` be called again, and the tasks be started anew with what it says."""

    def raise_error(self, error: BaseException) -> None:
        """Stop the connector, from a thread of its own."""

    def offset_storage_reader(self) -> OffsetStorageReader: ...


class SourceTaskContext(Protocol):
    def configs(self) -> Mapping[str, str]:
        """The task's settings, secrets resolved."""

    def offset_storage_reader(self) -> OffsetStorageReader: ...

    def transaction_context(self) -> TransactionContext | None:
        """None unless the connector says where transactions end."""

    def direct_converters(self) -> DirectConverters | None:
        """The converters, when the source may write what they would (`moldau.connect.ready`); Moldau's own."""

    def given_up(self) -> bool:
        """Whether nobody waits any more for the task's `start` or `poll`; Moldau's own."""


class SinkTaskContext(Protocol):
    def configs(self) -> Mapping[str, str]:
        """The task's settings, secrets resolved."""

    def assignment(self) -> Collection[tuple[str, int]]:
        """The partitions that the task reads."""

    def offset(self, offsets: Mapping[tuple[str, int], int], /) -> None:
        """Go on reading at these offsets."""

    def timeout(self, timeout_ms: int) -> None:
        """After a `RetriableError`: how long to wait before the records are given again."""

    def pause(self, *partitions: tuple[str, int]) -> None: ...

    def resume(self, *partitions: tuple[str, int]) -> None: ...

    def request_commit(self) -> None:
        """Ask that offsets be committed soon."""

    def max_poll_interval_ms(self) -> int:
        """How long a `put` may take before the group gives the partitions to others; Moldau's own."""

    def errant_record_reporter(self) -> ErrantRecordReporter | None:
        """None when errors are not reported anywhere."""


class _Plugin:
    """What all plugins have."""

    def version(self) -> str:
        """The plugin's version, as lists of plugins show it."""
        return UNDEFINED_VERSION

    def config(self) -> ConfigDef:
        """The settings, for validation and documentation."""
        return ConfigDef()


class Connector(_Plugin, abc.ABC):
    """Divides the work among tasks. Extend `SourceConnector` or `SinkConnector`."""

    context: ConnectorContext

    def initialize(self, context: ConnectorContext) -> None:
        """Called once, before `start`."""
        self.context = context

    @abc.abstractmethod
    def start(self, props: Mapping[str, str]) -> None:
        """Take the settings. Raises `ConfigError` or another `ConnectError` when it cannot work with them."""

    @abc.abstractmethod
    def task_class(self) -> type[Task]:
        """The class of its tasks."""

    @abc.abstractmethod
    def task_configs(self, max_tasks: int) -> Sequence[Mapping[str, str]]:
        """The settings of each task, at most `max_tasks`."""

    def stop(self) -> None:
        """Let go of everything. Called once, after `start`, whether that succeeded or not."""

    def validate(self, props: Mapping[str, str]) -> list[ConfigValue]:
        """What is wrong with the settings; extend it for rules that look at more than one of them."""
        return self.config().validate(props)


class SourceConnector(Connector):
    """Brings records into Kafka."""

    def exactly_once_support(self, props: Mapping[str, str]) -> ExactlyOnceSupport | None:
        """Whether the source can give each record exactly once; None when it does not know."""
        return None

    def can_define_transaction_boundaries(self, props: Mapping[str, str]) -> TransactionBoundaries:
        return TransactionBoundaries.UNSUPPORTED

    def alter_offsets(
        self,
        props: Mapping[str, str],
        offsets: Mapping[Any, Mapping[str, Any] | None] | Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None]],
    ) -> bool:
        """Called when an operator changes stored offsets (KIP-875).

        Raises `ConnectError` to refuse. True when the connector has done what is to be done elsewhere than in the
        stored offsets, or there is nothing to do.
        """
        return False


class SinkConnector(Connector):
    """Takes records out of Kafka."""

    TOPICS_CONFIG: ClassVar[str] = "topics"
    TOPICS_REGEX_CONFIG: ClassVar[str] = "topics.regex"

    def alter_offsets(self, props: Mapping[str, str], offsets: Mapping[tuple[str, int], int | None]) -> bool:
        """As for sources; offsets are those of the consumer group, None to remove one."""
        return False


class Metric(NamedTuple):
    """A number of a plugin, for `/metrics` of its worker. `labels` tell it from others of its family."""

    family: Family
    labels: Mapping[str, str]
    value: float


class Task(abc.ABC):
    """A share of a connector's work. Extend `SourceTask` or `SinkTask`."""

    def version(self) -> str:
        """The version of the plugin, as logs show it."""
        return UNDEFINED_VERSION

    @abc.abstractmethod
    def start(self, props: Mapping[str, str]) -> None:
        """Take the settings and connect."""

    def metrics(self) -> Iterable[Metric]:
        """Numbers of its own. Called by any thread, from the end of `start` on, after `stop` too."""
        return ()

    def stop(self) -> None:  # noqa: B027 - a task that holds nothing has nothing to do
        """End. A source task may be in `poll` in another thread, which should then return soon.

        Called after `initialize`, whether `start` succeeded or not.
        """


class SourceTask(Task):
    context: SourceTaskContext

    def initialize(self, context: SourceTaskContext) -> None:
        """Called once, before `start`."""
        self.context = context

    @abc.abstractmethod
    def poll(self) -> Sequence[SourceRecord] | None:
        """The next records. Wait a while when there are none, then return None, so that the task can be stopped."""

    def commit(self) -> None:
        """Offsets have been stored: whatever was acknowledged before can be forgotten by the source."""

    def commit_record(self, record: SourceRecord, metadata: RecordMetadata | None) -> None:
        """A record is in Kafka; `metadata` is None when a transform left it out, or an error that is tolerated."""


class SinkTask(Task):
    context: SinkTaskContext

    def initialize(self, context: SinkTaskContext) -> None:
        """Called once, before `start`."""
        self.context = context

    @abc.abstractmethod
    def put(self, records: Sequence[SinkRecord]) -> None:
        """Take records; they need not be safe before `flush`. An empty list is given when there are none for long."""

    def open(self, partitions: Collection[tuple[str, int]]) -> None:
        """The task reads these partitions from now on."""

    def close(self, partitions: Collection[tuple[str, int]]) -> None:
        """These partitions go to another task, after a last `pre_commit`."""

    def flush(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Make safe all that was put. `offsets` are the next ones to read, by partition."""

    def pre_commit(self, offsets: Mapping[tuple[str, int], int]) -> Mapping[tuple[str, int], int]:
        """The offsets that may be committed. A task that writes in its own time returns those it is done with."""
        self.flush(offsets)
        return offsets


class Converter(_Plugin, abc.ABC):
    """Between bytes in Kafka and values in Connect, for keys or for values."""

    def configure(self, configs: Mapping[str, Any], is_key: bool = False) -> None:
        """Take the settings, their prefix (`key.converter.`) removed. Called once."""

    @abc.abstractmethod
    def from_connect_data(
        self, topic: str, schema: Schema | None, value: Any, headers: Iterable[Header] | None = None
    ) -> bytes | None:
        """The bytes to write; None for a tombstone. Raises `DataError` for what cannot be written."""

    @abc.abstractmethod
    def to_connect_data(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None = None
    ) -> SchemaAndValue:
        """What the bytes say. Raises `DataError` for what cannot be read."""

    def close(self) -> None:
        """Let go of connections."""


class HeaderConverter(_Plugin, abc.ABC):
    """The same for headers of records."""

    def configure(self, configs: Mapping[str, Any]) -> None:
        """Take the settings, their prefix (`header.converter.`) removed. Called once."""

    @abc.abstractmethod
    def from_connect_header(self, topic: str, key: str, schema: Schema | None, value: Any) -> bytes | None: ...

    @abc.abstractmethod
    def to_connect_header(self, topic: str, key: str, data: bytes | None) -> SchemaAndValue: ...

    def close(self) -> None:
        """Let go of connections."""


class Transformation(_Plugin, abc.ABC, Generic[Record]):
    """Changes one record at a time, before it is written to Kafka or given to a sink.

    A tombstone (a record whose value is None) comes as well: return it as it is unless it means something to you.
    """

    def configure(self, configs: Mapping[str, Any]) -> None:
        """Take the settings, their prefix (`transforms.name.`) removed. Called once."""

    @abc.abstractmethod
    def apply(self, record: Record) -> Record | None:
        """The record as it goes on, or None to leave it out. Raises `DataError` for one it cannot handle."""

    def close(self) -> None:
        """Let go of what it holds."""


class Predicate(_Plugin, abc.ABC, Generic[Record]):
    """Says of a record whether a transform is applied to it (KIP-585)."""

    def configure(self, configs: Mapping[str, Any]) -> None:
        """Take the settings, their prefix (`predicates.name.`) removed. Called once."""

    @abc.abstractmethod
    def test(self, record: Record) -> bool: ...

    def close(self) -> None:
        """Let go of what it holds."""
