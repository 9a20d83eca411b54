//! One partition: the log that the server appends to and reads from.

use crate::config::LogConfig;
use crate::error::{AppendError, LogError, ReadError};
use crate::slice::LogSlice;
use crate::types::{
    AbortedTransaction, AppendInfo, AppendOrigin, LeaderEpoch, Offset, ProducerStateEntry, SegmentInfo,
    TimestampAndOffset, TimestampQuery, TopicId, TopicPartition,
};
use bytes::BytesMut;
use std::io;
use std::path::Path;

/// One partition on disk. All methods may be called from any thread.
#[derive(Debug)]
pub struct PartitionLog {}

#[expect(
    unused_variables,
    clippy::todo,
    reason = "signatures first, so that the server can compile against them"
)]
impl PartitionLog {
    /// Which partition this is.
    pub fn topic_partition(&self) -> &TopicPartition {
        todo!()
    }
    /// Checks `records` (one or more batches), gives them offsets and `leader_epoch` in place, and writes them.
    /// Blocks for one write; never waits for the disk unless `flush.messages` is reached.
    pub fn append(
        &self,
        records: BytesMut,
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        todo!()
    }
    /// The batches from the one that holds `from` up to `upper_bound` (exclusive), at most `max_bytes`; a trailing
    /// batch may be cut short. With `at_least_one` the first batch is whole even if it is larger.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        upper_bound: Offset,
        at_least_one: bool,
    ) -> Result<LogSlice, ReadError> {
        todo!()
    }
    /// First offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        todo!()
    }
    /// Offset that the next record will get.
    pub fn log_end_offset(&self) -> Offset {
        todo!()
    }
    /// Everything before it is on all in-sync replicas.
    pub fn high_watermark(&self) -> Offset {
        todo!()
    }
    /// Everything before it is decided: no open transaction begins there.
    pub fn last_stable_offset(&self) -> Offset {
        todo!()
    }
    /// Everything before it has been flushed to the disk.
    pub fn recovery_point(&self) -> Offset {
        todo!()
    }
    /// Moves the high watermark; never backwards, never past the log end.
    pub fn advance_high_watermark(&self, offset: Offset) {
        todo!()
    }
    /// Finds an offset by time.
    pub fn find_timestamp(&self, query: TimestampQuery, now_ms: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        todo!()
    }
    /// Notes that the records from the log end on belong to `epoch`.
    pub fn begin_leader_epoch(&self, epoch: LeaderEpoch) -> Result<(), LogError> {
        todo!()
    }
    /// The newest leader epoch noted.
    pub fn latest_leader_epoch(&self) -> Option<LeaderEpoch> {
        todo!()
    }
    /// The largest epoch at or before `epoch` and where it ends; `None` when nothing is known of it.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        todo!()
    }
    /// Moves the log start offset (DeleteRecords); `Offset(-1)` means the high watermark. Returns the new start.
    pub fn delete_records_before(&self, offset: Offset) -> Result<Offset, LogError> {
        todo!()
    }
    /// Cuts everything from `offset` on.
    pub fn truncate_to(&self, offset: Offset) -> Result<(), LogError> {
        todo!()
    }
    /// Takes over changed settings.
    pub fn apply_config(&self, config: LogConfig) {
        todo!()
    }
    /// The settings in force.
    pub fn config(&self) -> LogConfig {
        todo!()
    }
    /// Makes everything up to the log end durable.
    pub fn flush(&self) -> io::Result<()> {
        todo!()
    }
    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        todo!()
    }
    /// What it is made of, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        todo!()
    }
    /// Where its files are.
    pub fn directory(&self) -> &Path {
        todo!()
    }
    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        todo!()
    }
    /// The idempotent and transactional producers known here.
    pub fn active_producers(&self) -> Vec<ProducerStateEntry> {
        todo!()
    }
    /// Transactions with records in `from..to` that were aborted.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTransaction>, ReadError> {
        todo!()
    }
    /// Whether its directory has failed or it was deleted.
    pub fn is_offline(&self) -> bool {
        todo!()
    }
}
