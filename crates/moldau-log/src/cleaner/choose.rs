//! How dirty a log is, and which part of it may be cleaned.
//!
//! Never touched: the active segment, anything past the last stable offset (and so past the high watermark), and
//! segments with records younger than `min.compaction.lag.ms`.

use crate::config::LogConfig;
use crate::partition_log::{PartitionLog, Segments};
use crate::segment::Segment;
use crate::types::Offset;
use std::io;
use std::sync::Arc;

/// A log that has something to clean, as it was when it was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Cleanable {
    pub segments: Segments,
    /// Everything before it was cleaned by an earlier pass.
    pub first_dirty: Offset,
    /// Begin of the first segment that may not be touched.
    pub upper_bound: Offset,
    /// Bytes of dirty segments that may be cleaned, as a part of those and the clean ones.
    pub dirty_ratio: f64,
    /// Some record has waited for longer than `max.compaction.lag.ms`.
    pub is_overdue: bool,
}

impl Cleanable {
    /// Whether it is time.
    pub fn is_due(&self, config: &LogConfig) -> bool {
        self.is_overdue && self.dirty_ratio > 0.0 || self.dirty_ratio > config.min_cleanable_dirty_ratio
    }
}

/// Looks at a log; `None` where nothing may be cleaned.
pub(crate) fn cleanable(log: &PartitionLog, config: &LogConfig, now_ms: i64) -> io::Result<Option<Cleanable>> {
    let segments = log.segment_list();
    let first_dirty = first_dirty(log);
    let Some((active, closed)) = segments.split_last() else {
        return Ok(None);
    };
    let dirty = &closed[floor(closed, first_dirty)..];
    let mut limit = log.last_stable_offset().min(active.base_offset);
    if config.min_compaction_lag_ms > 0 {
        let oldest_kept_ms = now_ms.saturating_sub(config.min_compaction_lag_ms);
        for segment in dirty {
            let newest = segment.largest_timestamp()?;
            if newest.is_some_and(|newest| newest.timestamp_ms > oldest_kept_ms) {
                limit = limit.min(segment.base_offset);
                break;
            }
        }
    }
    let limit = limit.max(first_dirty);
    let upper_bound = segments[floor(&segments, limit)].base_offset;
    let bytes = |segments: &[Arc<Segment>]| segments.iter().map(|segment| segment.size_bytes()).sum::<u64>();
    let dirty_bytes = bytes(&dirty[..dirty.partition_point(|segment| segment.base_offset < upper_bound)]);
    let clean_bytes = bytes(&closed[..closed.partition_point(|segment| segment.base_offset < first_dirty)]);
    if upper_bound <= first_dirty || dirty_bytes == 0 {
        return Ok(None);
    }
    Ok(Some(Cleanable {
        first_dirty,
        upper_bound,
        dirty_ratio: dirty_bytes as f64 / (dirty_bytes + clean_bytes) as f64,
        is_overdue: is_overdue(dirty, config, now_ms)?,
        segments,
    }))
}

/// The segment that holds `offset`, or the first.
fn floor(segments: &[Arc<Segment>], offset: Offset) -> usize {
    segments
        .partition_point(|segment| segment.base_offset <= offset)
        .saturating_sub(1)
}

/// Where the last pass ended; the log's start where that is not in the log any more, or never was.
fn first_dirty(log: &PartitionLog) -> Offset {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    match log.cleaned_to() {
        Some(cleaned_to) if (start..=end).contains(&cleaned_to) => cleaned_to,
        _ => start,
    }
}

fn is_overdue(dirty: &[Arc<Segment>], config: &LogConfig, now_ms: i64) -> io::Result<bool> {
    let oldest_allowed_ms = now_ms.saturating_sub(config.max_compaction_lag_ms.max(0));
    for segment in dirty {
        let first_ms = segment.first_timestamp_ms()?;
        if first_ms.is_some_and(|first_ms| 0 < first_ms && first_ms < oldest_allowed_ms) {
            return Ok(true);
        }
    }
    Ok(false)
}
