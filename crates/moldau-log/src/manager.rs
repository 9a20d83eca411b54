//! All partitions of this node, over one or several log directories.
//!
//! [`LogManager::open`] locks the directories and reads what their checkpoints say. Then the node learns from its
//! metadata which partitions it should have and calls [`LogManager::load`]. From there on partitions come and go one
//! by one; a clock outside calls [`LogManager::housekeeping`] and [`LogManager::checkpoint`]; and
//! [`LogManager::shutdown`] leaves everything so that the next start need not scan.
//!
//! A directory that fails takes its partitions offline and nothing else. A partition that lies on a directory which
//! is offline from the start is not made anew on another: it would come back empty.

mod cleaning;
mod creation;
mod deletion;
mod directories;
mod load;
mod moving;

use crate::checkpoint;
use crate::config::LogConfig;
use crate::error::LogError;
use crate::file_pool::FilePool;
use crate::flusher::ClosedSegments;
use crate::folder::Folder;
use crate::partition_log::{Identity, Noted, PartitionLog};
use crate::recovery::{self, LoadParameters, Loaded};
use crate::storage::{FileSystem, Storage};
use crate::types::{Offset, TopicId, TopicPartition};
pub use cleaning::CleanerCounters;
use cleaning::Cleaning;
use directories::Directory;
use moving::Moving;
pub use moving::{FutureStatus, MoveRefusal};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// From so many unflushed partitions on, a shutdown flushes the file system as a whole.
const DIRTY_LOGS_FOR_A_COMMON_FLUSH: usize = 100;

/// What the set of logs needs to know.
#[derive(Clone, Debug)]
pub struct LogManagerConfig {
    /// `log.dirs`
    pub directories: Vec<PathBuf>,
    /// Where files live; the real file system outside tests.
    pub storage: Arc<dyn Storage>,
    /// Threads that open, recover and close partitions (`num.recovery.threads.per.data.dir`), over all directories.
    pub recovery_threads: usize,
    /// `false` skips every flush to the disk: for brokers that are thrown away.
    pub durable: bool,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
    /// How many files of partitions may be open at once.
    pub max_open_files: usize,
}

impl Default for LogManagerConfig {
    fn default() -> LogManagerConfig {
        LogManagerConfig {
            directories: Vec::new(),
            storage: Arc::new(FileSystem),
            recovery_threads: 2,
            durable: true,
            producer_id_expiration_ms: 86_400_000,
            // The other half is for sockets.
            max_open_files: FileSystem::open_files_limit() / 2,
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
    /// Active segments closed because all they held was too old.
    pub segments_rolled: usize,
    /// Logs of which something was flushed, because of `flush.ms` or because a segment had been closed.
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
pub struct LogManager {
    config: LogManagerConfig,
    directories: Vec<Directory>,
    logs: RwLock<HashMap<TopicPartition, Arc<PartitionLog>>>,
    /// Folders of partitions that are surely gone, and when they go.
    removals: Mutex<Vec<(i64, PathBuf)>>,
    /// One partition is made or deleted at a time.
    changing: Mutex<()>,
    /// One directory is chosen at a time.
    placing: Mutex<()>,
    pool: Arc<FilePool>,
    /// What is flushed next, if somebody does.
    closed_segments: Arc<ClosedSegments>,
    /// What compaction is at, and what it was.
    cleaning: Cleaning,
    /// Partitions on their way to another directory.
    moving: Moving,
}

impl LogManager {
    /// Locks the directories (making them if missing) and reads their checkpoints; opens no partition yet. A directory
    /// that cannot be used is offline from the start; only a lock held elsewhere, or none left, is an error.
    pub fn open(config: LogManagerConfig) -> Result<LogManager, LogError> {
        let mut directories = Vec::with_capacity(config.directories.len());
        for path in &config.directories {
            directories.push(Directory::open(path, &config.storage, config.durable)?);
        }
        if directories.iter().all(|directory| directory.health.failure().is_some()) {
            return Err(LogError::NoOnlineDirectory);
        }
        Ok(LogManager {
            pool: Arc::new(FilePool::new(config.max_open_files)),
            config,
            directories,
            logs: RwLock::new(HashMap::new()),
            removals: Mutex::new(Vec::new()),
            changing: Mutex::new(()),
            placing: Mutex::new(()),
            closed_segments: Arc::default(),
            cleaning: Cleaning::default(),
            moving: Moving::default(),
        })
    }

    fn online(&self) -> impl Iterator<Item = &Directory> {
        self.directories
            .iter()
            .filter(|directory| directory.health.failure().is_none())
    }

    /// Makes the partition in the online directory with the fewest.
    fn make_partition(&self, spec: &PartitionSpec, now_ms: i64) -> Result<(Arc<PartitionLog>, bool), LogError> {
        self.sync_all_renamed()?;
        let directory = {
            let _one_at_a_time = self.placing.lock();
            let wished = self.take_wish(&spec.topic_partition);
            let fewest = || self.online().min_by_key(|directory| directory.partition_count());
            let directory = wished.or_else(fewest).ok_or(LogError::NoOnlineDirectory)?;
            directory.add_partition();
            directory
        };
        self.outdate(directory, spec)
            .and_then(|()| self.open_counted(directory, spec, now_ms))
            .inspect_err(|_| directory.remove_partition())
    }

    /// A partition is about to be made: what checkpoints tell of an earlier one of this name is not about it. They must
    /// not say so on disk either, or a crash before they are written next would have it begin where that one did.
    fn outdate(&self, directory: &Directory, spec: &PartitionSpec) -> Result<(), LogError> {
        if !directory.is_outdated(&spec.topic_partition) {
            return Ok(());
        }
        directory.forget(&spec.topic_partition);
        self.checkpoint_directory(directory)
            .map_err(|source| LogError::Storage {
                path: directory.path().to_owned(),
                source,
            })
    }

    /// Opens the partition whose folder is in `directory`. Also tells whether it had to be scanned.
    fn open_partition(
        &self,
        directory: &Directory,
        spec: &PartitionSpec,
        now_ms: i64,
    ) -> Result<(Arc<PartitionLog>, bool), LogError> {
        directory.add_partition();
        self.open_counted(directory, spec, now_ms)
            .inspect_err(|_| directory.remove_partition())
    }

    /// Opens the partition in `directory`, which counts it already; its folder may be there or not.
    fn open_counted(
        &self,
        directory: &Directory,
        spec: &PartitionSpec,
        now_ms: i64,
    ) -> Result<(Arc<PartitionLog>, bool), LogError> {
        let path = directory.path().join(spec.topic_partition.to_string());
        let storage = &self.config.storage;
        let failed = |source: io::Error| {
            if !crate::directory::is_shortage(&source) {
                directory.health.fail("opening a partition", &source);
            }
            LogError::Storage {
                path: path.clone(),
                source,
            }
        };
        self.check_topic_id(directory, spec, &path, &failed)?;
        let noted = directory.checkpointed(&spec.topic_partition);
        let folder = Folder::new(Arc::clone(storage), path, self.config.durable, Arc::clone(&self.pool));
        let folder = Arc::new(folder);
        let parameters = LoadParameters {
            clean: directory.was_clean(),
            recovery_point: noted.recovery_point,
            log_start: noted.log_start,
            cleaned_to: noted.cleaned_to,
            now_ms,
        };
        let mut loaded = recovery::load(&folder, parameters, &spec.config).inspect_err(|error| {
            if let LogError::Storage { source, .. } = error
                && !crate::directory::is_shortage(source)
            {
                directory.health.fail("opening a partition", source);
            }
        })?;
        loaded.producers.expire(now_ms, self.config.producer_id_expiration_ms);
        let noted = Noted {
            high_watermark: noted.high_watermark,
            cleaned_to: noted.cleaned_to,
            was_flushed: noted.recovery_point > Offset(0),
        };
        Ok(self.insert(directory, spec, folder, loaded, noted))
    }

    /// The folder must belong to this very topic, not to an older one of the same name. A folder without
    /// `partition.metadata` is new, and gets it; so does one in which a loss of power tore that file: the folders of older
    /// topics that were online had another name, durably, before this one was made.
    fn check_topic_id(
        &self,
        directory: &Directory,
        spec: &PartitionSpec,
        path: &Path,
        failed: &dyn Fn(io::Error) -> LogError,
    ) -> Result<(), LogError> {
        let storage = &self.config.storage;
        let metadata = path.join(checkpoint::PARTITION_METADATA);
        let write = || {
            let bytes = checkpoint::format_partition_metadata(spec.topic_id);
            storage.replace_file(&metadata, &bytes, false).map_err(failed)
        };
        let bytes = match storage.read_file(&metadata, 4096) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                storage.create_directory(path).map_err(failed)?;
                return write();
            }
            other => other.map_err(failed)?,
        };
        match checkpoint::parse_partition_metadata(&bytes) {
            Some(found) if found == spec.topic_id => Ok(()),
            Some(found) => Err(LogError::TopicIdMismatch {
                directory: path.to_owned(),
                found,
                expected: spec.topic_id,
            }),
            None if self.has_no_records(path).map_err(failed)? => write(),
            None if directory.was_clean() => Err(LogError::Invalid {
                path: metadata,
                message: "not a partition.metadata".to_owned(),
            }),
            None => {
                tracing::warn!(file = %metadata.display(), topic_id = %spec.topic_id,
                    "a crash tore a partition.metadata; the records beside it are taken for this topic's");
                write()
            }
        }
    }

    fn has_no_records(&self, path: &Path) -> io::Result<bool> {
        let entries = self.config.storage.list(path)?;
        Ok(entries
            .iter()
            .all(|entry| entry.length == 0 || !entry.name.ends_with(crate::folder::LOG)))
    }

    fn insert(
        &self,
        directory: &Directory,
        spec: &PartitionSpec,
        folder: Arc<Folder>,
        loaded: Loaded,
        noted: Noted,
    ) -> (Arc<PartitionLog>, bool) {
        let recovered = loaded.recovered;
        let identity = Identity {
            topic_partition: spec.topic_partition.clone(),
            topic_id: spec.topic_id,
            folder,
            health: Arc::clone(&directory.health),
            closed_segments: Arc::clone(&self.closed_segments),
        };
        let log = Arc::new(PartitionLog::new(identity, spec.config.clone(), loaded, noted));
        self.logs.write().insert(spec.topic_partition.clone(), Arc::clone(&log));
        directory.opened(&spec.topic_partition);
        (log, recovered)
    }

    /// An open partition by name.
    pub fn get(&self, topic_partition: &TopicPartition) -> Option<Arc<PartitionLog>> {
        self.logs.read().get(topic_partition).cloned()
    }

    /// Every open partition.
    pub fn partitions(&self) -> Vec<Arc<PartitionLog>> {
        self.logs.read().values().cloned().collect()
    }

    fn partitions_in(&self, directory: &Directory) -> Vec<Arc<PartitionLog>> {
        let mut logs = self.partitions();
        logs.retain(|log| log.log_directory() == directory.path());
        logs
    }

    /// Gives these partitions of `topic` these settings, and lets retention act on them at once.
    pub fn apply_config(&self, topic: &Arc<str>, partitions: &[i32], config: &LogConfig, now_ms: i64) {
        for &partition in partitions {
            let topic = Arc::clone(topic);
            let Some(log) = self.get(&TopicPartition { topic, partition }) else {
                continue;
            };
            log.apply_config(config.clone());
            if let Err(error) = log.apply_retention(now_ms) {
                tracing::warn!(partition = %log.topic_partition(), %error, "retention failed");
            }
        }
    }

    /// Retention, flushes by age and of closed segments, removal of deleted files, expiry of producers, closing of
    /// idle descriptors. Cheap where there is nothing to do: made to be called every few seconds.
    pub fn housekeeping(&self, now_ms: i64) -> HousekeepingReport {
        let mut report = HousekeepingReport::default();
        for log in self.partitions() {
            match log.housekeeping(now_ms, self.config.producer_id_expiration_ms) {
                Ok(done) => {
                    report.segments_deleted += done.segments_deleted;
                    report.bytes_deleted += done.bytes_deleted;
                    report.segments_rolled += done.segments_rolled;
                    report.logs_flushed += usize::from(done.flushed);
                    report.files_removed += done.files_removed;
                }
                Err(error) => {
                    tracing::warn!(partition = %log.topic_partition(), %error, "housekeeping failed");
                }
            }
        }
        self.pool.close_idle();
        for directory in self.online() {
            if let Err(error) = self.sync_renamed(directory) {
                tracing::warn!(%error, "deleted partitions stay on disk for now");
            }
        }
        let due: Vec<_> = self
            .removals
            .lock()
            .extract_if(.., |(due_ms, _)| *due_ms <= now_ms)
            .collect();
        for (_, path) in due {
            match self.config.storage.remove_directory(&path) {
                Ok(()) => report.files_removed += 1,
                // The next start finds it again.
                Err(error) => tracing::warn!(folder = %path.display(), %error, "a deleted partition stays on disk"),
            }
        }
        report
    }

    /// Flushes the partitions whose `flush.ms` has passed. Returns how many. One that cannot be flushed goes offline with
    /// its directory, and the others go on.
    pub fn flush_due(&self, now_ms: i64) -> usize {
        let flushed = self.partitions().into_iter().filter(|log| {
            log.flush_if_due(now_ms)
                .inspect_err(|error| tracing::error!(partition = %log.topic_partition(), %error, "cannot flush"))
                .unwrap_or(false)
        });
        flushed.count()
    }

    pub(crate) fn closed_segments(&self) -> &ClosedSegments {
        &self.closed_segments
    }

    /// Flushes the closed segments of a partition. What fails now is tried again by housekeeping, unless the directory
    /// has gone offline.
    pub(crate) fn flush_closed_segments(&self, topic_partition: &TopicPartition) {
        let Some(log) = self.get(topic_partition).filter(|log| !log.is_offline()) else {
            return;
        };
        if let Err(error) = log.flush_closed_segments()
            && !log.is_offline()
        {
            tracing::warn!(partition = %topic_partition, %error, "cannot flush closed segments yet");
        }
    }

    /// Writes recovery points, log start offsets and high watermarks of all directories. A directory that cannot be
    /// written goes offline; the last such error is given back.
    pub fn checkpoint(&self) -> io::Result<()> {
        let mut result = Ok(());
        for directory in self.online() {
            if let Err(error) = self.checkpoint_directory(directory) {
                if !crate::directory::is_shortage(&error) {
                    directory.health.fail("writing checkpoints", &error);
                }
                result = Err(error);
            }
        }
        result
    }

    fn checkpoint_directory(&self, directory: &Directory) -> io::Result<()> {
        let open = || {
            let mine = self.partitions_in(directory);
            mine.iter()
                .map(|log| (log.topic_partition().clone(), moving::noted(log)))
                .collect()
        };
        directory.write_checkpoints(open, self.config.durable)
    }

    /// Flushes and closes every partition, writes the checkpoints and marks the directories as shut down cleanly, so
    /// that the next start need not scan. Appends are refused from then on. `now_ms` is not looked at yet.
    pub fn shutdown(&self, _now_ms: i64) {
        let logs = self.partitions();
        let failed = |log: &PartitionLog, error: io::Error| {
            tracing::error!(partition = %log.topic_partition(), %error, "a partition was not closed cleanly");
        };
        load::in_parallel(self.config.recovery_threads, &logs, |log| {
            log.stop().unwrap_or_else(|error| failed(log, error));
        });
        for directory in self.online() {
            let mine = self.partitions_in(directory);
            let synced = self.sync_if_many_are_dirty(directory, &mine);
            load::in_parallel(self.config.recovery_threads, &mine, |log| {
                log.finish(synced).unwrap_or_else(|error| failed(log, error));
            });
        }
        if let Err(error) = self.checkpoint() {
            tracing::error!(%error, "the checkpoints were not written");
            return;
        }
        for directory in self.online() {
            if let Err(error) = directory.mark_clean(self.config.durable) {
                tracing::error!(directory = %directory.path().display(), %error, "the next start will have to scan");
            }
        }
        for directory in &self.directories {
            directory.unlock();
        }
    }

    /// Gives the directories back as a killed process does: nothing is flushed, nothing is marked as clean.
    pub fn abandon(&self) {
        for directory in &self.directories {
            directory.unlock();
        }
    }

    /// Thousands of small flushes take far longer than one of the whole file system; a few are better on their own,
    /// because the file system may hold much that is not ours.
    fn sync_if_many_are_dirty(&self, directory: &Directory, logs: &[Arc<PartitionLog>]) -> bool {
        let dirty = logs.iter().filter(|log| log.is_dirty()).count();
        if !self.config.durable || dirty < DIRTY_LOGS_FOR_A_COMMON_FLUSH {
            return false;
        }
        self.sync_all_of(directory)
    }

    /// Whether one flush made everything in the directory durable; an error takes the directory offline.
    fn sync_all_of(&self, directory: &Directory) -> bool {
        self.config
            .storage
            .sync_file_system(directory.path())
            .unwrap_or_else(|error| {
                directory.health.fail("flushing the file system", &error);
                false
            })
    }

    /// State of every directory.
    pub fn directories(&self) -> Vec<DirectoryStatus> {
        self.directories.iter().map(Directory::status).collect()
    }
}

#[cfg(test)]
mod tests;
