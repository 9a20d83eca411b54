//! Builds Python's values while the bytes are read.

use moldau_avro::decode::Builder;
use moldau_avro::fault::{Checked, Fault};
use moldau_avro::schema::{BytesAs, IntAs, LongAs, StringAs};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList};

use super::decimal;
use super::parts::{EnumParts, RecordParts};
use crate::moment;
use crate::shape::Making;

/// The builder of one value.
pub struct Maker<'py, 'parts> {
    py: Python<'py>,
    records: &'parts [RecordParts],
    enums: &'parts [EnumParts],
    named_branches: bool,
    /// What Python raised, when it did.
    cause: Option<PyErr>,
}

/// A record on the way.
pub enum MakingRecord<'py> {
    Dict(Bound<'py, PyDict>),
    Class(Making<'py>),
}

impl<'py, 'parts> Maker<'py, 'parts> {
    pub fn new(
        py: Python<'py>,
        records: &'parts [RecordParts],
        enums: &'parts [EnumParts],
        named_branches: bool,
    ) -> Self {
        Maker {
            py,
            records,
            enums,
            named_branches,
            cause: None,
        }
    }

    pub fn cause(self) -> Option<PyErr> {
        self.cause
    }

    /// What Python said no to.
    #[cold]
    fn refused(&mut self, error: PyErr) -> Fault {
        let what = error.value(self.py).to_string();
        self.cause = Some(error);
        Fault::new(what)
    }

    #[inline]
    fn checked<T>(&mut self, made: PyResult<T>) -> Checked<T> {
        made.map_err(|error| self.refused(error))
    }

    #[inline]
    fn text(&mut self, value: &[u8]) -> Checked<Bound<'py, PyAny>> {
        // SAFETY: a pointer and a length of a live slice; the result is a new reference, or NULL with an exception set.
        let made = unsafe {
            let made = ffi::PyUnicode_FromStringAndSize(value.as_ptr().cast(), value.len().cast_signed());
            Bound::from_owned_ptr_or_err(self.py, made)
        };
        made.map_err(|error| {
            self.cause = Some(error);
            match std::str::from_utf8(value) {
                Err(bad) => Fault::new(format!("a string is no UTF-8 from its byte {} on", bad.valid_up_to())),
                Ok(_) => Fault::new("a string could not be made"),
            }
        })
    }
}

impl<'py> Builder for Maker<'py, '_> {
    type Value = Bound<'py, PyAny>;
    type Record = MakingRecord<'py>;
    type Array = Bound<'py, PyList>;
    type Map = Bound<'py, PyDict>;

    #[inline]
    fn null(&mut self) -> Self::Value {
        self.py.None().into_bound(self.py)
    }

    #[inline]
    fn boolean(&mut self, value: bool) -> Self::Value {
        PyBool::new(self.py, value).to_owned().into_any()
    }

    #[inline]
    fn int(&mut self, value: i32, as_: IntAs) -> Checked<Self::Value> {
        match as_ {
            IntAs::Number => Ok(PyInt::new(self.py, value).into_any()),
            IntAs::Date => moment::date(self.py, value).map_err(|error| self.refused(error)),
            IntAs::TimeMillis => {
                let made = moment::time(self.py, i64::from(value) * 1000);
                self.checked(made)
            }
        }
    }

    #[inline]
    fn long(&mut self, value: i64, as_: LongAs) -> Checked<Self::Value> {
        let made = match as_ {
            LongAs::Number => return Ok(PyInt::new(self.py, value).into_any()),
            LongAs::TimeMicros => moment::time(self.py, value),
            LongAs::TimestampMillis => moment::timestamp(self.py, value, 1000, true),
            LongAs::TimestampMicros => moment::timestamp(self.py, value, 1, true),
            LongAs::LocalTimestampMillis => moment::timestamp(self.py, value, 1000, false),
            LongAs::LocalTimestampMicros => moment::timestamp(self.py, value, 1, false),
        };
        self.checked(made)
    }

    #[inline]
    fn double(&mut self, value: f64) -> Checked<Self::Value> {
        Ok(PyFloat::new(self.py, value).into_any())
    }

    #[inline]
    fn bytes(&mut self, value: &[u8], as_: BytesAs) -> Checked<Self::Value> {
        match as_ {
            BytesAs::Bytes | BytesAs::Uuid => Ok(PyBytes::new(self.py, value).into_any()),
            BytesAs::Decimal { scale, .. } => {
                let made = decimal::from_bytes(self.py, value, scale);
                self.checked(made)
            }
        }
    }

    #[inline]
    fn string(&mut self, value: &[u8], as_: StringAs) -> Checked<Self::Value> {
        let text = self.text(value)?;
        match as_ {
            StringAs::Text => Ok(text),
            StringAs::Uuid => {
                let made = moment::uuid_class(self.py).and_then(|class| class.call1((text,)));
                self.checked(made)
            }
        }
    }

    #[inline]
    fn symbol(&mut self, shape: u32, index: u32) -> Checked<Self::Value> {
        Ok(self.enums[shape as usize].0[index as usize].bind(self.py).clone())
    }

    #[inline]
    fn record(&mut self, shape: u32) -> Checked<Self::Record> {
        let parts = &self.records[shape as usize];
        let made = match &parts.class {
            None => parts.template.bind(self.py).copy().map(MakingRecord::Dict),
            Some(class) => class.begin(self.py).map(MakingRecord::Class),
        };
        self.checked(made)
    }

    #[inline]
    fn set(&mut self, record: &mut Self::Record, shape: u32, slot: u32, value: Self::Value) -> Checked<()> {
        let parts = &self.records[shape as usize];
        let slot = slot as usize;
        let set = match (record, &parts.class) {
            (MakingRecord::Dict(dict), _) => dict.set_item(parts.fields[slot].bind_borrowed(self.py), value),
            (MakingRecord::Class(making), Some(class)) => class.set(making, slot, &value),
            (MakingRecord::Class(_), None) => unreachable!("an instance has a class"),
        };
        self.checked(set)
    }

    #[inline]
    fn finish_record(&mut self, record: Self::Record, shape: u32) -> Checked<Self::Value> {
        match (record, &self.records[shape as usize].class) {
            (MakingRecord::Dict(dict), _) => Ok(dict.into_any()),
            (MakingRecord::Class(making), Some(class)) => {
                let made = class.finish(self.py, making);
                self.checked(made)
            }
            (MakingRecord::Class(_), None) => unreachable!("an instance has a class"),
        }
    }

    fn array(&mut self) -> Checked<Self::Array> {
        Ok(PyList::empty(self.py))
    }

    #[inline]
    fn push(&mut self, array: &mut Self::Array, value: Self::Value) -> Checked<()> {
        let pushed = array.append(value);
        self.checked(pushed)
    }

    fn finish_array(&mut self, array: Self::Array) -> Self::Value {
        array.into_any()
    }

    fn map(&mut self) -> Checked<Self::Map> {
        Ok(PyDict::new(self.py))
    }

    #[inline]
    fn insert(&mut self, map: &mut Self::Map, key: &[u8], value: Self::Value) -> Checked<()> {
        let key = self.text(key)?;
        let inserted = map.set_item(key, value);
        self.checked(inserted)
    }

    fn finish_map(&mut self, map: Self::Map) -> Self::Value {
        map.into_any()
    }

    #[inline]
    fn branch(&mut self, shape: u32, value: Self::Value) -> Checked<Self::Value> {
        if !self.named_branches {
            return Ok(value);
        }
        let name = self.records[shape as usize].name.bind(self.py);
        let pair = (name, value).into_pyobject(self.py).map(Bound::into_any);
        self.checked(pair)
    }
}
