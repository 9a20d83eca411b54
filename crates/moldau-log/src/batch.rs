//! Record batches (message format 2): look at them, walk their records, build them.

use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use bytes::BytesMut;

/// How the records of a batch are compressed; the numbers are those in the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// 0
    None,
    /// 1
    Gzip,
    /// 2
    Snappy,
    /// 3
    Lz4,
    /// 4
    Zstd,
}

/// Why bytes are not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BatchError(pub String);

/// One key and value of a record's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// UTF-8 by convention, not checked.
    pub key: &'a [u8],
    /// May be null.
    pub value: Option<&'a [u8]>,
}

/// One record, borrowed from its decoded batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Absolute offset.
    pub offset: Offset,
    /// Absolute time.
    pub timestamp_ms: i64,
    /// Null when `None`.
    pub key: Option<&'a [u8]>,
    /// Null when `None`.
    pub value: Option<&'a [u8]>,
    /// In the producer's order.
    pub headers: Vec<RecordHeader<'a>>,
}

/// A whole batch in memory, its length checked.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    bytes: &'a [u8],
}

/// The records of one batch, decompressed.
#[derive(Debug)]
pub struct DecodedRecords<'a> {
    #[expect(dead_code, reason = "signatures first")]
    bytes: std::borrow::Cow<'a, [u8]>,
}

#[expect(
    clippy::todo,
    reason = "signatures first, so that the server can compile against them"
)]
impl<'a> DecodedRecords<'a> {
    /// Walks the records.
    pub fn iter(&self) -> impl Iterator<Item = Result<RecordView<'_>, BatchError>> {
        if true {
            todo!()
        }
        std::iter::empty()
    }
}

/// The batches in `bytes`, one after the other; an error ends it. A trailing partial batch is not an error when
/// `bytes` came from a read: it just ends.
pub fn batches(bytes: &[u8]) -> impl Iterator<Item = Result<BatchView<'_>, BatchError>> {
    let _ = bytes;
    std::iter::empty()
}

#[expect(
    clippy::todo,
    reason = "signatures first, so that the server can compile against them"
)]
impl<'a> BatchView<'a> {
    /// The first batch in `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<BatchView<'a>, BatchError> {
        Ok(BatchView { bytes })
    }
    /// All its bytes, header included.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
    /// Offset of the first record.
    pub fn base_offset(&self) -> Offset {
        todo!()
    }
    /// Offset of the last record.
    pub fn last_offset(&self) -> Offset {
        todo!()
    }
    /// Epoch of the leader that appended it.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        todo!()
    }
    /// Number of records.
    pub fn record_count(&self) -> i32 {
        todo!()
    }
    /// Largest timestamp.
    pub fn max_timestamp_ms(&self) -> i64 {
        todo!()
    }
    /// First timestamp.
    pub fn base_timestamp_ms(&self) -> i64 {
        todo!()
    }
    /// Producer, or -1.
    pub fn producer_id(&self) -> ProducerId {
        todo!()
    }
    /// Epoch of the producer, or -1.
    pub fn producer_epoch(&self) -> ProducerEpoch {
        todo!()
    }
    /// First sequence number, or -1.
    pub fn base_sequence(&self) -> i32 {
        todo!()
    }
    /// Part of a transaction.
    pub fn is_transactional(&self) -> bool {
        todo!()
    }
    /// Holds a marker, not data.
    pub fn is_control(&self) -> bool {
        todo!()
    }
    /// How the records are compressed.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        todo!()
    }
    /// Whether the checksum holds.
    pub fn crc_matches(&self) -> bool {
        todo!()
    }
    /// Decompresses the records.
    pub fn decode(&self) -> Result<DecodedRecords<'a>, BatchError> {
        todo!()
    }
}

/// Which end a transaction came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndTransaction {
    /// Control type 0
    Abort,
    /// Control type 1
    Commit,
}

/// Builds one batch for a writer inside the node.
#[derive(Debug, Default)]
pub struct BatchBuilder {}

#[expect(
    clippy::todo,
    unused_variables,
    reason = "signatures first, so that the server can compile against them"
)]
impl BatchBuilder {
    /// An empty, uncompressed batch.
    #[must_use]
    pub fn new() -> BatchBuilder {
        todo!()
    }
    /// Compresses on `finish`.
    #[must_use]
    pub fn codec(self, codec: Codec) -> BatchBuilder {
        todo!()
    }
    /// As an idempotent producer.
    #[must_use]
    pub fn producer(self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> BatchBuilder {
        todo!()
    }
    /// As part of a transaction.
    #[must_use]
    pub fn transactional(self) -> BatchBuilder {
        todo!()
    }
    /// Adds a record.
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) {
        todo!()
    }
    /// How many records it holds.
    pub fn record_count(&self) -> usize {
        todo!()
    }
    /// Its size if it were finished now, uncompressed.
    pub fn size_bytes(&self) -> usize {
        todo!()
    }
    /// The batch, its checksum set, at offset 0 and leader epoch -1.
    pub fn finish(self) -> BytesMut {
        todo!()
    }
    /// The control batch that ends a transaction.
    #[must_use]
    pub fn end_transaction(
        end: EndTransaction,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        coordinator_epoch: i32,
        timestamp_ms: i64,
    ) -> BytesMut {
        todo!()
    }
}
