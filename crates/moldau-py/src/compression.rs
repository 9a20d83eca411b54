//! Batches unfolded for tools that read log files without a node.

use moldau_log::batch::{Codec, DECOMPRESSED_LIMIT_BYTES, decompress as unfold};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The records section of a batch, decompressed; `codec` is the number in the batch's attributes.
#[pyfunction]
pub fn decompress<'py>(py: Python<'py>, codec: u8, stored: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let codec = Codec::from_number(codec).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let unfolded = py.detach(|| unfold(codec, stored, DECOMPRESSED_LIMIT_BYTES));
    unfolded
        .map(|content| PyBytes::new(py, &content))
        .map_err(|error| PyValueError::new_err(error.to_string()))
}
