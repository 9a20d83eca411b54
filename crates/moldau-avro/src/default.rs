//! A field's default, which a schema gives as JSON, in the bytes that its value would have.

use serde_json::Value as Json;

use crate::schema::{Field, Node, NodeId, Schema};
use crate::wire::{put_double, put_float, put_long, put_sized};

/// Records inside of records: a default of a recursive type that is its own default never ends.
const NESTING_MAX: u32 = 64;

/// The bytes of the default of `field`; None if it has none.
///
/// # Errors
/// It is no value of the field's type.
pub fn default_bytes(schema: &Schema, field: &Field) -> Result<Option<Vec<u8>>, String> {
    let Some(json) = &field.default else {
        return Ok(None);
    };
    let mut out = Vec::new();
    if put(schema, field.node, json, &mut out, 0) {
        Ok(Some(out))
    } else {
        let type_name = schema.node(field.node).type_name();
        Err(format!(
            "the default of the field {:?} is {json}, which is no {type_name}",
            field.name
        ))
    }
}

/// Whether `json` is a value of the type, written to the end of `out`; if not, what was written is to be forgotten.
fn put(schema: &Schema, id: NodeId, json: &Json, out: &mut Vec<u8>, depth: u32) -> bool {
    if depth > NESTING_MAX {
        return false;
    }
    match (schema.node(id), json) {
        (Node::Null, Json::Null) => true,
        (Node::Boolean, Json::Bool(value)) => {
            out.push(u8::from(*value));
            true
        }
        (Node::Int(_), Json::Number(number)) => match number.as_i64().map(i32::try_from) {
            Some(Ok(value)) => {
                put_long(out, i64::from(value));
                true
            }
            _ => false,
        },
        (Node::Long(_), Json::Number(number)) => number.as_i64().is_some_and(|value| {
            put_long(out, value);
            true
        }),
        (Node::Float, json) => real(json).is_some_and(|value| put_float(out, value).is_ok()),
        (Node::Double, json) => real(json).is_some_and(|value| {
            put_double(out, value);
            true
        }),
        (Node::String(_), Json::String(text)) => {
            put_sized(out, text.as_bytes());
            true
        }
        (Node::Bytes(_), Json::String(text)) => latin1(text).is_some_and(|content| {
            put_sized(out, &content);
            true
        }),
        (Node::Fixed(fixed), Json::String(text)) => latin1(text).is_some_and(|content| {
            out.extend_from_slice(&content);
            content.len() == fixed.size
        }),
        (Node::Enum(one), Json::String(text)) => one.symbols.iter().position(|s| s == text).is_some_and(|index| {
            put_long(out, index as i64);
            true
        }),
        (Node::Array(items), Json::Array(values)) => {
            let written = values.is_empty() || {
                put_long(out, values.len() as i64);
                values.iter().all(|value| put(schema, *items, value, out, depth + 1))
            };
            put_long(out, 0);
            written
        }
        (Node::Map(item), Json::Object(entries)) => {
            let written = entries.is_empty() || {
                put_long(out, entries.len() as i64);
                entries.iter().all(|(key, value)| {
                    put_sized(out, key.as_bytes());
                    put(schema, *item, value, out, depth + 1)
                })
            };
            put_long(out, 0);
            written
        }
        // Since 1.12 any branch may be meant; before, it was the first.
        (Node::Union(branches), json) => branches.iter().enumerate().any(|(index, branch)| {
            let start = out.len();
            put_long(out, index as i64);
            put(schema, *branch, json, out, depth + 1) || {
                out.truncate(start);
                false
            }
        }),
        (Node::Record(record), Json::Object(given)) => record.fields.iter().all(|field| {
            let value = given.get(&field.name).or(field.default.as_ref());
            value.is_some_and(|value| put(schema, field.node, value, out, depth + 1))
        }),
        _ => false,
    }
}

/// JSON has no word for these; other libraries write them as text.
fn real(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// "Unicode code points 0-255 are mapped to unsigned 8-bit byte values 0-255."
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|one| u8::try_from(one).ok()).collect()
}
