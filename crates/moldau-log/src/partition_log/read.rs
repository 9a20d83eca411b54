//! Reading: from an offset to a range of a file.

use super::PartitionLog;
use super::tail::TailBatch;
use crate::error::ReadError;
use crate::scan::ScanError;
use crate::segment::Segment;
use crate::slice::{FileRange, LogSlice};
use crate::types::Offset;
use std::io;
use std::sync::Arc;

/// How often a read begins again because retention took its segment meanwhile.
const ATTEMPTS: usize = 3;

impl From<ScanError> for ReadError {
    fn from(error: ScanError) -> ReadError {
        match error {
            ScanError::Storage(error) => ReadError::Storage(error),
            invalid @ ScanError::Invalid { .. } => ReadError::Corrupt(invalid.to_string()),
        }
    }
}

impl PartitionLog {
    /// The batches from the one that holds `from` up to `upper_bound` (exclusive), at most `max_bytes` and from one
    /// segment only; a trailing batch may be cut short, as in Kafka. With `at_least_one` the first batch is whole even
    /// if it is larger. Empty when `from` is the upper bound or beyond it.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        upper_bound: Offset,
        at_least_one: bool,
    ) -> Result<LogSlice, ReadError> {
        let mut attempt = 1;
        loop {
            self.check_readable(from)?;
            let upper_bound = upper_bound.min(self.log_end_offset());
            if from >= upper_bound || (max_bytes == 0 && !at_least_one) {
                return Ok(LogSlice::empty(from));
            }
            match self.read_once(from, max_bytes, upper_bound, at_least_one) {
                Err(ReadError::Storage(error)) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    pub(super) fn check_readable(&self, from: Offset) -> Result<(), ReadError> {
        if let Some(reason) = self.offline_reason() {
            return Err(ReadError::Offline(reason));
        }
        let (log_start_offset, log_end_offset) = (self.log_start_offset(), self.log_end_offset());
        if from < log_start_offset || from > log_end_offset {
            return Err(ReadError::OutOfRange {
                requested: from,
                log_start_offset,
                log_end_offset,
            });
        }
        Ok(())
    }

    fn read_once(
        &self,
        from: Offset,
        max_bytes: usize,
        upper_bound: Offset,
        at_least_one: bool,
    ) -> Result<LogSlice, ReadError> {
        let segments = self.segment_list();
        let first = segments
            .partition_point(|segment| segment.base_offset <= from)
            .saturating_sub(1);
        for (index, segment) in segments.iter().enumerate().skip(first) {
            let next = segments.get(index + 1).map(|next| next.base_offset);
            let ends_inside = next.is_none_or(|next| next > upper_bound);
            let end = if ends_inside {
                self.end_before(segment, upper_bound)?
            } else {
                segment.size_bytes()
            };
            let Some(batch) = self.locate(segment, from, end)? else {
                continue;
            };
            let wanted = if at_least_one {
                max_bytes.max(batch.size_bytes)
            } else {
                max_bytes
            };
            let length = wanted.min((end - batch.position) as usize);
            let part = FileRange {
                file: segment.log_file()?,
                position: batch.position,
                length,
            };
            return Ok(LogSlice {
                parts: vec![part],
                length,
                first_offset: batch.base_offset,
                source: Some((Arc::clone(segment), next.unwrap_or(upper_bound).min(upper_bound))),
            });
        }
        Ok(LogSlice::empty(from))
    }

    fn locate(&self, segment: &Segment, offset: Offset, end: u64) -> Result<Option<TailBatch>, ReadError> {
        if let Some(batch) = self.tail.lock().find(segment.base_offset, offset) {
            return Ok(Some(batch).filter(|batch| batch.position < end));
        }
        let located = segment.locate(offset, end)?;
        Ok(located.map(|located| TailBatch {
            base_offset: located.header.base_offset,
            position: located.position,
            size_bytes: located.header.size_bytes,
        }))
    }

    /// Where in `segment` the batches before `offset` end; a batch that holds it is left out.
    fn end_before(&self, segment: &Segment, offset: Offset) -> Result<u64, ReadError> {
        if let Some(end) = self.tail.lock().end_before(segment.base_offset, offset) {
            return Ok(end);
        }
        let size = segment.size_bytes();
        Ok(segment.locate(offset, size)?.map_or(size, |located| located.position))
    }
}
