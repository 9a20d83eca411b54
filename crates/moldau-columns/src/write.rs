//! Values as the bytes of a record, as the serdes of `moldau.streams` write them; JSON as msgspec writes it.

use moldau_change::Format;

use crate::json::{self, Token};
use crate::value::Value;
use crate::{Unusual, Usual};

const JSON: Format = Format::Json;
/// Of an object with more fields nobody looks whether two have one name.
const FIELDS_MAX: usize = 64;

/// What a serde makes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JSON of any value.
    Json,
    /// UTF-8 of a text.
    Text,
    /// Eight bytes of a whole number.
    Long,
    /// Eight bytes of a number.
    Double,
    /// Of a text its UTF-8, of numbers eight bytes, of `True` and `False` one, of all else JSON.
    ByType,
}

impl Kind {
    /// Appends the bytes of a value that is not `None`.
    ///
    /// # Errors
    /// The serde would refuse it.
    pub fn write(self, value: &Value<'_>, out: &mut Vec<u8>) -> Usual<()> {
        match (self, value) {
            (Kind::Json, value) => json(value, out)?,
            (Kind::Text | Kind::ByType, Value::Text(text)) => out.extend_from_slice(text.as_bytes()),
            (Kind::Long | Kind::ByType, Value::Int(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (Kind::Double | Kind::ByType, Value::Float(number)) => out.extend_from_slice(&number.to_be_bytes()),
            (Kind::Double, Value::Int(number)) => out.extend_from_slice(&(*number as f64).to_be_bytes()),
            (Kind::ByType, Value::Bool(value)) => out.push(u8::from(*value)),
            (Kind::ByType, Value::Nested(_)) => json(value, out)?,
            _ => return Err(Unusual),
        }
        Ok(())
    }
}

/// Appends a value as JSON.
///
/// # Errors
/// Something in it has to be looked at by msgspec itself.
pub fn json(value: &Value<'_>, out: &mut Vec<u8>) -> Usual<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => JSON.boolean(*value, out),
        Value::Int(number) => JSON.integer(*number, out),
        Value::Float(number) => float(*number, out),
        Value::Text(text) => JSON.text(text.as_bytes(), out)?,
        Value::Nested(text) if text.starts_with('[') => array(text, out)?,
        Value::Nested(text) => object(text.as_bytes(), out)?,
    }
    Ok(())
}

fn float(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        JSON.double(number, out);
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends an object: what stands before each value (`"name":`), and the value.
///
/// # Errors
/// A part says so, or its value.
pub fn fields<'v, 'a: 'v>(
    parts: impl Iterator<Item = Usual<(&'v [u8], &'v Value<'a>)>>,
    out: &mut Vec<u8>,
) -> Usual<()> {
    out.push(b'{');
    for (index, part) in parts.enumerate() {
        let (name, value) = part?;
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        json(value, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends an object as it would be after it was read: without spaces, numbers and texts in one form.
///
/// # Errors
/// As `json::object`; also two fields of one name, of which the last would count.
pub fn object(text: &[u8], out: &mut Vec<u8>) -> Usual<()> {
    let mut names: Vec<&str> = Vec::new();
    out.push(b'{');
    json::object(text, |name, token| {
        if names.len() == FIELDS_MAX || names.contains(&name) {
            return Err(Unusual);
        }
        if !names.is_empty() {
            out.push(b',');
        }
        names.push(name);
        JSON.plain_text(name.as_bytes(), out);
        out.push(b':');
        again(token, out)
    })?;
    out.push(b'}');
    Ok(())
}

fn array(text: &str, out: &mut Vec<u8>) -> Usual<()> {
    let mut first = true;
    out.push(b'[');
    json::elements(text, |token| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        again(token, out)
    })?;
    out.push(b']');
    Ok(())
}

fn again(token: Token<'_>, out: &mut Vec<u8>) -> Usual<()> {
    match token {
        Token::Null => out.extend_from_slice(b"null"),
        Token::Bool(value) => JSON.boolean(value, out),
        Token::Integer("-0") => out.push(b'0'),
        Token::Integer(digits) => out.extend_from_slice(digits.as_bytes()),
        Token::Decimal(text) => float(json::decimal(text)?, out),
        Token::Text { raw, plain: true } => JSON.plain_text(raw.as_bytes(), out),
        Token::Text { raw, plain } => JSON.text(json::text(raw, plain)?.as_bytes(), out)?,
        Token::Array(text) => array(text, out)?,
        Token::Object(text) => object(text.as_bytes(), out)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> Usual<String> {
        let mut out = Vec::new();
        object(text.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_object_is_written_as_it_would_be_after_it_was_read() {
        assert_eq!(
            again(r#" { "a" : -0 , "b": 1.50e1, "c": "\u0041\/\n", "d": [ 1, { "e" : [] } ], "f": null , "g": 1e16} "#)
                .unwrap(),
            r#"{"a":0,"b":15.0,"c":"A/\n","d":[1,{"e":[]}],"f":null,"g":1e16}"#
        );
        assert_eq!(again("{}").unwrap(), "{}");
    }

    #[test]
    fn two_fields_of_one_name_are_unusual_at_any_depth() {
        assert_eq!(again(r#"{"a":1,"a":2}"#), Err(Unusual));
        assert_eq!(again(r#"{"a":[{"b":1,"b":2}]}"#), Err(Unusual));
        assert!(again(r#"{"a":{"a":1}}"#).is_ok());
    }

    #[test]
    fn a_serde_takes_what_it_would_take_in_python() {
        let mut out = Vec::new();
        Kind::Double.write(&Value::Int(3), &mut out).unwrap();
        assert_eq!(out, 3.0_f64.to_be_bytes());
        assert_eq!(Kind::Long.write(&Value::Float(3.0), &mut out), Err(Unusual));
        assert_eq!(Kind::Text.write(&Value::Int(3), &mut out), Err(Unusual));
    }
}
