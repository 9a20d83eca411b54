//! Appending: validated outside of the lock, numbered and written inside.

use super::{Appender, PartitionLog};
use crate::batch;
use crate::config::LogConfig;
use crate::directory::is_shortage;
use crate::error::AppendError;
use crate::producer_state::{Asking, ProducerUpdate};
use crate::types::{
    AppendContext, AppendInfo, AppendOrigin, LeaderEpoch, Offset, ProducerEpoch, ProducerId, VerificationGuard,
};
use crate::validate::{Validated, validate};
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl PartitionLog {
    /// Checks `records` (one or more batches), gives them offsets and `leader_epoch` in place, and writes them in one
    /// write. Waits for the disk only when `flush.messages` is reached.
    ///
    /// A batch that its producer sent before is not written again: the answer is the first append's.
    pub fn append(
        &self,
        records: BytesMut,
        leader_epoch: LeaderEpoch,
        context: impl Into<AppendContext>,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendError> {
        let context = context.into();
        if let Some(reason) = self.offline_reason() {
            return Err(AppendError::Offline(reason));
        }
        let config = self.config();
        let mut validated = validate(records, &config, context.origin, now_ms)?;
        let limit = config.segment_bytes as usize;
        if validated.bytes.len() > limit {
            return Err(AppendError::TooLarge {
                size: validated.bytes.len(),
                limit,
            });
        }
        let info = self.append_validated(&mut validated, leader_epoch, &context, now_ms, &config)?;
        if self.log_end_offset().0 - self.recovery_point().0 >= config.flush_messages && !info.duplicate {
            self.flush()?;
        }
        Ok(info)
    }

    /// Begins to verify a producer's transaction with its coordinator, before the first of its batches is appended.
    /// `None` when it has begun in this partition: then the coordinator knows it. Otherwise the batch is to be appended
    /// with the guard, after the coordinator's yes. `bumps_epoch` says that each transaction has an epoch of its own.
    pub fn begin_verification(
        &self,
        producer: (ProducerId, ProducerEpoch),
        base_sequence: i32,
        bumps_epoch: bool,
        now_ms: i64,
    ) -> Result<Option<VerificationGuard>, AppendError> {
        let asking = Asking {
            producer_id: producer.0.0,
            epoch: producer.1.0,
            base_sequence,
            bumps_epoch,
        };
        self.appender.lock().producers.begin_verification(&asking, now_ms)
    }

    fn append_validated(
        &self,
        validated: &mut Validated,
        leader_epoch: LeaderEpoch,
        context: &AppendContext,
        now_ms: i64,
        config: &LogConfig,
    ) -> Result<AppendInfo, AppendError> {
        let mut appender = self.appender.lock();
        // The partition may have been closed while we waited.
        if let Some(reason) = self.offline_reason() {
            return Err(AppendError::Offline(reason));
        }
        if context.origin == AppendOrigin::Client
            && let Some(info) = self.find_duplicate(&appender, validated)
        {
            return Ok(info);
        }
        let base_offset = self.log_end_offset();
        let updates = prepare_producers(&appender, validated, base_offset, context)?;
        number(validated, base_offset, leader_epoch);
        if let Err(error) = self.write(&mut appender, validated, leader_epoch, now_ms, config) {
            appender.producers.refused(&validated.headers, now_ms);
            return Err(error);
        }
        self.health().end_shortage();
        self.take_over(&mut appender, validated, updates, now_ms)?;
        Ok(AppendInfo {
            base_offset,
            last_offset: Offset(self.log_end_offset().0 - 1),
            log_append_time_ms: validated.log_append_time_ms,
            log_start_offset: self.log_start_offset(),
            duplicate: false,
            record_count: validated.record_count,
        })
    }

    /// Puts numbered batches into the file, after what has to be there before them.
    fn write(
        &self,
        appender: &mut Appender,
        validated: &Validated,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
        config: &LogConfig,
    ) -> Result<(), AppendError> {
        self.note_leader_epoch(leader_epoch, self.log_end_offset())
            .map_err(|error| self.append_failed(error))?;
        self.roll_if_needed(appender, validated, config, now_ms)?;
        let Appender { active, progress, .. } = appender;
        active
            .append(
                &validated.bytes,
                &validated.headers,
                config.index_interval_bytes,
                progress,
            )
            .map_err(|failure| match failure {
                Ok(error) => self.append_failed(error),
                Err(error) => AppendError::Offline(self.health().fail("writing records", &error)),
            })
    }

    /// A full disk (or too many open files) refuses this append and may take a later one; any other failure ends the
    /// directory.
    fn append_failed(&self, error: std::io::Error) -> AppendError {
        if is_shortage(&error) {
            self.health().begin_shortage(&error);
            AppendError::Storage(error)
        } else {
            AppendError::Offline(self.health().fail("writing records", &error))
        }
    }

    fn find_duplicate(&self, appender: &Appender, validated: &Validated) -> Option<AppendInfo> {
        if validated.headers.iter().all(|header| header.producer_id.0 < 0) {
            return None;
        }
        batch::batches(&validated.bytes).flatten().find_map(|batch| {
            let earlier = appender.producers.find_duplicate(&batch)?;
            Some(AppendInfo {
                base_offset: earlier.first_offset(),
                last_offset: Offset(earlier.last_offset),
                log_append_time_ms: if validated.log_append_time_ms < 0 {
                    -1
                } else {
                    earlier.timestamp_ms
                },
                log_start_offset: self.log_start_offset(),
                duplicate: true,
                record_count: validated.record_count,
            })
        })
    }

    /// The bytes are in the file: makes them part of the log.
    fn take_over(
        &self,
        appender: &mut Appender,
        validated: &Validated,
        updates: Vec<ProducerUpdate>,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        if !updates.is_empty() {
            for update in updates {
                let Some(aborted) = appender.producers.apply(update) else {
                    continue;
                };
                let indexed = appender.active.aborted.append(&aborted);
                indexed.map_err(|error| {
                    AppendError::Offline(self.health().fail("writing the transaction index", &error))
                })?;
            }
            self.publish_stability(appender);
        }
        let mut tail = self.tail.lock();
        for header in &validated.headers {
            tail.push(header.base_offset, header.next_offset(), header.size_bytes);
        }
        drop(tail);
        if self.unflushed_since_ms.load(Ordering::Relaxed) < 0 {
            self.unflushed_since_ms.store(now_ms, Ordering::Relaxed);
        }
        let next = validated
            .headers
            .last()
            .map_or(self.log_end_offset(), |header| header.next_offset());
        self.log_end.store(next.0, Ordering::Release);
        Ok(())
    }

    fn roll_if_needed(
        &self,
        appender: &mut Appender,
        validated: &Validated,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        let active = Arc::clone(&appender.active);
        let size = active.size_bytes();
        let (Some(last), true) = (validated.headers.last(), size > 0) else {
            return Ok(());
        };
        // Positions in an index have 31 bits.
        let limit = u64::from(config.segment_bytes).min(i32::MAX as u64);
        let full = size + validated.bytes.len() as u64 > limit
            || active.offsets.is_full(config.segment_index_bytes)
            || active.times.is_full(config.segment_index_bytes)
            || !active.can_hold(last.last_offset());
        if !full {
            let newest = validated
                .headers
                .iter()
                .map(|header| header.max_timestamp_ms)
                .max()
                .unwrap_or(-1);
            let first = active.first_timestamp_ms().map_err(|error| self.append_failed(error))?;
            // Kafka's rule: by the records' clock where they have one, else by ours.
            let age_ms = match first.filter(|&first| first >= 0) {
                Some(first) => newest.saturating_sub(first),
                None => now_ms - active.created_ms,
            };
            if age_ms <= config.roll_after_ms() - self.roll_jitter_ms(&active, config) {
                return Ok(());
            }
        }
        self.roll(appender, config, now_ms)
            .map_err(|error| self.append_failed(error))
    }
}

fn prepare_producers(
    appender: &Appender,
    validated: &Validated,
    base_offset: Offset,
    context: &AppendContext,
) -> Result<Vec<ProducerUpdate>, AppendError> {
    let mut updates = Vec::new();
    if validated.headers.iter().all(|header| header.producer_id.0 < 0) {
        return Ok(updates);
    }
    let mut next = base_offset;
    for batch in batch::batches(&validated.bytes).flatten() {
        updates.extend(appender.producers.prepare(&batch, next, context, &updates)?);
        next = next.plus(i64::from(batch.record_count()));
    }
    Ok(updates)
}

/// Gives the batches their offsets and leader epoch, in place.
fn number(validated: &mut Validated, base_offset: Offset, leader_epoch: LeaderEpoch) {
    let mut next = base_offset;
    let mut rest = &mut validated.bytes[..];
    for header in &mut validated.headers {
        let (batch, after) = rest.split_at_mut(header.size_bytes);
        batch::set_base_offset(batch, next);
        batch::set_leader_epoch(batch, leader_epoch);
        header.base_offset = next;
        header.leader_epoch = leader_epoch;
        next = header.next_offset();
        rest = after;
    }
}
