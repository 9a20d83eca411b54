//! Making partitions: one, or all those of a new topic.
//!
//! Nobody waits for the disk here. A new partition is empty: one that a loss of power takes is made anew by the next
//! start, with the id that the metadata knows, once all directories are online: until then it may be on one that is not,
//! and stays offline. Its first flush makes its folder durable with what is flushed.

use super::{LoadFailure, LogManager, PartitionSpec};
use crate::error::LogError;
use crate::partition_log::PartitionLog;
use std::sync::Arc;

impl LogManager {
    /// Opens one partition, making it in the online directory with the fewest when it is on none. One that is open
    /// already is given back as it is.
    pub fn create(&self, spec: PartitionSpec, now_ms: i64) -> Result<Arc<PartitionLog>, LogError> {
        let _one_at_a_time = self.changing.lock();
        self.create_one(&spec, now_ms)
    }

    /// The same for many. Returns those that could not be made.
    pub fn create_all(&self, specs: &[PartitionSpec], now_ms: i64) -> Vec<LoadFailure> {
        let _one_at_a_time = self.changing.lock();
        let failures = specs.iter().filter_map(|spec| {
            let message = self.create_one(spec, now_ms).err()?.to_string();
            let topic_partition = spec.topic_partition.clone();
            Some(LoadFailure {
                topic_partition,
                message,
            })
        });
        failures.collect()
    }

    fn create_one(&self, spec: &PartitionSpec, now_ms: i64) -> Result<Arc<PartitionLog>, LogError> {
        if let Some(log) = self.get(&spec.topic_partition) {
            return Ok(log);
        }
        let found = self.online().find_map(|directory| {
            let path = directory.path().join(spec.topic_partition.to_string());
            match self.config.storage.exists(&path) {
                Ok(exists) => exists.then_some(Ok(directory)),
                Err(source) => Some(Err(LogError::Storage { path, source })),
            }
        });
        let (log, _) = match found.transpose()? {
            Some(directory) => self.open_partition(directory, spec, now_ms)?,
            None => self.make_partition(spec, now_ms)?,
        };
        Ok(log)
    }
}
