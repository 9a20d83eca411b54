"""The plain shapes that cross the bridge to `moldau._core`, typed.

The compiled side takes dictionaries and gives tuples; these names exist so that mypy sees both ends. Every key is
required unless it is said otherwise: a setting that is missing is an error at start, not a silent default.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

FaultKind = Literal["refuse", "delay", "drop-before", "drop-after"]

AppendOrigin = Literal["client", "coordinator", "raft"]
"""Who appends: `raft` is the metadata log (no producer checks), `coordinator` an internal topic."""


class LogSettings(TypedDict):
    """One topic's effective settings, in the units of the names. -1 means without limit."""

    segment_bytes: int
    segment_ms: int
    segment_jitter_ms: int
    segment_index_bytes: int
    index_interval_bytes: int
    retention_ms: int
    retention_bytes: int
    file_delete_delay_ms: int
    max_message_bytes: int
    timestamp_type: Literal["CreateTime", "LogAppendTime"]
    timestamp_before_max_ms: int
    timestamp_after_max_ms: int
    compression_type: Literal["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]
    compression_gzip_level: int
    compression_lz4_level: int
    compression_zstd_level: int
    flush_messages: int
    flush_ms: int
    preallocate: bool
    delete: bool
    compact: bool
    min_cleanable_dirty_ratio: float
    min_compaction_lag_ms: int
    max_compaction_lag_ms: int
    delete_retention_ms: int


class CleanerSettings(TypedDict):
    """What compaction may use, all threads together."""

    threads: int
    """0 compacts nothing."""
    dedupe_buffer_bytes: int
    load_factor: float
    io_buffer_bytes: int
    io_max_bytes_per_second: float
    backoff_ms: int


class PartitionSpec(NamedTuple):
    """One partition that has its log on this node."""

    topic: str
    partition: int
    topic_id: UUID
    settings: LogSettings


class PartitionState(NamedTuple):
    """One partition in the cluster image."""

    partition: int
    leader: int
    """Node id of the leader, -1 when there is none."""
    leader_epoch: int
    replicas: list[int]
    in_sync_replicas: list[int]
    offline_replicas: list[int]


class ClientQuota(NamedTuple):
    """One quota. A side is None when the quota does not look at it, and empty for all without one of their own."""

    user: str | None
    client_id: str | None
    key: str
    limit: float


class AccessRule(NamedTuple):
    """One access rule. Numbers are the protocol's."""

    resource_type: int
    prefixed: bool
    name: str
    principal: str
    host: str
    operation: int
    allows: bool


class AccessRules(NamedTuple):
    """Every access rule, and what counts beside them. Another `generation` means other rules."""

    generation: int
    super_users: frozenset[str]
    open_without_rule: bool
    rules: list[AccessRule]


class LoadFailure(NamedTuple):
    """A partition that could not be opened; it stays offline, the node goes on."""

    topic: str
    partition: int
    message: str


class Endpoint(NamedTuple):
    """Where a listener listens, or is reached."""

    listener: str
    host: str
    port: int


class ListenerSettings(TypedDict):
    """One listener. Without `advertised_host` a client is told the address through which it came."""

    name: str
    host: str
    port: int
    """0 lets the system choose; `Core.start` tells the port."""
    advertised_host: NotRequired[str]
    advertised_port: NotRequired[int]


class ApiRange(NamedTuple):
    """One row of ApiVersions."""

    key: int
    lowest: int
    """What is advertised; a hot handler may refuse the lowest versions of Produce."""
    highest: int
    flexible_since: int
    """First version with compact types and tagged fields; 32767 when there is none."""
    hot: bool


class FeatureRange(NamedTuple):
    """A supported feature and its finalized level (0 when it is not finalized)."""

    name: str
    lowest: int
    highest: int
    finalized: int


class ServerSettings(TypedDict):
    """What the listeners and the hot requests need to know."""

    node_id: int
    cluster_id: str
    listeners: list[ListenerSettings]
    rack: NotRequired[str]
    max_request_bytes: int
    connections_max_idle_ms: int
    max_connections: int
    max_connections_per_ip: int
    worker_threads: int
    fetch_max_bytes: int
    max_incremental_fetch_sessions: int
    auto_create_topics: bool
    quota_windows: tuple[int, int]
    """How many windows, and the milliseconds of one."""
    mutation_windows: tuple[int, int]
    verify_transactions: bool
    verification_backoff_ms: int
    verification_backoff_max_ms: int
    socket_send_buffer_bytes: int
    socket_receive_buffer_bytes: int
    apis: list[ApiRange]
    features: list[FeatureRange]
    features_epoch: int


class StoredRecord(NamedTuple):
    """One record as it is read back from an internal partition."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    producer_id: int = -1
    """Of the batch; -1 when no producer wrote it."""
    producer_epoch: int = -1
    is_control: bool = False
    """The record is not data: it ends a transaction, or says something about the log itself."""


class DirectoryStatus(NamedTuple):
    """One log directory."""

    path: str
    online: bool
    error: str | None
    total_bytes: int
    usable_bytes: int


class LogStatus(NamedTuple):
    """One partition's log, as DescribeLogDirs and the tools want to know it."""

    topic: str
    partition: int
    topic_id: UUID
    directory: str
    """The log directory (an entry of `log.dirs`), not the partition's own folder."""
    size_bytes: int
    log_start_offset: int
    high_watermark: int
    log_end_offset: int
    online: bool


class FutureStatus(NamedTuple):
    """A partition on its way to another log directory."""

    topic: str
    partition: int
    directory: str
    """The log directory that it is moved to."""
    size_bytes: int
    log_end_offset: int
    """Up to here it was copied."""


class ProducerStatus(NamedTuple):
    """One live idempotent or transactional producer of a partition (DescribeProducers)."""

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_timestamp_ms: int
    coordinator_epoch: int
    current_transaction_start_offset: int


class MetricFamily(NamedTuple):
    """A family of `/metrics` that Rust renders: what it measures, its name, `counter` or `gauge`, its sentence."""

    measure: str
    name: str
    kind: str
    help: str
