//! What is in a message, as Rust goes through it: made once of what Python says (`moldau.wire.layout`).

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use super::fault::{Checked, Fault};
use super::write;
use crate::shape::ClassParts;

/// One structure in one version.
pub struct StructPlan {
    pub name: String,
    pub flexible: bool,
    pub fields: Vec<FieldPlan>,
    /// Sorted by tag.
    pub tagged: Vec<TaggedPlan>,
    /// Places of the fields first, then of the tagged ones.
    pub class: ClassParts,
}

pub struct FieldPlan {
    pub name: Py<PyString>,
    pub text: String,
    pub kind: Kind,
    pub is_array: bool,
    pub nullable: bool,
    /// The field as nobody set it, or why that cannot be written.
    pub default: Result<Vec<u8>, String>,
}

pub struct TaggedPlan {
    pub tag: u32,
    pub field: FieldPlan,
    /// What a request has in which the field is not; None if it must be there.
    pub read_default: Option<Py<PyAny>>,
    /// What an answer must differ from for the field to be written.
    pub write_default: Py<PyAny>,
}

pub enum Kind {
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float64,
    Bool,
    ErrorCode(Py<PyAny>),
    /// Milliseconds in four bytes, read as a timedelta.
    Duration32(Py<PyAny>),
    Duration64(Py<PyAny>),
    /// Milliseconds since 1970, read as a datetime in UTC; -1 is none.
    Moment,
    Uuid,
    Text,
    Bytes,
    Struct(Box<StructPlan>),
}

impl StructPlan {
    pub fn new(layout: &Bound<'_, PyAny>) -> PyResult<StructPlan> {
        let py = layout.py();
        let class = layout.getattr(intern!(py, "kio_class"))?.cast_into::<PyType>()?;
        let flexible = layout.getattr(intern!(py, "flexible"))?.extract()?;
        let mut fields = Vec::new();
        for field in layout.getattr(intern!(py, "fields"))?.try_iter()? {
            fields.push(FieldPlan::new(&field?, flexible)?);
        }
        let mut tagged = Vec::new();
        for (tag, field) in layout.getattr(intern!(py, "tagged"))?.cast_into::<PyDict>()? {
            tagged.push(TaggedPlan::new(tag.extract()?, &field, &class)?);
        }
        let names: Vec<String> = fields
            .iter()
            .chain(tagged.iter().map(|each| &each.field))
            .map(|each| each.text.clone())
            .collect();
        let places = PyDict::new(py);
        for name in &names {
            places.set_item(name, name)?;
        }
        let said = (&class, "slots", places, false).into_pyobject(py)?;
        Ok(StructPlan {
            name: class.name()?.to_string(),
            flexible,
            fields,
            tagged,
            class: ClassParts::new(&said, &names)?,
        })
    }
}

impl FieldPlan {
    fn new(layout: &Bound<'_, PyAny>, flexible: bool) -> PyResult<FieldPlan> {
        let py = layout.py();
        let text: String = layout.getattr(intern!(py, "name"))?.extract()?;
        let mut plan = FieldPlan {
            name: PyString::intern(py, &text).unbind(),
            text,
            kind: Kind::new(layout)?,
            is_array: layout.getattr(intern!(py, "is_array"))?.extract()?,
            nullable: layout.getattr(intern!(py, "nullable"))?.extract()?,
            default: Ok(Vec::new()),
        };
        let default = layout.getattr(intern!(py, "default"))?;
        let mut written = Vec::new();
        let outcome: Checked<()> = write::field(&plan, flexible, &mut written, &default);
        plan.default = outcome
            .map(|()| written)
            .map_err(|fault: Fault| fault.raised(py).value(py).to_string());
        Ok(plan)
    }
}

impl TaggedPlan {
    fn new(tag: u32, layout: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> PyResult<TaggedPlan> {
        let py = layout.py();
        let field = FieldPlan::new(layout, true)?;
        let declared = class
            .getattr(intern!(py, "__dataclass_fields__"))?
            .get_item(&field.name)?;
        let read_default = declared.getattr(intern!(py, "default"))?;
        let missing = py.import(intern!(py, "dataclasses"))?.getattr(intern!(py, "MISSING"))?;
        Ok(TaggedPlan {
            tag,
            field,
            read_default: (!read_default.is(&missing)).then(|| read_default.unbind()),
            write_default: layout.getattr(intern!(py, "default"))?.unbind(),
        })
    }
}

impl Kind {
    fn new(layout: &Bound<'_, PyAny>) -> PyResult<Kind> {
        let py = layout.py();
        let structure = layout.getattr(intern!(py, "struct"))?;
        if !structure.is_none() {
            return Ok(Kind::Struct(Box::new(StructPlan::new(&structure)?)));
        }
        let duration = || {
            Ok::<_, PyErr>(
                py.import(intern!(py, "datetime"))?
                    .getattr(intern!(py, "timedelta"))?
                    .unbind(),
            )
        };
        let name: String = layout.getattr(intern!(py, "kind"))?.extract()?;
        Ok(match name.as_str() {
            "int8" => Kind::Int8,
            "int16" => Kind::Int16,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "uint8" => Kind::UInt8,
            "uint16" => Kind::UInt16,
            "uint32" => Kind::UInt32,
            "uint64" => Kind::UInt64,
            "float64" => Kind::Float64,
            "bool" => Kind::Bool,
            "error_code" => {
                let errors = py.import(intern!(py, "kio.schema.errors"))?;
                Kind::ErrorCode(errors.getattr(intern!(py, "ErrorCode"))?.unbind())
            }
            "timedelta_i32" => Kind::Duration32(duration()?),
            "timedelta_i64" => Kind::Duration64(duration()?),
            "datetime_i64" => Kind::Moment,
            "uuid" => Kind::Uuid,
            "string" => Kind::Text,
            "bytes" | "records" => Kind::Bytes,
            other => return Err(PyValueError::new_err(format!("no type of the protocol: {other}"))),
        })
    }
}
