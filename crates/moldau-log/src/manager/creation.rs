//! Making partitions: one, or all those of a new topic.

use super::directories::Directory;
use super::{LoadFailure, LogManager, PartitionSpec};
use crate::checkpoint::PARTITION_METADATA;
use crate::error::LogError;
use crate::partition_log::PartitionLog;
use std::sync::Arc;

/// From so many new partitions on, the file system is flushed once for all of them.
const PARTITIONS_FOR_A_COMMON_FLUSH: usize = 20;

impl LogManager {
    /// Opens one partition, making it in the online directory with the fewest when it is on none. One that is open
    /// already is given back as it is.
    pub fn create(&self, spec: PartitionSpec, now_ms: i64) -> Result<Arc<PartitionLog>, LogError> {
        let _one_at_a_time = self.changing.lock();
        self.create_one(&spec, self.config.durable, now_ms)
    }

    /// The same for many, which need not wait for the disk one by one. Returns those that could not be made.
    pub fn create_all(&self, specs: &[PartitionSpec], now_ms: i64) -> Vec<LoadFailure> {
        let _one_at_a_time = self.changing.lock();
        let together = self.config.durable && specs.len() >= PARTITIONS_FOR_A_COMMON_FLUSH;
        let durable = self.config.durable && !together;
        let made: Vec<_> = specs
            .iter()
            .map(|spec| self.create_one(spec, durable, now_ms))
            .collect();
        let synced: Vec<&Directory> = self
            .online()
            .filter(|directory| !together || self.sync_all_of(directory))
            .collect();
        let results = specs.iter().zip(made).map(|(spec, made)| {
            let log = made?;
            let is_synced = synced.iter().any(|directory| directory.path() == log.log_directory());
            if is_synced { Ok(()) } else { self.sync_name(spec, &log) }
        });
        let failures = specs
            .iter()
            .zip(results)
            .filter_map(|(spec, result): (_, Result<(), LogError>)| {
                let message = result.err()?.to_string();
                let topic_partition = spec.topic_partition.clone();
                Some(LoadFailure {
                    topic_partition,
                    message,
                })
            });
        failures.collect()
    }

    fn create_one(&self, spec: &PartitionSpec, durable: bool, now_ms: i64) -> Result<Arc<PartitionLog>, LogError> {
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
            None => self.make_partition(spec, durable, now_ms)?,
        };
        Ok(log)
    }

    /// Whether one flush made everything in the directory durable; an error takes the directory offline.
    pub(super) fn sync_all_of(&self, directory: &Directory) -> bool {
        self.config
            .storage
            .sync_file_system(directory.path())
            .unwrap_or_else(|error| {
                directory.health.fail("flushing the file system", &error);
                false
            })
    }

    /// The same for one new partition, where the file system cannot be asked.
    fn sync_name(&self, spec: &PartitionSpec, log: &PartitionLog) -> Result<(), LogError> {
        let Some(directory) = self.online().find(|each| each.path() == log.log_directory()) else {
            return Err(LogError::Offline("its directory has failed".to_owned()));
        };
        let metadata = log.directory().join(PARTITION_METADATA);
        self.write_topic_id(directory, spec, &metadata, true)
            .map_err(|error| log.storage_failed("making a partition", error))
    }
}
