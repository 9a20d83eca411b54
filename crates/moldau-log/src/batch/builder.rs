//! Batches made inside the node: coordinators' records, markers, the quorum's log, tests.

use super::header::{BatchHeader, HEADER_BYTES, attributes, write_header};
use super::varint::{long_bytes, put_long};
use super::{Codec, RecordHeader, compression};
use crate::config::{CompressionSetting, TimestampType};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use bytes::BytesMut;

/// Which end a transaction came to; the numbers are the control record types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndTransaction {
    /// 0
    Abort,
    /// 1
    Commit,
}

/// Builds one batch.
#[derive(Debug)]
pub struct BatchBuilder {
    compression: CompressionSetting,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: i32,
    timestamp_type: TimestampType,
    transactional: bool,
    control: bool,
    leader_epoch: LeaderEpoch,
    record_count: i32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    records: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> BatchBuilder {
        BatchBuilder::new()
    }
}

impl BatchBuilder {
    /// An empty, uncompressed batch.
    #[must_use]
    pub fn new() -> BatchBuilder {
        BatchBuilder {
            compression: CompressionSetting::Uncompressed,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
            base_sequence: -1,
            timestamp_type: TimestampType::CreateTime,
            transactional: false,
            control: false,
            leader_epoch: LeaderEpoch(-1),
            record_count: 0,
            base_timestamp_ms: -1,
            max_timestamp_ms: -1,
            records: Vec::new(),
        }
    }

    /// Compresses on `finish`, at the codec's default level.
    #[must_use]
    pub fn codec(self, codec: Codec) -> BatchBuilder {
        self.compression(codec.setting())
    }

    /// Compresses on `finish`.
    #[must_use]
    pub fn compression(mut self, setting: CompressionSetting) -> BatchBuilder {
        self.compression = setting;
        self
    }

    /// As an idempotent producer.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> BatchBuilder {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// As part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> BatchBuilder {
        self.transactional = true;
        self
    }

    /// As a control batch, such as the quorum's leader change message.
    #[must_use]
    pub fn control(mut self) -> BatchBuilder {
        self.control = true;
        self
    }

    /// As a leader of this epoch has written it; an append puts in its own.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> BatchBuilder {
        self.leader_epoch = epoch;
        self
    }

    /// Adds a record.
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) {
        if self.record_count == 0 {
            self.base_timestamp_ms = timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        let timestamp_delta = timestamp_ms - self.base_timestamp_ms;
        let offset_delta = i64::from(self.record_count);
        let headers_bytes: usize = headers
            .iter()
            .map(|header| nullable_bytes(Some(header.key)) + nullable_bytes(header.value))
            .sum();
        let length = 1
            + long_bytes(timestamp_delta)
            + long_bytes(offset_delta)
            + nullable_bytes(key)
            + nullable_bytes(value)
            + long_bytes(headers.len() as i64)
            + headers_bytes;
        put_long(&mut self.records, length as i64);
        self.records.push(0);
        put_long(&mut self.records, timestamp_delta);
        put_long(&mut self.records, offset_delta);
        put_nullable(&mut self.records, key);
        put_nullable(&mut self.records, value);
        put_long(&mut self.records, headers.len() as i64);
        for header in headers {
            put_nullable(&mut self.records, Some(header.key));
            put_nullable(&mut self.records, header.value);
        }
        self.record_count += 1;
    }

    /// How many records it holds.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.record_count as usize
    }

    /// Its size if it were finished now, uncompressed.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// The batch, its checksum set, at offset 0.
    ///
    /// # Panics
    /// When a compression level is out of its codec's range, or the batch has 2 GiB.
    #[must_use]
    pub fn finish(self) -> BytesMut {
        self.encode(
            self.compression,
            self.producer_id,
            self.producer_epoch,
            self.base_sequence,
        )
    }

    /// The same for a producer that may have to send it again, perhaps as another one.
    ///
    /// # Panics
    /// As `finish`.
    #[must_use]
    pub fn encode(
        &self,
        compression: CompressionSetting,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        base_sequence: i32,
    ) -> BytesMut {
        let compressed;
        let records = match compression.codec() {
            None | Some(Codec::None) => &self.records,
            Some(_) => {
                compressed = compression::compress(compression, &self.records).expect("a level the codec knows");
                &compressed
            }
        };
        let codec = compression.codec().unwrap_or(Codec::None);
        let mut batch = BytesMut::zeroed(HEADER_BYTES + records.len());
        batch[HEADER_BYTES..].copy_from_slice(records);
        let header = BatchHeader {
            base_offset: Offset(0),
            size_bytes: batch.len(),
            leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: attributes(codec, self.timestamp_type, self.transactional, self.control),
            last_offset_delta: (self.record_count - 1).max(0),
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms: self.max_timestamp_ms,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: self.record_count,
        };
        write_header(&header, &mut batch);
        batch
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
        let mut builder = BatchBuilder::new()
            .producer(producer_id, producer_epoch, -1)
            .transactional()
            .control();
        // Key: version 0 and the control type. Value: version 0 and the coordinator's epoch.
        let key = [0, 0, 0, u8::from(end == EndTransaction::Commit)];
        let mut value = [0; 6];
        value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
        builder.append(timestamp_ms, Some(&key), Some(&value), &[]);
        builder.finish()
    }
}

fn nullable_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| long_bytes(bytes.len() as i64) + bytes.len())
}

fn put_nullable(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_long(buffer, -1),
        Some(bytes) => {
            put_long(buffer, bytes.len() as i64);
            buffer.extend_from_slice(bytes);
        }
    }
}
