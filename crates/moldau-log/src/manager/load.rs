//! Opening what is on disk, on several threads.

use super::directories::{Directory, FolderName};
use super::{LoadFailure, LoadReport, LogManager, PartitionSpec};
use crate::checkpoint;
use crate::error::LogError;
use crate::folder::{LOG, parse_name};
use crate::types::{TopicId, TopicPartition};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
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
                    FolderName::Deleted => directory.renamed(Some((i64::MIN, directory.path().join(entry.name)))),
                    FolderName::Future(partition) => {
                        futures.push((partition, directory, directory.path().join(entry.name)));
                    }
                    FolderName::Partition(_) | FolderName::Other => {}
                }
            }
            directory.keep_noted(&wanted);
            if !directory.was_clean() {
                // The process that was killed may have renamed folders, too.
                directory.renamed(None);
            }
            if let Err(error) = self.sync_renamed(directory) {
                tracing::warn!(%error, "the names of folders that were set aside are not durable yet");
            }
        }
        (found, futures)
    }

    /// Renames a folder that nobody asked for; gives back its new path, which is not durable yet.
    fn set_aside(&self, directory: &Directory, partition: &TopicPartition) -> Option<PathBuf> {
        let from = directory.path().join(partition.to_string());
        let to = directory.path().join(FolderName::stray(partition));
        if let Err(error) = self.config.storage.rename(&from, &to) {
            directory.health.fail("setting a folder aside", &error);
            return None;
        }
        directory.renamed(None);
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
        let opened = match directories {
            [] => None,
            [directory] => match self.open_partition(directory, spec, now_ms) {
                Err(LogError::TopicIdMismatch { .. }) => {
                    let stray = self.set_aside(directory, &spec.topic_partition);
                    report.lock().stray.extend(stray);
                    None
                }
                other => Some(other?),
            },
            several => match self.choose(several, spec, report)? {
                Some(directory) => Some(self.open_partition(directory, spec, now_ms)?),
                None => None,
            },
        };
        match opened {
            Some((_, recovered)) => Ok(recovered),
            None if self.online().count() < self.directories.len() => Err(LogError::Offline(
                "it is on no directory that is online; it may be on one that is not".to_owned(),
            )),
            None => self.make_partition(spec, now_ms).map(|_| false),
        }
    }

    /// Which of several folders of one name is opened; the others are set aside. Those of other topics first, however
    /// long they are: their directory was offline when this one was made. Then those that do not say whose they are,
    /// where one does: what was ever flushed says it. What is left is one partition, of which a move was cut off: what was
    /// copied was flushed before it got its name, so the longest is whole.
    fn choose<'a>(
        &self,
        directories: &[&'a Directory],
        spec: &PartitionSpec,
        report: &Mutex<LoadReport>,
    ) -> Result<Option<&'a Directory>, LogError> {
        let partition = &spec.topic_partition;
        let (mut own, mut nameless, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for &directory in directories {
            match self.whose(&directory.path().join(partition.to_string()))? {
                Some(topic_id) if topic_id == spec.topic_id => own.push(directory),
                Some(_) => others.push(directory),
                None => nameless.push(directory),
            }
        }
        if own.is_empty() {
            self.check_that_one_at_most_has_records(&nameless, partition)?;
            own = nameless;
        } else {
            others.append(&mut nameless);
        }
        let chosen = self.longest(&own, partition)?;
        others.extend(
            own.into_iter()
                .filter(|each| chosen.is_some_and(|chosen| chosen.path() != each.path())),
        );
        for other in others {
            report.lock().stray.extend(self.set_aside(other, partition));
        }
        self.sync_all_renamed()?;
        Ok(chosen)
    }

    /// The id in a folder's `partition.metadata`, unless that is torn or missing.
    fn whose(&self, folder: &Path) -> Result<Option<TopicId>, LogError> {
        let path = folder.join(checkpoint::PARTITION_METADATA);
        match self.config.storage.read_file(&path, 4096) {
            Ok(bytes) => Ok(checkpoint::parse_partition_metadata(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LogError::Storage { path, source }),
        }
    }

    /// Of folders that do not say whose they are, one with records is taken for the topic's; of several nobody can tell.
    fn check_that_one_at_most_has_records(
        &self,
        nameless: &[&Directory],
        partition: &TopicPartition,
    ) -> Result<(), LogError> {
        let mut with_records = Vec::new();
        for directory in nameless {
            let path = directory.path().join(partition.to_string());
            match self.has_no_records(&path) {
                Ok(true) => {}
                Ok(false) => with_records.push(path.display().to_string()),
                Err(source) => return Err(LogError::Storage { path, source }),
            }
        }
        if with_records.len() < 2 {
            return Ok(());
        }
        Err(LogError::Invalid {
            path: nameless[0].path().join(partition.to_string()),
            message: format!(
                "{} have records, and no partition.metadata that says whose; leave only the right one where it is",
                with_records.join(" and ")
            ),
        })
    }

    fn longest<'a>(
        &self,
        directories: &[&'a Directory],
        partition: &TopicPartition,
    ) -> Result<Option<&'a Directory>, LogError> {
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
        Ok(longest.map(|(directory, _)| directory))
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
