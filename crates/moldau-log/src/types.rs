//! The small values that every room of the log shares.
//!
//! Two integers that must not be swapped have two types: an offset is not a timestamp, a leader epoch is not a
//! producer epoch. All of them are `Copy`, ordered, and open (`.0`) because the wire carries the bare integers.

use std::fmt;
use std::sync::Arc;

/// A position in a partition: the number of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// The term of a partition's leader; stamped into every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(pub i32);

/// Identity of an idempotent or transactional producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub i64);

/// Incarnation of a producer id; a higher one fences the lower ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerEpoch(pub i16);

/// Topic ids are version 4 UUIDs, as in Kafka.
pub type TopicId = uuid::Uuid;

impl Offset {
    /// The offset `count` records further on.
    #[must_use]
    pub fn plus(self, count: i64) -> Offset {
        Offset(self.0 + count)
    }
}

impl ProducerId {
    /// What a batch of a plain (not idempotent) producer carries.
    pub const NONE: ProducerId = ProducerId(-1);
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for ProducerEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A topic's name and the number of one of its partitions; shown as `orders-3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.topic, self.partition)
    }
}

/// Who hands records to the log; decides what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer, over the network: everything is checked.
    Client,
    /// A coordinator of this node (offsets, transaction markers): control batches are allowed, sequences are not
    /// checked.
    Coordinator,
    /// `__cluster_metadata`: the quorum's own log; offsets are assigned, producer state is not looked at.
    Raft,
}

/// Names one question to the transaction coordinator; never given twice in the life of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerificationGuard(pub u64);

/// What is known of the transaction that a transactional batch belongs to (KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nobody asks: `transaction.partition.verification.enable` is off, or the batch is no producer's.
    NotRequired,
    /// The transaction had begun in this partition when the request came, so the coordinator was not asked.
    AlreadyOngoing,
    /// The coordinator was asked under this guard and said yes.
    Guarded(VerificationGuard),
}

/// Who appends, and what they have found out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendContext {
    /// Who hands the records over.
    pub origin: AppendOrigin,
    /// For batches that begin a transaction in this partition.
    pub verification: Verification,
    /// For markers: the transaction version of the producer whose transaction ends. From 2 on every transaction has
    /// an epoch of its own, and a marker must be newer than what it ends.
    pub transaction_version: i16,
}

impl From<AppendOrigin> for AppendContext {
    fn from(origin: AppendOrigin) -> AppendContext {
        AppendContext {
            origin,
            verification: Verification::NotRequired,
            transaction_version: 0,
        }
    }
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record (of the earlier append, when this was a duplicate).
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The time given to the records, or -1 where the topic keeps the producer's.
    pub log_append_time_ms: i64,
    /// First offset the partition still holds.
    pub log_start_offset: Offset,
    /// The producer had already sent this batch: nothing was written.
    pub duplicate: bool,
    /// How many records the append held.
    pub record_count: u32,
}

/// Which offset [`crate::PartitionLog::find_timestamp`] looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampQuery {
    /// The first offset of the partition (-2 on the wire).
    Earliest,
    /// The given end, such as the high watermark or the last stable offset (-1 on the wire).
    Latest(Offset),
    /// The record with the largest timestamp (-3 on the wire).
    Max,
    /// The first record at or after this time.
    At(i64),
    /// The first offset on this machine's disks (-4 on the wire); without tiered storage the same as `Earliest`.
    EarliestLocal,
}

/// Answer to a [`TimestampQuery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// Time of the record found, or -1 where the query was not about a time.
    pub timestamp_ms: i64,
    /// Where it is.
    pub offset: Offset,
    /// The leader epoch of that offset, where known.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// A transaction that ended in an abort, as a `read_committed` fetch reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer whose records are to be skipped.
    pub producer_id: ProducerId,
    /// From where on.
    pub first_offset: Offset,
}

/// One producer as DescribeProducers shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStateEntry {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its newest epoch seen here.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of its last record, or -1.
    pub last_sequence: i32,
    /// Time of its last batch.
    pub last_timestamp_ms: i64,
    /// Epoch of the coordinator that wrote the last marker, or -1.
    pub coordinator_epoch: i32,
    /// Where its open transaction began here, if it has one.
    pub current_transaction_start_offset: Option<Offset>,
}

/// One segment, for people and tests that look inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Offset of its first record; also the name of its files.
    pub base_offset: Offset,
    /// Bytes in its `.log`.
    pub size_bytes: u64,
    /// Largest timestamp in it, or -1 when empty.
    pub largest_timestamp_ms: i64,
}
