//! One partition: the log that the server appends to and reads from.
//!
//! Who may do what at the same time:
//! - one thread at a time appends, rolls or truncates: it holds `appender`;
//! - any number read: they load the offsets (atomics), take the list of segments (a pointer) and, near the end, look
//!   at `tail` (a short list under a lock held for nanoseconds). They never wait for a write or a flush;
//! - one thread at a time flushes (`flushing`), beside appends;
//! - a folder gets another name (moved, deleted) while nobody reshapes or writes epochs in it; one that moves, while
//!   nobody flushes either.
//!
//! `log_end` is published last, after the bytes and the tail; what a reader sees before it is complete.
//! The methods are spread over rooms: `append`, `read`, `lookup` (by time and epoch), `retention`, `change` (roll,
//! flush, truncate, close), `swap` (a compacted segment takes the place of others), `relocate` (to another directory).

mod append;
mod change;
mod lookup;
mod read;
mod relocate;
mod retention;
mod swap;
mod tail;

pub(crate) use relocate::{Destination, Relocation, RelocationError};

use crate::checkpoint;
use crate::config::LogConfig;
use crate::directory::DirectoryHealth;
use crate::epoch_cache::EpochCache;
use crate::error::LogError;
use crate::flusher::ClosedSegments;
use crate::folder::Folder;
use crate::producer_state::ProducerStates;
use crate::recovery::Loaded;
use crate::segment::{IndexProgress, Segment};
use crate::slice::LogSlice;
use crate::transaction_index::AbortedEntry;
use crate::types::{
    AbortedTransaction, LeaderEpoch, Offset, ProducerEpoch, ProducerId, ProducerStateEntry, SegmentInfo, TopicId,
    TopicPartition,
};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use tail::Tail;

pub(crate) type Segments = Arc<Vec<Arc<Segment>>>;

/// No transaction is undecided.
const ALL_STABLE: i64 = i64::MAX;

/// One partition on disk. All methods may be called from any thread.
#[derive(Debug)]
pub struct PartitionLog {
    topic_partition: TopicPartition,
    topic_id: TopicId,
    folder: Arc<Folder>,
    /// Of the log directory it is in.
    health: RwLock<Arc<DirectoryHealth>>,
    /// Deleted, or shut down.
    closed: AtomicBool,
    config: RwLock<Arc<LogConfig>>,
    /// Oldest first; never empty. Replaced as a whole.
    segments: RwLock<Segments>,
    appender: Mutex<Appender>,
    tail: Mutex<Tail>,
    log_start: AtomicI64,
    log_end: AtomicI64,
    high_watermark: AtomicI64,
    recovery_point: AtomicI64,
    first_unstable: AtomicI64,
    /// Some ended transaction waits for the high watermark to pass its marker.
    awaits_high_watermark: AtomicBool,
    epochs: Mutex<EpochCache>,
    flushing: Mutex<()>,
    /// Held by whoever takes segments out of the middle or the front of the list; taken before `appender`.
    reshaping: Mutex<()>,
    /// How often the end was cut off; who copies the log compares.
    truncations: AtomicU64,
    /// How far compaction came; -1 where it never was.
    cleaned_to: AtomicI64,
    /// Files were made whose names are not durable yet.
    names_unsynced: AtomicBool,
    /// Its folder was made, and is not durable yet.
    birth_unsynced: AtomicBool,
    /// The leader epochs were written and not flushed.
    epochs_unsynced: AtomicBool,
    /// Their file differs from `epochs`, though only in what begins at the log end or behind it.
    epochs_behind: AtomicBool,
    /// When `flush.ms` began to count; -1 while all is flushed.
    unflushed_since_ms: AtomicI64,
    /// Whom to tell that a segment was closed.
    closed_segments: Arc<ClosedSegments>,
    removals: Mutex<Vec<Removal>>,
}

#[derive(Debug)]
struct Appender {
    active: Arc<Segment>,
    progress: IndexProgress,
    producers: ProducerStates,
    /// Offset of the newest snapshot of `producers`.
    snapshot_offset: i64,
}

/// Files to be removed when nobody can be reading them any more.
#[derive(Debug)]
struct Removal {
    due_ms: i64,
    paths: Vec<PathBuf>,
}

/// The last that is known of a producer; see [`PartitionLog::last_records_of_producers`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastRecord {
    pub last_data_offset: Option<Offset>,
    pub epoch: ProducerEpoch,
}

/// What identifies a partition, for [`PartitionLog::new`].
#[derive(Debug)]
pub(crate) struct Identity {
    pub topic_partition: TopicPartition,
    pub topic_id: TopicId,
    pub folder: Arc<Folder>,
    pub health: Arc<DirectoryHealth>,
    pub closed_segments: Arc<ClosedSegments>,
}

/// What checkpoints say that the folder does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub high_watermark: Offset,
    pub cleaned_to: Option<Offset>,
    /// Something of it was made durable, and its folder with it.
    pub was_flushed: bool,
}

impl PartitionLog {
    pub(crate) fn new(identity: Identity, config: LogConfig, loaded: Loaded, noted: Noted) -> PartitionLog {
        let high_watermark = noted.high_watermark.clamp(loaded.log_start, loaded.log_end);
        let active = Arc::clone(loaded.segments.last().expect("a log has a segment"));
        let tail = Tail::new(active.base_offset, loaded.log_end, active.size_bytes());
        let log = PartitionLog {
            topic_partition: identity.topic_partition,
            topic_id: identity.topic_id,
            folder: identity.folder,
            health: RwLock::new(identity.health),
            closed: AtomicBool::new(false),
            config: RwLock::new(Arc::new(config)),
            segments: RwLock::new(Arc::new(loaded.segments)),
            appender: Mutex::new(Appender {
                active,
                progress: IndexProgress::default(),
                producers: loaded.producers,
                snapshot_offset: loaded.snapshot_offset,
            }),
            tail: Mutex::new(tail),
            log_start: AtomicI64::new(loaded.log_start.0),
            log_end: AtomicI64::new(loaded.log_end.0),
            high_watermark: AtomicI64::new(high_watermark.0),
            recovery_point: AtomicI64::new(loaded.recovery_point.0),
            first_unstable: AtomicI64::new(ALL_STABLE),
            awaits_high_watermark: AtomicBool::new(false),
            epochs: Mutex::new(loaded.epochs),
            flushing: Mutex::new(()),
            reshaping: Mutex::new(()),
            truncations: AtomicU64::new(0),
            cleaned_to: AtomicI64::new(noted.cleaned_to.map_or(-1, |offset| offset.0)),
            names_unsynced: AtomicBool::new(true),
            birth_unsynced: AtomicBool::new(!noted.was_flushed),
            epochs_unsynced: AtomicBool::new(false),
            epochs_behind: AtomicBool::new(loaded.epochs_behind),
            unflushed_since_ms: AtomicI64::new(-1),
            closed_segments: identity.closed_segments,
            removals: Mutex::new(Vec::new()),
        };
        let mut appender = log.appender.lock();
        appender.producers.high_watermark_advanced(high_watermark);
        log.publish_stability(&appender);
        drop(appender);
        log
    }

    /// Which partition this is.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The topic's id.
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    /// Where its files are.
    pub fn directory(&self) -> PathBuf {
        self.folder.path()
    }

    /// The one of `log.dirs` that it is in.
    pub fn log_directory(&self) -> PathBuf {
        self.health().path.clone()
    }

    fn health(&self) -> Arc<DirectoryHealth> {
        Arc::clone(&self.health.read())
    }

    /// First offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    /// Offset that the next record will get.
    pub fn log_end_offset(&self) -> Offset {
        Offset(self.log_end.load(Ordering::Acquire))
    }

    /// Everything before it is on all in-sync replicas.
    pub fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    /// Everything before it is decided: no open transaction begins there. At most the high watermark.
    pub fn last_stable_offset(&self) -> Offset {
        let high_watermark = self.high_watermark();
        let first_unstable = Offset(self.first_unstable.load(Ordering::Acquire));
        first_unstable.max(self.log_start_offset()).min(high_watermark)
    }

    /// Everything before it has been flushed to the disk.
    pub fn recovery_point(&self) -> Offset {
        Offset(self.recovery_point.load(Ordering::Acquire))
    }

    /// Moves the high watermark; never backwards, never past the log end. A checkpoint writes it to disk.
    pub fn advance_high_watermark(&self, offset: Offset) {
        let offset = offset.min(self.log_end_offset());
        let before = self.high_watermark.fetch_max(offset.0, Ordering::AcqRel);
        if before < offset.0 && self.awaits_high_watermark.load(Ordering::Acquire) {
            let mut appender = self.appender.lock();
            appender.producers.high_watermark_advanced(self.high_watermark());
            self.publish_stability(&appender);
        }
    }

    fn publish_stability(&self, appender: &Appender) {
        let first = appender.producers.first_unstable_offset();
        self.first_unstable
            .store(first.map_or(ALL_STABLE, |offset| offset.0), Ordering::Release);
        self.awaits_high_watermark
            .store(appender.producers.awaits_high_watermark(), Ordering::Release);
    }

    /// Takes over changed settings.
    pub fn apply_config(&self, config: LogConfig) {
        *self.config.write() = Arc::new(config);
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.config.read())
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segment_list().iter().map(|segment| segment.size_bytes()).sum()
    }

    /// What it is made of, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.segment_list().iter().map(|segment| segment.info()).collect()
    }

    pub(crate) fn segment_list(&self) -> Segments {
        Arc::clone(&self.segments.read())
    }

    /// The idempotent and transactional producers known here.
    pub fn active_producers(&self) -> Vec<ProducerStateEntry> {
        self.appender.lock().producers.entries()
    }

    /// The aborted transactions that a reader of `slice` from `from` on has to skip, oldest first. Some that come just
    /// behind it may be among them.
    pub fn aborted_transactions_in(
        &self,
        slice: &LogSlice,
        from: Offset,
    ) -> Result<Vec<AbortedTransaction>, crate::error::ReadError> {
        self.aborted_transactions(from, slice.upper_bound())
    }

    /// Transactions with records in `from..to` that were aborted, oldest first.
    pub fn aborted_transactions(
        &self,
        from: Offset,
        to: Offset,
    ) -> Result<Vec<AbortedTransaction>, crate::error::ReadError> {
        let aborted = self.aborted_entries(from, to)?.into_iter();
        let aborted = aborted.map(|entry| AbortedTransaction {
            producer_id: entry.producer_id,
            first_offset: entry.first_offset,
        });
        Ok(aborted.collect())
    }

    /// The same with all that the transaction indexes say.
    pub(crate) fn aborted_entries(&self, from: Offset, to: Offset) -> io::Result<Vec<AbortedEntry>> {
        let segments = self.segment_list();
        let first = segments
            .partition_point(|segment| segment.base_offset <= from)
            .saturating_sub(1);
        let mut aborted = Vec::new();
        for segment in &segments[first..] {
            for entry in segment.aborted.entries()? {
                if entry.last_offset >= from && entry.first_offset < to {
                    aborted.push(entry);
                }
                // Whatever is aborted later begins at or after this.
                if entry.last_stable_offset >= to {
                    return Ok(aborted);
                }
            }
        }
        Ok(aborted)
    }

    /// Where each producer known here wrote its last batch of data, and its epoch.
    pub(crate) fn last_records_of_producers(&self) -> HashMap<ProducerId, LastRecord> {
        let appender = self.appender.lock();
        let last = appender.producers.iter().map(|(producer_id, entry)| {
            let last_data_offset = entry.batches().last().map(|batch| Offset(batch.last_offset));
            let epoch = ProducerEpoch(entry.epoch);
            (
                ProducerId(producer_id),
                LastRecord {
                    last_data_offset,
                    epoch,
                },
            )
        });
        last.collect()
    }

    /// Whether its directory has failed or it was deleted.
    pub fn is_offline(&self) -> bool {
        self.closed.load(Ordering::Acquire) || self.health.read().failure().is_some()
    }

    pub(crate) fn offline_reason(&self) -> Option<String> {
        match self.health.read().failure() {
            None if self.closed.load(Ordering::Acquire) => {
                Some("the partition was deleted or the node is shutting down".to_owned())
            }
            failure => failure.map(str::to_owned),
        }
    }

    /// Takes the directory offline and says why.
    pub(crate) fn storage_failed(&self, doing: &str, error: io::Error) -> LogError {
        self.health().fail(doing, &error);
        LogError::Storage {
            path: self.folder.path(),
            source: error,
        }
    }

    /// Writes the leader epochs without waiting for the disk: the next flush makes them durable, and what lies behind
    /// it has its epochs in the batches.
    fn write_epochs(&self, epochs: &EpochCache) -> io::Result<()> {
        self.epochs_unsynced.store(true, Ordering::Release);
        self.epochs_behind.store(true, Ordering::Release);
        self.replace_epochs(epochs, false)?;
        self.epochs_behind.store(false, Ordering::Release);
        Ok(())
    }

    fn replace_epochs(&self, epochs: &EpochCache, durable: bool) -> io::Result<()> {
        let path = self.folder.path().join(checkpoint::LEADER_EPOCHS);
        let bytes = checkpoint::format_epochs(epochs.entries());
        self.folder.storage.replace_file(&path, &bytes, durable)
    }

    /// Notes that the records from the log end on belong to `epoch`. Their file has to say so when there are such
    /// records: an epoch without any is forgotten by the next start, and most partitions never get to know another.
    pub fn begin_leader_epoch(&self, epoch: LeaderEpoch) {
        let mut epochs = self.epochs.lock();
        if epochs.latest().is_none_or(|latest| latest < epoch) && epochs.assign(epoch, self.log_end_offset()) {
            self.epochs_behind.store(true, Ordering::Release);
        }
    }

    /// Records of `epoch` are about to be written at `offset`, the log end.
    fn note_leader_epoch(&self, epoch: LeaderEpoch, offset: Offset) -> io::Result<()> {
        let mut epochs = self.epochs.lock();
        let news = epochs.latest().is_none_or(|latest| latest < epoch) && epochs.assign(epoch, offset);
        if news || self.epochs_behind.load(Ordering::Acquire) {
            self.write_epochs(&epochs)?;
        }
        Ok(())
    }

    /// The newest leader epoch noted.
    pub fn latest_leader_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.lock().latest()
    }

    /// The largest epoch at or before `epoch` and where it ends; `None` when nothing is known of it.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.lock().end_offset(epoch, self.log_end_offset())
    }
}

#[cfg(test)]
mod tests;
