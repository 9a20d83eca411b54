//! `TopicPattern`: a regular expression of a group's subscription, matched against topic names in linear time.
//!
//! Kafka reads these expressions with RE2, which like this engine never backtracks: a member cannot make the broker
//! think for longer than the names are long. RE2's `\Q…\E` is the one part of its syntax that this engine lacks.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use regex::{Regex, RegexBuilder};

/// Bytes that a compiled expression may take: `(a{1000}){1000}` must not cost a gigabyte.
const COMPILED_BYTES_MAX: usize = 1 << 20;
const NESTING_MAX: u32 = 100;

#[pyclass(module = "moldau._core", frozen)]
pub struct TopicPattern {
    whole_name: Regex,
}

#[pymethods]
impl TopicPattern {
    #[new]
    fn new(expression: &str) -> PyResult<Self> {
        let expression = without_quotes(expression);
        // By itself first: `a)(b` must not become right by what is put around it.
        compile(&expression)?;
        let whole_name = compile(&format!(r"\A(?:{expression})\z"))?;
        Ok(Self { whole_name })
    }

    /// Those of `names` that the expression matches as a whole, in their order.
    fn matching(&self, py: Python<'_>, names: Vec<String>) -> Vec<String> {
        py.detach(|| {
            names
                .into_iter()
                .filter(|name| self.whole_name.is_match(name))
                .collect()
        })
    }
}

fn compile(expression: &str) -> PyResult<Regex> {
    RegexBuilder::new(expression)
        .size_limit(COMPILED_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|error| PyValueError::new_err(in_one_line(&error.to_string())))
}

/// The engine draws a picture of the mistake over several lines; its last line says what it is.
fn in_one_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or(message);
    last.trim_start_matches("error: ").to_owned()
}

/// `\Q…\E` (literal text) in words that this engine knows.
fn without_quotes(expression: &str) -> String {
    let mut rest = expression;
    let mut plain = String::with_capacity(expression.len());
    while let Some(position) = rest.find('\\') {
        let (before, escaped) = rest.split_at(position);
        plain.push_str(before);
        if let Some(quoted) = escaped.strip_prefix(r"\Q") {
            let (text, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            plain.push_str(&regex::escape(text));
            rest = after;
        } else {
            let taken = 1 + escaped[1..].chars().next().map_or(0, char::len_utf8);
            plain.push_str(&escaped[..taken]);
            rest = &escaped[taken..];
        }
    }
    plain.push_str(rest);
    plain
}
