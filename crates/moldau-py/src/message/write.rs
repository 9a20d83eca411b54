//! From nested mappings to bytes, in the order of the plan.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString, PyTuple};
use uuid::Uuid;

use super::fault::{Checked, Fault};
use super::plan::{FieldPlan, Kind, StructPlan, TaggedPlan};

/// Bytes to begin with; most answers of the control plane are smaller.
pub const ROOM_BYTES: usize = 256;

/// Writes the fields that `value`, a mapping by their names, has, and the defaults of the others.
pub fn structure(plan: &StructPlan, out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Checked<()> {
    let py = value.py();
    let value = as_dict(value)?;
    for plan_of_field in &plan.fields {
        let written = match value.get_item(plan_of_field.name.bind(py))? {
            Some(item) => field(plan_of_field, plan.flexible, out, &item),
            None => match &plan_of_field.default {
                Ok(bytes) => {
                    out.extend_from_slice(bytes);
                    Ok(())
                }
                Err(sentence) => Err(Fault::new(sentence.clone())),
            },
        };
        written.map_err(|fault| fault.within(&plan.name, &plan_of_field.text))?;
    }
    if !plan.flexible {
        return Ok(());
    }
    let mut present = Vec::new();
    for tagged in &plan.tagged {
        if let Some(item) = value.get_item(tagged.field.name.bind(py))?
            && says_something(tagged, &item)?
        {
            present.push((tagged, item));
        }
    }
    unsigned_varint(out, present.len());
    for (tagged, item) in present {
        let mut body = Vec::new();
        field(&tagged.field, true, &mut body, &item).map_err(|fault| fault.within(&plan.name, &tagged.field.text))?;
        unsigned_varint(out, tagged.tag as usize);
        unsigned_varint(out, body.len());
        out.extend_from_slice(&body);
    }
    Ok(())
}

fn as_dict<'py>(value: &Bound<'py, PyAny>) -> Checked<Bound<'py, PyDict>> {
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    let mapping = value
        .cast::<PyMapping>()
        .map_err(|_| Fault::new(format!("{} is no mapping of fields", described(value))))?;
    let dict = PyDict::new(value.py());
    dict.update(mapping)?;
    Ok(dict)
}

/// Whether `item` is something else than the field's default: only then a tagged field is written.
fn says_something(tagged: &TaggedPlan, item: &Bound<'_, PyAny>) -> Checked<bool> {
    let py = item.py();
    let field = &tagged.field;
    if let (Kind::Struct(plan), false, false) = (&field.kind, field.is_array, item.is_none()) {
        if field.nullable {
            return Ok(true);
        }
        // A structure says something when one of its fields does.
        let (mut as_it_is, mut as_default) = (Vec::new(), Vec::new());
        structure(plan, &mut as_it_is, item)?;
        structure(plan, &mut as_default, &PyDict::new(py))?;
        return Ok(as_it_is != as_default);
    }
    let default = tagged.write_default.bind(py);
    Ok(item.ne(default)? && !(field.is_array && !item.is_truthy()? && !default.is_truthy()?))
}

/// Writes one field, an array or not.
pub fn field(plan: &FieldPlan, flexible: bool, out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Checked<()> {
    if !plan.is_array {
        return one(plan, plan.nullable, flexible, out, value);
    }
    if value.is_none() {
        if plan.nullable {
            return length(out, None, flexible, false);
        }
        return Err(Fault::new("null in an array that may not be null"));
    }
    if let Ok(list) = value.cast::<PyList>() {
        length(out, Some(list.len()), flexible, false)?;
        return list.iter().try_for_each(|item| one(plan, false, flexible, out, &item));
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        length(out, Some(tuple.len()), flexible, false)?;
        return tuple.iter().try_for_each(|item| one(plan, false, flexible, out, &item));
    }
    let items = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    length(out, Some(items.len()), flexible, false)?;
    items.iter().try_for_each(|item| one(plan, false, flexible, out, item))
}

fn one(plan: &FieldPlan, nullable: bool, flexible: bool, out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Checked<()> {
    match &plan.kind {
        Kind::Int8 => out.extend(value.extract::<i8>()?.to_be_bytes()),
        Kind::Int16 | Kind::ErrorCode(_) => out.extend(value.extract::<i16>()?.to_be_bytes()),
        Kind::Int32 | Kind::Duration32(_) => out.extend(value.extract::<i32>()?.to_be_bytes()),
        Kind::Int64 | Kind::Duration64(_) => out.extend(value.extract::<i64>()?.to_be_bytes()),
        Kind::Moment if value.is_none() => out.extend((-1_i64).to_be_bytes()),
        Kind::Moment => out.extend(value.extract::<i64>()?.to_be_bytes()),
        Kind::UInt8 => out.extend(value.extract::<u8>()?.to_be_bytes()),
        Kind::UInt16 => out.extend(value.extract::<u16>()?.to_be_bytes()),
        Kind::UInt32 => out.extend(value.extract::<u32>()?.to_be_bytes()),
        Kind::UInt64 => out.extend(value.extract::<u64>()?.to_be_bytes()),
        Kind::Float64 => out.extend(value.extract::<f64>()?.to_be_bytes()),
        Kind::Bool => out.push(u8::from(value.is_truthy()?)),
        Kind::Uuid if value.is_none() => out.extend([0; 16]),
        Kind::Uuid => out.extend(value.extract::<Uuid>()?.as_bytes()),
        Kind::Text | Kind::Bytes if value.is_none() => {
            if !nullable {
                return Err(Fault::new("null in a field that may not be null"));
            }
            return length(out, None, flexible, matches!(plan.kind, Kind::Text));
        }
        Kind::Text => return text_or_bytes(out, flexible, true, value),
        Kind::Bytes => return text_or_bytes(out, flexible, false, value),
        Kind::Struct(inner) => {
            if nullable {
                out.push(if value.is_none() { 0xff } else { 1 });
                if value.is_none() {
                    return Ok(());
                }
            }
            return structure(inner, out, value);
        }
    }
    Ok(())
}

fn text_or_bytes(out: &mut Vec<u8>, flexible: bool, short: bool, value: &Bound<'_, PyAny>) -> Checked<()> {
    if let Ok(text) = value.cast::<PyString>() {
        return put_sized(out, text.to_str()?.as_bytes(), flexible, short);
    }
    if let Ok(raw) = value.cast::<PyBytes>() {
        return put_sized(out, raw.as_bytes(), flexible, short);
    }
    Err(Fault::new(format!("{} is neither text nor bytes", described(value))))
}

fn put_sized(out: &mut Vec<u8>, raw: &[u8], flexible: bool, short: bool) -> Checked<()> {
    length(out, Some(raw.len()), flexible, short)?;
    out.extend_from_slice(raw);
    Ok(())
}

fn length(out: &mut Vec<u8>, length: Option<usize>, flexible: bool, short: bool) -> Checked<()> {
    if flexible {
        unsigned_varint(out, length.map_or(0, |length| length + 1));
        return Ok(());
    }
    let too_long = || Fault::new(format!("{} do not fit where they are", length.unwrap_or_default()));
    if short {
        let written = length.map_or(Ok(-1), i16::try_from).map_err(|_| too_long())?;
        out.extend(written.to_be_bytes());
    } else {
        let written = length.map_or(Ok(-1), i32::try_from).map_err(|_| too_long())?;
        out.extend(written.to_be_bytes());
    }
    Ok(())
}

fn unsigned_varint(out: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn described(value: &Bound<'_, PyAny>) -> String {
    value
        .get_type()
        .name()
        .map_or_else(|_| "it".to_owned(), |name| format!("a {name}"))
}
