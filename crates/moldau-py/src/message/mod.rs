//! `MessageCodec`: one message of the protocol in one version, to Python's objects and back.
//!
//! `moldau.wire.layout` says what is in the message; here that is turned into a plan once (`plan`), which `read`
//! follows for requests and `write` for answers. Nothing is allocated from a length before so many bytes were seen to
//! be there, and the elements of one message are counted.

mod fault;
mod plan;
mod read;
mod write;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use plan::StructPlan;
use read::Cursor;

#[pyclass(module = "moldau._core", frozen)]
pub struct MessageCodec {
    plan: StructPlan,
}

#[pymethods]
impl MessageCodec {
    #[new]
    fn new(layout: &Bound<'_, PyAny>) -> PyResult<Self> {
        StructPlan::new(layout).map(|plan| Self { plan })
    }

    /// The object at the beginning of `body`; what is behind it is ignored.
    fn decode<'py>(&self, py: Python<'py>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let mut cursor = Cursor::new(body);
        read::structure(py, &self.plan, &mut cursor).map_err(|fault| fault.raised(py))
    }

    /// The bytes of `answer`; a field that it does not name has its default.
    fn encode<'py>(&self, answer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = answer.py();
        let mut out = Vec::with_capacity(write::ROOM_BYTES);
        write::structure(&self.plan, &mut out, answer).map_err(|fault| fault.raised(py))?;
        Ok(PyBytes::new(py, &out))
    }
}
