//! Taking partitions out, as many as there are, with one flush for each directory.

use super::directories::{Directory, FolderName};
use super::{LoadFailure, LogManager};
use crate::error::LogError;
use crate::types::TopicPartition;

impl LogManager {
    /// Takes partitions out and renames their folders; the files go later, by [`LogManager::housekeeping`]. Returns those
    /// of which it is not sure that they are gone: where something has run out, housekeeping makes sure.
    pub fn delete_all(&self, topic_partitions: &[TopicPartition], now_ms: i64) -> Vec<LoadFailure> {
        let _one_at_a_time = self.changing.lock();
        let mut failures = Vec::new();
        let mut failed = |topic_partition: &TopicPartition, error: &LogError| {
            failures.push(LoadFailure {
                topic_partition: topic_partition.clone(),
                message: error.to_string(),
            });
        };
        let mut renamed = Vec::new();
        for topic_partition in topic_partitions {
            match self.take_out(topic_partition, now_ms) {
                Ok(directory) => renamed.extend(directory.map(|directory| (topic_partition, directory))),
                Err(error) => failed(topic_partition, &error),
            }
        }
        // A directory that has just failed is asked too: what of it is sure must be known of each.
        for directory in &self.directories {
            let is_here = |other: &Directory| other.path() == directory.path();
            let here: Vec<_> = renamed.iter().filter(|(_, other)| is_here(other)).collect();
            if !here.is_empty()
                && let Err(error) = self.sync_renamed(directory)
            {
                here.iter()
                    .for_each(|(topic_partition, _)| failed(topic_partition, &error));
            }
        }
        failures
    }

    /// Nobody finds it any more, and its folder has another name, which is not durable yet. Returns in which directory;
    /// `None` where that has failed: nothing can be renamed there.
    fn take_out(&self, topic_partition: &TopicPartition, now_ms: i64) -> Result<Option<&Directory>, LogError> {
        self.give_up_move(topic_partition, now_ms);
        let log = self
            .logs
            .write()
            .remove(topic_partition)
            .ok_or_else(|| LogError::UnknownPartition(topic_partition.clone()))?;
        let directory = self
            .directories
            .iter()
            .find(|directory| directory.path() == log.log_directory());
        if let Some(directory) = directory {
            directory.remove_partition();
            directory.forget(topic_partition);
        }
        let Some(directory) = directory.filter(|directory| directory.health.failure().is_none()) else {
            log.close_deleted(|_| Ok(None)).expect("nothing is renamed");
            return Ok(None);
        };
        let folder = directory.path().join(FolderName::deleted(topic_partition));
        let renaming = log.close_deleted(|from| {
            self.config.storage.rename(from, &folder)?;
            Ok(Some(folder.clone()))
        });
        renaming.map_err(|source| {
            if !crate::directory::is_shortage(&source) {
                directory.health.fail("deleting a partition", &source);
            }
            LogError::Storage {
                path: log.directory(),
                source,
            }
        })?;
        let due_ms = now_ms.saturating_add(log.config().file_delete_delay_ms);
        directory.renamed(Some((due_ms, folder)));
        Ok(Some(directory))
    }

    /// Makes the new names of folders durable; those of deleted partitions may be removed from then on. Where something
    /// has run out, the next call tries again.
    pub(super) fn sync_renamed(&self, directory: &Directory) -> Result<(), LogError> {
        let gone = directory.sync_renamed(self.config.durable).map_err(|source| {
            if !crate::directory::is_shortage(&source) {
                directory.health.fail("flushing the names of folders", &source);
            }
            LogError::Storage {
                path: directory.path().to_owned(),
                source,
            }
        })?;
        self.removals.lock().extend(gone);
        Ok(())
    }

    /// Sees to it that no folder of an older topic gets its name back when the power goes: there is to be a partition
    /// of that name.
    pub(super) fn sync_all_renamed(&self) -> Result<(), LogError> {
        for directory in self.online() {
            match self.sync_renamed(directory) {
                // A directory that has failed now keeps nobody else waiting.
                Err(_) if directory.health.failure().is_some() => {}
                other => other?,
            }
        }
        Ok(())
    }
}
