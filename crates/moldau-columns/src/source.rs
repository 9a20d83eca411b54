//! What the values of records are, and their fields.

use crate::json::{self, Token};
use crate::value::Value;
use crate::{Unusual, Usual};

/// What values are.
#[derive(Debug)]
pub enum Source {
    /// Any bytes; they have no fields.
    Bytes,
    /// UTF-8; it has no fields either.
    Text,
    /// A JSON object, whose fields are in the registers of their numbers.
    Object(Vec<Field>),
}

/// A field of a value, by its name.
#[derive(Debug)]
pub struct Field {
    /// As it stands in JSON.
    pub name: String,
    /// What it may be.
    pub kind: FieldKind,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it is when it is not there.
    pub absent: Absent,
}

/// What a field may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Whatever JSON says.
    Any,
    /// `true` or `false`.
    Bool,
    /// A number without a point.
    Int,
    /// A number; without a point it is one with it all the same.
    Float,
    /// A text.
    Text,
}

/// What is done about a field that is not there.
#[derive(Debug)]
pub enum Absent {
    /// Nothing, unless somebody wants it.
    Missing,
    /// It has a value of its own.
    Default(Value<'static>),
    /// The value cannot be read.
    Required,
}

impl Field {
    /// Reads it.
    ///
    /// # Errors
    /// It is something else.
    pub fn read<'a>(&self, token: Token<'a>) -> Usual<Value<'a>> {
        match (self.kind, token) {
            (FieldKind::Any, token) => Value::of(token),
            (_, Token::Null) if self.nullable => Ok(Value::Null),
            (FieldKind::Bool, Token::Bool(_))
            | (FieldKind::Int, Token::Integer(_))
            | (FieldKind::Float, Token::Decimal(_))
            | (FieldKind::Text, Token::Text { .. }) => Value::of(token),
            (FieldKind::Float, Token::Integer(digits)) => Ok(Value::Float(json::integer(digits)? as f64)),
            _ => Err(Unusual),
        }
    }
}
