//! Taking partitions out: one, or all those of a topic.

use super::directories::{Directory, FolderName};
use super::{LoadFailure, LogManager};
use crate::error::LogError;
use crate::types::TopicPartition;
use std::path::PathBuf;

/// A folder that has its new name, until when its files stay, and in which directory it is.
struct TakenOut<'a> {
    directory: &'a Directory,
    due_ms: i64,
    folder: PathBuf,
}

impl LogManager {
    /// Takes a partition out and renames its folder; the files go later, by [`LogManager::housekeeping`].
    pub fn delete(&self, topic_partition: &TopicPartition, now_ms: i64) -> Result<(), LogError> {
        let _one_at_a_time = self.changing.lock();
        let Some(taken) = self.take_out(topic_partition, now_ms)? else {
            return Ok(());
        };
        self.sync_names_of(taken.directory)?;
        self.removals.lock().push((taken.due_ms, taken.folder));
        Ok(())
    }

    /// The same for many, which need not wait for the disk one by one. Returns those of which it is not sure that they
    /// are gone.
    pub fn delete_all(&self, topic_partitions: &[TopicPartition], now_ms: i64) -> Vec<LoadFailure> {
        let _one_at_a_time = self.changing.lock();
        let mut failures = Vec::new();
        let mut failed = |topic_partition: &TopicPartition, error: &LogError| {
            failures.push(LoadFailure {
                topic_partition: topic_partition.clone(),
                message: error.to_string(),
            });
        };
        let mut taken = Vec::new();
        for topic_partition in topic_partitions {
            match self.take_out(topic_partition, now_ms) {
                Ok(folder) => taken.extend(folder.map(|folder| (topic_partition, folder))),
                Err(error) => failed(topic_partition, &error),
            }
        }
        // A directory that has just failed is asked too: what of it is sure must be known of each.
        for directory in &self.directories {
            let (here, elsewhere): (Vec<_>, Vec<_>) = taken
                .into_iter()
                .partition(|(_, folder): &(_, TakenOut<'_>)| folder.directory.path() == directory.path());
            taken = elsewhere;
            if here.is_empty() {
                continue;
            }
            match self.sync_names_of(directory) {
                Ok(()) => {
                    let gone = here.into_iter().map(|(_, folder)| (folder.due_ms, folder.folder));
                    self.removals.lock().extend(gone);
                }
                Err(error) => here
                    .iter()
                    .for_each(|(topic_partition, _)| failed(topic_partition, &error)),
            }
        }
        failures
    }

    /// Nobody finds it any more, and its folder has another name, which is not durable yet. `None` where the directory
    /// has failed: nothing can be renamed there.
    fn take_out(&self, topic_partition: &TopicPartition, now_ms: i64) -> Result<Option<TakenOut<'_>>, LogError> {
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
        Ok(Some(TakenOut {
            directory,
            due_ms,
            folder,
        }))
    }

    fn sync_names_of(&self, directory: &Directory) -> Result<(), LogError> {
        if !self.config.durable {
            return Ok(());
        }
        let synced = self.config.storage.sync_directory(directory.path());
        synced.map_err(|source| {
            if !crate::directory::is_shortage(&source) {
                directory.health.fail("deleting a partition", &source);
            }
            LogError::Storage {
                path: directory.path().to_owned(),
                source,
            }
        })
    }
}
