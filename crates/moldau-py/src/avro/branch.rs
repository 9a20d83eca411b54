//! Which branch of a union a Python value is meant for: fastavro's rules.
//!
//! A tuple `(name, value)` says it, and so does a record's key `-type`. Otherwise the first branch that the value fits
//! is taken, with two exceptions: among records the one with most of the value's fields, and a `double` behind a
//! `float`, because Python's numbers are doubles. For an instance of a class, a record with the name of the class
//! comes before all others.

use moldau_avro::fault::{Checked, Fault};
use moldau_avro::schema::{BytesAs, IntAs, LongAs, Name, Node, NodeId, Record, StringAs, simple};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyMapping, PyString, PyTuple};

use super::decimal;
use super::write::{Writer, field_names, is_decimal, is_uuid, shown, symbol_of};
use crate::moment;

impl<'py> Writer<'py, '_> {
    pub(super) fn union(&mut self, value: &Bound<'py, PyAny>, branches: &[NodeId]) -> Checked<()> {
        if let Ok(hint) = value.cast::<PyTuple>() {
            let (index, meant) = self.hinted(hint, branches)?;
            return self.put_branch(index, branches, &meant);
        }
        if let [one, other] = branches {
            // Nothing to choose: what does not fit is better said by the branch itself.
            let null_first = matches!(self.schema.node(*one), Node::Null);
            if null_first || matches!(self.schema.node(*other), Node::Null) {
                let index = usize::from(null_first != value.is_none());
                if !value.is_none() {
                    self.check_type_hint(value, branches[index])?;
                }
                return self.put_branch(index, branches, value);
            }
        }
        match self.fitting(value, branches)? {
            Some(index) => self.put_branch(index, branches, value),
            None => {
                let class = value.get_type().name().map_err(|error| self.refused(error))?;
                let names: Vec<_> = branches.iter().map(|id| self.schema.node(*id).branch_name()).collect();
                Err(Fault::new(format!(
                    "{} ({class}) is none of {}",
                    shown(value),
                    names.join(", ")
                )))
            }
        }
    }

    fn put_branch(&mut self, index: usize, branches: &[NodeId], value: &Bound<'py, PyAny>) -> Checked<()> {
        self.put_index(index);
        self.put(branches[index], value)
    }

    fn hinted(&mut self, hint: &Bound<'py, PyTuple>, branches: &[NodeId]) -> Checked<(usize, Bound<'py, PyAny>)> {
        let Ok((name, value)) = hint.extract::<(String, Bound<'py, PyAny>)>() else {
            return Err(Fault::new(format!(
                "{} is no pair of a branch's name and a value",
                shown(hint.as_any())
            )));
        };
        let named = |id: &NodeId| self.schema.node(*id).branch_name() == name;
        match branches.iter().position(named) {
            Some(index) => Ok((index, value)),
            None => Err(Fault::new(format!("the union has no branch {name:?}"))),
        }
    }

    fn check_type_hint(&self, value: &Bound<'py, PyAny>, id: NodeId) -> Checked<()> {
        match (self.schema.node(id), value.cast::<PyDict>()) {
            (Node::Record(record), Ok(dict)) if !type_hint_agrees(dict, &record.name) => {
                Err(Fault::new(format!("its \"-type\" is not {}", record.name.full)))
            }
            _ => Ok(()),
        }
    }

    fn fitting(&mut self, value: &Bound<'py, PyAny>, branches: &[NodeId]) -> Checked<Option<usize>> {
        let mut best: Option<usize> = None;
        let mut best_fields: Option<usize> = None;
        let mut only_double = false;
        for (index, id) in branches.iter().enumerate() {
            let node = self.schema.node(*id);
            if only_double {
                if matches!(node, Node::Double) {
                    return Ok(Some(index));
                }
                continue;
            }
            if !self.fits(value, *id).map_err(|error| self.refused(error))? {
                continue;
            }
            match node {
                Node::Record(record) => {
                    if is_named_after(value, record) {
                        return Ok(Some(index));
                    }
                    let fields = known_fields(value, record).map_err(|error| self.refused(error))?;
                    if best_fields.is_none_or(|most| fields > most) {
                        (best, best_fields) = (Some(index), Some(fields));
                    }
                }
                Node::Float => {
                    best = Some(index);
                    only_double = true;
                }
                _ => return Ok(Some(index)),
            }
        }
        Ok(best)
    }

    fn fits(&mut self, value: &Bound<'py, PyAny>, id: NodeId) -> PyResult<bool> {
        let schema = self.schema;
        Ok(match schema.node(id) {
            Node::Null => value.is_none(),
            Node::Boolean => value.is_exact_instance_of::<PyBool>(),
            Node::Int(as_) => int_fits(value, *as_),
            Node::Long(as_) => long_fits(value, *as_)?,
            Node::Float | Node::Double => real_fits(value)?,
            Node::Bytes(as_) => is_bytes(value) || decimal_fits(value, *as_, None),
            Node::String(as_) => value.is_instance_of::<PyString>() || (*as_ == StringAs::Uuid && is_uuid(value)),
            Node::Fixed(fixed) => {
                is_bytes(value) && value.len()? == fixed.size
                    || decimal_fits(value, fixed.as_, Some(fixed.size))
                    || (fixed.as_ == BytesAs::Uuid && is_uuid(value))
            }
            Node::Enum(one) => symbol_of(value, one).is_some(),
            Node::Array(items) => self.array_fits(value, *items)?,
            Node::Map(values) => self.map_fits(value, *values)?,
            Node::Union(branches) => self.union_fits(value, branches)?,
            Node::Record(record) => self.record_fits(value, record)?,
        })
    }

    fn array_fits(&mut self, value: &Bound<'py, PyAny>, items: NodeId) -> PyResult<bool> {
        let unfit = value.is_instance_of::<PyString>() || is_bytes(value) || value.cast::<PyMapping>().is_ok();
        if unfit || value.cast::<pyo3::types::PySequence>().is_err() {
            return Ok(false);
        }
        for item in value.try_iter()? {
            if !self.fits_inside(&item?, items)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn map_fits(&mut self, value: &Bound<'py, PyAny>, values: NodeId) -> PyResult<bool> {
        let Ok(mapping) = value.cast::<PyMapping>() else {
            return Ok(false);
        };
        for entry in mapping.items()?.iter() {
            let (key, item) = entry.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
            if !key.is_instance_of::<PyString>() || !self.fits_inside(&item, values)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn union_fits(&mut self, value: &Bound<'py, PyAny>, branches: &[NodeId]) -> PyResult<bool> {
        if let Ok(hint) = value.cast::<PyTuple>() {
            return match self.hinted(hint, branches) {
                Ok((index, meant)) => self.fits_inside(&meant, branches[index]),
                Err(_) => Ok(false),
            };
        }
        for branch in branches {
            if self.fits_inside(value, *branch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn record_fits(&mut self, value: &Bound<'py, PyAny>, record: &Record) -> PyResult<bool> {
        let none = self.py.None().into_bound(self.py);
        if let Some(names) = field_names(&value.get_type())? {
            for field in &record.fields {
                let name = names.get_item(&field.name)?;
                let given = match name {
                    Some(name) => value.getattr_opt(name.cast::<PyString>()?)?,
                    None => None,
                };
                if given.is_none() && field.default.is_some() {
                    continue;
                }
                if !self.fits_inside(given.as_ref().unwrap_or(&none), field.node)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let Ok(mapping) = value.cast::<PyMapping>() else {
            return Ok(false);
        };
        if let Ok(dict) = value.cast::<PyDict>()
            && !type_hint_agrees(dict, &record.name)
        {
            return Ok(false);
        }
        for field in &record.fields {
            let given = if mapping.contains(&field.name)? {
                mapping.get_item(&field.name)?
            } else {
                none.clone()
            };
            if given.is_none() && field.default.is_some() && !mapping.contains(&field.name)? {
                continue;
            }
            if !self.fits_inside(&given, field.node)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One level deeper: a value that holds itself fits nothing.
    fn fits_inside(&mut self, value: &Bound<'py, PyAny>, id: NodeId) -> PyResult<bool> {
        if !self.enter() {
            return Ok(false);
        }
        let fits = self.fits(value, id);
        self.leave();
        fits
    }
}

fn type_hint_agrees(dict: &Bound<'_, PyDict>, name: &Name) -> bool {
    match dict.get_item(intern!(dict.py(), "-type")) {
        Ok(Some(hint)) => hint.extract::<String>().is_ok_and(|hint| hint == name.full),
        _ => true,
    }
}

fn is_named_after(value: &Bound<'_, PyAny>, record: &Record) -> bool {
    !value.is_instance_of::<PyDict>()
        && value
            .get_type()
            .name()
            .is_ok_and(|name| name.to_str().is_ok_and(|name| simple(&record.name.full) == name))
}

fn known_fields(value: &Bound<'_, PyAny>, record: &Record) -> PyResult<usize> {
    let names = field_names(&value.get_type())?;
    let mut count = 0;
    for field in &record.fields {
        let has = match &names {
            Some(names) => names.contains(&field.name)?,
            None => value.contains(&field.name)?,
        };
        count += usize::from(has);
    }
    Ok(count)
}

fn is_bytes(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>()
}

fn is_integer(value: &Bound<'_, PyAny>) -> bool {
    !value.is_exact_instance_of::<PyBool>() && !value.is_instance_of::<PyFloat>()
}

fn int_fits(value: &Bound<'_, PyAny>, as_: IntAs) -> bool {
    match as_ {
        IntAs::Date if matches!(moment::days_since_1970(value), Ok(Some(_))) => true,
        IntAs::TimeMillis if matches!(moment::micros_since_midnight(value), Ok(Some(_))) => true,
        _ => is_integer(value) && value.extract::<i32>().is_ok(),
    }
}

fn long_fits(value: &Bound<'_, PyAny>, as_: LongAs) -> PyResult<bool> {
    let moment = match as_ {
        LongAs::Number => None,
        LongAs::TimeMicros => moment::micros_since_midnight(value)?,
        _ => moment::micros_since_1970(value, false)?,
    };
    Ok(moment.is_some() || (is_integer(value) && value.extract::<i64>().is_ok()))
}

fn real_fits(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if value.is_exact_instance_of::<PyBool>() {
        return Ok(false);
    }
    if value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>() {
        return Ok(true);
    }
    value.is_instance(&value.py().import("numbers")?.getattr("Real")?)
}

fn decimal_fits(value: &Bound<'_, PyAny>, as_: BytesAs, size: Option<usize>) -> bool {
    match as_ {
        BytesAs::Decimal { precision, scale } => {
            is_decimal(value) && decimal::to_bytes(value, precision, scale, size).is_ok()
        }
        _ => false,
    }
}
