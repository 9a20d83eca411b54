//! A batch that has lost some of its records, as compaction writes it.
//!
//! Offsets, sequence numbers and the last offset stay what they were, so a producer's last sequence number survives
//! its records. Records are copied as they are stored. Only when a batch gets its delete horizon (the base timestamp of
//! a batch with tombstones, KIP-534) are the deltas of its timestamps written anew.

use super::header::{BatchHeader, CODEC_MASK, DELETE_HORIZON_BIT, HEADER_BYTES, write_header};
use super::records::{take, take_body, take_nullable};
use super::varint::{long_bytes, put_long, take_int, take_long};
use super::{BatchError, Codec, DecodedRecords, compression};
use crate::config::{CompressionSetting, TimestampType};
use crate::types::Offset;
use std::io;

/// What decides over a record, and its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredRecord<'a> {
    pub offset: Offset,
    pub key: Option<&'a [u8]>,
    /// It has no value: a delete marker.
    pub is_tombstone: bool,
    timestamp_delta_ms: i64,
    offset_delta: i32,
    /// With its length.
    whole: &'a [u8],
    /// From the key on.
    fields: &'a [u8],
}

/// The records of a batch one after the other; ends after the first error.
pub(crate) fn stored_records<'a>(
    records: &'a DecodedRecords<'_>,
) -> impl Iterator<Item = Result<StoredRecord<'a>, BatchError>> {
    let mut rest = records.bytes();
    let mut left = records.header().record_count;
    std::iter::from_fn(move || {
        if left <= 0 {
            return None;
        }
        let record = take_stored(&mut rest, records.header());
        left = if record.is_ok() { left - 1 } else { 0 };
        Some(record)
    })
}

fn take_stored<'a>(bytes: &mut &'a [u8], header: &BatchHeader) -> Result<StoredRecord<'a>, BatchError> {
    let before = *bytes;
    let mut body = take_body(bytes)?;
    let whole = &before[..before.len() - bytes.len()];
    let _attributes = take(&mut body, 1)?;
    let timestamp_delta_ms = take_long(&mut body)?;
    let offset_delta = take_int(&mut body)?;
    let fields = body;
    let key = take_nullable(&mut body)?;
    let is_tombstone = take_nullable(&mut body)?.is_none();
    Ok(StoredRecord {
        offset: header.base_offset.plus(i64::from(offset_delta)),
        key,
        is_tombstone,
        timestamp_delta_ms,
        offset_delta,
        whole,
        fields,
    })
}

impl StoredRecord<'_> {
    fn timestamp_ms(&self, header: &BatchHeader) -> i64 {
        match header.timestamp_type() {
            TimestampType::CreateTime => header.base_timestamp_ms.saturating_add(self.timestamp_delta_ms),
            TimestampType::LogAppendTime => header.max_timestamp_ms,
        }
    }

    fn put_with_base(&self, header: &BatchHeader, base_timestamp_ms: i64, out: &mut Vec<u8>) {
        let timestamp_delta = self.timestamp_ms(header).saturating_sub(base_timestamp_ms);
        let offset_delta = i64::from(self.offset_delta);
        let length = 1 + long_bytes(timestamp_delta) + long_bytes(offset_delta) + self.fields.len();
        put_long(out, length as i64);
        out.push(0);
        put_long(out, timestamp_delta);
        put_long(out, offset_delta);
        out.extend_from_slice(self.fields);
    }
}

/// The batch of `header` with no records but `retained`. `delete_horizon_ms` is given when it gets one now; one that it
/// has stays. The records keep their codec, with the topic's level where `setting` asks for the same.
///
/// # Errors
/// Only what a codec says about its own level, or an unknown codec.
pub(crate) fn rewrite(
    header: &BatchHeader,
    retained: &[StoredRecord<'_>],
    delete_horizon_ms: Option<i64>,
    setting: CompressionSetting,
) -> io::Result<Vec<u8>> {
    let base_timestamp_ms = delete_horizon_ms.unwrap_or(header.base_timestamp_ms);
    let mut records = Vec::with_capacity(retained.iter().map(|record| record.whole.len() + 8).sum());
    for record in retained {
        match delete_horizon_ms {
            Some(base) => record.put_with_base(header, base, &mut records),
            None => records.extend_from_slice(record.whole),
        }
    }
    let codec = header.codec().map_err(io::Error::other)?;
    let setting = if setting.codec() == Some(codec) {
        setting
    } else {
        codec.setting()
    };
    if codec != Codec::None {
        records = compression::compress(setting, &records)?;
    }
    let newest = retained.iter().map(|record| record.timestamp_ms(header)).max();
    let mut batch = vec![0; HEADER_BYTES + records.len()];
    batch[HEADER_BYTES..].copy_from_slice(&records);
    let horizon_bit = if delete_horizon_ms.is_some() {
        DELETE_HORIZON_BIT
    } else {
        0
    };
    let header = BatchHeader {
        attributes: header.attributes | horizon_bit,
        base_timestamp_ms,
        max_timestamp_ms: newest.unwrap_or(header.max_timestamp_ms),
        record_count: retained.len() as i32,
        ..*header
    };
    write_header(&header, &mut batch);
    Ok(batch)
}

/// The batch of `header` without records: what is left for the sake of its offsets and sequence numbers.
pub(crate) fn emptied(header: &BatchHeader) -> Vec<u8> {
    let mut batch = vec![0; HEADER_BYTES];
    let header = BatchHeader {
        attributes: header.attributes & !(CODEC_MASK | DELETE_HORIZON_BIT),
        base_timestamp_ms: -1,
        record_count: 0,
        ..*header
    };
    write_header(&header, &mut batch);
    batch
}

#[cfg(test)]
mod tests {
    use super::super::{BatchBuilder, BatchView, RecordHeader};
    use super::*;
    use proptest::prelude::*;

    fn batch(codec: Codec, records: &[(i64, Option<u8>)]) -> Vec<u8> {
        let mut builder = BatchBuilder::new().codec(codec);
        for (number, (timestamp, value)) in records.iter().enumerate() {
            let value = value.map(|value| vec![value; 3]);
            let header = RecordHeader {
                key: b"h",
                value: value.as_deref(),
            };
            builder.append(*timestamp, Some(&[number as u8]), value.as_deref(), &[header]);
        }
        let mut bytes = builder.finish().to_vec();
        super::super::set_base_offset(&mut bytes, Offset(100));
        bytes
    }

    type Everything = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn everything(bytes: &[u8]) -> Vec<Everything> {
        let view = BatchView::parse(bytes).unwrap();
        assert!(view.crc_matches());
        let decoded = view.decode().unwrap();
        let records = decoded.iter().map(|record| {
            let record = record.unwrap();
            let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
            (record.offset.0, record.timestamp_ms, key, value, record.headers.len())
        });
        records.collect()
    }

    proptest! {
        #[test]
        fn what_is_retained_is_what_it_was(
            records in proptest::collection::vec((0i64..1 << 45, proptest::option::of(any::<u8>()), any::<bool>()), 1..40),
            number in 0u8..5,
            horizon in proptest::option::of(0i64..1 << 45),
        ) {
            let codec = Codec::from_number(number).unwrap();
            let kept: Vec<_> = records.iter().map(|record| record.2).collect();
            let plain: Vec<_> = records.iter().map(|&(timestamp, value, _)| (timestamp, value)).collect();
            let bytes = batch(codec, &plain);
            let view = BatchView::parse(&bytes).unwrap();
            let decoded = view.decode().unwrap();
            let stored: Vec<_> = stored_records(&decoded).map(Result::unwrap).collect();
            for (record, (_, value)) in stored.iter().zip(&plain) {
                prop_assert_eq!(record.is_tombstone, value.is_none());
            }
            let retained: Vec<_> = stored.iter().copied().zip(&kept).filter(|(_, kept)| **kept).map(|(it, _)| it).collect();
            let again = rewrite(view.header(), &retained, horizon, CompressionSetting::Producer).unwrap();
            let expected: Vec<_> =
                everything(&bytes).into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(it, _)| it).collect();
            let newest = expected.iter().map(|record| record.1).max();
            prop_assert_eq!(everything(&again), expected);
            let again = BatchView::parse(&again).unwrap();
            let (before, after) = (view.header(), again.header());
            prop_assert_eq!(after.last_offset(), before.last_offset());
            prop_assert_eq!(after.last_sequence(), before.last_sequence());
            prop_assert_eq!(after.codec().unwrap(), codec);
            prop_assert_eq!(after.delete_horizon_ms(), horizon);
            prop_assert_eq!(after.max_timestamp_ms, newest.unwrap_or(before.max_timestamp_ms));
            let emptied = emptied(before);
            let emptied = BatchView::parse(&emptied).unwrap();
            prop_assert!(emptied.crc_matches() && everything(emptied.bytes()).is_empty());
            prop_assert_eq!(emptied.last_offset(), before.last_offset());
            prop_assert_eq!(emptied.max_timestamp_ms(), before.max_timestamp_ms);
        }
    }
}
