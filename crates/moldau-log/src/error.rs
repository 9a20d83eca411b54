//! What can go wrong, said so that the server can give Kafka's error code for it.
//!
//! [`AppendError`] tells whose fault it was: the sender's (corrupt, too large, out of order …) or ours (`Offline`,
//! `Storage`). Each variant's comment names the wire error it stands for; the mapping itself lives in the server.

use crate::types::{Offset, ProducerEpoch, ProducerId};
use std::path::PathBuf;

/// One record (or batch) that was refused, by its place in the produce request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Index of the record within the request's batch.
    pub batch_index: i32,
    /// What is wrong with it.
    pub message: String,
}

/// Why records were not appended. Nothing of the request is in the log then.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// CORRUPT_MESSAGE: lengths, counts or the checksum do not hold.
    #[error("corrupt batch: {0}")]
    Corrupt(String),
    /// MESSAGE_TOO_LARGE (one batch over `max.message.bytes`) or RECORD_LIST_TOO_LARGE (over `segment.bytes`).
    #[error("the batch has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the batch.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// INVALID_TIMESTAMP: outside `message.timestamp.before/after.max.ms`.
    #[error("timestamps of {} records are out of bounds", .0.len())]
    InvalidTimestamp(Vec<RecordError>),
    /// INVALID_RECORD: a well-formed batch that breaks a rule of the topic, such as a missing key.
    #[error("{} records were refused: {}", .0.len(), .0.first().map_or("", |error| error.message.as_str()))]
    InvalidRecord(Vec<RecordError>),
    /// UNSUPPORTED_COMPRESSION_TYPE
    #[error("unsupported compression: {0}")]
    UnsupportedCompression(String),
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT: message formats 0 and 1.
    #[error("unsupported message format: {0}")]
    UnsupportedFormat(String),
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    #[error("out of order sequence number of producer {producer_id}: got {found}, expected {expected}")]
    OutOfOrderSequence {
        /// Who sent it.
        producer_id: ProducerId,
        /// The sequence number that would have been right.
        expected: i32,
        /// The one that came.
        found: i32,
    },
    /// INVALID_PRODUCER_EPOCH
    #[error("epoch {found} of producer {producer_id} is older than {current}")]
    InvalidProducerEpoch {
        /// Who sent it.
        producer_id: ProducerId,
        /// The newest epoch known here.
        current: ProducerEpoch,
        /// The one that came.
        found: ProducerEpoch,
    },
    /// UNKNOWN_PRODUCER_ID
    #[error("no state for producer {producer_id}, and its batch starts at sequence {found}")]
    UnknownProducerId {
        /// Who sent it.
        producer_id: ProducerId,
        /// The sequence number that came.
        found: i32,
    },
    /// DUPLICATE_SEQUENCE_NUMBER: older than the five batches remembered.
    #[error("producer {producer_id} sent sequence {found} again, older than the batches remembered")]
    DuplicateSequence {
        /// Who sent it.
        producer_id: ProducerId,
        /// The sequence number that came.
        found: i32,
    },
    /// INVALID_TXN_STATE: transactional rules broken, such as a plain batch inside a transaction.
    #[error("invalid transaction state of producer {producer_id}: {message}")]
    InvalidTransactionState {
        /// Who sent it.
        producer_id: ProducerId,
        /// What is wrong.
        message: String,
    },
    /// TRANSACTION_COORDINATOR_FENCED: a marker of an older coordinator.
    #[error("a transaction marker came from coordinator epoch {found}, {current} is known")]
    CoordinatorFenced {
        /// The newest coordinator epoch known here.
        current: i32,
        /// The one that came.
        found: i32,
    },
    /// KAFKA_STORAGE_ERROR: the directory of this partition has failed, or the partition was deleted.
    #[error("the partition is offline: {0}")]
    Offline(String),
    /// KAFKA_STORAGE_ERROR: this write failed; the partition is as it was before and stays online (a full disk).
    #[error("the write failed: {0}")]
    Storage(#[from] std::io::Error),
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// OFFSET_OUT_OF_RANGE
    #[error("offset {requested} is outside {log_start_offset}..={log_end_offset}")]
    OutOfRange {
        /// The offset asked for.
        requested: Offset,
        /// First offset held.
        log_start_offset: Offset,
        /// Offset of the next record to be written.
        log_end_offset: Offset,
    },
    /// KAFKA_STORAGE_ERROR: what is on disk is not a batch.
    #[error("corrupt log: {0}")]
    Corrupt(String),
    /// KAFKA_STORAGE_ERROR
    #[error("the partition is offline: {0}")]
    Offline(String),
    /// KAFKA_STORAGE_ERROR
    #[error("the read failed: {0}")]
    Storage(#[from] std::io::Error),
}

/// Why a change to a log or to the set of logs did not happen.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The offset asked for is not in the partition.
    #[error("offset {requested} is outside {log_start_offset}..={limit}")]
    OutOfRange {
        /// The offset asked for.
        requested: Offset,
        /// First offset held.
        log_start_offset: Offset,
        /// Largest offset that would have been right.
        limit: Offset,
    },
    /// Another process holds the directory.
    #[error("{} is in use by another process", .0.display())]
    DirectoryLocked(PathBuf),
    /// Every directory has failed.
    #[error("no log directory is online")]
    NoOnlineDirectory,
    /// The folder on disk belongs to another topic of the same name.
    #[error("{} belongs to topic id {found}, not {expected}", .directory.display())]
    TopicIdMismatch {
        /// The partition's folder.
        directory: PathBuf,
        /// Id in its `partition.metadata`.
        found: uuid::Uuid,
        /// Id that was asked for.
        expected: uuid::Uuid,
    },
    /// Nothing of that name is open.
    #[error("unknown partition {0}")]
    UnknownPartition(crate::types::TopicPartition),
    /// What is on disk cannot be understood, and cannot be repaired by cutting.
    #[error("{}: {message}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The directory has failed earlier.
    #[error("the partition is offline: {0}")]
    Offline(String),
    /// The disk said no.
    #[error("{}: {source}", .path.display())]
    Storage {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
