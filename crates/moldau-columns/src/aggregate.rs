//! Aggregates: which group a record belongs to, and what it adds there.
//!
//! As the engine's operators do it: a window takes records until the time of the aggregate has passed its end and grace.

use crate::expression::{Expression, Registers};
use crate::value::{Arithmetic, Value};
use crate::{Unusual, Usual};

/// One number of a group: what a record adds to it.
#[derive(Debug)]
pub enum Part {
    /// How many records there are.
    Count,
    /// How many records there are with something that is not null.
    Counted(Expression),
    /// The sum of something; `None` counts for nothing.
    Sum(Expression),
    /// The least of something; `None` counts for nothing.
    Least(Expression),
    /// The greatest of something.
    Greatest(Expression),
}

impl Part {
    /// Of an empty group.
    #[must_use]
    pub fn first(&self) -> Value<'static> {
        match self {
            Part::Count | Part::Counted(_) | Part::Sum(_) => Value::Int(0),
            Part::Least(_) | Part::Greatest(_) => Value::Null,
        }
    }

    /// With one record more.
    ///
    /// # Errors
    /// Python raises, or keeps something else than a number of 64 bits or a text.
    pub fn step(&self, held: &Value<'static>, registers: &Registers<'_>) -> Usual<Value<'static>> {
        let new = match self {
            Part::Count => held.arithmetic(Arithmetic::Add, &Value::Int(1))?,
            Part::Counted(expression) => match expression.value(registers)? {
                Value::Null => held.clone(),
                _ => held.arithmetic(Arithmetic::Add, &Value::Int(1))?,
            },
            Part::Sum(expression) => match expression.value(registers)? {
                Value::Null => held.clone(),
                more => held.arithmetic(Arithmetic::Add, &more)?,
            },
            Part::Least(expression) => chosen(held, &expression.value(registers)?, std::cmp::Ordering::Less)?,
            Part::Greatest(expression) => chosen(held, &expression.value(registers)?, std::cmp::Ordering::Greater)?,
        };
        // What is beyond the range of numbers is no JSON, and comes back from the store as something else.
        if matches!(new, Value::Float(number) if !number.is_finite()) {
            return Err(Unusual);
        }
        Ok(new)
    }
}

/// The new value if it comes `before` the one that is held, as Python's `min` and `max` choose.
fn chosen(held: &Value<'static>, new: &Value<'_>, before: std::cmp::Ordering) -> Usual<Value<'static>> {
    let takes = match (held, new) {
        (_, Value::Bool(_) | Value::Nested(_)) => return Err(Unusual),
        (_, Value::Null) => false,
        (Value::Null, _) => true,
        _ => new.compare(held)? == Some(before),
    };
    Ok(if takes { owned(new) } else { held.clone() })
}

fn owned(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Text(text) => Value::Text(text.clone().into_owned().into()),
        Value::Int(number) => Value::Int(*number),
        Value::Float(number) => Value::Float(*number),
        Value::Bool(value) => Value::Bool(*value),
        Value::Null | Value::Nested(_) => Value::Null,
    }
}

/// Windows of one size on a grid that begins in 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// How long each one is.
    pub size_ms: i64,
    /// How long after one the next begins; not more than the size.
    pub advance_ms: i64,
    /// How long after its end a window takes records.
    pub grace_ms: i64,
}

/// Times and durations up to here can be added.
pub const MOMENT_MAX: i64 = 1 << 61;

impl Windows {
    /// The starts of the windows that hold a moment, the earliest first.
    ///
    /// # Errors
    /// The moment is too far away to compute with.
    pub fn starts(&self, moment_ms: i64) -> Usual<impl Iterator<Item = i64> + use<>> {
        if moment_ms > MOMENT_MAX {
            return Err(Unusual);
        }
        let first = (moment_ms - self.size_ms + self.advance_ms).max(0) / self.advance_ms * self.advance_ms;
        Ok((first..=moment_ms).step_by(usize::try_from(self.advance_ms).map_err(|_| Unusual)?))
    }
}

/// How records are added to the groups of a table, under their own keys.
#[derive(Debug)]
pub struct Aggregate {
    /// Which table.
    pub table: usize,
    /// The windows that a group is divided into.
    pub windows: Option<Windows>,
    /// What groups hold.
    pub parts: Vec<Part>,
    /// Which value drops a record when it is null.
    pub not_null: NotNull,
    /// Whether every update is handed on; otherwise the table keeps the last of each group.
    pub emits: bool,
    /// Where the first part stands for those behind; the others are in the registers after it.
    pub first_register: usize,
    /// Who is next.
    pub then: Vec<usize>,
}

/// What has to be there, or the record is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNull {
    /// Nothing but the key.
    Key,
    /// The record's value.
    Value,
    /// A register.
    Register(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Windows = Windows {
        size_ms: 10,
        advance_ms: 3,
        grace_ms: 0,
    };

    fn starts(windows: Windows, moment: i64) -> Vec<i64> {
        windows.starts(moment).unwrap().collect()
    }

    #[test]
    fn a_moment_is_in_every_window_that_holds_it_and_none_begins_before_1970() {
        assert_eq!(starts(GRID, 0), [0]);
        assert_eq!(starts(GRID, 9), [0, 3, 6, 9]);
        assert_eq!(starts(GRID, 10), [3, 6, 9]);
        let tumbling = Windows { advance_ms: 10, ..GRID };
        assert_eq!(starts(tumbling, 29), [20]);
        assert!(tumbling.starts(i64::MAX).is_err());
    }

    fn steps(part: &Part, values: &[Value<'static>]) -> Usual<Value<'static>> {
        let mut held = part.first();
        for value in values {
            held = part.step(&held, &vec![Some(value.clone())])?;
        }
        Ok(held)
    }

    #[test]
    fn parts_add_as_python_does() {
        let field = || Expression::Register(0);
        let numbers = [Value::Int(2), Value::Float(0.5), Value::Int(7)];
        assert_eq!(steps(&Part::Sum(field()), &numbers), Ok(Value::Float(9.5)));
        assert_eq!(steps(&Part::Count, &numbers), Ok(Value::Int(3)));
        assert_eq!(steps(&Part::Least(field()), &numbers), Ok(Value::Float(0.5)));
        assert_eq!(steps(&Part::Greatest(field()), &numbers), Ok(Value::Int(7)));
        // Of two that are equal the first stays.
        let equal = [Value::Int(1), Value::Null, Value::Float(1.0)];
        assert_eq!(steps(&Part::Least(field()), &equal), Ok(Value::Int(1)));
        assert_eq!(steps(&Part::Greatest(field()), &equal), Ok(Value::Int(1)));
        assert_eq!(steps(&Part::Least(field()), &[Value::Null]), Ok(Value::Null));
        let some = [Value::Null, Value::Int(2), Value::Null, Value::Text("x".into())];
        assert_eq!(steps(&Part::Counted(field()), &some), Ok(Value::Int(2)));
        assert_eq!(steps(&Part::Sum(field()), &some[..3]), Ok(Value::Int(2)));
    }

    #[test]
    fn what_a_number_cannot_hold_is_unusual() {
        let sum = Part::Sum(Expression::Register(0));
        assert!(steps(&sum, &[Value::Int(i64::MAX), Value::Int(1)]).is_err());
        assert!(steps(&sum, &[Value::Float(f64::MAX), Value::Float(f64::MAX)]).is_err());
        assert!(steps(&sum, &[Value::Text("a".into())]).is_err());
        let least = Part::Least(Expression::Register(0));
        assert!(steps(&least, &[Value::Bool(true)]).is_err());
        assert!(steps(&least, &[Value::Int(1), Value::Text("a".into())]).is_err());
    }
}
