//! One partition as its leader sees it: the log, the leader epoch, the in-sync replicas, the high watermark, and the
//! requests that wait for it.
//!
//! The high watermark is the smallest log end among the in-sync replicas. On one node that set is the leader alone,
//! so the high watermark follows every append; acks=all waits for it all the same, and followers will be an addition
//! to [`Partition::committed_end`], not a rewrite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::BytesMut;
use moldau_log::{
    AppendContext, AppendError, AppendInfo, AppendOrigin, LeaderEpoch, LogError, LogSlice, Offset, PartitionLog,
    ReadError, TimestampAndOffset, TimestampQuery, TopicPartition,
};
use parking_lot::{Mutex, RwLock};

use crate::control::ControlPlane;
use crate::counters::Traffic;
use crate::error_code::ErrorCode;
use crate::image::PartitionImage;
use crate::purgatory::Watchers;

/// A topic that flushes after this many records or fewer is waited for on a thread of its own.
const FLUSHES_OFTEN_MESSAGES: i64 = 10_000;

/// What the controller decided about a partition.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replica_count: usize,
    pub(crate) in_sync_replicas: Vec<i32>,
    pub(crate) min_insync_replicas: u32,
}

impl Leadership {
    pub(crate) fn of(image: &PartitionImage, min_insync_replicas: u32) -> Self {
        Leadership {
            leader: image.leader,
            leader_epoch: image.leader_epoch,
            replica_count: image.replicas.len(),
            in_sync_replicas: image.in_sync_replicas.clone(),
            min_insync_replicas,
        }
    }

    /// As Kafka: a `min.insync.replicas` above the number of replicas means all of them.
    fn is_under_min_insync_replicas(&self) -> bool {
        self.in_sync_replicas.len() < self.replica_count.min(self.min_insync_replicas as usize)
    }
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendFailure {
    /// Another node leads the partition, or none does.
    #[error("this node does not lead {0}")]
    NotLeader(TopicPartition),
    /// acks=all with fewer in-sync replicas than `min.insync.replicas`.
    #[error("{0} has fewer in-sync replicas than min.insync.replicas")]
    NotEnoughReplicas(TopicPartition),
    /// There is no such partition here.
    #[error("{}", .1)]
    Unavailable(ErrorCode, String),
    /// The log refused.
    #[error(transparent)]
    Log(#[from] AppendError),
}

/// Up to where a fetch may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchIsolation {
    HighWatermark,
    LastStableOffset,
}

/// What a fetch found in one partition.
#[derive(Debug)]
pub(crate) struct FetchedRecords {
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) slice: LogSlice,
    pub(crate) diverging_epoch: Option<(i32, i64)>,
    pub(crate) aborted_transactions: Option<Vec<(i64, i64)>>,
}

/// What a fetch asks of one partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchQuery {
    pub(crate) offset: i64,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: usize,
    pub(crate) at_least_one: bool,
    pub(crate) isolation: FetchIsolation,
}

/// A partition whose log is on this node.
pub struct Partition {
    node_id: i32,
    log: Arc<PartitionLog>,
    leadership: RwLock<Leadership>,
    control: Arc<dyn ControlPlane>,
    watchers: Watchers,
    pub(crate) traffic: Traffic,
    awaited_commits: Mutex<Vec<(Offset, u64)>>,
    awaited_commit_count: AtomicUsize,
    closed: AtomicBool,
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Partition")
            .field(self.log.topic_partition())
            .finish()
    }
}

impl Partition {
    pub(crate) fn new(
        node_id: i32,
        log: Arc<PartitionLog>,
        leadership: Leadership,
        control: Arc<dyn ControlPlane>,
    ) -> Arc<Partition> {
        let partition = Arc::new(Partition {
            node_id,
            log,
            leadership: RwLock::new(Leadership {
                leader: -1,
                leader_epoch: -1,
                ..leadership.clone()
            }),
            control,
            watchers: Watchers::default(),
            traffic: Traffic::default(),
            awaited_commits: Mutex::new(Vec::new()),
            awaited_commit_count: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        partition.lead(leadership);
        partition
    }

    /// The log.
    pub fn log(&self) -> &Arc<PartitionLog> {
        &self.log
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// Obey a decision of the controller. A new epoch of our own leadership is noted in the log.
    pub(crate) fn lead(&self, decision: Leadership) {
        {
            let mut leadership = self.leadership.write();
            let begins = decision.leader == self.node_id && decision.leader_epoch > leadership.leader_epoch;
            if begins {
                self.log.begin_leader_epoch(LeaderEpoch(decision.leader_epoch));
            }
            *leadership = decision;
        }
        self.advance_high_watermark(&self.leadership.read());
        self.watchers.wake_all();
    }

    /// No more requests: the topic was deleted, or the log went elsewhere. Everyone who waits looks again.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.watchers.wake_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Append as the leader and advance the high watermark as far as the in-sync replicas allow.
    pub(crate) fn append(
        &self,
        records: BytesMut,
        acks_all: bool,
        context: AppendContext,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendFailure> {
        let size = records.len();
        // Only a marker can end a transaction, and only coordinators write markers.
        let stable_before = (context.origin == AppendOrigin::Coordinator).then(|| self.log.last_stable_offset());
        // Held over the append: no batch of an old epoch lands after a new epoch has begun.
        let leadership = self.leadership.read();
        if leadership.leader != self.node_id {
            return Err(AppendFailure::NotLeader(self.log.topic_partition().clone()));
        }
        if acks_all && leadership.is_under_min_insync_replicas() {
            return Err(AppendFailure::NotEnoughReplicas(self.log.topic_partition().clone()));
        }
        let epoch = LeaderEpoch(leadership.leader_epoch);
        let info = if self.log.config().flush_messages <= FLUSHES_OFTEN_MESSAGES {
            // This append may wait for the disk: let another thread serve the sockets meanwhile.
            tokio::task::block_in_place(|| self.log.append(records, epoch, context, now_ms))?
        } else {
            self.log.append(records, epoch, context, now_ms)?
        };
        self.advance_high_watermark(&leadership);
        drop(leadership);
        if stable_before.is_some_and(|before| self.log.last_stable_offset() > before) {
            // Perhaps a small marker has made a whole transaction visible to those who read what is committed.
            self.watchers.wake_all();
        } else if self.log.high_watermark() > info.last_offset {
            self.watchers.became_visible(size);
        }
        Ok(info)
    }

    /// The smallest log end among the in-sync replicas, where it is known: followers do not report theirs yet.
    fn committed_end(&self, leadership: &Leadership) -> Option<Offset> {
        let alone = leadership.in_sync_replicas == [self.node_id];
        let leads = leadership.leader == self.node_id;
        (leads && alone && !leadership.is_under_min_insync_replicas()).then(|| self.log.log_end_offset())
    }

    fn advance_high_watermark(&self, leadership: &Leadership) {
        if let Some(end) = self
            .committed_end(leadership)
            .filter(|end| *end > self.log.high_watermark())
        {
            self.log.advance_high_watermark(end);
            self.tell_committed();
        }
    }

    /// Have the control plane told `token` once everything up to and with `offset` is committed.
    pub(crate) fn on_committed(&self, offset: Offset, token: u64) {
        {
            let mut awaited = self.awaited_commits.lock();
            awaited.push((offset, token));
            self.awaited_commit_count.store(awaited.len(), Ordering::SeqCst);
        }
        self.tell_committed();
    }

    fn tell_committed(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.awaited_commit_count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut awaited = self.awaited_commits.lock();
        let high_watermark = self.log.high_watermark();
        // In the order asked: the control plane applies its records in that order.
        awaited.retain(|(offset, token)| {
            let committed = *offset < high_watermark;
            if committed {
                self.control.committed(*token);
            }
            !committed
        });
        self.awaited_commit_count.store(awaited.len(), Ordering::SeqCst);
    }

    /// Whether a write up to `required` (exclusive) is on every in-sync replica; an error ends the wait.
    pub(crate) fn is_committed(&self, required: Offset) -> Result<bool, ErrorCode> {
        let leadership = self.leadership.read();
        if self.is_closed() || leadership.leader != self.node_id {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if self.log.high_watermark() < required {
            return Ok(false);
        }
        if leadership.is_under_min_insync_replicas() {
            return Err(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
        }
        Ok(true)
    }

    /// Leadership and the fencing of KIP-320: a reader with an old epoch must refresh, one with a newer must wait.
    pub(crate) fn check_leader(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        let leadership = self.leadership.read();
        if current_leader_epoch >= 0 && current_leader_epoch < leadership.leader_epoch {
            return Err(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if current_leader_epoch > leadership.leader_epoch {
            return Err(ErrorCode::UNKNOWN_LEADER_EPOCH);
        }
        if self.is_closed() || leadership.leader != self.node_id {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        Ok(())
    }

    /// Read for a consumer. An offset past the end of what may be read, but inside the log, finds nothing.
    pub(crate) fn fetch(&self, query: &FetchQuery) -> Result<FetchedRecords, ErrorCode> {
        self.check_leader(query.current_leader_epoch)?;
        let log = &self.log;
        let from = Offset(query.offset);
        let mut found = FetchedRecords {
            high_watermark: log.high_watermark().0,
            last_stable_offset: log.last_stable_offset().0,
            log_start_offset: log.log_start_offset().0,
            slice: LogSlice::empty(from),
            diverging_epoch: None,
            aborted_transactions: None,
        };
        if query.last_fetched_epoch >= 0 {
            found.diverging_epoch = self.diverging_epoch(query, found.log_start_offset)?;
            if found.diverging_epoch.is_some() {
                return Ok(found);
            }
        }
        if from < log.log_start_offset() || from > log.log_end_offset() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let end = match query.isolation {
            FetchIsolation::HighWatermark => Offset(found.high_watermark),
            FetchIsolation::LastStableOffset => Offset(found.last_stable_offset),
        };
        if from < end && (query.max_bytes > 0 || query.at_least_one) {
            found.slice = log
                .read(from, query.max_bytes, end, query.at_least_one)
                .map_err(|e| self.read_error(e))?;
        }
        if query.isolation == FetchIsolation::LastStableOffset {
            // No further than the records go: a consumer that is far behind would get the whole list with each answer.
            let aborted = log
                .aborted_transactions_in(&found.slice, from)
                .map_err(|error| self.read_error(error))?;
            found.aborted_transactions = Some(
                aborted
                    .iter()
                    .map(|aborted| (aborted.producer_id.0, aborted.first_offset.0))
                    .collect(),
            );
        }
        Ok(found)
    }

    /// KIP-595: where the reader's log begins to differ from ours.
    fn diverging_epoch(&self, query: &FetchQuery, log_start_offset: i64) -> Result<Option<(i32, i64)>, ErrorCode> {
        let Some((epoch, end)) = self.log.end_offset_for_epoch(LeaderEpoch(query.last_fetched_epoch)) else {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        };
        if query.offset < log_start_offset {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let diverges = epoch.0 < query.last_fetched_epoch || end.0 < query.offset;
        Ok(diverges.then_some((epoch.0, end.0)))
    }

    /// Where `epoch` ends in our log; -1 and -1 when that is not known.
    pub(crate) fn end_offset_for_epoch(&self, current_leader_epoch: i32, epoch: i32) -> Result<(i32, i64), ErrorCode> {
        self.check_leader(current_leader_epoch)?;
        Ok(self
            .log
            .end_offset_for_epoch(LeaderEpoch(epoch))
            .map_or((-1, -1), |(epoch, end)| (epoch.0, end.0)))
    }

    /// The last offset that a reader of this isolation can see, exclusive. `None` is a replica: it sees all.
    pub(crate) fn last_fetchable_offset(&self, isolation: Option<FetchIsolation>) -> Offset {
        match isolation {
            None => self.log.log_end_offset(),
            Some(FetchIsolation::HighWatermark) => self.log.high_watermark(),
            Some(FetchIsolation::LastStableOffset) => self.log.last_stable_offset(),
        }
    }

    /// The epoch under which records are appended now.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leadership.read().leader_epoch
    }

    pub(crate) fn find_timestamp(
        &self,
        query: TimestampQuery,
        now_ms: i64,
    ) -> Result<Option<TimestampAndOffset>, ErrorCode> {
        self.log
            .find_timestamp(query, now_ms)
            .map_err(|error| self.read_error(error))
    }

    /// Move the log start up to `offset`; -1 means the high watermark. Returns the new log start. A log that is
    /// only compacted refuses: POLICY_VIOLATION.
    pub fn delete_records_before(&self, offset: i64) -> Result<Offset, ErrorCode> {
        self.check_leader(-1)?;
        let config = self.log.config();
        if config.compact && !config.delete {
            return Err(ErrorCode::POLICY_VIOLATION);
        }
        let high_watermark = self.log.high_watermark();
        let before = if offset == -1 { high_watermark } else { Offset(offset) };
        if before.0 < 0 || before > high_watermark {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let start = self.log.delete_records_before(before).map_err(|error| match error {
            LogError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            other => {
                tracing::error!(partition = %self.log.topic_partition(), error = %other, "cannot delete records");
                ErrorCode::KAFKA_STORAGE_ERROR
            }
        })?;
        self.watchers.wake_all();
        Ok(start)
    }

    fn read_error(&self, error: ReadError) -> ErrorCode {
        match error {
            ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            ReadError::Corrupt(_) | ReadError::Offline(_) | ReadError::Storage(_) => {
                tracing::error!(partition = %self.log.topic_partition(), %error, "cannot read");
                ErrorCode::KAFKA_STORAGE_ERROR
            }
        }
    }
}

impl AppendFailure {
    /// Kafka's code for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            AppendFailure::NotLeader(_) => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            AppendFailure::NotEnoughReplicas(_) => ErrorCode::NOT_ENOUGH_REPLICAS,
            AppendFailure::Unavailable(code, _) => *code,
            AppendFailure::Log(error) => ErrorCode::from(error),
        }
    }

    /// The refused records, where single records were refused.
    pub(crate) fn record_errors(&self) -> Vec<(i32, String)> {
        match self {
            AppendFailure::Log(AppendError::InvalidTimestamp(errors) | AppendError::InvalidRecord(errors)) => errors
                .iter()
                .map(|error| (error.batch_index, error.message.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }
}
