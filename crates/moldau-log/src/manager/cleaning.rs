//! Which log is compacted next, and what is remembered of that.

use super::LogManager;
use super::directories::Directory;
use crate::cleaner::{self, CleanError, Cleanable, CleanedLog, CleanerLimits, Pace};
use crate::partition_log::PartitionLog;
use crate::types::TopicId;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A partition of this very topic, not of another of the same name.
type Identity = (TopicId, i32);

/// What is remembered between passes.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    marks: Mutex<Marks>,
    passes: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    removed_records: AtomicU64,
    /// Of the dirtiest log when one was last looked for, in percent.
    dirtiest_percent: AtomicU64,
}

#[derive(Debug, Default)]
struct Marks {
    /// A thread is at it.
    in_progress: HashSet<Identity>,
    /// Not to be tried again while the node runs.
    uncleanable: HashSet<Identity>,
    /// There was no room on the disk for the last try; that was said.
    short_of_room: HashSet<Identity>,
}

/// What compaction has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanerCounters {
    /// Passes that were finished.
    pub passes: u64,
    /// Bytes read, of dirty parts twice.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Records that went.
    pub removed_records: u64,
    /// Dirty part of the dirtiest log, in percent.
    pub dirtiest_percent: u64,
    /// Partitions that were set aside because they cannot be cleaned.
    pub uncleanable_partitions: u64,
}

fn identity(log: &PartitionLog) -> Identity {
    (log.topic_id(), log.topic_partition().partition)
}

impl LogManager {
    /// Cleans the dirtiest of the logs that are due, if there is one. May be called from several threads: each takes
    /// another log. A log that cannot be cleaned is set aside, in one log line.
    pub fn clean_filthiest(&self, limits: CleanerLimits, pace: &mut dyn Pace, now_ms: i64) -> Option<CleanedLog> {
        let (log, cleanable) = self.take_filthiest(now_ms)?;
        let result = cleaner::clean(&log, &cleanable, limits, pace, now_ms);
        let cleaned = match result {
            Ok(cleaned) => {
                self.note_cleaned(&log, &cleaned);
                Some(cleaned)
            }
            Err(error) => {
                self.note_failure(&log, error);
                None
            }
        };
        self.cleaning.marks.lock().in_progress.remove(&identity(&log));
        cleaned
    }

    fn take_filthiest(&self, now_ms: i64) -> Option<(Arc<PartitionLog>, Cleanable)> {
        let mut filthiest: Option<((bool, f64), Arc<PartitionLog>, Cleanable)> = None;
        let mut dirtiest_ratio = 0.0f64;
        let mut marks = self.cleaning.marks.lock();
        for log in self.partitions() {
            let config = log.config();
            let known = identity(&log);
            if !config.compact || log.is_offline() || marks.in_progress.contains(&known) {
                continue;
            }
            if marks.uncleanable.contains(&known) {
                continue;
            }
            let found = match cleaner::cleanable(&log, &config, now_ms) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    // Retention may have taken the segment that was looked at; the next look sees that it did.
                    if error.kind() != io::ErrorKind::NotFound {
                        set_aside(&mut marks, &log, &error.to_string());
                    }
                    continue;
                }
            };
            dirtiest_ratio = dirtiest_ratio.max(found.dirty_ratio);
            // One for which there was no room must not keep the others waiting: they may make some.
            let rank = (!marks.short_of_room.contains(&known), found.dirty_ratio);
            let comes_first = filthiest.as_ref().is_none_or(|(other, ..)| *other < rank);
            if found.is_due(&config) && comes_first {
                filthiest = Some((rank, log, found));
            }
        }
        let percent = (dirtiest_ratio * 100.0) as u64;
        self.cleaning.dirtiest_percent.store(percent, Ordering::Relaxed);
        let (_, log, found) = filthiest?;
        marks.in_progress.insert(identity(&log));
        Some((log, found))
    }

    fn note_cleaned(&self, log: &PartitionLog, cleaned: &CleanedLog) {
        let add = |counter: &AtomicU64, count: u64| counter.fetch_add(count, Ordering::Relaxed);
        add(&self.cleaning.passes, 1);
        add(&self.cleaning.read_bytes, cleaned.bytes_read);
        add(&self.cleaning.written_bytes, cleaned.bytes_written);
        add(
            &self.cleaning.removed_records,
            cleaned.records_read - cleaned.records_kept,
        );
        self.cleaning.marks.lock().short_of_room.remove(&identity(log));
        tracing::debug!(partition = %cleaned.topic_partition, from = %cleaned.from, to = %cleaned.to,
            bytes_read = cleaned.bytes_read, bytes_written = cleaned.bytes_written,
            records_read = cleaned.records_read, records_kept = cleaned.records_kept, "compacted a log");
        log.set_cleaned_to(cleaned.to);
        let mine = self.directories.iter().find(|each| each.path() == log.log_directory());
        if let Some(directory) = mine {
            self.checkpoint_cleaned(directory);
        }
    }

    fn note_failure(&self, log: &PartitionLog, error: CleanError) {
        let mut marks = self.cleaning.marks.lock();
        match error {
            CleanError::Aborted => {}
            CleanError::Storage(_) if log.is_offline() => {}
            CleanError::Storage(error) if crate::directory::is_shortage(&error) => {
                if marks.short_of_room.insert(identity(log)) {
                    tracing::warn!(partition = %log.topic_partition(), %error,
                        "no room to compact a log; trying again until there is");
                }
            }
            CleanError::Storage(error) => {
                log.storage_failed("compacting", error);
            }
            CleanError::Uncleanable(reason) => set_aside(&mut marks, log, &reason),
        }
    }

    /// Writes how far the logs of a directory are compacted. What is not written costs a pass that finds little to do.
    pub(super) fn checkpoint_cleaned(&self, directory: &Directory) {
        let cleaned = || {
            let mine = self.partitions_in(directory);
            mine.iter()
                .map(|log| (log.topic_partition().clone(), log.cleaned_to()))
                .collect()
        };
        if let Err(error) = directory.checkpoint_cleaned(cleaned, self.config.durable)
            && !crate::directory::is_shortage(&error)
        {
            directory.health.fail("writing checkpoints", &error);
        }
    }

    /// What compaction has done since the start.
    pub fn cleaner_counters(&self) -> CleanerCounters {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CleanerCounters {
            passes: get(&self.cleaning.passes),
            read_bytes: get(&self.cleaning.read_bytes),
            written_bytes: get(&self.cleaning.written_bytes),
            removed_records: get(&self.cleaning.removed_records),
            dirtiest_percent: get(&self.cleaning.dirtiest_percent),
            uncleanable_partitions: self.cleaning.marks.lock().uncleanable.len() as u64,
        }
    }
}

fn set_aside(marks: &mut Marks, log: &PartitionLog, reason: &str) {
    marks.uncleanable.insert(identity(log));
    tracing::error!(partition = %log.topic_partition(), directory = %log.directory().display(), reason,
        "a log cannot be compacted; leaving it as it is until the next start");
}
