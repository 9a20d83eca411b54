//! The thread that moves partitions between log directories, from the first limit to the end of the node.

use std::io;
use std::path::Path;
use std::sync::Arc;

use moldau_log::{LogManager, MoveRefusal, Mover as MoverThread, TopicPartition};
use moldau_server::ErrorCode;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::cleaner::wall_clock_ms;
use crate::error::Refusal;
use crate::statuses::named;

/// Runs once it has a limit, where there is more than one directory, until it is stopped for good.
#[derive(Default)]
pub struct Mover(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Running(MoverThread),
    Stopped,
}

impl Mover {
    /// Begins, or goes on with another limit.
    pub fn limit(&self, logs: &Arc<LogManager>, bytes_per_second: f64) -> io::Result<()> {
        let mut state = self.0.lock();
        match &*state {
            State::Waiting if logs.directories().len() > 1 => {
                let thread = MoverThread::start(Arc::clone(logs), bytes_per_second, wall_clock_ms)?;
                *state = State::Running(thread);
            }
            State::Running(thread) => thread.limit(bytes_per_second),
            State::Waiting | State::Stopped => {}
        }
        Ok(())
    }

    /// Asks for a move and wakes the thread.
    pub fn request(&self, logs: &LogManager, at: &TopicPartition, destination: &Path) -> Result<(), Refusal> {
        logs.request_move(at, destination, wall_clock_ms()).map_err(|refusal| {
            let code = match &refusal {
                MoveRefusal::UnknownDirectory(_) => ErrorCode::LOG_DIR_NOT_FOUND,
                MoveRefusal::NotHosted(_) => ErrorCode::REPLICA_NOT_AVAILABLE,
                MoveRefusal::Offline(_) | MoveRefusal::Storage { .. } => ErrorCode::KAFKA_STORAGE_ERROR,
            };
            Refusal::new(code, refusal.to_string())
        })?;
        if let State::Running(thread) = &*self.0.lock() {
            thread.wake();
        }
        Ok(())
    }

    /// Ends the thread; nothing begins any more.
    pub fn stop(&self) {
        *self.0.lock() = State::Stopped;
    }
}

/// Every copy on its way as a `FutureStatus`.
pub fn futures<'py>(py: Python<'py>, logs: &LogManager) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let futures = logs.futures().into_iter();
    let told = futures.map(|future| {
        let at = &future.topic_partition;
        let directory = future.directory.to_string_lossy().into_owned();
        let fields = (
            &*at.topic,
            at.partition,
            directory,
            future.size_bytes,
            future.end_offset.0,
        );
        named(py, "FutureStatus", fields.into_pyobject(py)?)
    });
    told.collect()
}
