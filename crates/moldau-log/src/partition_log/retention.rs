//! What time does to a log: old segments go, old producers are forgotten.
//!
//! Deletion has two steps, as in Kafka: the files get the suffix `.deleted` at once and are removed
//! `file.delete.delay.ms` later, so whoever opened one just before can still read it. A crash between the steps leaves
//! `.deleted` files, which the next start removes.

use super::{PartitionLog, Removal};
use crate::config::LogConfig;
use crate::segment::Segment;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What one round did to one partition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartitionHousekeeping {
    pub segments_deleted: usize,
    pub bytes_deleted: u64,
    pub segments_rolled: usize,
    pub flushed: bool,
    pub files_removed: usize,
}

impl PartitionLog {
    /// One round. An error has taken the directory offline already.
    pub(crate) fn housekeeping(
        &self,
        now_ms: i64,
        producer_id_expiration_ms: i64,
    ) -> io::Result<PartitionHousekeeping> {
        if self.is_offline() {
            return Ok(PartitionHousekeeping::default());
        }
        self.one_round(now_ms, producer_id_expiration_ms)
    }

    /// The same for a log that was not offline when its turn came.
    pub(crate) fn one_round(&self, now_ms: i64, producer_id_expiration_ms: i64) -> io::Result<PartitionHousekeeping> {
        let mut report = PartitionHousekeeping::default();
        let config = self.config();
        // What makes room does not wait for what needs some.
        let removed = self.remove_due_files(now_ms, &mut report);
        let deleted = self.delete_old_segments(&config, now_ms, &mut report);
        removed
            .and(deleted)
            .and_then(|()| self.flush_by_age(&config, now_ms, &mut report))
            .inspect_err(|error| {
                if !crate::directory::is_shortage(error) && !self.is_deleted_under(error) {
                    self.health().fail("housekeeping", error);
                }
            })?;
        {
            let mut appender = self.appender.lock();
            if !appender.producers.is_empty() {
                appender.producers.expire(now_ms, producer_id_expiration_ms);
            }
        }
        Ok(report)
    }

    /// Flushes when what was written first since the last flush is older than `flush.ms`. Returns whether it did.
    pub(crate) fn flush_if_due(&self, now_ms: i64) -> io::Result<bool> {
        let mut report = PartitionHousekeeping::default();
        let config = self.config();
        if config.flush_ms == i64::MAX || self.is_offline() {
            return Ok(false);
        }
        match self.flush_by_age(&config, now_ms, &mut report) {
            // Housekeeping says so; here it would be said every second.
            Err(error) if crate::directory::is_shortage(&error) => Ok(false),
            other => other.map(|()| report.flushed),
        }
    }

    /// Removes the segments that the settings do not want any more.
    pub(crate) fn apply_retention(&self, now_ms: i64) -> io::Result<()> {
        if self.is_offline() {
            return Ok(());
        }
        let mut report = PartitionHousekeeping::default();
        self.delete_old_segments(&self.config(), now_ms, &mut report)
            .inspect_err(|error| {
                if !crate::directory::is_shortage(error) && !self.is_deleted_under(error) {
                    self.health().fail("retention", error);
                }
            })
    }

    fn delete_old_segments(
        &self,
        config: &LogConfig,
        now_ms: i64,
        report: &mut PartitionHousekeeping,
    ) -> io::Result<()> {
        let _no_swap = self.reshaping.lock();
        let segments = self.segment_list();
        let mut count = self.count_deletable(&segments, config, now_ms)?;
        if count == 0 {
            return Ok(());
        }
        let mut appender = self.appender.lock();
        if count == segments.len() {
            // The active segment goes too: an empty one takes its place. Unless somebody appended meanwhile.
            let active = Arc::clone(&appender.active);
            if active.base_offset != segments[count - 1].base_offset
                || self.log_end_offset() > self.high_watermark()
                || self.count_deletable(&segments, config, now_ms)? < count
            {
                return Ok(());
            }
            match self.roll(&mut appender, config, now_ms) {
                Ok(()) => report.segments_rolled += 1,
                // There is no room for a new one; without the others there will be.
                Err(error) if crate::directory::is_shortage(&error) && count > 1 => count -= 1,
                Err(error) => return Err(error),
            }
        }
        let current = self.segment_list();
        self.advance_log_start(current[count].base_offset)?;
        *self.segments.write() = Arc::new(current[count..].to_vec());
        drop(appender);
        let mut paths = Vec::new();
        for segment in &current[..count] {
            report.segments_deleted += 1;
            report.bytes_deleted += segment.size_bytes();
            paths.extend(segment.mark_deleted()?);
        }
        tracing::info!(partition = %self.topic_partition, segments = count, log_start = %self.log_start_offset(),
            "deleted old segments");
        self.removals.lock().push(Removal {
            due_ms: now_ms.saturating_add(config.file_delete_delay_ms),
            paths,
        });
        Ok(())
    }

    /// How many of the oldest segments are no longer wanted: below the log start, or by `cleanup.policy` too old or
    /// too much. Nothing above the high watermark is ever deleted.
    fn count_deletable(&self, segments: &[Arc<Segment>], config: &LogConfig, now_ms: i64) -> io::Result<usize> {
        let (log_start, high_watermark) = (self.log_start_offset(), self.high_watermark());
        let mut excess = match config.retention_bytes {
            limit if config.delete && limit >= 0 => self.size_bytes() as i64 - limit,
            _ => -1,
        };
        let mut count = 0;
        for (index, segment) in segments.iter().enumerate() {
            let next = segments.get(index + 1).map(|next| next.base_offset);
            let size = segment.size_bytes();
            if next.is_none() && size == 0 || next.unwrap_or_else(|| self.log_end_offset()) > high_watermark {
                break;
            }
            let below_start = next.is_some_and(|next| next <= log_start);
            let too_much = excess >= size as i64 && excess > 0;
            let too_old = config.delete
                && config.retention_ms >= 0
                && now_ms.saturating_sub(self.newest_ms(segment)?) > config.retention_ms;
            if !(below_start || too_much || too_old) {
                break;
            }
            excess -= size as i64;
            count += 1;
        }
        Ok(count)
    }

    /// The segment's largest timestamp, or where its records have none the time it was last written. One that is empty
    /// is older than any.
    fn newest_ms(&self, segment: &Segment) -> io::Result<i64> {
        match segment.largest_timestamp()? {
            Some(largest) if largest.timestamp_ms >= 0 => Ok(largest.timestamp_ms),
            // Compaction may leave nothing of a segment; it must not keep what comes after it.
            None => Ok(i64::MIN),
            _ => self.folder.storage.modified_ms(&segment.log_path()),
        }
    }

    /// Flushes what `flush.ms` asks for, and always the segments that were closed: so a crash costs a scan of the
    /// newest segment only.
    fn flush_by_age(&self, config: &LogConfig, now_ms: i64, report: &mut PartitionHousekeeping) -> io::Result<()> {
        let since_ms = self.unflushed_since_ms.load(Ordering::Relaxed);
        let aged = since_ms >= 0 && now_ms.saturating_sub(since_ms) >= config.flush_ms;
        if aged && self.recovery_point() < self.log_end_offset() {
            self.flush_to(self.log_end_offset())?;
            report.flushed = true;
        } else {
            report.flushed = self.flush_closed_segments()?;
        }
        Ok(())
    }

    fn remove_due_files(&self, now_ms: i64, report: &mut PartitionHousekeeping) -> io::Result<()> {
        let due: Vec<_> = self
            .removals
            .lock()
            .extract_if(.., |removal| removal.due_ms <= now_ms)
            .collect();
        for path in due.iter().flat_map(|removal| &removal.paths) {
            self.folder.storage.remove_file(path)?;
            report.files_removed += 1;
        }
        Ok(())
    }
}
