//! What is computed by a call in an expression: of texts, of numbers, and whether a value is one of many.
//!
//! As the functions of `moldau.streams.trees` do it; what is not as it usually is stays `Unusual`.

use std::collections::HashSet;

use crate::value::{Arithmetic, EXACT, Value};
use crate::{Unusual, Usual};

/// So many arguments are the most that a function has.
pub const ARGUMENTS_MAX: usize = 3;

/// A function, of a value and perhaps more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `abs(value)`
    Absolute,
    /// `low <= value <= high`
    Between,
    /// `part in value`
    Contains,
    /// `value.endswith(end)`
    EndsWith,
    /// `len(value)`
    Length,
    /// `value.lower()`
    Lower,
    /// `total / count`, of no values `None`.
    Mean,
    /// `round(value)`, or to so many digits behind the point.
    Round(Option<usize>),
    /// `value.startswith(beginning)`
    StartsWith,
    /// `value.upper()`
    Upper,
}

/// To more digits nothing is rounded here.
pub const DIGITS_MAX: usize = 15;

impl Function {
    /// How many arguments it takes.
    #[must_use]
    pub fn arguments(self) -> usize {
        match self {
            Function::Absolute | Function::Length | Function::Lower | Function::Round(_) | Function::Upper => 1,
            Function::Contains | Function::EndsWith | Function::Mean | Function::StartsWith => 2,
            Function::Between => 3,
        }
    }

    /// Computes it; of `None` it is `None`.
    ///
    /// # Errors
    /// Python raises, or goes beyond what values are here; or a text has letters whose other case may not be the same
    /// for every Python.
    pub fn of<'v>(self, given: &[Value<'v>; ARGUMENTS_MAX]) -> Usual<Value<'v>> {
        let [value, one, other] = given;
        if *value == Value::Null && self != Function::Mean {
            return Ok(Value::Null);
        }
        Ok(match self {
            Function::Absolute => absolute(value)?,
            Function::Between => {
                let above = one.compare(value)?.is_some_and(std::cmp::Ordering::is_le);
                Value::Bool(above && value.compare(other)?.is_some_and(std::cmp::Ordering::is_le))
            }
            Function::Contains => Value::Bool(text(value)?.contains(text(one)?)),
            Function::EndsWith => Value::Bool(text(value)?.ends_with(text(one)?)),
            Function::Length => Value::Int(i64::try_from(text(value)?.chars().count()).map_err(|_| Unusual)?),
            Function::Lower => Value::Text(known_letters(text(value)?)?.to_lowercase().into()),
            Function::Mean if *one == Value::Int(0) => Value::Null,
            Function::Mean => value.arithmetic(Arithmetic::Divide, one)?,
            Function::Round(digits) => rounded(value, digits)?,
            Function::StartsWith => Value::Bool(text(value)?.starts_with(text(one)?)),
            Function::Upper => Value::Text(known_letters(text(value)?)?.to_uppercase().into()),
        })
    }
}

fn text<'v>(value: &'v Value<'_>) -> Usual<&'v str> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(Unusual),
    }
}

fn absolute(value: &Value<'_>) -> Usual<Value<'static>> {
    match value {
        Value::Int(number) => number.checked_abs().map(Value::Int).ok_or(Unusual),
        Value::Float(number) => Ok(Value::Float(number.abs())),
        _ => Err(Unusual),
    }
}

/// Numbers from here on have nothing behind the point.
const WHOLE: f64 = 4_503_599_627_370_496.0;
const BEYOND_INTEGERS: f64 = 9_223_372_036_854_775_808.0;

fn rounded(value: &Value<'_>, digits: Option<usize>) -> Usual<Value<'static>> {
    match (value, digits) {
        (Value::Int(number), _) => Ok(Value::Int(*number)),
        (Value::Float(number), None) => {
            let whole = number.round_ties_even();
            if whole.abs() < BEYOND_INTEGERS {
                Ok(Value::Int(whole as i64))
            } else {
                Err(Unusual)
            }
        }
        (Value::Float(number), _) if !number.is_finite() => Err(Unusual),
        (Value::Float(number), _) if number.abs() >= WHOLE => Ok(Value::Float(*number)),
        // The number that is nearest to the decimal one, of which the digits are exact.
        (Value::Float(number), Some(digits)) => format!("{number:.digits$}")
            .parse()
            .map(Value::Float)
            .map_err(|_| Unusual),
        _ => Err(Unusual),
    }
}

/// The text, if every version of Unicode since Python 3.11's knows the same other case of its characters.
fn known_letters(text: &str) -> Usual<&str> {
    let known = |character: char| {
        matches!(
            character,
            // Latin letters of Western and Central Europe, Cyrillic; then signs, ideographs and pictures without a case.
            '\0'..='\u{17f}' | '\u{400}'..='\u{45f}' | '\u{2010}'..='\u{2027}' | '€' | '\u{4e00}'..='\u{9fff}'
                | '\u{1f300}'..='\u{1f64f}'
        )
    };
    if text.is_ascii() || text.chars().all(known) {
        Ok(text)
    } else {
        Err(Unusual)
    }
}

/// Constants that a value may be one of.
#[derive(Debug, Clone, Default)]
pub struct Among {
    texts: HashSet<Box<str>>,
    integers: HashSet<i64>,
    floats: Vec<f64>,
    null: bool,
}

impl Among {
    /// Of these constants, which have no parts.
    pub fn new(constants: impl IntoIterator<Item = Value<'static>>) -> Among {
        let mut among = Among::default();
        for constant in constants {
            match constant {
                Value::Null => among.null = true,
                Value::Bool(value) => among.integers.extend([i64::from(value)]),
                Value::Int(number) => among.integers.extend([number]),
                Value::Float(number) => among.floats.push(number),
                Value::Text(text) => among.texts.extend([text.into()]),
                Value::Nested(_) => {}
            }
        }
        among
    }

    /// `value in constants`.
    ///
    /// # Errors
    /// A whole number is too large to be held against another.
    pub fn has(&self, value: &Value<'_>) -> Usual<bool> {
        match value {
            Value::Null => Ok(self.null),
            Value::Text(text) => Ok(self.texts.contains(&**text)),
            Value::Nested(_) => Ok(false),
            Value::Bool(one) => self.has_integer(i64::from(*one)),
            Value::Int(number) => self.has_integer(*number),
            Value::Float(number) => self.has_float(*number),
        }
    }

    fn has_integer(&self, number: i64) -> Usual<bool> {
        if self.integers.contains(&number) {
            return Ok(true);
        }
        if number.unsigned_abs() <= EXACT {
            return Ok(self.floats.contains(&(number as f64)));
        }
        let may_be = self.floats.iter().any(|float| float.abs() >= EXACT as f64);
        if may_be { Err(Unusual) } else { Ok(false) }
    }

    fn has_float(&self, number: f64) -> Usual<bool> {
        if self.floats.contains(&number) {
            return Ok(true);
        }
        if number.fract() != 0.0 {
            return Ok(false);
        }
        if number.abs() <= EXACT as f64 {
            return Ok(self.integers.contains(&(number as i64)));
        }
        let may_be = self.integers.iter().any(|integer| integer.unsigned_abs() > EXACT);
        if may_be { Err(Unusual) } else { Ok(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: Function, given: &[Value<'static>]) -> Usual<Value<'static>> {
        let mut all = [Value::Null, Value::Null, Value::Null];
        all[..given.len()].clone_from_slice(given);
        function.of(&all)
    }

    fn texts(value: &'static str) -> Value<'static> {
        Value::Text(value.into())
    }

    #[test]
    fn halves_are_rounded_to_the_even_digit_as_python_does() {
        let round = |number: f64, digits| of(Function::Round(digits), &[Value::Float(number)]);
        for (number, whole) in [
            (0.5, 0),
            (1.5, 2),
            (2.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (1e15, 1_000_000_000_000_000),
        ] {
            assert_eq!(round(number, None), Ok(Value::Int(whole)), "{number}");
        }
        for (number, digits, rounded) in [
            (0.125, 2, 0.12),
            (0.375, 2, 0.38),
            (2.675, 2, 2.67),
            (0.5, 0, 0.0),
            (1.5, 0, 2.0),
            (2.5, 0, 2.0),
            (1e300, 2, 1e300),
            (1.005, 2, 1.0),
            (-1.25, 1, -1.2),
        ] {
            assert_eq!(round(number, Some(digits)), Ok(Value::Float(rounded)), "{number}");
        }
        assert_eq!(round(1e19, None), Err(Unusual));
        assert_eq!(of(Function::Round(Some(2)), &[Value::Int(7)]), Ok(Value::Int(7)));
    }

    #[test]
    fn a_function_of_none_is_none_and_of_something_else_unusual() {
        for function in [
            Function::Lower,
            Function::Absolute,
            Function::Round(None),
            Function::Length,
        ] {
            assert_eq!(of(function, &[Value::Null]), Ok(Value::Null));
            assert_eq!(of(function, &[Value::Nested("[]")]), Err(Unusual));
        }
        assert_eq!(of(Function::StartsWith, &[texts("abc"), Value::Int(1)]), Err(Unusual));
        assert_eq!(of(Function::Absolute, &[Value::Int(i64::MIN)]), Err(Unusual));
        assert_eq!(
            of(Function::Between, &[texts("b"), Value::Int(1), Value::Int(2)]),
            Err(Unusual)
        );
    }

    #[test]
    fn letters_whose_case_is_not_old_are_left_to_python() {
        assert_eq!(
            of(Function::Upper, &[texts("straße, ŘEKA €")]),
            Ok(texts("STRASSE, ŘEKA €"))
        );
        assert_eq!(of(Function::Length, &[texts("é😀")]), Ok(Value::Int(2)));
        assert_eq!(of(Function::Lower, &[texts("ΟΔΟΣ")]), Err(Unusual));
        assert_eq!(of(Function::Upper, &[texts("\u{19b}")]), Err(Unusual));
    }

    #[test]
    fn the_mean_of_nothing_is_none() {
        assert_eq!(of(Function::Mean, &[Value::Int(0), Value::Int(0)]), Ok(Value::Null));
        assert_eq!(
            of(Function::Mean, &[Value::Int(7), Value::Int(2)]),
            Ok(Value::Float(3.5))
        );
        for sum in [texts("x"), Value::Null] {
            assert_eq!(of(Function::Mean, &[sum, Value::Int(2)]), Err(Unusual));
        }
    }

    #[test]
    fn a_value_is_among_those_that_are_equal_to_it() {
        let constants = [
            texts("a"),
            Value::Int(1),
            Value::Float(2.0),
            Value::Float(0.5),
            Value::Int(i64::MAX),
        ];
        let among = Among::new(constants);
        for value in [
            texts("a"),
            Value::Int(1),
            Value::Bool(true),
            Value::Float(1.0),
            Value::Int(2),
        ] {
            assert_eq!(among.has(&value), Ok(true), "{value:?}");
        }
        for value in [
            texts("b"),
            Value::Null,
            Value::Bool(false),
            Value::Int(3),
            Value::Nested("[1]"),
        ] {
            assert_eq!(among.has(&value), Ok(false), "{value:?}");
        }
        assert_eq!(among.has(&Value::Float(0.25)), Ok(false));
        // They have no floating point numbers of their own.
        assert_eq!(among.has(&Value::Float(1e18)), Err(Unusual));
        let large = Among::new([Value::Float(1e18)]);
        assert_eq!(large.has(&Value::Int(i64::MAX)), Err(Unusual));
        assert_eq!(large.has(&Value::Int(7)), Ok(false));
        assert_eq!(Among::new([Value::Null]).has(&Value::Null), Ok(true));
    }
}
