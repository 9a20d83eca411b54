//! All partitions of this node, over one or several log directories.

use crate::config::LogConfig;
use crate::error::LogError;
use crate::partition_log::PartitionLog;
use crate::storage::{FileSystem, Storage};
use crate::types::{TopicId, TopicPartition};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What the set of logs needs to know.
#[derive(Clone, Debug)]
pub struct LogManagerConfig {
    /// `log.dirs`
    pub directories: Vec<PathBuf>,
    /// Where files live; the real file system outside tests.
    pub storage: Arc<dyn Storage>,
    /// Threads that open and recover partitions (`num.recovery.threads.per.data.dir`), over all directories.
    pub recovery_threads: usize,
    /// `false` skips every flush to the disk: for brokers that are thrown away.
    pub durable: bool,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
}

impl Default for LogManagerConfig {
    fn default() -> LogManagerConfig {
        LogManagerConfig {
            directories: Vec::new(),
            storage: Arc::new(FileSystem),
            recovery_threads: 2,
            durable: true,
            producer_id_expiration_ms: 86_400_000,
        }
    }
}

/// One partition that should be on this node.
#[derive(Clone, Debug)]
pub struct PartitionSpec {
    /// Its name.
    pub topic_partition: TopicPartition,
    /// Its topic's id.
    pub topic_id: TopicId,
    /// Its topic's settings.
    pub config: LogConfig,
}

/// A partition that could not be opened.
#[derive(Clone, Debug)]
pub struct LoadFailure {
    /// Which.
    pub topic_partition: TopicPartition,
    /// Why.
    pub message: String,
}

/// What [`LogManager::load`] found.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Partitions now open (made anew when they were on no directory).
    pub loaded: usize,
    /// How many of them had to be scanned because the last shutdown was not clean.
    pub recovered: usize,
    /// Those that could not be opened.
    pub failures: Vec<LoadFailure>,
    /// Folders nobody asked for, under their new names.
    pub stray: Vec<PathBuf>,
}

/// What one round of [`LogManager::housekeeping`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HousekeepingReport {
    /// Segments that retention took out of their logs.
    pub segments_deleted: usize,
    /// Bytes of those segments.
    pub bytes_deleted: u64,
    /// Active segments closed because of their age.
    pub segments_rolled: usize,
    /// Logs flushed because of `flush.ms`.
    pub logs_flushed: usize,
    /// Files and folders unlinked after their delay.
    pub files_removed: usize,
}

/// One of `log.dirs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryStatus {
    /// Where.
    pub path: PathBuf,
    /// It has not failed.
    pub online: bool,
    /// Why it is offline.
    pub error: Option<String>,
    /// Bytes of its file system.
    pub total_bytes: u64,
    /// Bytes still free there.
    pub usable_bytes: u64,
}

/// All partitions of this node.
#[derive(Debug)]
pub struct LogManager {}

#[expect(
    unused_variables,
    clippy::todo,
    reason = "signatures first, so that the server can compile against them"
)]
impl LogManager {
    /// Locks the directories and reads their checkpoints; opens no partition yet. A directory that cannot be used is
    /// offline from the start; only a lock held elsewhere, or none left, is an error.
    pub fn open(config: LogManagerConfig) -> Result<LogManager, LogError> {
        todo!()
    }
    /// Opens the given partitions in parallel, making those that are on no directory. Other folders are set aside as
    /// `-stray`, except `__cluster_metadata-0`. `progress(done, total)` is called from the opening threads.
    pub fn load(&self, specs: Vec<PartitionSpec>, now_ms: i64, progress: &(dyn Fn(usize, usize) + Sync)) -> LoadReport {
        todo!()
    }
    /// Opens one partition, making it in the online directory with the fewest when it is on none.
    pub fn create(&self, spec: PartitionSpec, now_ms: i64) -> Result<Arc<PartitionLog>, LogError> {
        todo!()
    }
    /// An open partition by name.
    pub fn get(&self, topic_partition: &TopicPartition) -> Option<Arc<PartitionLog>> {
        todo!()
    }
    /// Every open partition.
    pub fn partitions(&self) -> Vec<Arc<PartitionLog>> {
        todo!()
    }
    /// Takes a partition out; its files go later, by [`LogManager::housekeeping`].
    pub fn delete(&self, topic_partition: &TopicPartition, now_ms: i64) -> Result<(), LogError> {
        todo!()
    }
    /// Retention, rolls by age, flushes by age, removal of deleted files, expiry of producers.
    pub fn housekeeping(&self, now_ms: i64) -> HousekeepingReport {
        todo!()
    }
    /// Writes recovery points, log start offsets and high watermarks of all directories.
    pub fn checkpoint(&self) -> io::Result<()> {
        todo!()
    }
    /// Flushes and closes everything, so that the next start need not scan.
    pub fn shutdown(&self, now_ms: i64) {
        todo!()
    }
    /// State of every directory.
    pub fn directories(&self) -> Vec<DirectoryStatus> {
        todo!()
    }
}
