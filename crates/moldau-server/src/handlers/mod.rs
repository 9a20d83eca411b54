//! The hot requests, one file each.
//!
//! Produce and Fetch may have to wait; they are [`DelayedOperation`]s, which a connection tries, parks and tries again.
//! The others answer at once.

pub(crate) mod api_versions;
pub(crate) mod fetch;
pub(crate) mod leased;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;
pub(crate) mod verification;

use std::sync::Arc;
use std::time::Duration;

use crate::purgatory::Waiter;

/// A request that may have to wait for something to happen in a partition.
pub(crate) trait DelayedOperation {
    /// Look whether the request can be answered now. Afterwards, if not, the waiter wakes when it is worth looking
    /// again.
    fn try_complete(&mut self) -> bool;
    /// The time is up: prepare the answer that says so.
    fn expire(&mut self);
    /// What wakes this request; registered with the partitions on the first call.
    fn waiter(&mut self) -> Arc<Waiter>;
    /// How long to wait at most.
    fn max_wait(&self) -> Duration;
}
