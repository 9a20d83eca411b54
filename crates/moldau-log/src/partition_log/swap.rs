//! Putting a compacted segment into the place of those it was made from, so that a crash at any moment leaves one or
//! the other.
//!
//! | step | a crash after it leaves | the next start |
//! |---|---|---|
//! | written and flushed as `.cleaned` | both | drops the new one |
//! | renamed to `.swap`, the `.log` first | both; perhaps some files still `.cleaned` | drops the new one if any is, else finishes the swap |
//! | old files renamed to `.deleted`, oldest segment first | the new one, some old ones | finishes the swap |
//! | `.swap` dropped from the names, the `.log` first | the new one | drops the suffix from the indexes, too |
//!
//! Names and order are Kafka's, so each of the two finishes what the other began. Appends wait for none of it but the
//! exchange of a pointer; a reader that is inside of an old segment finds its files by their new names until
//! `file.delete.delay.ms` later.

use super::{PartitionLog, Removal};
use crate::directory::unless_short;
use crate::folder::Extension;
use crate::segment::Segment;
use crate::types::Offset;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl PartitionLog {
    /// A segment for compaction to write to.
    pub(crate) fn create_cleaned_segment(&self, base_offset: Offset, now_ms: i64) -> io::Result<Segment> {
        Segment::create_cleaned(&self.folder, base_offset, now_ms)
    }

    /// Puts `cleaned`, which is flushed, into the place of `old`. Returns false, and leaves all as it was, when one of
    /// them is not in the log any more: retention or a truncation came first.
    pub(crate) fn replace_segments(
        &self,
        cleaned: &Arc<Segment>,
        old: &[Arc<Segment>],
        now_ms: i64,
    ) -> io::Result<bool> {
        let _one_at_a_time = self.reshaping.lock();
        let segments = self.segment_list();
        let first = segments.partition_point(|segment| segment.base_offset < cleaned.base_offset);
        let in_place = segments
            .get(first..first + old.len())
            .is_some_and(|here| here.iter().zip(old).all(|(here, old)| Arc::ptr_eq(here, old)));
        // The active segment is not for compaction to take.
        if self.offline_reason().is_some() || !in_place || first + old.len() == segments.len() {
            return Ok(false);
        }
        if let Err(error) = cleaned.rename(Extension::Swap).and_then(|_| self.folder.sync_names()) {
            // The old ones are as they were. What cannot be removed now is removed, or swapped in, by the next start.
            let _ = cleaned.discard();
            return Err(error);
        }
        {
            let _no_roll = self.appender.lock();
            let mut segments = Vec::clone(&self.segment_list());
            segments.splice(first..first + old.len(), [Arc::clone(cleaned)]);
            *self.segments.write() = Arc::new(segments);
        }
        let paths = self.retire(cleaned, old).inspect_err(|error| {
            // Half of it is done: the next start does the rest.
            self.health().fail("putting a compacted segment in its place", error);
        })?;
        self.removals.lock().push(Removal {
            due_ms: now_ms.saturating_add(self.config().file_delete_delay_ms),
            paths,
        });
        Ok(true)
    }

    /// Gives the old segments' files their last names, and the new one its own; returns what is to be removed later.
    fn retire(&self, cleaned: &Segment, old: &[Arc<Segment>]) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for segment in old {
            segment.release_files();
            paths.extend(segment.rename(Extension::Deleted)?);
            // The snapshot at the beginning of the new segment is as good as before.
            if segment.base_offset != cleaned.base_offset {
                paths.extend(segment.mark_snapshot_deleted()?);
            }
        }
        cleaned.rename(Extension::None)?;
        if let Err(error) = self.folder.sync_names() {
            // Names that are not durable yet leave either the old ones or the new one.
            self.names_unsynced.store(true, Ordering::Release);
            unless_short(Err(error))?;
        }
        Ok(paths)
    }

    /// Everything before it has been compacted; `None` when that is not known.
    pub fn cleaned_to(&self) -> Option<Offset> {
        Some(Offset(self.cleaned_to.load(Ordering::Acquire))).filter(|offset| offset.0 >= 0)
    }

    /// Notes how far compaction came.
    pub(crate) fn set_cleaned_to(&self, offset: Offset) {
        self.cleaned_to.store(offset.0, Ordering::Release);
    }
}
