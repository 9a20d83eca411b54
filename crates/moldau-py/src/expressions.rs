//! Expressions of a `ColumnProgram`: trees of Python as `moldau_columns` has them.

use moldau_columns::expression::{Comparison, Expression};
use moldau_columns::function::{Among, DIGITS_MAX, Function};
use moldau_columns::value::{Arithmetic, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

/// An expression of a program with so many registers.
pub fn expression_of(tree: &Bound<'_, PyAny>, registers: usize) -> PyResult<Expression> {
    let what: String = tree.get_item(0)?.extract()?;
    let part = |place: usize| expression_of(&tree.get_item(place)?, registers).map(Box::new);
    Ok(match what.as_str() {
        "register" => Expression::Register(within("register", tree.get_item(1)?.extract()?, registers)?),
        "constant" => Expression::Constant(constant_of(&tree.get_item(1)?)?),
        "==" => Expression::Equal(part(1)?, part(2)?, true),
        "!=" => Expression::Equal(part(1)?, part(2)?, false),
        "<" => Expression::Compare(Comparison::Less, part(1)?, part(2)?),
        "<=" => Expression::Compare(Comparison::LessOrEqual, part(1)?, part(2)?),
        ">" => Expression::Compare(Comparison::Greater, part(1)?, part(2)?),
        ">=" => Expression::Compare(Comparison::GreaterOrEqual, part(1)?, part(2)?),
        "+" => Expression::Arithmetic(Arithmetic::Add, part(1)?, part(2)?),
        "-" => Expression::Arithmetic(Arithmetic::Subtract, part(1)?, part(2)?),
        "*" => Expression::Arithmetic(Arithmetic::Multiply, part(1)?, part(2)?),
        "/" => Expression::Arithmetic(Arithmetic::Divide, part(1)?, part(2)?),
        "//" => Expression::Arithmetic(Arithmetic::FloorDivide, part(1)?, part(2)?),
        "%" => Expression::Arithmetic(Arithmetic::Modulo, part(1)?, part(2)?),
        "and" => Expression::And(part(1)?, part(2)?),
        "or" => Expression::Or(part(1)?, part(2)?),
        "not" => Expression::Not(part(1)?),
        "part" => Expression::Part(part(1)?, tree.get_item(2)?.extract()?),
        "is_null" => Expression::IsNull(part(1)?),
        "in" => {
            let constants: Vec<Bound<'_, PyAny>> = tree.get_item(2)?.extract()?;
            let constants = constants.iter().map(constant_of).collect::<PyResult<Vec<_>>>()?;
            Expression::IsIn(part(1)?, Among::new(constants))
        }
        "round" => {
            let digits: Option<usize> = match tree.len()? {
                2 => None,
                _ => Some(within("digit", tree.get_item(2)?.extract()?, DIGITS_MAX + 1)?),
            };
            Expression::Call(Function::Round(digits), vec![*part(1)?])
        }
        _ => call_of(&what, tree, registers)?,
    })
}

fn call_of(what: &str, tree: &Bound<'_, PyAny>, registers: usize) -> PyResult<Expression> {
    let function = match what {
        "abs" => Function::Absolute,
        "between" => Function::Between,
        "contains" => Function::Contains,
        "ends_with" => Function::EndsWith,
        "len" => Function::Length,
        "lower" => Function::Lower,
        "mean" => Function::Mean,
        "starts_with" => Function::StartsWith,
        "upper" => Function::Upper,
        _ => return Err(unknown("operator", what)),
    };
    let arguments = (1..=function.arguments())
        .map(|place| expression_of(&tree.get_item(place)?, registers))
        .collect::<PyResult<_>>()?;
    Ok(Expression::Call(function, arguments))
}

/// A constant.
pub fn constant_of(value: &Bound<'_, PyAny>) -> PyResult<Value<'static>> {
    Ok(if value.is_none() {
        Value::Null
    } else if value.is_exact_instance_of::<PyBool>() {
        Value::Bool(value.extract()?)
    } else if value.is_exact_instance_of::<PyInt>() {
        Value::Int(value.extract()?)
    } else if value.is_exact_instance_of::<PyFloat>() {
        Value::Float(value.extract()?)
    } else if value.is_exact_instance_of::<PyString>() {
        Value::Text(value.extract::<String>()?.into())
    } else {
        return Err(unknown("constant", &value.repr()?.to_string()));
    })
}

/// What is said of a part that there is not.
pub fn unknown(what: &str, name: &str) -> PyErr {
    PyValueError::new_err(format!("there is no {what} {name:?} for columns"))
}

/// A number that is less than a count.
pub fn within(what: &str, number: usize, count: usize) -> PyResult<usize> {
    if number < count {
        Ok(number)
    } else {
        Err(PyValueError::new_err(format!(
            "there is no {what} {number}, there are {count}"
        )))
    }
}
