//! Finding an offset by time (ListOffsets).

use super::PartitionLog;
use crate::batch::BatchView;
use crate::error::ReadError;
use crate::segment::Segment;
use crate::types::{Offset, TimestampAndOffset, TimestampQuery};

impl PartitionLog {
    /// Answers a [`TimestampQuery`]; `None` when no record is that new.
    ///
    /// `now_ms` is not looked at yet: tiered storage will need it.
    pub fn find_timestamp(&self, query: TimestampQuery, _now_ms: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        self.check_readable(self.log_start_offset())?;
        match query {
            TimestampQuery::Earliest | TimestampQuery::EarliestLocal => {
                Ok(Some(self.without_time(self.log_start_offset())))
            }
            TimestampQuery::Latest(end) => {
                let leader_epoch = self.latest_leader_epoch();
                Ok(Some(TimestampAndOffset {
                    timestamp_ms: -1,
                    offset: end,
                    leader_epoch,
                }))
            }
            TimestampQuery::Max => self.find_largest(),
            TimestampQuery::At(timestamp_ms) => self.find_first_at(timestamp_ms),
        }
    }

    fn without_time(&self, offset: Offset) -> TimestampAndOffset {
        TimestampAndOffset {
            timestamp_ms: -1,
            offset,
            leader_epoch: self.epochs.lock().epoch_at(offset),
        }
    }

    fn find_largest(&self) -> Result<Option<TimestampAndOffset>, ReadError> {
        let mut best: Option<(i64, &Segment)> = None;
        let segments = self.segment_list();
        for segment in segments.iter() {
            let Some(largest) = segment.largest_timestamp()? else {
                continue;
            };
            if best.is_none_or(|(timestamp_ms, _)| timestamp_ms < largest.timestamp_ms) {
                best = Some((largest.timestamp_ms, segment));
            }
        }
        match best {
            Some((timestamp_ms, segment)) => self.find_in(segment, timestamp_ms),
            None => Ok(None),
        }
    }

    fn find_first_at(&self, timestamp_ms: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        for segment in self.segment_list().iter() {
            let new_enough = segment
                .largest_timestamp()?
                .is_some_and(|largest| largest.timestamp_ms >= timestamp_ms);
            if new_enough && let Some(found) = self.find_in(segment, timestamp_ms)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first record of `segment` at or after `timestamp_ms` that can still be read.
    fn find_in(&self, segment: &Segment, timestamp_ms: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        let log_start = self.log_start_offset();
        let from = segment.timestamp_position(timestamp_ms.saturating_sub(1), log_start)?;
        for batch in segment.headers_from(from)? {
            let batch = batch?;
            if batch.header.max_timestamp_ms < timestamp_ms || batch.header.last_offset() < log_start {
                continue;
            }
            let bytes = segment.read_batch(&batch)?;
            let corrupt = |error: crate::batch::BatchError| ReadError::Corrupt(error.to_string());
            let view = BatchView::parse(&bytes).map_err(corrupt)?;
            for record in &view.decode().map_err(corrupt)? {
                let record = record.map_err(corrupt)?;
                if record.timestamp_ms >= timestamp_ms && record.offset >= log_start {
                    return Ok(Some(TimestampAndOffset {
                        timestamp_ms: record.timestamp_ms,
                        offset: record.offset,
                        leader_epoch: Some(view.leader_epoch()).filter(|epoch| epoch.0 >= 0),
                    }));
                }
            }
        }
        Ok(None)
    }
}
