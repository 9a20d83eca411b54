//! `Stage`: how far a node has come, and what it can be asked there.

use moldau_server::{ErrorCode, Faults, ImageDelta, Server};
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::Refusal;

/// A node opens its logs, serves, and is closed.
pub enum Stage {
    /// Not serving yet: the image is collected.
    Opening(Mutex<Vec<ImageDelta>>),
    Serving(Server),
    Closed,
}

impl Stage {
    /// Change the image, or what it will be.
    pub fn apply(&self, delta: ImageDelta) {
        match self {
            Stage::Opening(image) => image.lock().push(delta),
            Stage::Serving(server) => server.apply(delta),
            Stage::Closed => {}
        }
    }

    /// Who leads partitions: nobody, while the node does not serve.
    pub fn server(&self) -> Result<&Server, Refusal> {
        match self {
            Stage::Serving(server) => Ok(server),
            _ => Err(Refusal::new(
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                "the node does not serve yet",
            )),
        }
    }

    /// What `call` says of the server; the default while the node does not serve.
    pub fn serving<T: Default>(&self, call: impl FnOnce(&Server) -> T) -> T {
        match self {
            Stage::Serving(server) => call(server),
            _ => T::default(),
        }
    }

    /// The faults that a test plants.
    pub fn faults(&self) -> PyResult<&Faults> {
        match self {
            Stage::Serving(server) => Ok(server.faults()),
            _ => Err(PyRuntimeError::new_err("the node does not serve")),
        }
    }
}
