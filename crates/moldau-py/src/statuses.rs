//! What a log has to say, as the tuples of `moldau.server.core_types`.

use std::net::SocketAddr;

use moldau_log::{LogManager, PartitionLog, TopicPartition};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Tuples of one kind.
pub type Statuses<'py> = PyResult<Vec<Bound<'py, PyAny>>>;

/// One of the tuples of `moldau.server.core_types`, by its name.
pub fn named<'py>(py: Python<'py>, name: &str, fields: Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    py.import("moldau.server.core_types")?.getattr(name)?.call1(fields)
}

/// Where each listener listens, as an `Endpoint`.
pub fn endpoints<'py>(py: Python<'py>, names: Vec<String>, addresses: &[SocketAddr]) -> Statuses<'py> {
    let listeners = names.into_iter().zip(addresses);
    listeners
        .map(|(name, address)| {
            let host = address.ip().to_string();
            named(py, "Endpoint", (name, host, address.port()).into_pyobject(py)?)
        })
        .collect()
}

/// Every log directory as a `DirectoryStatus`.
pub fn directories<'py>(py: Python<'py>, logs: &LogManager) -> Statuses<'py> {
    let found = py.detach(|| logs.directories());
    found
        .into_iter()
        .map(|status| {
            let fields = (
                status.path.to_string_lossy().into_owned(),
                status.online,
                status.error,
                status.total_bytes,
                status.usable_bytes,
            );
            named(py, "DirectoryStatus", fields.into_pyobject(py)?)
        })
        .collect()
}

/// Every local partition as a `LogStatus`, or those that are asked for and are there.
pub fn logs<'py>(py: Python<'py>, logs: &LogManager, asked: Option<Vec<(String, i32)>>) -> Statuses<'py> {
    let found = |(topic, partition): (String, i32)| logs.get(&TopicPartition::new(topic, partition));
    let logs = py.detach(|| match asked {
        None => logs.partitions(),
        Some(asked) => asked.into_iter().filter_map(found).collect(),
    });
    logs.into_iter()
        .map(|log| {
            let at = log.topic_partition();
            let fields = (
                &*at.topic,
                at.partition,
                log.topic_id(),
                log.log_directory().to_string_lossy().into_owned(),
                log.size_bytes(),
                log.log_start_offset().0,
                log.high_watermark().0,
                log.log_end_offset().0,
                !log.is_offline(),
            );
            named(py, "LogStatus", fields.into_pyobject(py)?)
        })
        .collect()
}

/// The producers that a partition remembers, each as a `ProducerStatus`.
pub fn producers<'py>(py: Python<'py>, log: &PartitionLog) -> Statuses<'py> {
    log.active_producers()
        .into_iter()
        .map(|producer| {
            let fields = (
                producer.producer_id.0,
                producer.producer_epoch.0,
                producer.last_sequence,
                producer.last_timestamp_ms,
                producer.coordinator_epoch,
                producer.current_transaction_start_offset.map_or(-1, |offset| offset.0),
            );
            named(py, "ProducerStatus", fields.into_pyobject(py)?)
        })
        .collect()
}
