//! Values of fields, and what Python's operators make of them.
//!
//! Each function is one rule of Python's for the types that JSON has; where Python raises, or where its integers have
//! more than 64 bits, the answer is `Unusual`.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::json::{self, Token};
use crate::{Unusual, Usual};

/// A value of Python's that a field can have.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `None`
    Null,
    /// `bool`
    Bool(bool),
    /// `int`, of 64 bits.
    Int(i64),
    /// `float`
    Float(f64),
    /// `str`
    Text(Cow<'a, str>),
    /// A `list` or `dict`: JSON that was looked through before.
    Nested(&'a str),
}

/// Whole numbers up to here are floating point numbers too, each its own.
pub(crate) const EXACT: u64 = 1 << 53;

impl<'a> Value<'a> {
    /// What a token means where any value may be.
    ///
    /// # Errors
    /// It has no value here.
    pub fn of(token: Token<'a>) -> Usual<Value<'a>> {
        Ok(match token {
            Token::Null => Value::Null,
            Token::Bool(value) => Value::Bool(value),
            Token::Integer(digits) => Value::Int(json::integer(digits)?),
            Token::Decimal(text) => Value::Float(json::decimal(text)?),
            Token::Text { raw, plain } => Value::Text(json::text(raw, plain)?),
            Token::Array(text) | Token::Object(text) => Value::Nested(text),
        })
    }

    /// The same value, as long as it is there.
    #[must_use]
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::Nested(text) => Value::Nested(text),
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Int(value) => Value::Int(*value),
            Value::Float(value) => Value::Float(*value),
        }
    }

    /// `bool(value)`.
    ///
    /// # Errors
    /// It would have to be counted.
    pub fn truth(&self) -> Usual<bool> {
        match self {
            Value::Null => Ok(false),
            Value::Bool(value) => Ok(*value),
            Value::Int(value) => Ok(*value != 0),
            Value::Float(value) => Ok(*value != 0.0),
            Value::Text(text) => Ok(!text.is_empty()),
            Value::Nested(_) => Err(Unusual),
        }
    }

    /// As a number, if it is one: `True` is 1.
    fn number(&self) -> Option<Number> {
        match self {
            Value::Bool(value) => Some(Number::Int(i64::from(*value))),
            Value::Int(value) => Some(Number::Int(*value)),
            Value::Float(value) => Some(Number::Float(*value)),
            _ => None,
        }
    }

    /// `one == other`.
    ///
    /// # Errors
    /// Both are nested, or a whole number is too large to be held against another.
    pub fn equals(&self, other: &Value<'_>) -> Usual<bool> {
        if let (Some(one), Some(other)) = (self.number(), other.number()) {
            return Ok(one.compare(other)? == Some(Ordering::Equal));
        }
        match (self, other) {
            (Value::Text(one), Value::Text(other)) => Ok(one == other),
            (Value::Nested(_), Value::Nested(_)) => Err(Unusual),
            (Value::Null, Value::Null) => Ok(true),
            _ => Ok(false),
        }
    }

    /// How two values are ordered; None if one is not a number.
    ///
    /// # Errors
    /// They have no order.
    pub fn compare(&self, other: &Value<'_>) -> Usual<Option<Ordering>> {
        if let (Some(one), Some(other)) = (self.number(), other.number()) {
            return one.compare(other);
        }
        match (self, other) {
            // By code points, as in Python: UTF-8 has the same order.
            (Value::Text(one), Value::Text(other)) => Ok(Some(one.cmp(other))),
            _ => Err(Unusual),
        }
    }

    /// `one + other`, and so on.
    ///
    /// # Errors
    /// Python raises, or has an integer of more than 64 bits.
    pub fn arithmetic(&self, operator: Arithmetic, other: &Value<'_>) -> Usual<Value<'static>> {
        match (self, other) {
            (Value::Int(one), Value::Int(other)) => operator.of_integers(*one, *other),
            (Value::Int(one), Value::Float(other)) => operator.of_floats(*one as f64, *other),
            (Value::Float(one), Value::Int(other)) => operator.of_floats(*one, *other as f64),
            (Value::Float(one), Value::Float(other)) => operator.of_floats(*one, *other),
            (Value::Text(one), Value::Text(other)) if operator == Arithmetic::Add => {
                Ok(Value::Text(Cow::Owned(format!("{one}{other}"))))
            }
            _ => Err(Unusual),
        }
    }
}

/// What is computed of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Modulo,
}

impl Arithmetic {
    fn of_integers(self, one: i64, other: i64) -> Usual<Value<'static>> {
        let whole = match self {
            Arithmetic::Add => one.checked_add(other),
            Arithmetic::Subtract => one.checked_sub(other),
            Arithmetic::Multiply => one.checked_mul(other),
            Arithmetic::Divide if one.unsigned_abs() <= EXACT && other.unsigned_abs() <= EXACT => {
                return self.of_floats(one as f64, other as f64);
            }
            Arithmetic::Divide => return Ok(Value::Float(quotient(one, other)?)),
            Arithmetic::FloorDivide => one.checked_div(other).map(|quotient| {
                let is_above = one % other != 0 && (one < 0) != (other < 0);
                quotient - i64::from(is_above)
            }),
            Arithmetic::Modulo => one.checked_rem(other).map(|rest| {
                let has_other_sign = rest != 0 && (rest < 0) != (other < 0);
                if has_other_sign { rest + other } else { rest }
            }),
        };
        whole.map(Value::Int).ok_or(Unusual)
    }

    fn of_floats(self, one: f64, other: f64) -> Usual<Value<'static>> {
        Ok(Value::Float(match self {
            Arithmetic::Add => one + other,
            Arithmetic::Subtract => one - other,
            Arithmetic::Multiply => one * other,
            Arithmetic::Divide | Arithmetic::FloorDivide | Arithmetic::Modulo if other == 0.0 => return Err(Unusual),
            Arithmetic::Divide => one / other,
            Arithmetic::FloorDivide => floor_quotient(one, other),
            Arithmetic::Modulo => modulo(one, other),
        }))
    }
}

/// The quotient of whole numbers, rounded once, not each of them before.
fn quotient(one: i64, other: i64) -> Usual<f64> {
    let (above, below) = (u128::from(one.unsigned_abs()), u128::from(other.unsigned_abs()));
    if below == 0 {
        return Err(Unusual);
    }
    let is_negative = (one < 0) != (other < 0);
    if above == 0 {
        return Ok(if is_negative { -0.0 } else { 0.0 });
    }
    // As many bits as there are: more than a floating point number has, so that one more says on which side of a half
    // the rest is.
    let shift = above.leading_zeros();
    let bits = (above << shift) / below;
    let rest = (above << shift) % below;
    let magnitude = (bits | u128::from(rest != 0)) as f64 * 2.0_f64.powi(-(shift.cast_signed()));
    Ok(if is_negative { -magnitude } else { magnitude })
}

/// Python's `%`: what is left has the sign of the divisor.
fn modulo(one: f64, other: f64) -> f64 {
    let rest = one % other;
    if rest == 0.0 {
        0.0_f64.copysign(other)
    } else if (rest < 0.0) == (other < 0.0) {
        rest
    } else {
        rest + other
    }
}

/// Python's `//`, as `float_floor_div` of CPython computes it.
fn floor_quotient(one: f64, other: f64) -> f64 {
    let rest = one % other;
    let mut quotient = (one - rest) / other;
    if rest != 0.0 && (rest < 0.0) != (other < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0.0_f64.copysign(one / other);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn compare(self, other: Number) -> Usual<Option<Ordering>> {
        Ok(match (self, other) {
            (Number::Int(one), Number::Int(other)) => Some(one.cmp(&other)),
            (Number::Float(one), Number::Float(other)) => one.partial_cmp(&other),
            (Number::Int(one), Number::Float(other)) => exact(one)?.partial_cmp(&other),
            (Number::Float(one), Number::Int(other)) => one.partial_cmp(&exact(other)?),
        })
    }
}

fn exact(number: i64) -> Usual<f64> {
    if number.unsigned_abs() <= EXACT {
        Ok(number as f64)
    } else {
        Err(Unusual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value<'_> {
        Value::Text(Cow::Borrowed(value))
    }

    #[test]
    fn equality_is_pythons() {
        assert_eq!(Value::Bool(true).equals(&Value::Float(1.0)), Ok(true));
        assert_eq!(Value::Int(0).equals(&Value::Null), Ok(false));
        assert_eq!(text("1").equals(&Value::Int(1)), Ok(false));
        assert_eq!(Value::Nested("[]").equals(&Value::Null), Ok(false));
        assert_eq!(Value::Nested("[]").equals(&Value::Nested("[ ]")), Err(Unusual));
        // As a floating point number it would be equal.
        assert_eq!(
            Value::Int((1 << 53) + 1).equals(&Value::Float(9_007_199_254_740_992.0)),
            Err(Unusual)
        );
    }

    #[test]
    fn what_python_refuses_is_unusual() {
        assert_eq!(text("1").compare(&Value::Int(1)), Err(Unusual));
        assert_eq!(Value::Null.compare(&Value::Null), Err(Unusual));
        assert_eq!(
            Value::Int(1).arithmetic(Arithmetic::Divide, &Value::Int(0)),
            Err(Unusual)
        );
        assert_eq!(text("1").arithmetic(Arithmetic::Add, &Value::Int(1)), Err(Unusual));
        assert_eq!(
            Value::Int(i64::MAX).arithmetic(Arithmetic::Add, &Value::Int(1)),
            Err(Unusual)
        );
    }

    #[test]
    fn numbers_are_computed_as_in_python() {
        assert_eq!(
            Value::Int(7).arithmetic(Arithmetic::Divide, &Value::Int(2)),
            Ok(Value::Float(3.5))
        );
        assert_eq!(
            Value::Int(7).arithmetic(Arithmetic::Multiply, &Value::Float(1.2)),
            Ok(Value::Float(7.0 * 1.2))
        );
        // Neither of them has a floating point number of its own, their quotient has.
        let thirds = Value::Int(i64::MAX).arithmetic(Arithmetic::Divide, &Value::Int(3));
        assert_eq!(thirds, Ok(Value::Float(3_074_457_345_618_258_602.0)));
        let one = Value::Int(i64::MIN).arithmetic(Arithmetic::Divide, &Value::Int(-1));
        assert_eq!(one, Ok(Value::Float(9_223_372_036_854_775_808.0)));
        for (one, other, floor, rest) in [(7, -2, -4, -1), (-7, 2, -4, 1), (-7, -2, 3, -1), (6, -2, -3, 0)] {
            let (one, other) = (Value::Int(one), Value::Int(other));
            assert_eq!(one.arithmetic(Arithmetic::FloorDivide, &other), Ok(Value::Int(floor)));
            assert_eq!(one.arithmetic(Arithmetic::Modulo, &other), Ok(Value::Int(rest)));
        }
        let (one, other) = (Value::Float(-0.5), Value::Float(0.3));
        assert_eq!(one.arithmetic(Arithmetic::FloorDivide, &other), Ok(Value::Float(-2.0)));
        assert_eq!(
            one.arithmetic(Arithmetic::Modulo, &other),
            Ok(Value::Float(-0.5 % 0.3 + 0.3))
        );
        assert_eq!(text("é").compare(&text("z")), Ok(Some(Ordering::Greater)));
        assert_eq!(text("a").arithmetic(Arithmetic::Add, &text("b")), Ok(text("ab")));
    }
}
