//! What a log has to say, as the tuples of `moldau.server.core_types`.

use moldau_log::LogManager;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// One of the tuples of `moldau.server.core_types`, by its name.
pub fn named<'py>(py: Python<'py>, name: &str, fields: Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    py.import("moldau.server.core_types")?.getattr(name)?.call1(fields)
}

/// Every log directory as a `DirectoryStatus`.
pub fn directories<'py>(py: Python<'py>, logs: &LogManager) -> PyResult<Vec<Bound<'py, PyAny>>> {
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

/// Every local partition as a `LogStatus`.
pub fn logs<'py>(py: Python<'py>, logs: &LogManager) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let logs = py.detach(|| logs.partitions());
    logs.into_iter()
        .map(|log| {
            let at = log.topic_partition();
            let parent = log.directory().parent().unwrap_or(log.directory());
            let fields = (
                &*at.topic,
                at.partition,
                log.topic_id(),
                parent.to_string_lossy().into_owned(),
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
