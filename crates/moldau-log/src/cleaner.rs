//! Compaction: of each key the last record stays (`cleanup.policy=compact`).
//!
//! One pass over one log, as Apache Kafka does it, in two readings. The first goes over the dirty part, from where the
//! last pass ended to the first segment that may not be touched, and notes the last offset of every key in a map of
//! bounded size (`offset_map`). The second goes over all segments before that point, in groups that make a segment of
//! a decent size, and copies what is still wanted into a new one (`filter` decides, `transactions` knows which batches
//! were aborted). The new segment takes the place of its group (`partition_log::swap`). What does not fit into the map
//! waits for the next pass.
//!
//! | who | does |
//! |---|---|
//! | `choose` | how dirty a log is, and from where to where it may be cleaned |
//! | `pass` | one pass over one log |
//! | `manager::cleaning` | picks the filthiest log, notes how far it came, sets aside what cannot be cleaned |
//! | `threads` | does so in the background, at the speed it is allowed |

mod choose;
mod filter;
mod offset_map;
mod pass;
mod threads;
mod throttle;
mod transactions;

pub(crate) use choose::{Cleanable, cleanable};
pub use pass::CleanedLog;
pub(crate) use pass::clean;
pub use threads::{CleanerSettings, CleanerThreads};
pub(crate) use throttle::Ledger;
pub use throttle::{Pace, Unhurried};

use std::io;

/// What a pass may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerLimits {
    /// Memory for the map of keys.
    pub map_bytes: usize,
    /// How full the map may become, at most 1.
    pub map_load_factor: f64,
    /// Bytes read, and bytes written, at once.
    pub buffer_bytes: usize,
}

/// Why a pass ended early. The log is whole in every case.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CleanError {
    /// The log was deleted, truncated or closed, or the node stops.
    #[error("broken off")]
    Aborted,
    /// The disk said no.
    #[error(transparent)]
    Storage(#[from] io::Error),
    /// What is in the log cannot be compacted, now or later.
    #[error("{0}")]
    Uncleanable(String),
}

impl From<crate::scan::ScanError> for CleanError {
    fn from(error: crate::scan::ScanError) -> CleanError {
        match error {
            crate::scan::ScanError::Storage(error) => CleanError::Storage(error),
            invalid @ crate::scan::ScanError::Invalid { .. } => CleanError::Uncleanable(invalid.to_string()),
        }
    }
}

impl From<crate::batch::BatchError> for CleanError {
    fn from(error: crate::batch::BatchError) -> CleanError {
        CleanError::Uncleanable(error.to_string())
    }
}

#[cfg(test)]
mod tests;
