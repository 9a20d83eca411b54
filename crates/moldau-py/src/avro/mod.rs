//! `AvroEncoder` and `AvroDecoder`: Python values to Avro's bytes and back, by a program made once per schema.
//!
//! The programs are `moldau-avro`'s. Here is what knows Python: `make` builds dicts and instances of classes while the
//! bytes are read, `write` walks a value along its schema, `branch` chooses where a union leaves the choice, `moment`
//! and `decimal` are the types that Python has and Avro only describes.

mod branch;
mod decimal;
mod make;
mod parts;
mod write;

use moldau_avro::{Fault, Program, Schema, decode};
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyType};

use make::Maker;
use parts::{EnumParts, RecordParts};
use write::{Writer, WriterParts};

create_exception!(moldau._core, AvroError, PyValueError);

/// The exception class. Its attributes are on the class too, so that the stub's promise holds for both.
pub fn exception_type(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let class = py.get_type::<AvroError>();
    class.setattr("path", "")?;
    class.setattr("offset", py.None())?;
    Ok(class)
}

fn schema_error(error: &moldau_avro::parse::SchemaError) -> PyErr {
    PyValueError::new_err(format!("no Avro schema: {error}"))
}

/// A fault as the exception that Python sees, with what a builder or a value raised as its cause.
fn raised(py: Python<'_>, fault: &Fault, cause: Option<PyErr>) -> PyErr {
    let error = AvroError::new_err(fault.to_string());
    let value = error.value(py);
    let attributes = value
        .setattr("path", fault.path())
        .and_then(|()| value.setattr("offset", fault.offset()));
    if let Err(failed) = attributes {
        return failed;
    }
    error.set_cause(py, cause);
    error
}

#[pyclass(module = "moldau._core", frozen)]
pub struct AvroEncoder {
    schema: Schema,
    parts: WriterParts,
}

#[pymethods]
impl AvroEncoder {
    #[new]
    #[pyo3(signature = (schema, *, references = Vec::new()))]
    fn new(py: Python<'_>, schema: &str, references: Vec<String>) -> PyResult<Self> {
        let schema = Schema::parse(schema, &references).map_err(|error| schema_error(&error))?;
        let parts = WriterParts::new(py, &schema);
        Ok(Self { schema, parts })
    }

    /// `prefix`, and behind it the value.
    #[pyo3(signature = (value, prefix = b"".as_slice()))]
    fn encode<'py>(&self, value: &Bound<'py, PyAny>, prefix: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let py = value.py();
        let mut writer = Writer::new(py, &self.schema, &self.parts, prefix);
        match writer.put(self.schema.root(), value) {
            Ok(()) => Ok(PyBytes::new(py, writer.written())),
            Err(fault) => Err(raised(py, &fault, writer.cause())),
        }
    }
}

#[pyclass(module = "moldau._core", frozen)]
pub struct AvroDecoder {
    program: Program,
    records: Vec<RecordParts>,
    enums: Vec<EnumParts>,
    named_branches: bool,
}

#[pymethods]
impl AvroDecoder {
    #[new]
    #[pyo3(signature = (
        schema, *, references = Vec::new(), reader = None, reader_references = Vec::new(), shapes = None,
        symbols = None, named_branches = false
    ))]
    #[allow(clippy::too_many_arguments, reason = "keywords in Python")]
    fn new(
        py: Python<'_>,
        schema: &str,
        references: Vec<String>,
        reader: Option<&str>,
        reader_references: Vec<String>,
        shapes: Option<&Bound<'_, PyDict>>,
        symbols: Option<&Bound<'_, PyDict>>,
        named_branches: bool,
    ) -> PyResult<Self> {
        let writer = Schema::parse(schema, &references).map_err(|error| schema_error(&error))?;
        let program = match reader {
            None => Program::of(&writer),
            Some(text) => {
                let reader = Schema::parse(text, &reader_references).map_err(|error| schema_error(&error))?;
                Program::resolved(&writer, &reader)
            }
        };
        let records = program
            .records()
            .iter()
            .map(|shape| RecordParts::new(py, shape, shapes));
        let records = records.collect::<PyResult<_>>()?;
        let enums = program.enums().iter().map(|shape| EnumParts::new(py, shape, symbols));
        let enums = enums.collect::<PyResult<_>>()?;
        Ok(Self {
            program,
            records,
            enums,
            named_branches,
        })
    }

    /// The value at `start` of `data`.
    #[pyo3(signature = (data, start = 0))]
    fn decode<'py>(&self, py: Python<'py>, data: &[u8], start: usize) -> PyResult<Bound<'py, PyAny>> {
        let mut maker = Maker::new(py, &self.records, &self.enums, self.named_branches);
        decode(&self.program, data, start, &mut maker).map_err(|fault| raised(py, &fault, maker.cause()))
    }
}
