//! Walks a Python value along its schema and appends its bytes.
//!
//! What is taken for what is fastavro's rule: a datetime or a number for a timestamp, a Decimal or its bytes for a
//! decimal. Beyond it, records may be instances of dataclasses and of msgspec's Structs, and enums members of an Enum.

use std::sync::Arc;

use moldau_avro::decode::DEPTH_MAX;
use moldau_avro::default::default_bytes;
use moldau_avro::fault::{Checked, Fault, Segment};
use moldau_avro::schema::{BytesAs, Enum, IntAs, LongAs, Node, NodeId, Record, Schema, StringAs};
use moldau_avro::wire::{put_double, put_float, put_long, put_sized};
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyType};

use super::decimal;
use crate::moment;

/// Bytes to begin with: most records are smaller, and the others grow it twice or three times.
const ROOM_BYTES: usize = 160;

/// What a writer keeps ready per node.
pub struct WriterParts(Vec<Option<FieldsParts>>);

struct FieldsParts {
    fields: Vec<FieldParts>,
    /// The class that was written last, and its attribute for each field.
    attributes: Mutex<Option<(Py<PyType>, Attributes)>>,
}

type Attributes = Arc<[Option<Py<PyString>>]>;

struct FieldParts {
    name: Py<PyString>,
    node: NodeId,
    missing: Missing,
}

/// What is written for a field that the value does not have.
enum Missing {
    Bytes(Vec<u8>),
    Refused(String),
}

impl WriterParts {
    pub fn new(py: Python<'_>, schema: &Schema) -> WriterParts {
        let parts = schema.nodes().iter().map(|node| match node {
            Node::Record(record) => Some(FieldsParts::new(py, schema, record)),
            _ => None,
        });
        WriterParts(parts.collect())
    }

    fn record(&self, id: NodeId) -> &FieldsParts {
        self.0[id.0 as usize]
            .as_ref()
            .expect("there are parts for every record")
    }
}

impl FieldsParts {
    fn new(py: Python<'_>, schema: &Schema, record: &Record) -> FieldsParts {
        let fields = record.fields.iter().map(|field| FieldParts {
            name: PyString::intern(py, &field.name).unbind(),
            node: field.node,
            missing: match default_bytes(schema, field) {
                Ok(Some(bytes)) => Missing::Bytes(bytes),
                Ok(None) => null_bytes(schema, field.node).map_or_else(
                    || Missing::Refused("it is missing, and the schema has no default for it".to_owned()),
                    Missing::Bytes,
                ),
                Err(what) => Missing::Refused(format!("it is missing, and {what}")),
            },
        });
        FieldsParts {
            fields: fields.collect(),
            attributes: Mutex::new(None),
        }
    }
}

/// Null where the type has it.
fn null_bytes(schema: &Schema, id: NodeId) -> Option<Vec<u8>> {
    match schema.node(id) {
        Node::Null => Some(Vec::new()),
        Node::Union(branches) => {
            let index = branches
                .iter()
                .position(|branch| matches!(schema.node(*branch), Node::Null))?;
            let mut bytes = Vec::new();
            put_long(&mut bytes, index as i64);
            Some(bytes)
        }
        _ => None,
    }
}

/// Writes one value.
pub struct Writer<'py, 'run> {
    pub(super) py: Python<'py>,
    pub(super) schema: &'run Schema,
    parts: &'run WriterParts,
    out: Vec<u8>,
    depth: u32,
    cause: Option<PyErr>,
}

impl<'py, 'run> Writer<'py, 'run> {
    pub fn new(py: Python<'py>, schema: &'run Schema, parts: &'run WriterParts, prefix: &[u8]) -> Self {
        let mut out = Vec::with_capacity(prefix.len() + ROOM_BYTES);
        out.extend_from_slice(prefix);
        Writer {
            py,
            schema,
            parts,
            out,
            depth: 0,
            cause: None,
        }
    }

    pub fn written(&self) -> &[u8] {
        &self.out
    }

    pub fn cause(self) -> Option<PyErr> {
        self.cause
    }

    pub(super) fn refused(&mut self, error: PyErr) -> Fault {
        let what = error.value(self.py).to_string();
        self.cause = Some(error);
        Fault::new(what)
    }

    pub fn put(&mut self, id: NodeId, value: &Bound<'py, PyAny>) -> Checked<()> {
        let schema = self.schema;
        match schema.node(id) {
            Node::Null if value.is_none() => Ok(()),
            Node::Null => Err(no(value, "null")),
            Node::Boolean => match value.cast_exact::<PyBool>() {
                Ok(value) => {
                    self.out.push(u8::from(value.is_true()));
                    Ok(())
                }
                Err(_) => Err(no(value, "boolean")),
            },
            Node::Int(as_) => self.int(value, *as_),
            Node::Long(as_) => self.long(value, *as_),
            Node::Float => put_float(&mut self.out, real(value)?),
            Node::Double => {
                put_double(&mut self.out, real(value)?);
                Ok(())
            }
            Node::Bytes(as_) => self.bytes(value, *as_, None),
            Node::String(as_) => self.string(value, *as_),
            Node::Fixed(fixed) => self.bytes(value, fixed.as_, Some(fixed.size)),
            Node::Enum(one) => self.symbol(value, one),
            Node::Array(items) => self.deeper(|writer| writer.array(value, *items)),
            Node::Map(values) => self.deeper(|writer| writer.map(value, *values)),
            Node::Union(branches) => self.union(value, branches),
            Node::Record(record) => self.deeper(|writer| writer.record(value, id, record)),
        }
    }

    #[inline]
    fn deeper(&mut self, put: impl FnOnce(&mut Self) -> Checked<()>) -> Checked<()> {
        if !self.enter() {
            return Err(Fault::new(format!("values are nested deeper than {DEPTH_MAX}")));
        }
        let done = put(self);
        self.leave();
        done
    }

    /// Whether there may be one more value inside of the others.
    #[inline]
    pub(super) fn enter(&mut self) -> bool {
        let may = self.depth < DEPTH_MAX;
        self.depth += u32::from(may);
        may
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn put_index(&mut self, index: usize) {
        put_long(&mut self.out, index as i64);
    }

    fn int(&mut self, value: &Bound<'py, PyAny>, as_: IntAs) -> Checked<()> {
        let number = match as_ {
            IntAs::Date if !value.is_exact_instance_of::<PyInt>() => {
                let days = moment::days_since_1970(value).map_err(|error| self.refused(error))?;
                days.map(i64::from)
            }
            IntAs::TimeMillis if !value.is_exact_instance_of::<PyInt>() => {
                let micros = moment::micros_since_midnight(value).map_err(|error| self.refused(error))?;
                micros.map(|micros| micros / 1000)
            }
            _ => None,
        };
        let number = match number {
            Some(number) => number,
            None => integer(value, "int")?,
        };
        if i32::try_from(number).is_err() {
            return Err(Fault::new(format!("{number} is no int: it has more than 32 bits")));
        }
        put_long(&mut self.out, number);
        Ok(())
    }

    fn long(&mut self, value: &Bound<'py, PyAny>, as_: LongAs) -> Checked<()> {
        let number = if as_ == LongAs::Number || value.is_exact_instance_of::<PyInt>() {
            None
        } else {
            let micros = match as_ {
                LongAs::TimeMicros => moment::micros_since_midnight(value),
                LongAs::LocalTimestampMillis | LongAs::LocalTimestampMicros => moment::micros_since_1970(value, false),
                _ => moment::micros_since_1970(value, true),
            };
            let micros = micros.map_err(|error| self.refused(error))?;
            match as_ {
                LongAs::TimestampMillis | LongAs::LocalTimestampMillis => micros.map(|micros| micros.div_euclid(1000)),
                _ => micros,
            }
        };
        let number = match number {
            Some(number) => number,
            None => integer(value, "long")?,
        };
        put_long(&mut self.out, number);
        Ok(())
    }

    fn string(&mut self, value: &Bound<'py, PyAny>, as_: StringAs) -> Checked<()> {
        if let Ok(text) = value.cast::<PyString>() {
            let text = text.to_str().map_err(|error| self.refused(error))?;
            put_sized(&mut self.out, text.as_bytes());
            return Ok(());
        }
        if as_ == StringAs::Uuid && is_uuid(value) {
            put_sized(&mut self.out, value.to_string().as_bytes());
            return Ok(());
        }
        Err(no(value, "string"))
    }

    fn bytes(&mut self, value: &Bound<'py, PyAny>, as_: BytesAs, size: Option<usize>) -> Checked<()> {
        if let Ok(content) = value.cast::<PyBytes>() {
            return self.content(content.as_bytes(), size);
        }
        if let Ok(content) = value.cast::<PyByteArray>() {
            return self.content(&content.to_vec(), size);
        }
        match as_ {
            BytesAs::Decimal { precision, scale } if is_decimal(value) => {
                let content = decimal::to_bytes(value, precision, scale, size).map_err(|error| self.refused(error))?;
                self.content(&content, size)
            }
            BytesAs::Uuid if is_uuid(value) => {
                let content = value
                    .getattr(intern!(self.py, "bytes"))
                    .and_then(|bytes| bytes.extract::<Vec<u8>>());
                let content = content.map_err(|error| self.refused(error))?;
                self.content(&content, size)
            }
            _ => Err(no(value, if size.is_some() { "fixed" } else { "bytes" })),
        }
    }

    fn content(&mut self, content: &[u8], size: Option<usize>) -> Checked<()> {
        match size {
            None => put_sized(&mut self.out, content),
            Some(size) if size == content.len() => self.out.extend_from_slice(content),
            Some(size) => return Err(Fault::new(format!("{} bytes for a fixed of {size}", content.len()))),
        }
        Ok(())
    }

    fn symbol(&mut self, value: &Bound<'py, PyAny>, one: &Enum) -> Checked<()> {
        let Some(index) = symbol_of(value, one) else {
            return Err(Fault::new(format!(
                "{} is none of the symbols of {}",
                shown(value),
                one.name.full
            )));
        };
        put_long(&mut self.out, index as i64);
        Ok(())
    }

    fn array(&mut self, value: &Bound<'py, PyAny>, items: NodeId) -> Checked<()> {
        let count = if let Ok(list) = value.cast::<PyList>() {
            list.len()
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            tuple.len()
        } else {
            return self.other_array(value, items);
        };
        if count > 0 {
            put_long(&mut self.out, count as i64);
            for (index, item) in value.try_iter().map_err(|error| self.refused(error))?.enumerate() {
                let item = item.map_err(|error| self.refused(error))?;
                // A list that changes while it is read would no longer have the length that was written.
                if index == count {
                    return Err(Fault::new("the list has grown while it was written"));
                }
                self.put(items, &item)
                    .map_err(|fault| fault.inside(Segment::Index(index)))?;
            }
            if value.len().is_ok_and(|now| now < count) {
                return Err(Fault::new("the list has shrunk while it was written"));
            }
        }
        self.out.push(0);
        Ok(())
    }

    fn other_array(&mut self, value: &Bound<'py, PyAny>, items: NodeId) -> Checked<()> {
        let unfit = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
        if unfit || value.is_instance_of::<PyDict>() || value.len().is_err() {
            return Err(no(value, "array"));
        }
        let list = PyList::empty(self.py);
        for item in value.try_iter().map_err(|error| self.refused(error))? {
            let item = item.map_err(|error| self.refused(error))?;
            list.append(item).map_err(|error| self.refused(error))?;
        }
        self.array(list.as_any(), items)
    }

    fn map(&mut self, value: &Bound<'py, PyAny>, values: NodeId) -> Checked<()> {
        let entries = match (value.cast::<PyDict>(), value.cast::<PyMapping>()) {
            (Ok(dict), _) => dict.items(),
            (_, Ok(mapping)) => mapping.items().map_err(|error| self.refused(error))?,
            _ => return Err(no(value, "map")),
        };
        if !entries.is_empty() {
            put_long(&mut self.out, entries.len() as i64);
            for entry in entries.iter() {
                let (key, item) = entry
                    .extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()
                    .map_err(|error| self.refused(error))?;
                let Ok(key) = key.cast_into::<PyString>() else {
                    return Err(Fault::new("a key of the map is no string"));
                };
                let key = key.to_str().map_err(|error| self.refused(error))?;
                put_sized(&mut self.out, key.as_bytes());
                self.put(values, &item)
                    .map_err(|fault| fault.inside(Segment::Named(key.to_owned())))?;
            }
        }
        self.out.push(0);
        Ok(())
    }

    fn record(&mut self, value: &Bound<'py, PyAny>, id: NodeId, record: &Record) -> Checked<()> {
        let parts = self.parts.record(id);
        if let Ok(dict) = value.cast::<PyDict>() {
            return self.fields(record, parts, |_, field| {
                dict.get_item(field.name.bind_borrowed(dict.py()))
            });
        }
        let attributes = self.attributes(parts, value).map_err(|error| self.refused(error))?;
        if let Some(attributes) = attributes {
            return self.fields(record, parts, |index, _| match &attributes[index] {
                Some(name) => value.getattr_opt(name.bind_borrowed(value.py())),
                None => Ok(None),
            });
        }
        match value.cast::<PyMapping>() {
            Ok(mapping) => self.fields(record, parts, |_, field| {
                let name = field.name.bind(mapping.py());
                if mapping.contains(name)? {
                    mapping.get_item(name).map(Some)
                } else {
                    Ok(None)
                }
            }),
            Err(_) => Err(no(value, "record")),
        }
    }

    #[inline]
    fn fields(
        &mut self,
        record: &Record,
        parts: &FieldsParts,
        get: impl Fn(usize, &FieldParts) -> PyResult<Option<Bound<'py, PyAny>>>,
    ) -> Checked<()> {
        for (index, field) in parts.fields.iter().enumerate() {
            let put = match get(index, field) {
                Ok(Some(value)) => self.put(field.node, &value),
                Ok(None) => match &field.missing {
                    Missing::Bytes(bytes) => {
                        self.out.extend_from_slice(bytes);
                        Ok(())
                    }
                    Missing::Refused(what) => Err(Fault::new(what.as_str())),
                },
                Err(error) => Err(self.refused(error)),
            };
            put.map_err(|fault| fault.inside(Segment::Named(record.fields[index].name.clone())))?;
        }
        Ok(())
    }

    /// The attribute behind each field, if the value is an instance of a class with fields.
    fn attributes(&self, parts: &FieldsParts, value: &Bound<'py, PyAny>) -> PyResult<Option<Attributes>> {
        let class = value.get_type();
        if let Some((known, attributes)) = &*parts.attributes.lock()
            && known.is(&class)
        {
            return Ok(Some(Arc::clone(attributes)));
        }
        let Some(names) = field_names(&class)? else {
            return Ok(None);
        };
        let attributes = parts.fields.iter().map(|field| {
            let name = names.get_item(&field.name)?;
            name.map(|name| Ok(name.cast_into::<PyString>()?.unbind())).transpose()
        });
        let attributes: Attributes = attributes.collect::<PyResult<Vec<_>>>()?.into();
        // What was there is let go after the lock: the end of a class may run Python.
        let _before = parts
            .attributes
            .lock()
            .replace((class.unbind(), Arc::clone(&attributes)));
        Ok(Some(attributes))
    }
}

/// From the name of each field, as it is written, to the attribute that holds it; None for a class without fields.
pub(super) fn field_names<'py>(class: &Bound<'py, PyType>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = class.py();
    let names = PyDict::new(py);
    if let Some(fields) = class.getattr_opt(intern!(py, "__struct_fields__"))? {
        let written = class.getattr(intern!(py, "__struct_encode_fields__"))?;
        for pair in written.try_iter()?.zip(fields.try_iter()?) {
            names.set_item(pair.0?, pair.1?)?;
        }
        return Ok(Some(names));
    }
    let Some(fields) = class.getattr_opt(intern!(py, "__dataclass_fields__"))? else {
        return Ok(None);
    };
    for name in fields.try_iter()? {
        let name = name?;
        names.set_item(&name, &name)?;
    }
    Ok(Some(names))
}

/// The number of the symbol that a string, or a member of an Enum, stands for.
pub(super) fn symbol_of(value: &Bound<'_, PyAny>, one: &Enum) -> Option<usize> {
    let position = |text: &Bound<'_, PyString>| {
        let text = text.to_str().ok()?;
        one.symbols.iter().position(|symbol| symbol == text)
    };
    if let Ok(text) = value.cast::<PyString>() {
        return position(text);
    }
    if !is_member(value) {
        return None;
    }
    ["value", "name"]
        .iter()
        .find_map(|part| position(value.getattr(*part).ok()?.cast::<PyString>().ok()?))
}

fn is_member(value: &Bound<'_, PyAny>) -> bool {
    value
        .py()
        .import("enum")
        .and_then(|module| value.is_instance(&module.getattr("Enum")?))
        .unwrap_or(false)
}

pub(super) fn is_uuid(value: &Bound<'_, PyAny>) -> bool {
    moment::uuid_class(value.py()).is_ok_and(|class| value.is_instance(class).unwrap_or(false))
}

pub(super) fn is_decimal(value: &Bound<'_, PyAny>) -> bool {
    decimal::class(value.py()).is_ok_and(|class| value.is_instance(class).unwrap_or(false))
}

#[inline]
fn integer(value: &Bound<'_, PyAny>, type_name: &str) -> Checked<i64> {
    value.extract::<i64>().map_err(|_| {
        if value.is_instance_of::<PyInt>() {
            Fault::new(format!("{} is no {type_name}: it has more than 64 bits", shown(value)))
        } else {
            no(value, type_name)
        }
    })
}

#[inline]
fn real(value: &Bound<'_, PyAny>) -> Checked<f64> {
    match value.cast_exact::<PyFloat>() {
        Ok(value) => Ok(value.value()),
        Err(_) => value.extract::<f64>().map_err(|_| no(value, "float")),
    }
}

#[cold]
fn no(value: &Bound<'_, PyAny>, type_name: &str) -> Fault {
    let class = value
        .get_type()
        .name()
        .map_or_else(|_| "value".to_owned(), |name| name.to_string());
    Fault::new(format!("{} ({class}) is no {type_name}", shown(value)))
}

/// A value in a message: short, and whatever its `repr` does.
pub(super) fn shown(value: &Bound<'_, PyAny>) -> String {
    const SHOWN_CHARACTERS: usize = 60;
    let Ok(text) = value.repr() else {
        return "a value".to_owned();
    };
    let text = text.to_string_lossy().into_owned();
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
