//! One partition on disk, in Apache Kafka's own format.
//!
//! Plain blocking Rust: no tokio, no sockets, no Python. See `docs/internals/log.md`.

pub mod batch;
pub mod config;
pub mod error;
mod manager;
mod partition_log;
pub mod slice;
pub mod storage;
pub mod types;

pub use config::{CompressionSetting, LogConfig, TimestampType};
pub use error::{AppendError, LogError, ReadError, RecordError};
pub use manager::{
    DirectoryStatus, HousekeepingReport, LoadFailure, LoadReport, LogManager, LogManagerConfig, PartitionSpec,
};
pub use partition_log::PartitionLog;
pub use slice::{FileRange, LogSlice};
pub use storage::{FileSystem, Storage, StorageFile};
pub use types::{
    AbortedTransaction, AppendInfo, AppendOrigin, LeaderEpoch, Offset, ProducerEpoch, ProducerId, ProducerStateEntry,
    SegmentInfo, TimestampAndOffset, TimestampQuery, TopicId, TopicPartition,
};
