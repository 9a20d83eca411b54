//! Opening what is on disk, on several threads.

use super::directories::{Directory, FolderName};
use super::{LoadFailure, LoadReport, LogManager, PartitionSpec};
use crate::error::LogError;
use crate::folder::{LOG, parse_name};
use crate::types::TopicPartition;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The quorum's own log is opened before anybody knows which partitions there are.
const METADATA_FOLDER: &str = "__cluster_metadata-0";

/// Where the folders of partitions are.
type Found<'a> = HashMap<TopicPartition, Vec<&'a Directory>>;
/// Copies that were on their way.
type Futures<'a> = Vec<(TopicPartition, &'a Directory, PathBuf)>;

impl LogManager {
    /// Opens the given partitions in parallel, making those that are on no directory. Other folders are set aside as
    /// `-stray`, except `__cluster_metadata-0`; so are folders of an older topic of the same name. `progress(done,
    /// total)` is called from the opening threads.
    pub fn load(&self, specs: Vec<PartitionSpec>, now_ms: i64, progress: &(dyn Fn(usize, usize) + Sync)) -> LoadReport {
        let _one_at_a_time = self.changing.lock();
        let report = Mutex::new(LoadReport::default());
        let (found, futures) = self.survey(&specs, &mut report.lock());
        let (done, total) = (AtomicUsize::new(0), specs.len());
        in_parallel(self.config.recovery_threads, &specs, |spec| {
            let result = self.load_partition(spec, &found, now_ms, &report);
            let mut report = report.lock();
            match result {
                Ok(recovered) => {
                    report.loaded += 1;
                    report.recovered += usize::from(recovered);
                }
                Err(error) => {
                    let (topic_partition, message) = (spec.topic_partition.clone(), error.to_string());
                    tracing::error!(partition = %topic_partition, message, "a partition could not be opened");
                    report.failures.push(LoadFailure {
                        topic_partition,
                        message,
                    });
                }
            }
            drop(report);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        });
        self.resume_moves(futures, &specs);
        let report = report.into_inner();
        // A log that was cut may end before its old recovery point; what is appended next must not count as flushed.
        if report.recovered > 0
            && let Err(error) = self.checkpoint()
        {
            tracing::error!(%error, "the checkpoints were not written after recovery");
        }
        report
    }

    /// Lists the folders of all directories, sets aside the strays, and schedules what was deleted for removal.
    fn survey(&self, specs: &[PartitionSpec], report: &mut LoadReport) -> (Found<'_>, Futures<'_>) {
        let wanted: HashSet<_> = specs.iter().map(|spec| &spec.topic_partition).collect();
        let (mut found, mut futures) = (Found::new(), Futures::new());
        for directory in self.online() {
            let entries = match self.config.storage.list(directory.path()) {
                Ok(entries) => entries,
                Err(error) => {
                    directory.health.fail("listing the directory", &error);
                    continue;
                }
            };
            for entry in entries.into_iter().filter(|entry| entry.is_directory) {
                match FolderName::parse(&entry.name) {
                    FolderName::Partition(partition) if wanted.contains(&partition) => {
                        found.entry(partition).or_default().push(directory);
                    }
                    FolderName::Partition(partition) if entry.name != METADATA_FOLDER => {
                        report.stray.extend(self.set_aside(directory, &partition));
                    }
                    FolderName::Deleted => self.removals.lock().push((i64::MIN, directory.path().join(entry.name))),
                    FolderName::Future(partition) => {
                        futures.push((partition, directory, directory.path().join(entry.name)));
                    }
                    FolderName::Partition(_) | FolderName::Other => {}
                }
            }
            directory.keep_noted(&wanted);
        }
        (found, futures)
    }

    /// Renames a folder that nobody asked for; gives back its new path.
    fn set_aside(&self, directory: &Directory, partition: &TopicPartition) -> Option<PathBuf> {
        let from = directory.path().join(partition.to_string());
        let to = directory.path().join(FolderName::stray(partition));
        if let Err(error) = self.config.storage.rename(&from, &to) {
            directory.health.fail("setting a folder aside", &error);
            return None;
        }
        directory.forget(partition);
        tracing::warn!(folder = %to.display(), "set aside a partition that is not in the metadata");
        Some(to)
    }

    /// Opens one partition; tells whether it had to be scanned.
    fn load_partition(
        &self,
        spec: &PartitionSpec,
        found: &Found<'_>,
        now_ms: i64,
        report: &Mutex<LoadReport>,
    ) -> Result<bool, LogError> {
        if self.get(&spec.topic_partition).is_some() {
            return Ok(false);
        }
        let directories = found.get(&spec.topic_partition).map_or(&[][..], Vec::as_slice);
        match directories {
            [] if self.online().count() < self.directories.len() => Err(LogError::Offline(
                "it is on no directory that is online; it may be on one that is not".to_owned(),
            )),
            [] => self.make_partition(spec, now_ms).map(|_| false),
            [directory] => match self.open_partition(directory, spec, now_ms) {
                Err(LogError::TopicIdMismatch { .. }) => {
                    let stray = self.set_aside(directory, &spec.topic_partition);
                    report.lock().stray.extend(stray);
                    self.make_partition(spec, now_ms).map(|_| false)
                }
                other => other.map(|(_, recovered)| recovered),
            },
            several => {
                let directory = self.keep_longest(several, &spec.topic_partition, report)?;
                self.open_partition(directory, spec, now_ms)
                    .map(|(_, recovered)| recovered)
            }
        }
    }

    /// A partition that is in several directories was on its way when the process died: what was copied was flushed
    /// before it got its name, so the longest is whole. The others are set aside.
    fn keep_longest<'a>(
        &self,
        directories: &[&'a Directory],
        partition: &TopicPartition,
        report: &Mutex<LoadReport>,
    ) -> Result<&'a Directory, LogError> {
        let mut longest: Option<(&Directory, (i64, u64))> = None;
        for directory in directories {
            let path = directory.path().join(partition.to_string());
            let entries = self.config.storage.list(&path);
            let entries = entries.map_err(|source| LogError::Storage { path, source })?;
            let logs = entries.iter().filter_map(|entry| match parse_name(&entry.name) {
                Some((base_offset, LOG)) => Some((base_offset, entry.length)),
                _ => None,
            });
            let end = logs.max().unwrap_or((-1, 0));
            if longest.is_none_or(|(_, other)| other < end) {
                longest = Some((directory, end));
            }
        }
        let (kept, _) = longest.ok_or(LogError::NoOnlineDirectory)?;
        for other in directories.iter().filter(|other| other.path() != kept.path()) {
            report.lock().stray.extend(self.set_aside(other, partition));
        }
        Ok(kept)
    }
}

/// Calls `work` for every item, on up to `threads` threads.
pub(super) fn in_parallel<T: Sync>(threads: usize, items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(worker);
        }
        worker();
    });
}
