//! The fixed 61 bytes in front of every batch.

use super::{BatchError, Codec, DECOMPRESSED_LIMIT_BYTES, DecodedRecords, records};
use crate::config::TimestampType;
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Bytes in front of the records.
pub const HEADER_BYTES: usize = 61;
/// Bytes that the length field does not count: the base offset and itself.
pub const LENGTH_PREFIX_BYTES: usize = 12;

const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

pub(super) const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME_BIT: i16 = 0x08;
const TRANSACTIONAL_BIT: i16 = 0x10;
const CONTROL_BIT: i16 = 0x20;
pub(super) const DELETE_HORIZON_BIT: i16 = 0x40;

/// The header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes of the whole batch, prefix included.
    pub size_bytes: usize,
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C of everything after it.
    pub crc: u32,
    /// Codec, timestamp type, transactional, control.
    pub attributes: i16,
    /// Offset of the last record, relative to the first.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas add to.
    pub base_timestamp_ms: i64,
    /// Largest timestamp.
    pub max_timestamp_ms: i64,
    /// Producer, or -1.
    pub producer_id: ProducerId,
    /// Its epoch, or -1.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl BatchHeader {
    /// Decodes the header at the front of `bytes`; the records need not be there.
    ///
    /// What it promises: magic 2, and `size_bytes` at least a header. Nothing else is checked.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        if bytes.len() > MAGIC_AT && bytes[MAGIC_AT] != 2 {
            return Err(BatchError::UnsupportedMagic(bytes[MAGIC_AT] as i8));
        }
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(BatchError::Truncated {
                available: bytes.len(),
                needed: HEADER_BYTES,
            });
        };
        let length = i32::from_be_bytes(field(bytes, 8));
        let size_bytes = usize::try_from(length).map_err(|_| BatchError::Corrupt("negative batch length"))?;
        let size_bytes = size_bytes + LENGTH_PREFIX_BYTES;
        if size_bytes < HEADER_BYTES {
            return Err(BatchError::Corrupt("a batch shorter than its header"));
        }
        Ok(BatchHeader {
            base_offset: Offset(i64::from_be_bytes(field(bytes, 0))),
            size_bytes,
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(bytes, LEADER_EPOCH_AT))),
            crc: u32::from_be_bytes(field(bytes, CRC_AT)),
            attributes: i16::from_be_bytes(field(bytes, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp_ms: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp_ms: i64::from_be_bytes(field(bytes, MAX_TIMESTAMP_AT)),
            producer_id: ProducerId(i64::from_be_bytes(field(bytes, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(bytes, 51))),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        })
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(i64::from(self.last_offset_delta)))
    }

    /// Offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// Sequence number of the last record, or -1; after 2^31-1 comes 0.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (sum % (i64::from(i32::MAX) + 1)) as i32
    }

    /// Part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Holds a marker, not data.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// Whose clock stamped it.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME_BIT != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// The time until which compaction keeps the batch's tombstones, or its marker; `None` until it is known.
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp_ms)
    }

    /// How the records are compressed.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        Codec::from_number((self.attributes & CODEC_MASK) as u8)
    }
}

/// A whole batch in memory.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The first batch in `bytes`, which must all be there; more may follow.
    pub fn parse(bytes: &'a [u8]) -> Result<BatchView<'a>, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        match bytes.get(..header.size_bytes) {
            Some(bytes) => Ok(BatchView { header, bytes }),
            None => Err(BatchError::Truncated {
                available: bytes.len(),
                needed: header.size_bytes,
            }),
        }
    }

    /// All its bytes, header included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The decoded header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Whether the checksum holds.
    #[must_use]
    pub fn crc_matches(&self) -> bool {
        crc32c::crc32c(&self.bytes[ATTRIBUTES_AT..]) == self.header.crc
    }

    /// The records as they are stored.
    #[must_use]
    pub fn stored_records(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// The records, decompressed where needed, to at most [`DECOMPRESSED_LIMIT_BYTES`].
    pub fn decode(&self) -> Result<DecodedRecords<'a>, BatchError> {
        records::decode(self, DECOMPRESSED_LIMIT_BYTES)
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        self.header.base_offset
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.header.last_offset()
    }

    /// Epoch of the leader that appended it.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.header.leader_epoch
    }

    /// Number of records.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// Largest timestamp.
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        self.header.max_timestamp_ms
    }

    /// Timestamp that the records' deltas add to.
    #[must_use]
    pub fn base_timestamp_ms(&self) -> i64 {
        self.header.base_timestamp_ms
    }

    /// Producer, or -1.
    #[must_use]
    pub fn producer_id(&self) -> ProducerId {
        self.header.producer_id
    }

    /// Its epoch, or -1.
    #[must_use]
    pub fn producer_epoch(&self) -> ProducerEpoch {
        self.header.producer_epoch
    }

    /// First sequence number, or -1.
    #[must_use]
    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    /// Part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.header.is_transactional()
    }

    /// Holds a marker, not data.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.header.is_control()
    }

    /// How the records are compressed.
    pub fn codec(&self) -> Result<Codec, BatchError> {
        self.header.codec()
    }
}

/// The batches in `bytes`, one after the other.
///
/// Ends after the first error. What a read cut short shows as [`BatchError::Truncated`] at the end: a reader stops
/// there, a validator refuses.
#[must_use]
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { rest: bytes }
}

/// See [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = BatchView::parse(self.rest);
        self.rest = match &batch {
            Ok(batch) => &self.rest[batch.bytes.len()..],
            Err(_) => &[],
        };
        Some(batch)
    }
}

/// Puts in the offset of the first record; the checksum does not cover it.
pub fn set_base_offset(batch: &mut [u8], offset: Offset) {
    batch[..8].copy_from_slice(&offset.0.to_be_bytes());
}

/// Puts in the epoch of the leader; the checksum does not cover it.
pub(crate) fn set_leader_epoch(batch: &mut [u8], epoch: LeaderEpoch) {
    batch[LEADER_EPOCH_AT..LEADER_EPOCH_AT + 4].copy_from_slice(&epoch.0.to_be_bytes());
}

/// Stamps the batch with the broker's clock and makes its checksum right again.
pub(crate) fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    let attributes = i16::from_be_bytes([batch[ATTRIBUTES_AT], batch[ATTRIBUTES_AT + 1]]) | LOG_APPEND_TIME_BIT;
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    set_max_timestamp(batch, now_ms);
}

/// Puts in the largest timestamp and makes the checksum right again.
pub(crate) fn set_max_timestamp(batch: &mut [u8], timestamp_ms: i64) {
    batch[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&timestamp_ms.to_be_bytes());
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

/// Notes another codec and the length that came of it, and makes the checksum right again.
pub(crate) fn set_codec(batch: &mut [u8], codec: Codec, max_timestamp_ms: i64) {
    let attributes = i16::from_be_bytes([batch[ATTRIBUTES_AT], batch[ATTRIBUTES_AT + 1]]);
    let attributes = (attributes & !CODEC_MASK) | i16::from(codec.number());
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    let length = i32::try_from(batch.len() - LENGTH_PREFIX_BYTES).expect("a batch under 2 GiB");
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    set_max_timestamp(batch, max_timestamp_ms);
}

/// The parts of a header that its writer chooses.
pub(super) fn write_header(header: &BatchHeader, batch: &mut [u8]) {
    batch[..8].copy_from_slice(&header.base_offset.0.to_be_bytes());
    let length = i32::try_from(batch.len() - LENGTH_PREFIX_BYTES).expect("a batch under 2 GiB");
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    set_leader_epoch(batch, header.leader_epoch);
    batch[MAGIC_AT] = 2;
    batch[ATTRIBUTES_AT..23].copy_from_slice(&header.attributes.to_be_bytes());
    batch[23..27].copy_from_slice(&header.last_offset_delta.to_be_bytes());
    batch[27..35].copy_from_slice(&header.base_timestamp_ms.to_be_bytes());
    batch[43..51].copy_from_slice(&header.producer_id.0.to_be_bytes());
    batch[51..53].copy_from_slice(&header.producer_epoch.0.to_be_bytes());
    batch[53..57].copy_from_slice(&header.base_sequence.to_be_bytes());
    batch[57..61].copy_from_slice(&header.record_count.to_be_bytes());
    set_max_timestamp(batch, header.max_timestamp_ms);
}

/// The attributes of a batch.
pub(super) fn attributes(codec: Codec, timestamp_type: TimestampType, transactional: bool, control: bool) -> i16 {
    let mut attributes = i16::from(codec.number());
    if timestamp_type == TimestampType::LogAppendTime {
        attributes |= LOG_APPEND_TIME_BIT;
    }
    if transactional {
        attributes |= TRANSACTIONAL_BIT;
    }
    if control {
        attributes |= CONTROL_BIT;
    }
    attributes
}
