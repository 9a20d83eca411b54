//! Dictionaries and tuples of `moldau.server.core_types` to the plain structs of the Rust crates.
//!
//! Nothing has a default here: a key that is missing raises `KeyError`, a value of the wrong type `TypeError`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moldau_log::{CleanerSettings, CompressionSetting, LogConfig, PartitionSpec, TimestampType, TopicPartition};
use moldau_server::{
    Advertised, ApiRange, BrokerEndpoint, ClientQuota, ErrorCode, FaultKind, FinalizedFeature, Listener,
    PartitionImage, QuotaImage, QuotaKind, QuotaName, QuotaWindows, ServerConfig, SupportedFeature,
};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use uuid::Uuid;

fn required<'py, T>(dict: &Bound<'py, PyDict>, key: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    optional(dict, key)?.ok_or_else(|| PyKeyError::new_err(key.to_string()))
}

fn optional<'py, T>(dict: &Bound<'py, PyDict>, key: &str) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    match dict.get_item(key)? {
        Some(value) => value.extract().map(Some).map_err(Into::into),
        None => Ok(None),
    }
}

fn unknown(what: &str, value: &str) -> PyErr {
    PyValueError::new_err(format!("unknown {what}: {value:?}"))
}

/// How many windows, and the milliseconds of one.
fn windows(pair: &(u32, u64)) -> QuotaWindows {
    let (count, size_ms) = *pair;
    QuotaWindows { count, size_ms }
}

/// `PythonQuota`: a name is `None` when the quota does not look at that side, and empty for the default.
pub type PythonQuota = (Option<String>, Option<String>, String, f64);

/// The client quotas, and the limits of addresses.
pub fn quota_image(clients: Vec<PythonQuota>, connections: Vec<(Option<IpAddr>, f64)>) -> PyResult<QuotaImage> {
    let name = |name: Option<String>| match name {
        None => QuotaName::Any,
        Some(name) if name.is_empty() => QuotaName::Default,
        Some(name) => QuotaName::Named(name),
    };
    let clients = clients.into_iter().map(|(user, client_id, key, limit)| {
        let kind = match key.as_str() {
            "producer_byte_rate" => QuotaKind::Produce,
            "consumer_byte_rate" => QuotaKind::Fetch,
            "request_percentage" => QuotaKind::Request,
            "controller_mutation_rate" => QuotaKind::Mutation,
            other => return Err(unknown("quota", other)),
        };
        Ok(ClientQuota {
            user: name(user),
            client_id: name(client_id),
            kind,
            limit,
        })
    });
    Ok(QuotaImage {
        clients: clients.collect::<PyResult<_>>()?,
        connections,
    })
}

/// `LogSettings`.
pub fn log_config(dict: &Bound<'_, PyDict>) -> PyResult<LogConfig> {
    let timestamp_type = match required::<String>(dict, "timestamp_type")?.as_str() {
        "CreateTime" => TimestampType::CreateTime,
        "LogAppendTime" => TimestampType::LogAppendTime,
        other => return Err(unknown("timestamp_type", other)),
    };
    let compression = match required::<String>(dict, "compression_type")?.as_str() {
        "producer" => CompressionSetting::Producer,
        "uncompressed" => CompressionSetting::Uncompressed,
        "snappy" => CompressionSetting::Snappy,
        "gzip" => CompressionSetting::Gzip {
            level: required(dict, "compression_gzip_level")?,
        },
        "lz4" => CompressionSetting::Lz4 {
            level: required(dict, "compression_lz4_level")?,
        },
        "zstd" => CompressionSetting::Zstd {
            level: required(dict, "compression_zstd_level")?,
        },
        other => return Err(unknown("compression_type", other)),
    };
    Ok(LogConfig {
        segment_bytes: required(dict, "segment_bytes")?,
        segment_ms: required(dict, "segment_ms")?,
        segment_jitter_ms: required(dict, "segment_jitter_ms")?,
        segment_index_bytes: required(dict, "segment_index_bytes")?,
        index_interval_bytes: required(dict, "index_interval_bytes")?,
        retention_ms: required(dict, "retention_ms")?,
        retention_bytes: required(dict, "retention_bytes")?,
        file_delete_delay_ms: required(dict, "file_delete_delay_ms")?,
        max_message_bytes: required(dict, "max_message_bytes")?,
        timestamp_type,
        timestamp_before_max_ms: required(dict, "timestamp_before_max_ms")?,
        timestamp_after_max_ms: required(dict, "timestamp_after_max_ms")?,
        compression,
        flush_messages: required(dict, "flush_messages")?,
        flush_ms: required(dict, "flush_ms")?,
        preallocate: required(dict, "preallocate")?,
        delete: required(dict, "delete")?,
        compact: required(dict, "compact")?,
        min_cleanable_dirty_ratio: required(dict, "min_cleanable_dirty_ratio")?,
        min_compaction_lag_ms: required(dict, "min_compaction_lag_ms")?,
        max_compaction_lag_ms: required(dict, "max_compaction_lag_ms")?,
        delete_retention_ms: required(dict, "delete_retention_ms")?,
    })
}

/// `CleanerSettings`.
pub fn cleaner_settings(dict: &Bound<'_, PyDict>) -> PyResult<CleanerSettings> {
    Ok(CleanerSettings {
        threads: required(dict, "threads")?,
        dedupe_buffer_bytes: required(dict, "dedupe_buffer_bytes")?,
        load_factor: required(dict, "load_factor")?,
        io_buffer_bytes: required(dict, "io_buffer_bytes")?,
        io_max_bytes_per_second: required(dict, "io_max_bytes_per_second")?,
        backoff_ms: required(dict, "backoff_ms")?,
    })
}

/// `PartitionSpec`: topic, partition, topic id, settings.
pub type PythonPartitionSpec<'py> = (String, i32, Uuid, Bound<'py, PyDict>);

/// Specs of many partitions. Those of one topic share its name, and those that are given the same dictionary are read
/// from it once: a start has a hundred thousand of them.
pub fn partition_specs(specs: Vec<PythonPartitionSpec<'_>>) -> PyResult<Vec<PartitionSpec>> {
    let mut last_topic: Arc<str> = Arc::from("");
    let mut last_config: Option<(Bound<'_, PyDict>, LogConfig)> = None;
    specs
        .into_iter()
        .map(|(topic, partition, topic_id, settings)| {
            if *last_topic != *topic {
                last_topic = Arc::from(topic);
            }
            if !matches!(&last_config, Some((read, _)) if read.is(&settings)) {
                let config = log_config(&settings)?;
                last_config = Some((settings, config));
            }
            let (_, config) = last_config.as_ref().expect("it was read just now");
            Ok(PartitionSpec {
                topic_partition: TopicPartition::new(last_topic.clone(), partition),
                topic_id,
                config: config.clone(),
            })
        })
        .collect()
}

/// `PartitionState`: partition, leader, leader epoch, replicas, in-sync replicas, offline replicas.
pub type PythonPartitionState = (i32, i32, i32, Vec<i32>, Vec<i32>, Vec<i32>);

pub fn partition_image(state: PythonPartitionState) -> PartitionImage {
    let (partition, leader, leader_epoch, replicas, in_sync_replicas, offline_replicas) = state;
    PartitionImage {
        partition,
        leader,
        leader_epoch,
        replicas,
        in_sync_replicas,
        offline_replicas,
    }
}

/// `Endpoint`: listener, host, port.
pub type PythonEndpoint = (String, String, u16);

pub fn broker_endpoint((listener, host, port): PythonEndpoint) -> BrokerEndpoint {
    BrokerEndpoint {
        listener: listener.into(),
        host: host.into(),
        port,
    }
}

fn listener(dict: &Bound<'_, PyDict>) -> PyResult<Listener> {
    let advertised_host: Option<String> = optional(dict, "advertised_host")?;
    let advertised = match advertised_host {
        Some(host) => Advertised::Fixed {
            host,
            port: required(dict, "advertised_port")?,
        },
        None => Advertised::AsReached,
    };
    Ok(Listener {
        name: required(dict, "name")?,
        host: required(dict, "host")?,
        port: required(dict, "port")?,
        advertised,
    })
}

/// `ServerSettings`.
pub fn server_config(dict: &Bound<'_, PyDict>) -> PyResult<ServerConfig> {
    let listeners: Vec<Bound<'_, PyDict>> = required(dict, "listeners")?;
    let apis: Vec<(i16, i16, i16, i16, bool)> = required(dict, "apis")?;
    let features: Vec<(String, i16, i16, i16)> = required(dict, "features")?;
    let finalized = features.iter().filter(|(_, _, _, level)| *level > 0);
    Ok(ServerConfig {
        node_id: required(dict, "node_id")?,
        cluster_id: required(dict, "cluster_id")?,
        listeners: listeners.iter().map(listener).collect::<PyResult<_>>()?,
        max_request_bytes: required(dict, "max_request_bytes")?,
        connections_max_idle_ms: required(dict, "connections_max_idle_ms")?,
        max_connections: required(dict, "max_connections")?,
        max_connections_per_ip: required(dict, "max_connections_per_ip")?,
        worker_threads: required(dict, "worker_threads")?,
        fetch_max_bytes: required(dict, "fetch_max_bytes")?,
        max_incremental_fetch_sessions: required(dict, "max_incremental_fetch_sessions")?,
        auto_create_topics: required(dict, "auto_create_topics")?,
        quota_windows: windows(&required(dict, "quota_windows")?),
        mutation_windows: windows(&required(dict, "mutation_windows")?),
        verify_transactions: required(dict, "verify_transactions")?,
        verification_backoff_ms: required(dict, "verification_backoff_ms")?,
        verification_backoff_max_ms: required(dict, "verification_backoff_max_ms")?,
        socket_send_buffer_bytes: required(dict, "socket_send_buffer_bytes")?,
        socket_receive_buffer_bytes: required(dict, "socket_receive_buffer_bytes")?,
        apis: apis
            .into_iter()
            .map(|(key, min, max, flexible_since, hot)| ApiRange {
                key,
                min,
                max,
                flexible_since,
                hot,
            })
            .collect(),
        finalized_features: finalized
            .map(|(name, _, _, level)| FinalizedFeature {
                name: name.clone(),
                level: *level,
            })
            .collect(),
        supported_features: features
            .iter()
            .map(|(name, min, max, _)| SupportedFeature {
                name: name.clone(),
                min: *min,
                max: *max,
            })
            .collect(),
        finalized_features_epoch: required(dict, "features_epoch")?,
    })
}

/// A fault by its name in `moldau.server.core_types.FaultKind`.
pub fn fault_kind(kind: &str, value: i64) -> PyResult<FaultKind> {
    match kind {
        "refuse" => Ok(FaultKind::Refuse(ErrorCode(i16::try_from(value)?))),
        "delay" => Ok(FaultKind::Delay(Duration::from_millis(u64::try_from(value)?))),
        "drop-before" => Ok(FaultKind::DropBefore),
        "drop-after" => Ok(FaultKind::DropAfter),
        other => Err(PyValueError::new_err(format!("unknown kind of fault: {other:?}"))),
    }
}
