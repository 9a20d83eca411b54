//! The records inside a batch.
//!
//! Two walks over the same bytes. [`Records`] gives everything about each record, for those who read. `outlines`
//! gives only what validation needs (has it a key, its deltas) and skips the rest without looking at it.

use super::varint::{take_int, take_long};
use super::{BatchError, BatchHeader, BatchView, Codec, compression};
use crate::config::TimestampType;
use crate::types::Offset;
use std::borrow::Cow;

const ENDS_EARLY: BatchError = BatchError::Corrupt("a record is longer than its batch");
const WRONG_LENGTH: BatchError = BatchError::Corrupt("a record's fields do not fill its length");
const NEGATIVE_LENGTH: BatchError = BatchError::Corrupt("a negative length in a record");
const TOO_FEW: BatchError = BatchError::Corrupt("fewer records than the batch counts");
const TOO_MANY: BatchError = BatchError::Corrupt("bytes after the last record of a batch");

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
    /// Absolute time: the record's own, or the batch's where the broker's clock stamped it.
    pub timestamp_ms: i64,
    /// Null when `None`.
    pub key: Option<&'a [u8]>,
    /// Null when `None`.
    pub value: Option<&'a [u8]>,
    /// In the producer's order.
    pub headers: Vec<RecordHeader<'a>>,
}

/// The records of one batch, decompressed.
#[derive(Debug)]
pub struct DecodedRecords<'a> {
    header: BatchHeader,
    bytes: Cow<'a, [u8]>,
}

pub(super) fn decode<'a>(batch: &BatchView<'a>, limit: usize) -> Result<DecodedRecords<'a>, BatchError> {
    let header = *batch.header();
    let bytes = match header.codec()? {
        Codec::None => Cow::Borrowed(batch.stored_records()),
        codec => Cow::Owned(compression::decompress(codec, batch.stored_records(), limit)?),
    };
    Ok(DecodedRecords { header, bytes })
}

impl DecodedRecords<'_> {
    /// Walks the records; ends after the first error.
    #[must_use]
    pub fn iter(&self) -> Records<'_> {
        Records {
            header: self.header,
            left: self.header.record_count,
            rest: &self.bytes,
        }
    }

    /// The header of their batch.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The records' bytes, decompressed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, to keep; those of a batch that is not compressed are copied.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_owned()
    }
}

impl<'a> IntoIterator for &'a DecodedRecords<'_> {
    type Item = Result<RecordView<'a>, BatchError>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

/// See [`DecodedRecords::iter`].
#[derive(Debug)]
pub struct Records<'a> {
    header: BatchHeader,
    left: i32,
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let record = take_record(&mut self.rest, &self.header);
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], BatchError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(ENDS_EARLY)?;
    *bytes = rest;
    Ok(taken)
}

pub(super) fn take_body<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], BatchError> {
    if bytes.is_empty() {
        return Err(TOO_FEW);
    }
    let length = usize::try_from(take_int(bytes)?).map_err(|_| NEGATIVE_LENGTH)?;
    take(bytes, length)
}

pub(super) fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BatchError> {
    match take_int(bytes)? {
        -1 => Ok(None),
        length => take(bytes, usize::try_from(length).map_err(|_| NEGATIVE_LENGTH)?).map(Some),
    }
}

fn take_record<'a>(bytes: &mut &'a [u8], batch: &BatchHeader) -> Result<RecordView<'a>, BatchError> {
    let mut body = take_body(bytes)?;
    let _attributes = take(&mut body, 1)?;
    let timestamp_delta = take_long(&mut body)?;
    let offset_delta = take_int(&mut body)?;
    let key = take_nullable(&mut body)?;
    let value = take_nullable(&mut body)?;
    let header_count = take_int(&mut body)?;
    if header_count < 0 {
        return Err(NEGATIVE_LENGTH);
    }
    let mut headers = Vec::new();
    for _ in 0..header_count {
        let key = take_nullable(&mut body)?.ok_or(NEGATIVE_LENGTH)?;
        headers.push(RecordHeader {
            key,
            value: take_nullable(&mut body)?,
        });
    }
    if !body.is_empty() {
        return Err(WRONG_LENGTH);
    }
    let timestamp_ms = match batch.timestamp_type() {
        TimestampType::CreateTime => batch.base_timestamp_ms.saturating_add(timestamp_delta),
        TimestampType::LogAppendTime => batch.max_timestamp_ms,
    };
    let offset = batch.base_offset.plus(i64::from(offset_delta));
    Ok(RecordView {
        offset,
        timestamp_ms,
        key,
        value,
        headers,
    })
}

/// As much of a record as validation looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordOutline {
    pub timestamp_delta_ms: i64,
    pub offset_delta: i32,
    pub has_key: bool,
}

/// Hands the outline of each of `count` records in `bytes` to `check`. Every record must be whole and the bytes must
/// end with the last of them.
pub(crate) fn outlines(
    mut bytes: &[u8],
    count: i32,
    mut check: impl FnMut(usize, RecordOutline) -> Result<(), BatchError>,
) -> Result<(), BatchError> {
    for index in 0..usize::try_from(count).unwrap_or(0) {
        let mut body = take_body(&mut bytes)?;
        let _attributes = take(&mut body, 1)?;
        let timestamp_delta_ms = take_long(&mut body)?;
        let offset_delta = take_int(&mut body)?;
        let key = take_nullable(&mut body)?;
        let _value = take_nullable(&mut body)?;
        skip_headers(body)?;
        check(
            index,
            RecordOutline {
                timestamp_delta_ms,
                offset_delta,
                has_key: key.is_some(),
            },
        )?;
    }
    if bytes.is_empty() { Ok(()) } else { Err(TOO_MANY) }
}

fn skip_headers(mut body: &[u8]) -> Result<(), BatchError> {
    let count = take_int(&mut body)?;
    if count < 0 {
        return Err(NEGATIVE_LENGTH);
    }
    for _ in 0..count {
        take_nullable(&mut body)?.ok_or(NEGATIVE_LENGTH)?;
        take_nullable(&mut body)?;
    }
    if body.is_empty() { Ok(()) } else { Err(WRONG_LENGTH) }
}

#[cfg(test)]
mod tests {
    use super::super::{BatchBuilder, HEADER_BYTES, batches};
    use super::*;
    use crate::types::{ProducerEpoch, ProducerId};
    use proptest::prelude::*;

    type Nullable = Option<Vec<u8>>;

    fn record() -> impl Strategy<Value = (i64, Nullable, Nullable, Vec<(Vec<u8>, Nullable)>)> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..100);
        let nullable = || proptest::option::of(bytes());
        (
            -1i64..1 << 50,
            nullable(),
            nullable(),
            proptest::collection::vec((bytes(), nullable()), 0..3),
        )
    }

    proptest! {
        #[test]
        fn a_built_batch_reads_back(records in proptest::collection::vec(record(), 1..50), number in 0u8..5) {
            let codec = Codec::from_number(number).unwrap();
            let mut builder = BatchBuilder::new().codec(codec).producer(ProducerId(7), ProducerEpoch(2), 40);
            for (timestamp, key, value, headers) in &records {
                let headers: Vec<_> =
                    headers.iter().map(|(key, value)| RecordHeader { key, value: value.as_deref() }).collect();
                builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers);
            }
            let bytes = builder.finish();
            let batch = BatchView::parse(&bytes).unwrap();
            prop_assert!(batch.crc_matches());
            prop_assert_eq!(batch.codec().unwrap(), codec);
            prop_assert_eq!(batch.record_count() as usize, records.len());
            prop_assert_eq!(batch.max_timestamp_ms(), records.iter().map(|record| record.0).max().unwrap());
            let decoded = batch.decode().unwrap();
            let mut outlined = 0;
            outlines(decoded.bytes(), batch.record_count(), |index, outline| {
                assert_eq!(outline.has_key, records[index].1.is_some());
                assert_eq!(outline.offset_delta as usize, index);
                outlined += 1;
                Ok(())
            }).unwrap();
            prop_assert_eq!(outlined, records.len());
            for (index, (read, (timestamp, key, value, headers))) in decoded.iter().zip(&records).enumerate() {
                let read = read.unwrap();
                prop_assert_eq!(read.offset, Offset(index as i64));
                prop_assert_eq!(read.timestamp_ms, *timestamp);
                prop_assert_eq!(read.key, key.as_deref());
                prop_assert_eq!(read.value, value.as_deref());
                prop_assert_eq!(read.headers.len(), headers.len());
            }
        }

        #[test]
        fn hostile_bytes_never_panic(mut bytes: Vec<u8>, magic: bool, count: i32) {
            if magic && bytes.len() > 16 {
                bytes[16] = 2;
            }
            for batch in batches(&bytes).flatten() {
                if let Ok(decoded) = batch.decode() {
                    for _ in &decoded {}
                }
            }
            let _ = outlines(&bytes, count, |_, _| Ok(()));
        }

        #[test]
        fn a_batch_with_any_byte_changed_never_panics_and_the_checksum_tells(at: usize, to: u8) {
            let mut builder = BatchBuilder::new();
            for number in 0..10 {
                builder.append(number, Some(b"key"), Some(b"value"), &[RecordHeader { key: b"a", value: None }]);
            }
            let mut bytes = builder.finish();
            let at = at % bytes.len();
            let before = bytes[at];
            bytes[at] = to;
            for batch in batches(&bytes).flatten() {
                // The base offset and the leader epoch are the broker's to set.
                let covered = !(0..8).contains(&at) && !(12..16).contains(&at);
                prop_assert_eq!(batch.crc_matches(), to == before || !covered);
                if let Ok(decoded) = batch.decode() {
                    for _ in &decoded {}
                    let _ = outlines(decoded.bytes(), batch.record_count(), |_, _| Ok(()));
                }
            }
        }
    }

    #[test]
    fn a_count_of_two_billion_records_costs_nothing() {
        let mut bytes = BatchBuilder::new().finish();
        bytes[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
        let batch = BatchView::parse(&bytes).unwrap();
        assert_eq!(bytes.len(), HEADER_BYTES);
        let decoded = batch.decode().unwrap();
        assert_eq!(decoded.iter().collect::<Result<Vec<_>, _>>(), Err(TOO_FEW));
        assert_eq!(outlines(decoded.bytes(), i32::MAX, |_, _| Ok(())), Err(TOO_FEW));
    }
}
