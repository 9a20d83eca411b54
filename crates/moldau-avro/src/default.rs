//! A field's default, which a schema gives as JSON, in the bytes that its value would have.

use serde_json::Value as Json;

use crate::schema::{Field, Node, NodeId, Schema};
use crate::wire::{put_double, put_float, put_long, put_sized};

/// Values inside of values.
const NESTING_MAX: u32 = 64;
/// Values in all. The fields of a default have defaults, and in a recursive type those never end.
const VALUES_MAX: u32 = 100_000;

/// The bytes of the default of `field`; None if it has none.
///
/// # Errors
/// It is no value of the field's type.
pub fn default_bytes(schema: &Schema, field: &Field) -> Result<Option<Vec<u8>>, String> {
    let Some(json) = &field.default else {
        return Ok(None);
    };
    let mut run = Run {
        schema,
        out: Vec::new(),
        values_left: VALUES_MAX,
        depth: 0,
    };
    if run.put(field.node, json) {
        Ok(Some(run.out))
    } else {
        let type_name = schema.node(field.node).type_name();
        Err(format!(
            "the default of the field {:?} is {json}, which is no {type_name}",
            field.name
        ))
    }
}

struct Run<'schema> {
    schema: &'schema Schema,
    out: Vec<u8>,
    values_left: u32,
    depth: u32,
}

impl Run<'_> {
    /// Whether `json` is a value of the type, and written; if not, what was written is to be forgotten.
    fn put(&mut self, id: NodeId, json: &Json) -> bool {
        if self.depth == NESTING_MAX || self.values_left == 0 {
            return false;
        }
        self.values_left -= 1;
        self.depth += 1;
        let schema = self.schema;
        let node = schema.node(id);
        let written = match node {
            Node::Array(_) | Node::Map(_) | Node::Union(_) | Node::Record(_) => self.made_of_others(node, json),
            _ => self.plain(node, json).is_some(),
        };
        self.depth -= 1;
        written
    }

    fn plain(&mut self, node: &Node, json: &Json) -> Option<()> {
        let out = &mut self.out;
        match (node, json) {
            (Node::Null, Json::Null) => {}
            (Node::Boolean, Json::Bool(value)) => out.push(u8::from(*value)),
            (Node::Int(_), Json::Number(number)) => put_long(out, i32::try_from(number.as_i64()?).ok()?.into()),
            (Node::Long(_), Json::Number(number)) => put_long(out, number.as_i64()?),
            (Node::Float, json) => put_float(out, real(json)?).ok()?,
            (Node::Double, json) => put_double(out, real(json)?),
            (Node::String(_), Json::String(text)) => put_sized(out, text.as_bytes()),
            (Node::Bytes(_), Json::String(text)) => put_sized(out, &latin1(text)?),
            (Node::Fixed(fixed), Json::String(text)) => {
                let content = latin1(text).filter(|content| content.len() == fixed.size)?;
                out.extend_from_slice(&content);
            }
            (Node::Enum(one), Json::String(text)) => {
                put_long(out, one.symbols.iter().position(|symbol| symbol == text)? as i64);
            }
            _ => return None,
        }
        Some(())
    }

    fn made_of_others(&mut self, node: &Node, json: &Json) -> bool {
        match (node, json) {
            (Node::Array(items), Json::Array(values)) => {
                if !values.is_empty() {
                    put_long(&mut self.out, values.len() as i64);
                }
                let written = values.iter().all(|value| self.put(*items, value));
                put_long(&mut self.out, 0);
                written
            }
            (Node::Map(item), Json::Object(entries)) => {
                if !entries.is_empty() {
                    put_long(&mut self.out, entries.len() as i64);
                }
                let written = entries.iter().all(|(key, value)| {
                    put_sized(&mut self.out, key.as_bytes());
                    self.put(*item, value)
                });
                put_long(&mut self.out, 0);
                written
            }
            // Since 1.12 any branch may be meant; before, it was the first.
            (Node::Union(branches), json) => branches.iter().enumerate().any(|(index, branch)| {
                let start = self.out.len();
                put_long(&mut self.out, index as i64);
                self.put(*branch, json) || {
                    self.out.truncate(start);
                    false
                }
            }),
            (Node::Record(record), Json::Object(given)) => record.fields.iter().all(|field| {
                let value = given.get(&field.name).or(field.default.as_ref());
                value.is_some_and(|value| self.put(field.node, value))
            }),
            _ => false,
        }
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
