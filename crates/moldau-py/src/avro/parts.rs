//! What a decoder keeps ready per record and per enum: interned names, a dict to copy, a class, symbols as objects.

use moldau_avro::program::{EnumShape, RecordShape};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::shape::ClassParts;

/// A record, ready to be made.
pub struct RecordParts {
    pub name: Py<PyString>,
    pub fields: Vec<Py<PyString>>,
    /// Every field and None. A copy has room for all of them at once, in their order.
    pub template: Py<PyDict>,
    pub class: Option<ClassParts>,
}

impl RecordParts {
    pub fn new(py: Python<'_>, shape: &RecordShape, shapes: Option<&Bound<'_, PyDict>>) -> PyResult<RecordParts> {
        let fields: Vec<_> = shape
            .fields
            .iter()
            .map(|name| PyString::intern(py, name).unbind())
            .collect();
        let template = PyDict::new(py);
        for field in &fields {
            template.set_item(field, py.None())?;
        }
        let said = shapes.map(|shapes| shapes.get_item(&shape.name)).transpose()?.flatten();
        Ok(RecordParts {
            name: PyString::new(py, &shape.name).unbind(),
            fields,
            template: template.unbind(),
            class: said.map(|said| ClassParts::new(&said, &shape.fields)).transpose()?,
        })
    }
}

/// The symbols of an enum as objects, by number.
pub struct EnumParts(pub Vec<Py<PyAny>>);

impl EnumParts {
    pub fn new(py: Python<'_>, shape: &EnumShape, symbols: Option<&Bound<'_, PyDict>>) -> PyResult<EnumParts> {
        let said = symbols.map(|all| all.get_item(&shape.name)).transpose()?.flatten();
        let Some(said) = said else {
            let interned = shape
                .symbols
                .iter()
                .map(|name| PyString::intern(py, name).into_any().unbind());
            return Ok(EnumParts(interned.collect()));
        };
        let members = said.cast_into::<PyDict>()?;
        let member = |symbol: &String| match members.get_item(symbol)? {
            Some(member) => Ok(member.unbind()),
            None => Err(PyValueError::new_err(format!(
                "the enum for {} has no member for the symbol {symbol:?}, only {}",
                shape.name,
                PyList::new(py, members.keys())?.repr()?
            ))),
        };
        shape.symbols.iter().map(member).collect::<PyResult<_>>().map(EnumParts)
    }
}
