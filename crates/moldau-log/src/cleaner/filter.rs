//! What becomes of each batch: it stays as it is, loses records, or goes.
//!
//! A batch that has lost all its records still stays, empty, where something would be forgotten with it: the last
//! sequence number or epoch of a producer that is known here, or the offset that the cleaned part of the log ends at.

use super::CleanError;
use super::offset_map::OffsetMap;
use super::transactions::Transactions;
use crate::batch::{self, BatchHeader, BatchView, StoredRecord};
use crate::config::LogConfig;
use crate::partition_log::LastRecord;
use crate::transaction_index::AbortedEntry;
use crate::types::{Offset, ProducerId};
use std::collections::HashMap;

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Unchanged,
    Rewritten(Vec<u8>),
    Dropped,
}

/// Decides over the batches of one pass, in the order of the log.
pub(super) struct Filter<'a> {
    pub map: &'a OffsetMap,
    pub config: &'a LogConfig,
    pub now_ms: i64,
    /// Where the part of the log that may be cleaned ends.
    pub upper_bound: Offset,
    pub last_records: HashMap<ProducerId, LastRecord>,
    pub transactions: Transactions,
    /// For the transaction index of the segment that is being written.
    pub aborted: Vec<AbortedEntry>,
}

impl Filter<'_> {
    pub fn judge(&mut self, batch: &BatchView<'_>) -> Result<Verdict, CleanError> {
        if batch.is_control() {
            self.judge_marker(batch)
        } else if self.transactions.saw_data(batch) {
            Ok(self.without_records(batch.header()))
        } else {
            self.judge_records(batch)
        }
    }

    fn judge_marker(&mut self, batch: &BatchView<'_>) -> Result<Verdict, CleanError> {
        let header = batch.header();
        let marker = self.transactions.saw_marker(batch);
        self.aborted.extend(marker.aborted);
        if header.record_count == 0 {
            return Ok(self.without_records(header));
        }
        match header.delete_horizon_ms() {
            _ if !marker.is_idle => Ok(Verdict::Unchanged),
            Some(horizon_ms) if horizon_ms <= self.now_ms => Ok(self.without_records(header)),
            Some(_) => Ok(Verdict::Unchanged),
            None => {
                let decoded = batch.decode()?;
                let records = batch::stored_records(&decoded).collect::<Result<Vec<_>, _>>()?;
                self.rewritten(header, &records, true)
            }
        }
    }

    fn rewritten(
        &self,
        header: &BatchHeader,
        records: &[StoredRecord<'_>],
        gets_horizon: bool,
    ) -> Result<Verdict, CleanError> {
        let horizon_ms = gets_horizon.then(|| self.now_ms.saturating_add(self.config.delete_retention_ms));
        let bytes = batch::rewrite(header, records, horizon_ms, self.config.compression)?;
        Ok(Verdict::Rewritten(bytes))
    }

    /// The batch has no record left.
    fn without_records(&self, header: &BatchHeader) -> Verdict {
        if !self.must_stay(header) {
            Verdict::Dropped
        } else if header.record_count == 0 {
            Verdict::Unchanged
        } else {
            Verdict::Rewritten(batch::emptied(header))
        }
    }

    fn must_stay(&self, header: &BatchHeader) -> bool {
        if header.next_offset() == self.upper_bound {
            return true;
        }
        match self.last_records.get(&header.producer_id) {
            None => false,
            Some(LastRecord {
                last_data_offset: Some(offset),
                ..
            }) => header.last_offset() == *offset,
            Some(LastRecord { epoch, .. }) => header.is_control() && header.producer_epoch == *epoch,
        }
    }

    fn judge_records(&mut self, batch: &BatchView<'_>) -> Result<Verdict, CleanError> {
        let header = batch.header();
        if self.map.latest().is_none_or(|latest| latest < header.base_offset) {
            return Ok(Verdict::Unchanged);
        }
        let decoded = batch.decode()?;
        let mut retained = Vec::new();
        for record in batch::stored_records(&decoded) {
            let record = record?;
            if self.retains(header, &record) {
                retained.push(record);
            }
        }
        if retained.is_empty() {
            return Ok(self.without_records(header));
        }
        let gets_horizon = header.delete_horizon_ms().is_none() && retained.iter().any(|record| record.is_tombstone);
        if !gets_horizon && retained.len() == header.record_count as usize {
            return Ok(Verdict::Unchanged);
        }
        self.rewritten(header, &retained, gets_horizon)
    }

    /// A record stays while it is the last of its key; a tombstone only until the horizon of its batch. Records without
    /// a key are from a time when the topic was not compacted: they go.
    fn retains(&self, header: &BatchHeader, record: &StoredRecord<'_>) -> bool {
        if self.map.latest().is_none_or(|latest| record.offset > latest) {
            return true;
        }
        let Some(key) = record.key else {
            return false;
        };
        let is_last = self.map.get(key).is_none_or(|last| record.offset >= last);
        let in_time = header
            .delete_horizon_ms()
            .is_none_or(|horizon_ms| self.now_ms < horizon_ms);
        is_last && (!record.is_tombstone || in_time)
    }
}
