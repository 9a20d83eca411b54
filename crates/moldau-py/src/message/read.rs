//! From bytes to an object, in the order of the plan.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyTuple};
use uuid::Uuid;

use super::fault::{Checked, Fault};
use super::plan::{FieldPlan, Kind, StructPlan};
use crate::moment;

/// Array elements in one request; the largest real requests (offset commits of big clusters) have some 10,000.
const ELEMENTS_MAX: usize = 1_000_000;
const VARINT_SHIFT_MAX: u32 = 28;

/// A place in the bytes that refuses to move past their end, and counts elements: a small body cannot claim an endless
/// answer.
pub struct Cursor<'data> {
    data: &'data [u8],
    position: usize,
    elements: usize,
}

impl<'data> Cursor<'data> {
    pub fn new(data: &'data [u8]) -> Self {
        Cursor {
            data,
            position: 0,
            elements: 0,
        }
    }

    fn remaining(&self) -> usize {
        self.data.len() - self.position
    }

    #[inline]
    fn take(&mut self, length: usize) -> Checked<&'data [u8]> {
        if length > self.remaining() {
            let (start, left) = (self.position, self.remaining());
            return Err(Fault::new(format!(
                "needs {length} bytes at position {start}, {left} are left"
            )));
        }
        let taken = &self.data[self.position..self.position + length];
        self.position += length;
        Ok(taken)
    }

    #[inline]
    fn fixed<const SIZE: usize>(&mut self) -> Checked<[u8; SIZE]> {
        Ok(self.take(SIZE)?.try_into().expect("so many bytes were taken"))
    }

    #[inline]
    fn unsigned_varint(&mut self) -> Checked<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let [byte] = self.fixed()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift > VARINT_SHIFT_MAX {
                let position = self.position;
                return Err(Fault::new(format!(
                    "varint at position {position} is longer than five bytes"
                )));
            }
        }
    }

    /// None is null.
    #[inline]
    fn length(&mut self, flexible: bool, short: bool) -> Checked<Option<usize>> {
        let length = if flexible {
            self.unsigned_varint()?.cast_signed() - 1
        } else if short {
            i64::from(i16::from_be_bytes(self.fixed()?))
        } else {
            i64::from(i32::from_be_bytes(self.fixed()?))
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Fault::new(format!("length {length} at position {}", self.position))),
        }
    }

    fn count(&mut self, length: usize) -> Checked<()> {
        let (position, left) = (self.position, self.remaining());
        self.elements = self.elements.saturating_add(length);
        if length > left || self.elements > ELEMENTS_MAX {
            return Err(Fault::new(format!(
                "array of {length} elements at {position}, {left} bytes are left"
            )));
        }
        Ok(())
    }
}

/// An instance of the plan's class.
pub fn structure<'py>(py: Python<'py>, plan: &StructPlan, cursor: &mut Cursor<'_>) -> Checked<Bound<'py, PyAny>> {
    let making = plan.class.begin(py)?;
    for (place, field) in plan.fields.iter().enumerate() {
        let value = any(py, field, plan.flexible, cursor)?;
        plan.class.set(&making, place, &value)?;
    }
    let mut found = vec![false; plan.tagged.len()];
    if plan.flexible {
        for _ in 0..cursor.unsigned_varint()? {
            let tag = cursor.unsigned_varint()?;
            let length = usize::try_from(cursor.unsigned_varint()?).unwrap_or(usize::MAX);
            let Some(index) = plan.tagged.iter().position(|each| u64::from(each.tag) == tag) else {
                cursor.take(length)?;
                continue;
            };
            let field = &plan.tagged[index].field;
            let end = cursor.position.saturating_add(length);
            let value = any(py, field, true, cursor)?;
            if cursor.position != end {
                let name = &field.text;
                return Err(Fault::new(format!(
                    "tagged field {name} does not fill its {length} bytes"
                )));
            }
            plan.class.set(&making, plan.fields.len() + index, &value)?;
            found[index] = true;
        }
    }
    for (index, tagged) in plan.tagged.iter().enumerate().filter(|(index, _)| !found[*index]) {
        let Some(default) = &tagged.read_default else {
            return Err(Fault::new(format!("{} has no {}", plan.name, tagged.field.text)));
        };
        plan.class.set(&making, plan.fields.len() + index, default.bind(py))?;
    }
    Ok(plan.class.finish(py, making)?)
}

fn any<'py>(py: Python<'py>, field: &FieldPlan, flexible: bool, cursor: &mut Cursor<'_>) -> Checked<Bound<'py, PyAny>> {
    if !field.is_array {
        return one(py, field, field.nullable, flexible, cursor);
    }
    let Some(length) = cursor.length(flexible, false)? else {
        if field.nullable {
            return Ok(py.None().into_bound(py));
        }
        return Err(Fault::new(format!("{} may not be null", field.text)));
    };
    cursor.count(length)?;
    let mut elements = Vec::with_capacity(length);
    for _ in 0..length {
        elements.push(one(py, field, false, flexible, cursor)?);
    }
    Ok(PyTuple::new(py, elements)?.into_any())
}

fn one<'py>(
    py: Python<'py>,
    field: &FieldPlan,
    nullable: bool,
    flexible: bool,
    cursor: &mut Cursor<'_>,
) -> Checked<Bound<'py, PyAny>> {
    Ok(match &field.kind {
        Kind::Int8 => PyInt::new(py, i8::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::Int16 => PyInt::new(py, i16::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::Int32 => PyInt::new(py, i32::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::Int64 => PyInt::new(py, i64::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::UInt8 => PyInt::new(py, u8::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::UInt16 => PyInt::new(py, u16::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::UInt32 => PyInt::new(py, u32::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::UInt64 => PyInt::new(py, u64::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::Float64 => PyFloat::new(py, f64::from_be_bytes(cursor.fixed()?)).into_any(),
        Kind::Bool => PyBool::new(py, cursor.fixed::<1>()? != [0]).to_owned().into_any(),
        Kind::ErrorCode(class) => class.bind(py).call1((i16::from_be_bytes(cursor.fixed()?),))?,
        Kind::Duration32(class) => duration(class.bind(py), i32::from_be_bytes(cursor.fixed()?).into())?,
        Kind::Duration64(class) => duration(class.bind(py), i64::from_be_bytes(cursor.fixed()?))?,
        Kind::Moment => match i64::from_be_bytes(cursor.fixed()?) {
            -1 => py.None().into_bound(py),
            millis => moment::timestamp(py, millis, 1000, true)?,
        },
        Kind::Uuid => match Uuid::from_bytes(cursor.fixed()?) {
            id if nullable && id.is_nil() => py.None().into_bound(py),
            id => id.into_pyobject(py)?.into_any(),
        },
        Kind::Text => match sized(nullable, flexible, true, cursor)? {
            None => py.None().into_bound(py),
            Some(raw) => text(py, raw)?,
        },
        Kind::Bytes => match sized(nullable, flexible, false, cursor)? {
            None => py.None().into_bound(py),
            Some(raw) => PyBytes::new(py, raw).into_any(),
        },
        Kind::Struct(plan) if nullable => match i8::from_be_bytes(cursor.fixed()?) {
            ..0 => py.None().into_bound(py),
            _ => structure(py, plan, cursor)?,
        },
        Kind::Struct(plan) => structure(py, plan, cursor)?,
    })
}

fn sized<'data>(
    nullable: bool,
    flexible: bool,
    short: bool,
    cursor: &mut Cursor<'data>,
) -> Checked<Option<&'data [u8]>> {
    match cursor.length(flexible, short)? {
        Some(length) => cursor.take(length).map(Some),
        None if nullable => Ok(None),
        None => {
            let position = cursor.position;
            Err(Fault::new(format!(
                "null at position {position} in a field that may not be null"
            )))
        }
    }
}

fn text<'py>(py: Python<'py>, raw: &[u8]) -> Checked<Bound<'py, PyAny>> {
    // SAFETY: a pointer and a length of a live slice; the result is a new reference, or NULL with an exception set.
    let made = unsafe {
        let made = ffi::PyUnicode_FromStringAndSize(raw.as_ptr().cast(), raw.len().cast_signed());
        Bound::from_owned_ptr_or_err(py, made)
    };
    Ok(made?)
}

/// `class` is timedelta: days, seconds, microseconds, milliseconds.
fn duration<'py>(class: &Bound<'py, PyAny>, millis: i64) -> Checked<Bound<'py, PyAny>> {
    Ok(class.call1((0, 0, 0, millis))?)
}
