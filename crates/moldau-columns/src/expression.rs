//! An expression over registers: a tree whose leaves are fields of a value, or what was made of them, and constants.

use std::cmp::Ordering;

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
    /// `+`, `-`, `*`, `/`
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    /// Python's `and`: the second only if the first is true.
    And(Box<Expression>, Box<Expression>),
    /// Python's `or`: the second only if the first is not.
    Or(Box<Expression>, Box<Expression>),
    /// Python's `not`.
    Not(Box<Expression>),
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
            Expression::Equal(..) | Expression::Compare(..) | Expression::Not(_) => {
                self.truth(registers).map(Value::Bool)
            }
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
            other => other.value(registers)?.truth(),
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
