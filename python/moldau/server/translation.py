"""Kafka's settings, by their names, to the plain shapes that the compiled side understands.

What a setting means, where it comes from and what it may be is `moldau.config` and `control.metadata.effective`; here
values only change their shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from moldau.config import Value
from moldau.config.listeners import Listener
from moldau.control.groups.settings import GroupSettings
from moldau.control.metadata.effective import Configs
from moldau.control.metadata.features import FEATURES
from moldau.control.metadata.image import QuotaKey
from moldau.control.metadata.quotas import CLIENT_ID, IP, USER
from moldau.server.core_types import (
    ApiRange,
    CleanerSettings,
    ClientQuota,
    FeatureRange,
    ListenerSettings,
    LogSettings,
    ServerSettings,
)
from moldau.server.handlers import Route
from moldau.wire.layout import FLEXIBLE_SINCE

GATHER_MS: Final = 5
"""How long the first member of a consumer group waits for others that start with it: nobody notices, and it is enough
for members of one process, and for whatever is in the queue of a busy node."""


def log_settings(values: Mapping[str, Value]) -> LogSettings:
    """Every topic key's value, as the log wants it."""
    number: Any = values.__getitem__
    policy: Any = values["cleanup.policy"]
    return {
        "segment_bytes": number("segment.bytes"),
        "segment_ms": number("segment.ms"),
        "segment_jitter_ms": number("segment.jitter.ms"),
        "segment_index_bytes": number("segment.index.bytes"),
        "index_interval_bytes": number("index.interval.bytes"),
        "retention_ms": number("retention.ms"),
        "retention_bytes": number("retention.bytes"),
        "file_delete_delay_ms": number("file.delete.delay.ms"),
        "max_message_bytes": number("max.message.bytes"),
        "timestamp_type": number("message.timestamp.type"),
        "timestamp_before_max_ms": number("message.timestamp.before.max.ms"),
        "timestamp_after_max_ms": number("message.timestamp.after.max.ms"),
        "compression_type": number("compression.type"),
        "compression_gzip_level": number("compression.gzip.level"),
        "compression_lz4_level": number("compression.lz4.level"),
        "compression_zstd_level": number("compression.zstd.level"),
        "flush_messages": number("flush.messages"),
        "flush_ms": number("flush.ms"),
        "preallocate": number("preallocate"),
        "delete": "delete" in policy,
        "compact": "compact" in policy,
        "min_cleanable_dirty_ratio": number("min.cleanable.dirty.ratio"),
        "min_compaction_lag_ms": number("min.compaction.lag.ms"),
        "max_compaction_lag_ms": number("max.compaction.lag.ms"),
        "delete_retention_ms": number("delete.retention.ms"),
    }


MOVE_LIMIT: Final = "replica.alter.log.dirs.io.max.bytes.per.second"


def cleaner_settings(configs: Configs) -> CleanerSettings:
    """The node's `log.cleaner.*` settings."""
    number: Any = configs.broker
    return {
        "threads": number("log.cleaner.threads") if configs.broker_bool("log.cleaner.enable") else 0,
        "dedupe_buffer_bytes": number("log.cleaner.dedupe.buffer.size"),
        "load_factor": number("log.cleaner.io.buffer.load.factor"),
        "io_buffer_bytes": number("log.cleaner.io.buffer.size"),
        "io_max_bytes_per_second": number("log.cleaner.io.max.bytes.per.second"),
        "backoff_ms": number("log.cleaner.backoff.ms"),
    }


def group_settings(configs: Configs) -> GroupSettings:
    """What the group machines are started with."""
    integer = configs.broker_int
    assignors: Any = configs.broker("group.consumer.assignors")
    migration = (configs.broker_text("group.consumer.migration.policy") or "").lower()
    return GroupSettings(
        min_session_timeout_ms=integer("group.min.session.timeout.ms"),
        max_session_timeout_ms=integer("group.max.session.timeout.ms"),
        initial_rebalance_delay_ms=integer("group.initial.rebalance.delay.ms"),
        max_size=integer("group.max.size"),
        offset_metadata_max_bytes=integer("offset.metadata.max.bytes"),
        offsets_retention_ms=integer("offsets.retention.minutes") * 60_000,
        offsets_retention_check_interval_ms=integer("offsets.retention.check.interval.ms"),
        consumer_max_size=integer("group.consumer.max.size"),
        consumer_gather_ms=GATHER_MS,
        consumer_assignors=tuple(assignors),
        consumer_may_upgrade=migration in ("upgrade", "bidirectional"),
        consumer_may_downgrade=migration in ("downgrade", "bidirectional"),
        expressions_refresh_interval_ms=integer("group.consumer.regex.refresh.interval.ms"),
    )


def listener_settings(listeners: Iterable[Listener]) -> list[ListenerSettings]:
    """The listeners that clients may use. A quorum of one needs no listener for its controller."""
    settings: list[ListenerSettings] = []
    for listener in listeners:
        if listener.controller:
            continue
        entry: ListenerSettings = {"name": listener.name, "host": listener.host, "port": listener.port}
        if listener.advertised is not None:
            entry["advertised_host"], entry["advertised_port"] = listener.advertised
        settings.append(entry)
    return settings


def api_ranges(routes: Mapping[int, Route]) -> list[ApiRange]:
    """The table of ApiVersions: one row per handler module."""
    ranges = []
    for key, route in routes.items():
        lowest, highest = route.api.versions
        advertised = lowest if route.api.advertised_lowest is None else route.api.advertised_lowest
        ranges.append(ApiRange(key, advertised, highest, FLEXIBLE_SINCE[key], route.api.hot))
    return ranges


def feature_ranges(told: Mapping[str, int]) -> list[FeatureRange]:
    """The features this node serves, with the level that clients are told."""
    served = [feature for feature in FEATURES.values() if feature.served >= max(1, feature.lowest)]
    return [FeatureRange(each.name, each.lowest, each.served, told.get(each.name, 0)) for each in served]


def _windows(configs: Configs, prefix: str) -> tuple[int, int]:
    return configs.broker_int(f"{prefix}.num"), configs.broker_int(f"{prefix}.size.seconds") * 1000


def client_quotas(quotas: Mapping[QuotaKey, Mapping[str, float]]) -> list[ClientQuota]:
    """The quotas of users and client ids."""
    found: list[ClientQuota] = []
    for key, values in quotas.items():
        entity = dict(key.entity)
        if IP not in entity:
            user, client_id = (entity[side] or "" if side in entity else None for side in (USER, CLIENT_ID))
            found.extend(ClientQuota(user, client_id, name, limit) for name, limit in values.items())
    return found


def connection_quotas(quotas: Mapping[QuotaKey, Mapping[str, float]]) -> list[tuple[str | None, float]]:
    """New connections per second, by address or host name; None stands for each that is not named."""
    return [
        (dict(key.entity)[IP], limit)
        for key, values in quotas.items()
        for limit in values.values()
        if IP in dict(key.entity)
    ]


def server_settings(
    configs: Configs,
    listeners: list[ListenerSettings],
    routes: Mapping[int, Route],
    told_features: Mapping[str, int],
    features_epoch: int,
) -> ServerSettings:
    """What `Core.start` wants to know."""
    settings: ServerSettings = {
        "node_id": configs.settings.node_id,
        "cluster_id": configs.settings.cluster_id,
        "listeners": listeners,
        "max_request_bytes": configs.broker_int("socket.request.max.bytes"),
        "connections_max_idle_ms": configs.broker_int("connections.max.idle.ms"),
        "max_connections": configs.broker_int("max.connections"),
        "max_connections_per_ip": configs.broker_int("max.connections.per.ip"),
        "worker_threads": 0,
        "fetch_max_bytes": configs.broker_int("fetch.max.bytes"),
        "max_incremental_fetch_sessions": configs.broker_int("max.incremental.fetch.session.cache.slots"),
        "quota_windows": _windows(configs, "quota.window"),
        "mutation_windows": _windows(configs, "controller.quota.window"),
        "auto_create_topics": configs.broker_bool("auto.create.topics.enable"),
        "verify_transactions": configs.broker_bool("transaction.partition.verification.enable"),
        "verification_backoff_ms": configs.broker_int("add.partitions.to.txn.retry.backoff.ms"),
        "verification_backoff_max_ms": configs.broker_int("add.partitions.to.txn.retry.backoff.max.ms"),
        "socket_send_buffer_bytes": configs.broker_int("socket.send.buffer.bytes"),
        "socket_receive_buffer_bytes": configs.broker_int("socket.receive.buffer.bytes"),
        "apis": api_ranges(routes),
        "features": feature_ranges(told_features),
        "features_epoch": features_epoch,
    }
    rack = configs.broker_text("broker.rack")
    if rack is not None:
        settings["rack"] = rack
    return settings
