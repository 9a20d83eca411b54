//! One partition on disk, in Apache Kafka's own format.
//!
//! Plain blocking Rust: no tokio, no sockets, no Python. See `docs/internals/log.md`.

pub mod batch;
mod checkpoint;
mod cleaner;
pub mod config;
mod directory;
mod epoch_cache;
pub mod error;
mod file_pool;
mod flusher;
mod folder;
mod index;
mod manager;
mod mover;
mod partition_log;
mod producer_state;
mod recovery;
mod scan;
mod segment;
pub mod slice;
pub mod storage;
#[cfg(test)]
mod temporary;
mod transaction_index;
pub mod types;
mod validate;

pub use cleaner::{CleanedLog, CleanerLimits, CleanerSettings, CleanerThreads, Pace, Unhurried};
pub use config::{CompressionSetting, LogConfig, TimestampType};
pub use error::{AppendError, LogError, ReadError, RecordError};
pub use flusher::Flusher;
pub use manager::{
    CleanerCounters, DirectoryStatus, FutureStatus, HousekeepingReport, LoadFailure, LoadReport, LogManager,
    LogManagerConfig, MoveRefusal, PartitionSpec,
};
pub use mover::Mover;
pub use partition_log::PartitionLog;
pub use slice::{FileRange, LogSlice};
pub use storage::{FileSystem, Storage, StorageFile};
pub use types::{
    AbortedTransaction, AppendContext, AppendInfo, AppendOrigin, LeaderEpoch, Offset, ProducerEpoch, ProducerId,
    ProducerStateEntry, SegmentInfo, TimestampAndOffset, TimestampQuery, TopicId, TopicPartition, Verification,
    VerificationGuard,
};
