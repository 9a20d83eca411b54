//! `CoreError`: what the log or the server refused, with the Kafka error code that says why.

use crate::statuses::named;
use moldau_log::TopicPartition;
use std::io;

use moldau_log::{AppendError, LogError, ReadError};
use moldau_server::{AppendFailure, ErrorCode};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyType;

create_exception!(moldau._core, CoreError, PyException);

/// The exception class. Its attributes are on the class too, so that the stub's promise holds for both.
pub fn exception_type(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let class = py.get_type::<CoreError>();
    class.setattr("code", ErrorCode::UNKNOWN_SERVER_ERROR.0)?;
    class.setattr("message", "")?;
    Ok(class)
}

/// An error on its way to Python.
#[derive(Debug)]
pub struct Refusal {
    code: ErrorCode,
    message: String,
}

impl Refusal {
    /// A refusal with a sentence of our own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal {
            code,
            message: message.into(),
        }
    }

    /// The partition has no log here.
    pub fn unknown_partition(topic: &str, partition: i32) -> Refusal {
        Refusal::new(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            format!("there is no partition {topic}-{partition} on this node"),
        )
    }
}

impl From<Refusal> for PyErr {
    fn from(refusal: Refusal) -> PyErr {
        Python::attach(|py| {
            let error = CoreError::new_err(refusal.message.clone());
            let value = error.value(py);
            let attributes = value
                .setattr("code", refusal.code.0)
                .and_then(|()| value.setattr("message", refusal.message));
            match attributes {
                Ok(()) => error,
                Err(failed) => failed,
            }
        })
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Refusal {
        Refusal::new(ErrorCode::from(&error), error.to_string())
    }
}

impl From<AppendFailure> for Refusal {
    fn from(failure: AppendFailure) -> Refusal {
        Refusal::new(failure.code(), failure.to_string())
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Refusal {
        let code = match &error {
            ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            ReadError::Corrupt(_) => ErrorCode::CORRUPT_MESSAGE,
            ReadError::Offline(_) | ReadError::Storage(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        };
        Refusal::new(code, error.to_string())
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Refusal {
        let code = match &error {
            LogError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            LogError::UnknownPartition(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            LogError::TopicIdMismatch { .. } => ErrorCode::INCONSISTENT_TOPIC_ID,
            _ => ErrorCode::KAFKA_STORAGE_ERROR,
        };
        Refusal::new(code, error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())
    }
}

/// `LoadFailure`, one for each partition that could not be opened, made or removed.
pub fn failures_to_python<'py>(
    py: Python<'py>,
    failures: impl IntoIterator<Item = (TopicPartition, String)>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    failures
        .into_iter()
        .map(|(at, message)| {
            named(
                py,
                "LoadFailure",
                (&*at.topic, at.partition, message).into_pyobject(py)?,
            )
        })
        .collect()
}
