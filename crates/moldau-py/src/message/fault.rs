//! Why a message could not be read or written.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pub type Checked<T> = Result<T, Fault>;

/// One sentence, and what Python raised, when it did.
#[derive(Debug)]
pub struct Fault {
    sentence: String,
    cause: Option<PyErr>,
}

impl Fault {
    #[cold]
    pub fn new(sentence: impl Into<String>) -> Fault {
        Fault {
            sentence: sentence.into(),
            cause: None,
        }
    }

    /// The same fault, seen from the structure around it.
    #[cold]
    pub fn within(mut self, class: &str, field: &str) -> Fault {
        self.sentence = format!("{class}.{field}: {}", self.sentence);
        self
    }

    #[cold]
    pub fn raised(self, py: Python<'_>) -> PyErr {
        let error = PyValueError::new_err(self.sentence);
        error.set_cause(py, self.cause);
        error
    }
}

impl From<PyErr> for Fault {
    #[cold]
    fn from(error: PyErr) -> Fault {
        Python::attach(|py| Fault {
            sentence: error.value(py).to_string(),
            cause: Some(error),
        })
    }
}
