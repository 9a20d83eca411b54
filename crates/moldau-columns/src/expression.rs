//! An expression over registers: a tree whose leaves are fields of a value, or what was made of them, and constants.

use std::cmp::Ordering;

use crate::function::{ARGUMENTS_MAX, Among, Function};
use crate::json;
use crate::value::{Arithmetic, Value};
use crate::{Unusual, Usual};

/// What is known of one record: per register its value, None where there is none.
pub type Registers<'a> = Vec<Option<Value<'a>>>;

/// Something to be computed.
#[derive(Debug, Clone)]
pub enum Expression {
    /// What a register holds.
    Register(usize),
    /// The same for all records.
    Constant(Value<'static>),
    /// `==`, or with false `!=`.
    Equal(Box<Expression>, Box<Expression>, bool),
    /// `<`, `<=`, `>`, `>=`
    Compare(Comparison, Box<Expression>, Box<Expression>),
    /// `+`, `-`, `*`, `/`, `//`, `%`
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    /// Python's `and`: the second only if the first is true.
    And(Box<Expression>, Box<Expression>),
    /// Python's `or`: the second only if the first is not.
    Or(Box<Expression>, Box<Expression>),
    /// Python's `not`.
    Not(Box<Expression>),
    /// A field of an object; of `None` it is `None`.
    Part(Box<Expression>, String),
    /// Whether it is `None`, or a field that is not there.
    IsNull(Box<Expression>),
    /// Whether it is one of several constants.
    IsIn(Box<Expression>, Among),
    /// What a function makes of as many arguments as it takes.
    Call(Function, Vec<Expression>),
}

/// How two values have to be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self {
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        })
    }
}

impl Expression {
    /// Computes it.
    ///
    /// # Errors
    /// A field is missing, or Python would raise, or go beyond what values are here.
    pub fn value<'v>(&'v self, registers: &'v Registers<'_>) -> Usual<Value<'v>> {
        match self {
            Expression::Register(number) => registers[*number].as_ref().map(Value::borrowed).ok_or(Unusual),
            Expression::Constant(value) => Ok(value.borrowed()),
            Expression::Arithmetic(operator, one, other) => {
                one.value(registers)?.arithmetic(*operator, &other.value(registers)?)
            }
            Expression::And(one, other) => {
                let value = one.value(registers)?;
                if value.truth()? {
                    other.value(registers)
                } else {
                    Ok(value)
                }
            }
            Expression::Or(one, other) => {
                let value = one.value(registers)?;
                if value.truth()? {
                    Ok(value)
                } else {
                    other.value(registers)
                }
            }
            Expression::Part(whole, name) => whole.part(name, registers)?.ok_or(Unusual),
            Expression::Call(function, arguments) => {
                let mut given: [Value<'v>; ARGUMENTS_MAX] = [Value::Null, Value::Null, Value::Null];
                for (place, argument) in given.iter_mut().zip(arguments) {
                    *place = argument.value(registers)?;
                }
                function.of(&given)
            }
            Expression::Equal(..)
            | Expression::Compare(..)
            | Expression::Not(_)
            | Expression::IsNull(_)
            | Expression::IsIn(..) => self.truth(registers).map(Value::Bool),
        }
    }

    /// `bool()` of it.
    ///
    /// # Errors
    /// As of `value`.
    pub fn truth(&self, registers: &Registers<'_>) -> Usual<bool> {
        match self {
            Expression::Equal(one, other, wanted) => {
                Ok(one.value(registers)?.equals(&other.value(registers)?)? == *wanted)
            }
            Expression::Compare(comparison, one, other) => {
                Ok(comparison.holds(one.value(registers)?.compare(&other.value(registers)?)?))
            }
            Expression::Not(one) => Ok(!one.truth(registers)?),
            Expression::And(one, other) => Ok(one.truth(registers)? && other.truth(registers)?),
            Expression::Or(one, other) => Ok(one.truth(registers)? || other.truth(registers)?),
            Expression::IsNull(one) => one.is_null(registers),
            Expression::IsIn(one, among) => among.has(&one.value(registers)?),
            other => other.value(registers)?.truth(),
        }
    }

    /// Whether it is null; a field that is not there is.
    fn is_null(&self, registers: &Registers<'_>) -> Usual<bool> {
        match self {
            Expression::Register(number) => Ok(registers[*number].as_ref().is_none_or(|value| *value == Value::Null)),
            Expression::Part(whole, name) => {
                Ok(whole.is_null(registers)? || whole.part(name, registers)?.is_none_or(|part| part == Value::Null))
            }
            other => Ok(other.value(registers)? == Value::Null),
        }
    }

    /// A field of what this is, None if it has no such field.
    fn part<'a>(&self, name: &str, registers: &Registers<'a>) -> Usual<Option<Value<'a>>> {
        match self.whole(registers)? {
            Value::Null => Ok(Some(Value::Null)),
            Value::Nested(text) if text.starts_with('{') => {
                let mut found = None;
                json::object(text.as_bytes(), |field, token| {
                    if field == name && found.replace(token).is_some() {
                        // The last of them would count.
                        return Err(Unusual);
                    }
                    Ok(())
                })?;
                found.map(Value::of).transpose()
            }
            _ => Err(Unusual),
        }
    }

    /// What has parts: a field of the record, or of its fields.
    fn whole<'a>(&self, registers: &Registers<'a>) -> Usual<Value<'a>> {
        match self {
            Expression::Register(number) => match registers[*number] {
                Some(Value::Nested(text)) => Ok(Value::Nested(text)),
                Some(Value::Null) => Ok(Value::Null),
                _ => Err(Unusual),
            },
            Expression::Part(whole, name) => whole.part(name, registers)?.ok_or(Unusual),
            _ => Err(Unusual),
        }
    }

    /// Computes it, to be kept in a register of the same record.
    ///
    /// # Errors
    /// As of `value`.
    pub fn kept<'a>(&self, registers: &Registers<'a>) -> Usual<Value<'a>> {
        if let Expression::Register(number) = self {
            return registers[*number].clone().ok_or(Unusual);
        }
        if let Expression::Part(whole, name) = self {
            return whole.part(name, registers)?.ok_or(Unusual);
        }
        Ok(match self.value(registers)? {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(value),
            Value::Int(value) => Value::Int(value),
            Value::Float(value) => Value::Float(value),
            Value::Text(text) => Value::Text(text.into_owned().into()),
            // Only by `and` and `or`, whose operands are kept where they are.
            Value::Nested(_) => return Err(Unusual),
        })
    }
}
