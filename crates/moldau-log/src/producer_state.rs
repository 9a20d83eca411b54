//! What a partition knows of its idempotent and transactional producers (KIP-98).
//!
//! For each producer id: its epoch, its last five batches (to tell a retry from news), and where its open transaction
//! began. A batch is first *prepared* against the state, which may refuse it and changes nothing; only once it is in
//! the log is the prepared update *applied*. So a failed write leaves no trace, and recovery is `apply` over the log.
//!
//! The state gives the first unstable offset: everything before it is decided. A transaction whose marker is written
//! but not yet below the high watermark still counts as undecided.

mod snapshot;
mod verification;

use crate::batch::{BatchHeader, BatchView, EndTransaction};
use crate::error::AppendError;
use crate::transaction_index::AbortedEntry;
use crate::types::{
    AppendContext, AppendOrigin, Offset, ProducerEpoch, ProducerId, ProducerStateEntry, Verification, VerificationGuard,
};
use std::collections::{BTreeMap, HashMap};
use verification::Verifications;

pub(crate) use snapshot::{decode as decode_snapshot, encode as encode_snapshot};
pub(crate) use verification::Asking;

/// Kafka remembers as many batches as a producer may have in flight.
const REMEMBERED_BATCHES: usize = 5;
const NO_EPOCH: i16 = -1;

/// One batch of a producer, in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchMetadata {
    pub last_sequence: i32,
    pub last_offset: i64,
    pub offset_delta: i32,
    pub timestamp_ms: i64,
}

impl BatchMetadata {
    pub fn first_offset(&self) -> Offset {
        Offset(self.last_offset - i64::from(self.offset_delta))
    }

    fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        if first < 0 {
            (first + i64::from(i32::MAX) + 1) as i32
        } else {
            first as i32
        }
    }
}

/// One producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub epoch: i16,
    pub coordinator_epoch: i32,
    pub last_timestamp_ms: i64,
    pub transaction_start: Option<i64>,
    batches: [BatchMetadata; REMEMBERED_BATCHES],
    batch_count: u8,
}

impl ProducerEntry {
    fn empty() -> ProducerEntry {
        ProducerEntry {
            epoch: NO_EPOCH,
            coordinator_epoch: -1,
            last_timestamp_ms: -1,
            transaction_start: None,
            batches: [BatchMetadata::default(); REMEMBERED_BATCHES],
            batch_count: 0,
        }
    }

    /// Oldest first.
    pub fn batches(&self) -> &[BatchMetadata] {
        &self.batches[..usize::from(self.batch_count)]
    }

    fn last_sequence(&self) -> i32 {
        self.batches().last().map_or(-1, |batch| batch.last_sequence)
    }

    fn set_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batch_count = 0;
        }
    }

    fn add_batch(&mut self, epoch: i16, batch: BatchMetadata) {
        self.set_epoch(epoch);
        if usize::from(self.batch_count) == REMEMBERED_BATCHES {
            self.batches.rotate_left(1);
            self.batch_count -= 1;
        }
        self.batches[usize::from(self.batch_count)] = batch;
        self.batch_count += 1;
        self.last_timestamp_ms = batch.timestamp_ms;
    }
}

/// What one batch will do to the state once it is in the log.
#[derive(Clone, Debug)]
pub(crate) struct ProducerUpdate {
    producer_id: i64,
    entry: ProducerEntry,
    started: Option<i64>,
    completed: Option<CompletedTransaction>,
    is_marker: bool,
}

#[derive(Clone, Copy, Debug)]
struct CompletedTransaction {
    first_offset: i64,
    /// Of the marker.
    last_offset: i64,
    aborted: bool,
}

/// All producers of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProducerStates {
    producers: HashMap<i64, ProducerEntry>,
    /// Open transactions: first offset to producer id.
    ongoing: BTreeMap<i64, i64>,
    /// Ended transactions whose marker is not below the high watermark: first offset to the marker's offset.
    unreplicated: BTreeMap<i64, i64>,
    verifications: Verifications,
}

impl ProducerStates {
    /// The earlier append of the very same batch, if it is remembered.
    pub fn find_duplicate(&self, batch: &BatchView<'_>) -> Option<BatchMetadata> {
        let header = batch.header();
        let entry = self.producers.get(&header.producer_id.0)?;
        if entry.epoch != header.producer_epoch.0 || header.base_sequence < 0 {
            return None;
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        entry
            .batches()
            .iter()
            .find(|known| known.first_sequence() == first && known.last_sequence == last)
            .copied()
    }

    /// Works out what `batch`, which will begin at `base_offset`, does to its producer. `earlier` are the updates
    /// prepared for batches before it in the same append. `None` for batches without a producer.
    pub fn prepare(
        &self,
        batch: &BatchView<'_>,
        base_offset: Offset,
        context: &AppendContext,
        earlier: &[ProducerUpdate],
    ) -> Result<Option<ProducerUpdate>, AppendError> {
        let producer_id = batch.producer_id().0;
        if producer_id < 0 || context.origin == AppendOrigin::Raft {
            return Ok(None);
        }
        let current = earlier
            .iter()
            .rev()
            .find(|update| update.producer_id == producer_id)
            .map(|update| update.entry);
        let current = current.or_else(|| self.producers.get(&producer_id).copied());
        let current = current.unwrap_or_else(ProducerEntry::empty);
        if batch.is_control() {
            let Some((end, coordinator_epoch)) = parse_marker(batch) else {
                return Ok(None);
            };
            check_marker_epoch(&current, batch, context.transaction_version)?;
            if current.coordinator_epoch > coordinator_epoch {
                return Err(AppendError::CoordinatorFenced {
                    current: current.coordinator_epoch,
                    found: coordinator_epoch,
                });
            }
            return Ok(Some(end_transaction(
                &current,
                batch,
                base_offset,
                end,
                coordinator_epoch,
            )));
        }
        check_epoch(&current, batch)?;
        if batch.is_transactional() && !is_ongoing(&current, batch.producer_epoch()) {
            self.check_verified(batch.producer_id(), context.verification)?;
        }
        if context.origin == AppendOrigin::Client {
            let is_first_here = current.batches().is_empty();
            self.verifications
                .check_sequence(producer_id, batch.base_sequence(), is_first_here)?;
            check_sequence(&current, batch)?;
        }
        if current.transaction_start.is_some() && !batch.is_transactional() {
            return Err(AppendError::InvalidTransactionState {
                producer_id: batch.producer_id(),
                message: "a batch outside of the transaction that is open".to_owned(),
            });
        }
        Ok(Some(add_data(&current, batch, base_offset)))
    }

    /// The guard under which the coordinator is to be asked whether the transaction of `asking` includes this
    /// partition; `None` when the transaction has begun here, so that it was asked before.
    pub fn begin_verification(
        &mut self,
        asking: &Asking,
        now_ms: i64,
    ) -> Result<Option<VerificationGuard>, AppendError> {
        if let Some(current) = self.producers.get(&asking.producer_id) {
            let found = ProducerEpoch(asking.epoch);
            if found.0 < current.epoch {
                return Err(older_epoch(current, ProducerId(asking.producer_id), found));
            }
            if is_ongoing(current, found) {
                return Ok(None);
            }
        }
        Ok(Some(self.verifications.begin(asking, now_ms)))
    }

    fn check_verified(&self, producer_id: ProducerId, verification: Verification) -> Result<(), AppendError> {
        let verified = match verification {
            Verification::NotRequired => true,
            Verification::AlreadyOngoing => false,
            Verification::Guarded(guard) => self.verifications.holds(producer_id.0, guard),
        };
        if verified {
            return Ok(());
        }
        Err(AppendError::InvalidTransactionState {
            producer_id,
            message: "the transaction is not open in this partition any more".to_owned(),
        })
    }

    /// A full disk has refused these batches, and the next ones may be taken. A producer that is not known here may
    /// begin anywhere: its batches behind the refused one must not be taken for its first, or that could never be
    /// appended any more. They wait for it as they would for one that is being verified.
    pub fn refused(&mut self, headers: &[BatchHeader], now_ms: i64) {
        for header in headers {
            let producer_id = header.producer_id.0;
            if producer_id >= 0 && header.base_sequence >= 0 && !self.producers.contains_key(&producer_id) {
                let asking = Asking {
                    producer_id,
                    epoch: header.producer_epoch.0,
                    base_sequence: header.base_sequence,
                    bumps_epoch: false,
                };
                self.verifications.begin(&asking, now_ms);
            }
        }
    }

    /// Takes over a prepared update. Gives back what belongs into the transaction index, if a transaction was aborted.
    pub fn apply(&mut self, update: ProducerUpdate) -> Option<AbortedEntry> {
        self.verifications
            .settle(update.producer_id, update.entry.epoch, update.is_marker);
        self.producers.insert(update.producer_id, update.entry);
        if let Some(first_offset) = update.started {
            self.ongoing.insert(first_offset, update.producer_id);
        }
        let completed = update.completed?;
        let next_open = self
            .ongoing
            .iter()
            .find(|&(_, &producer_id)| producer_id != update.producer_id);
        let last_stable_offset = next_open.map_or(completed.last_offset + 1, |(&first_offset, _)| first_offset);
        self.ongoing.remove(&completed.first_offset);
        self.unreplicated.insert(completed.first_offset, completed.last_offset);
        completed.aborted.then_some(AbortedEntry {
            producer_id: ProducerId(update.producer_id),
            first_offset: Offset(completed.first_offset),
            last_offset: Offset(completed.last_offset),
            last_stable_offset: Offset(last_stable_offset),
        })
    }

    /// Takes over a batch that is in the log already: nothing is refused. See [`ProducerStates::apply`].
    pub fn replay(&mut self, batch: &BatchView<'_>) -> Option<AbortedEntry> {
        let producer_id = batch.producer_id().0;
        if producer_id < 0 {
            return None;
        }
        let current = self
            .producers
            .get(&producer_id)
            .copied()
            .unwrap_or_else(ProducerEntry::empty);
        let update = if batch.is_control() {
            let (end, coordinator_epoch) = parse_marker(batch)?;
            end_transaction(&current, batch, batch.base_offset(), end, coordinator_epoch)
        } else {
            add_data(&current, batch, batch.base_offset())
        };
        self.apply(update)
    }

    /// Where the first undecided transaction begins.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let ongoing = self.ongoing.keys().next();
        let unreplicated = self.unreplicated.keys().next();
        ongoing
            .into_iter()
            .chain(unreplicated)
            .min()
            .map(|&offset| Offset(offset))
    }

    /// Transactions whose marker is below the high watermark are decided for good.
    pub fn high_watermark_advanced(&mut self, high_watermark: Offset) {
        self.unreplicated
            .retain(|_, &mut last_offset| last_offset >= high_watermark.0);
    }

    /// Whether some transaction waits for the high watermark.
    pub fn awaits_high_watermark(&self) -> bool {
        !self.unreplicated.is_empty()
    }

    /// Forgets producers that were silent for `expiration_ms`, unless they have a transaction open.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, entry| {
            entry.transaction_start.is_some() || now_ms.saturating_sub(entry.last_timestamp_ms) < expiration_ms
        });
        self.verifications.expire(now_ms, expiration_ms);
    }

    /// Takes over a producer from a snapshot.
    pub fn load(&mut self, producer_id: i64, entry: ProducerEntry) {
        if let Some(first_offset) = entry.transaction_start {
            self.ongoing.insert(first_offset, producer_id);
        }
        self.producers.insert(producer_id, entry);
    }

    /// Whether there is nothing that could be forgotten.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.verifications.is_empty()
    }

    /// Every producer, by id.
    pub fn entries(&self) -> Vec<ProducerStateEntry> {
        let mut entries: Vec<_> = self
            .producers
            .iter()
            .map(|(&producer_id, entry)| public(producer_id, entry))
            .collect();
        entries.sort_by_key(|entry| entry.producer_id);
        entries
    }

    pub fn iter(&self) -> impl Iterator<Item = (i64, &ProducerEntry)> {
        self.producers.iter().map(|(&producer_id, entry)| (producer_id, entry))
    }
}

fn public(producer_id: i64, entry: &ProducerEntry) -> ProducerStateEntry {
    ProducerStateEntry {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(entry.epoch),
        last_sequence: entry.last_sequence(),
        last_timestamp_ms: entry.last_timestamp_ms,
        coordinator_epoch: entry.coordinator_epoch,
        current_transaction_start_offset: entry.transaction_start.map(Offset),
    }
}

/// Whether the transaction of this epoch has begun here.
fn is_ongoing(current: &ProducerEntry, epoch: ProducerEpoch) -> bool {
    current.transaction_start.is_some() && current.epoch == epoch.0
}

fn older_epoch(current: &ProducerEntry, producer_id: ProducerId, found: ProducerEpoch) -> AppendError {
    AppendError::InvalidProducerEpoch {
        producer_id,
        current: ProducerEpoch(current.epoch),
        found,
    }
}

fn check_epoch(current: &ProducerEntry, batch: &BatchView<'_>) -> Result<(), AppendError> {
    let found = batch.producer_epoch();
    if found.0 < current.epoch {
        return Err(older_epoch(current, batch.producer_id(), found));
    }
    Ok(())
}

/// From transaction version 2 on a marker has a newer epoch than the records before it: one that has not is late, and
/// would end somebody else's transaction. The exception is a marker that is written again, because nobody knew that it
/// was there: it has the epoch of the state, and no transaction is open (KAFKA-19999).
fn check_marker_epoch(
    current: &ProducerEntry,
    batch: &BatchView<'_>,
    transaction_version: i16,
) -> Result<(), AppendError> {
    let found = batch.producer_epoch();
    let written_again = found.0 == current.epoch && (current.transaction_start.is_none() || found.0 == i16::MAX);
    if transaction_version >= 2 && found.0 <= current.epoch && !written_again {
        return Err(older_epoch(current, batch.producer_id(), found));
    }
    check_epoch(current, batch)
}

/// A new epoch starts at sequence 0; within an epoch numbers follow each other. A producer that is not known here
/// (new, expired, or its records were deleted) may start anywhere, as in Kafka since KIP-360.
fn check_sequence(current: &ProducerEntry, batch: &BatchView<'_>) -> Result<(), AppendError> {
    if current.epoch == NO_EPOCH {
        return Ok(());
    }
    let found = batch.base_sequence();
    let expected = if batch.producer_epoch().0 != current.epoch {
        0
    } else {
        match current.last_sequence() {
            i32::MAX => 0,
            last => last + 1,
        }
    };
    if found == expected {
        return Ok(());
    }
    Err(AppendError::OutOfOrderSequence {
        producer_id: batch.producer_id(),
        expected,
        found,
    })
}

fn add_data(current: &ProducerEntry, batch: &BatchView<'_>, base_offset: Offset) -> ProducerUpdate {
    let header = batch.header();
    let mut entry = *current;
    let metadata = BatchMetadata {
        last_sequence: header.last_sequence(),
        last_offset: base_offset.0 + i64::from(header.last_offset_delta),
        offset_delta: header.last_offset_delta,
        timestamp_ms: header.max_timestamp_ms,
    };
    entry.add_batch(header.producer_epoch.0, metadata);
    let starts = header.is_transactional() && entry.transaction_start.is_none();
    let started = starts.then_some(base_offset.0);
    entry.transaction_start = entry.transaction_start.or(started);
    ProducerUpdate {
        producer_id: header.producer_id.0,
        entry,
        started,
        completed: None,
        is_marker: false,
    }
}

fn end_transaction(
    current: &ProducerEntry,
    batch: &BatchView<'_>,
    base_offset: Offset,
    end: EndTransaction,
    coordinator_epoch: i32,
) -> ProducerUpdate {
    let mut entry = *current;
    entry.set_epoch(batch.producer_epoch().0);
    entry.coordinator_epoch = coordinator_epoch;
    entry.last_timestamp_ms = batch.max_timestamp_ms();
    // A marker without records before it decides nothing.
    let completed = entry.transaction_start.take().map(|first_offset| CompletedTransaction {
        first_offset,
        last_offset: base_offset.0,
        aborted: end == EndTransaction::Abort,
    });
    ProducerUpdate {
        producer_id: batch.producer_id().0,
        entry,
        started: None,
        completed,
        is_marker: true,
    }
}

/// Reads the first record of a control batch; `None` when it does not end a transaction.
pub(crate) fn parse_marker(batch: &BatchView<'_>) -> Option<(EndTransaction, i32)> {
    let decoded = batch.decode().ok()?;
    let record = decoded.iter().next()?.ok()?;
    let end = match record.key?.get(2..4)? {
        [0, 0] => EndTransaction::Abort,
        [0, 1] => EndTransaction::Commit,
        _ => return None,
    };
    let coordinator_epoch = i32::from_be_bytes(*record.value?.get(2..)?.first_chunk()?);
    Some((end, coordinator_epoch))
}

#[cfg(test)]
mod tests;
