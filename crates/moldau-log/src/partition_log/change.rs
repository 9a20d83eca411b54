//! What changes a log besides appends: rolling to a new segment, flushing, truncating, closing.

use super::tail::Tail;
use super::{ALL_STABLE, Appender, PartitionLog};
use crate::config::LogConfig;
use crate::directory::{is_out_of_descriptors, is_shortage, unless_short};
use crate::error::LogError;
use crate::folder::SNAPSHOT;
use crate::producer_state;
use crate::recovery;
use crate::scan::ScanError;
use crate::segment::{IndexProgress, Segment};
use crate::types::Offset;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl PartitionLog {
    /// Closes the active segment and begins a new one at the log end.
    pub(super) fn roll(&self, appender: &mut Appender, config: &LogConfig, now_ms: i64) -> io::Result<()> {
        let end = self.log_end_offset();
        appender.active.complete(config.preallocate)?;
        self.take_snapshot(appender)?;
        let preallocated_bytes = config.preallocate.then_some(config.segment_bytes);
        let segment = Arc::new(Segment::create(&self.folder, end, preallocated_bytes, now_ms)?);
        self.names_unsynced.store(true, Ordering::Release);
        let mut segments = Vec::clone(&self.segment_list());
        segments.push(Arc::clone(&segment));
        // Readers that take the new list find an empty segment at its end, which is what it is.
        *self.segments.write() = Arc::new(segments);
        self.tail.lock().roll();
        appender.active = segment;
        appender.progress = IndexProgress::default();
        self.closed_segments.note(&self.topic_partition);
        Ok(())
    }

    /// Writes the producers' state at the log end, unless that was done.
    ///
    /// It is not flushed: a torn snapshot fails its checksum and an older one, with more of the log, serves as well.
    fn take_snapshot(&self, appender: &mut Appender) -> io::Result<()> {
        let end = self.log_end_offset().0;
        if end > appender.snapshot_offset {
            let path = self.folder.file(end, SNAPSHOT);
            self.folder
                .storage
                .replace_file(&path, &producer_state::encode_snapshot(&appender.producers), false)?;
            appender.snapshot_offset = end;
        }
        Ok(())
    }

    /// Spreads the rolls of partitions that were made at one time; the same for a segment however often it is asked.
    pub(super) fn roll_jitter_ms(&self, segment: &Segment, config: &LogConfig) -> i64 {
        let bound = config.segment_jitter_ms.min(config.roll_after_ms());
        if bound <= 0 {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        (&self.topic_partition, segment.base_offset).hash(&mut hasher);
        (hasher.finish() % bound as u64) as i64
    }

    /// Makes everything up to the log end durable and moves the recovery point there. Appends go on meanwhile.
    ///
    /// A flush that fails takes the directory offline: the kernel may have dropped the pages, so trying again would
    /// claim what is not so. So does one for which there was no room: who asks has been promised it.
    pub fn flush(&self) -> io::Result<()> {
        if self.is_offline() {
            return Err(io::Error::other(self.offline_reason().unwrap_or_default()));
        }
        self.flush_everything()
    }

    pub(crate) fn flush_everything(&self) -> io::Result<()> {
        self.flush_to(self.log_end_offset()).inspect_err(|error| {
            if !self.is_deleted_under(error) {
                self.health().fail("flushing", error);
            }
        })
    }

    /// Makes everything before `target` durable. Where something has run out before anything was flushed, nothing is
    /// lost, and the recovery point stays where it is.
    pub(crate) fn flush_to(&self, target: Offset) -> io::Result<()> {
        let _one_at_a_time = self.flushing.lock();
        // What was cut off while we waited is not there, and what is appended in its place is not flushed.
        let target = target.min(self.log_end_offset());
        let recovery_point = self.recovery_point();
        if recovery_point >= target {
            return Ok(());
        }
        if target <= self.newest_segment_begin() {
            // What is in the newest segment goes on to wait.
            self.persist_and_sync(recovery_point, target)?;
        } else {
            let since_ms = self.unflushed_since_ms.swap(-1, Ordering::Relaxed);
            self.persist_and_sync(recovery_point, target)
                .inspect_err(|_| self.unflushed_since_ms.store(since_ms, Ordering::Relaxed))?;
        }
        self.recovery_point.fetch_max(target.0, Ordering::AcqRel);
        Ok(())
    }

    /// Makes all but the newest segment durable. Returns whether there was something to do.
    pub(crate) fn flush_closed_segments(&self) -> io::Result<bool> {
        let target = self.newest_segment_begin();
        let is_due = self.recovery_point() < target;
        if is_due {
            self.flush_to(target)?;
        }
        Ok(is_due)
    }

    fn newest_segment_begin(&self) -> Offset {
        self.segment_list()
            .last()
            .map_or(Offset(0), |newest| newest.base_offset)
    }

    fn persist_and_sync(&self, from: Offset, target: Offset) -> io::Result<()> {
        if !self.folder.durable {
            return Ok(());
        }
        self.persist_before_sync(from, target).inspect_err(|error| {
            if !is_shortage(error) && !self.is_deleted_under(error) {
                self.health().fail("writing what is to be flushed", error);
            }
        })?;
        self.sync_segments(from, target).inspect_err(|error| {
            if !is_out_of_descriptors(error) && !self.is_deleted_under(error) {
                self.health().fail("flushing", error);
            }
        })
    }

    /// The files of a partition that was deleted meanwhile are not missing.
    pub(super) fn is_deleted_under(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotFound && self.closed.load(Ordering::Acquire)
    }

    fn segments_between(&self, from: Offset, target: Offset) -> Vec<Arc<Segment>> {
        let segments = self.segment_list();
        let first = segments
            .partition_point(|segment| segment.base_offset <= from)
            .saturating_sub(1);
        let touched = segments[first..]
            .iter()
            .take_while(|segment| segment.base_offset < target);
        touched.cloned().collect()
    }

    fn persist_before_sync(&self, from: Offset, target: Offset) -> io::Result<()> {
        for segment in self.segments_between(from, target) {
            segment.persist()?;
        }
        if self.epochs_unsynced.swap(false, Ordering::AcqRel) {
            let epochs = self.epochs.lock();
            self.replace_epochs(&epochs, true)
                .inspect_err(|_| self.epochs_unsynced.store(true, Ordering::Release))?;
        }
        Ok(())
    }

    fn sync_segments(&self, from: Offset, target: Offset) -> io::Result<()> {
        for segment in self.segments_between(from, target) {
            segment.sync()?;
        }
        if self.names_unsynced.swap(false, Ordering::AcqRel) {
            self.folder
                .sync_names()
                .inspect_err(|_| self.names_unsynced.store(true, Ordering::Release))?;
        }
        if self.birth_unsynced.swap(false, Ordering::AcqRel) {
            self.folder
                .sync_birth()
                .inspect_err(|_| self.birth_unsynced.store(true, Ordering::Release))?;
        }
        Ok(())
    }

    /// Moves the log start offset (DeleteRecords); `Offset(-1)` means the high watermark. Returns the new start. The
    /// files go with the next round of housekeeping.
    pub fn delete_records_before(&self, offset: Offset) -> Result<Offset, LogError> {
        self.check_online()?;
        let high_watermark = self.high_watermark();
        let offset = if offset.0 == -1 { high_watermark } else { offset };
        if offset > high_watermark || offset.0 < 0 {
            return Err(LogError::OutOfRange {
                requested: offset,
                log_start_offset: self.log_start_offset(),
                limit: high_watermark,
            });
        }
        self.advance_log_start(offset)
            .map_err(|error| self.storage_failed("writing the leader epochs", error))?;
        Ok(self.log_start_offset())
    }

    pub(super) fn advance_log_start(&self, offset: Offset) -> io::Result<()> {
        if self.log_start.fetch_max(offset.0, Ordering::AcqRel) >= offset.0 {
            return Ok(());
        }
        let mut epochs = self.epochs.lock();
        if epochs.truncate_start(offset) {
            // What makes room must not need any. The file is written with the next epoch or flush; a start knows better.
            unless_short(self.write_epochs(&epochs))
        } else {
            Ok(())
        }
    }

    fn check_online(&self) -> Result<(), LogError> {
        match self.offline_reason() {
            Some(reason) => Err(LogError::Offline(reason)),
            None => Ok(()),
        }
    }

    /// Cuts everything from `offset` on, and forgets what producers did there.
    pub fn truncate_to(&self, offset: Offset) -> Result<(), LogError> {
        let _no_swap = self.reshaping.lock();
        let mut appender = self.appender.lock();
        self.check_online()?;
        let (log_start_offset, limit) = (self.log_start_offset(), self.log_end_offset());
        if offset >= limit {
            return Ok(());
        }
        if offset < log_start_offset {
            return Err(LogError::OutOfRange {
                requested: offset,
                log_start_offset,
                limit,
            });
        }
        let _no_flush = self.flushing.lock();
        self.truncations.fetch_add(1, Ordering::AcqRel);
        self.truncate_locked(&mut appender, offset)
            .map_err(|error| match error {
                ScanError::Storage(error) => self.storage_failed("truncating", error),
                invalid => LogError::Invalid {
                    path: self.folder.path(),
                    message: invalid.to_string(),
                },
            })
    }

    fn truncate_locked(&self, appender: &mut Appender, offset: Offset) -> Result<(), ScanError> {
        let old = self.segment_list();
        // A segment that begins at the offset would be empty; the one before it can serve, if there is one.
        let count = old.partition_point(|segment| segment.base_offset < offset).max(1);
        let (kept, dropped) = old.split_at(count);
        let active = Arc::clone(&kept[count - 1]);

        // First what readers look at, so that none begins in what is about to go.
        self.log_end.store(offset.0, Ordering::Release);
        self.high_watermark.fetch_min(offset.0, Ordering::AcqRel);
        self.recovery_point.fetch_min(offset.0, Ordering::AcqRel);
        self.cleaned_to.fetch_min(offset.0, Ordering::AcqRel);
        *self.tail.lock() = Tail::new(active.base_offset, offset, 0);
        *self.segments.write() = Arc::new(kept.to_vec());

        for segment in dropped {
            for path in segment.mark_deleted()? {
                self.folder.storage.remove_file(&path)?;
            }
        }
        active.truncate_to(offset)?;
        *self.tail.lock() = Tail::new(active.base_offset, offset, active.size_bytes());
        recovery::remove_snapshots_after(&self.folder, offset)?;
        {
            let mut epochs = self.epochs.lock();
            if epochs.truncate_end(offset) {
                self.write_epochs(&epochs)?;
            }
        }
        let start = self.log_start_offset();
        let (producers, snapshot_offset) =
            recovery::load_producers(&self.folder, &recovery::snapshots(&self.folder)?, kept, start, offset)?;
        appender.active = active;
        appender.progress = IndexProgress::default();
        appender.producers = producers;
        appender.snapshot_offset = snapshot_offset;
        self.names_unsynced.store(true, Ordering::Release);
        self.publish_stability(appender);
        Ok(())
    }

    /// First step of a shutdown: no more appends, and everything is written, though not flushed.
    pub(crate) fn stop(&self) -> io::Result<()> {
        let mut appender = self.appender.lock();
        if self.offline_reason().is_some() {
            return Ok(());
        }
        let result = self.write_out(&mut appender);
        self.closed.store(true, Ordering::Release);
        result.inspect_err(|error| {
            self.health().fail("closing a log", error);
        })
    }

    /// Whether a stopped log has something that is not on the disk yet.
    pub(crate) fn is_dirty(&self) -> bool {
        self.recovery_point() < self.log_end_offset() || self.epochs_unsynced.load(Ordering::Acquire)
    }

    /// Second step of a shutdown, after [`PartitionLog::stop`]: what was written becomes durable. `file_system_synced`
    /// says that all of the directory's file system was flushed in between.
    pub(crate) fn finish(&self, file_system_synced: bool) -> io::Result<()> {
        if self.health().failure().is_some() {
            return Ok(());
        }
        let end = self.log_end_offset();
        if file_system_synced {
            self.recovery_point.fetch_max(end.0, Ordering::AcqRel);
        } else {
            self.flush_to(end).inspect_err(|error| {
                // Or the next start would take it for clean.
                self.health().fail("closing a log", error);
            })?;
        }
        for segment in self.segment_list().iter() {
            segment.release_files();
        }
        Ok(())
    }

    fn write_out(&self, appender: &mut Appender) -> io::Result<()> {
        let config = self.config();
        let snapshot_before = appender.snapshot_offset;
        appender.active.complete(config.preallocate)?;
        self.take_snapshot(appender)?;
        // Those at the beginning of a segment are still of use to a recovery that begins there.
        if appender.snapshot_offset != snapshot_before
            && !self
                .segment_list()
                .iter()
                .any(|segment| segment.base_offset.0 == snapshot_before)
        {
            self.folder
                .storage
                .remove_file(&self.folder.file(snapshot_before, SNAPSHOT))?;
        }
        Ok(())
    }

    /// Ends the partition's life because it was deleted: nothing is appended any more. `rename` is told the folder's
    /// name, gives it another one, and says which. Files that are made, renamed or replaced by their names are so before,
    /// and whoever comes later finds them in that folder: the old name may be that of a new topic by then. A flush that
    /// waits for the disk is not waited for: it has its files open.
    pub(crate) fn close_deleted(&self, rename: impl FnOnce(&Path) -> io::Result<Option<PathBuf>>) -> io::Result<()> {
        let _no_swap = self.reshaping.lock();
        {
            let _no_append = self.appender.lock();
            self.closed.store(true, Ordering::Release);
        }
        let _no_epoch = self.epochs.lock();
        self.first_unstable.store(ALL_STABLE, Ordering::Release);
        for segment in self.segment_list().iter() {
            segment.release_files();
        }
        if self.folder.rename(rename)? {
            self.removals.lock().clear();
        }
        Ok(())
    }
}
