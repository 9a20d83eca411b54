//! What is checked before records enter a log. It needs no lock: nothing here depends on what the log holds.
//!
//! What is checked when (as Kafka's LogValidator does for format 2, except where told otherwise):
//!
//! | always | length, format, `max.message.bytes`, checksum, codec, offset range against record count |
//! | from clients | base offset 0, no control batches, a sequence number where there is a producer id |
//! | uncompressed | every record is walked: whole, numbered 0, 1, 2 …, timestamp in bounds, key where compacted |
//! | compressed | the header's timestamps; the records only if compacted (keys), if `compression.type` asks for another codec, or if `message.timestamp.before.max.ms` is set |
//!
//! The last line is where we differ: Kafka decompresses every batch to walk its records. A producer that miscounts
//! inside a compressed batch with a right checksum is found out by its consumers, not here.

use crate::batch::{self, BatchError, BatchHeader, BatchView, Codec, HEADER_BYTES};
use crate::config::{LogConfig, TimestampType};
use crate::error::{AppendError, RecordError};
use crate::types::AppendOrigin;
use bytes::BytesMut;

/// Kafka names at most so many refused records; the rest are counted.
const REPORTED_ERRORS: usize = 100;

/// Records fit to be appended: their bytes, with everything set but the offsets and the leader epoch.
#[derive(Debug)]
pub(crate) struct Validated {
    pub bytes: BytesMut,
    pub headers: Vec<BatchHeader>,
    pub record_count: u32,
    /// The time given to the records, or -1.
    pub log_append_time_ms: i64,
}

/// Checks `bytes`, one or more batches, and gives them the timestamp type and codec that the topic asks for.
pub(crate) fn validate(
    mut bytes: BytesMut,
    config: &LogConfig,
    origin: AppendOrigin,
    now_ms: i64,
) -> Result<Validated, AppendError> {
    let mut headers = Vec::with_capacity(1);
    let mut record_count = 0;
    let mut start = 0;
    let mut converted: Option<BytesMut> = None;
    if bytes.is_empty() {
        return Err(AppendError::Corrupt("no batch".to_owned()));
    }
    while start < bytes.len() {
        let batch = BatchView::parse(&bytes[start..]).map_err(refused)?;
        let header = *batch.header();
        check_batch(&batch, config, origin)?;
        let codec = header.codec().map_err(refused)?;
        let target = config
            .compression
            .codec()
            .filter(|&target| target != codec && !header.is_control());
        let (largest, records) = check_records(&batch, codec, target, config, now_ms)?;
        let end = start + header.size_bytes;
        match (target, records) {
            (Some(target), Some(records)) => {
                let out = converted.get_or_insert_with(|| BytesMut::from(&bytes[..start]));
                let at = out.len();
                out.extend_from_slice(&recompressed(&header, &bytes[start..end], &records, target, config)?);
                stamp(&mut out[at..], &header, largest, config, now_ms);
                headers.push(BatchHeader::parse(&out[at..]).map_err(refused)?);
            }
            _ => {
                stamp(&mut bytes[start..end], &header, largest, config, now_ms);
                headers.push(BatchHeader::parse(&bytes[start..end]).map_err(refused)?);
                if let Some(out) = &mut converted {
                    out.extend_from_slice(&bytes[start..end]);
                }
            }
        }
        record_count += header.record_count.max(0) as u32;
        start = end;
    }
    let log_append_time_ms = if config.timestamp_type == TimestampType::LogAppendTime {
        now_ms
    } else {
        -1
    };
    Ok(Validated {
        bytes: converted.unwrap_or(bytes),
        headers,
        record_count,
        log_append_time_ms,
    })
}

fn refused(error: BatchError) -> AppendError {
    match error {
        BatchError::UnsupportedMagic(0 | 1) => AppendError::UnsupportedFormat(error.to_string()),
        BatchError::UnsupportedCompression(_) => AppendError::UnsupportedCompression(error.to_string()),
        other => AppendError::Corrupt(other.to_string()),
    }
}

fn invalid(message: impl Into<String>) -> AppendError {
    AppendError::InvalidRecord(vec![RecordError {
        batch_index: 0,
        message: message.into(),
    }])
}

fn check_batch(batch: &BatchView<'_>, config: &LogConfig, origin: AppendOrigin) -> Result<(), AppendError> {
    let header = batch.header();
    let limit = config.max_message_bytes as usize;
    if header.size_bytes > limit && origin != AppendOrigin::Raft {
        return Err(AppendError::TooLarge {
            size: header.size_bytes,
            limit,
        });
    }
    if !batch.crc_matches() {
        return Err(AppendError::Corrupt("the checksum does not match".to_owned()));
    }
    if header.record_count <= 0 || i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count) {
        let (count, delta) = (header.record_count, header.last_offset_delta);
        return Err(invalid(format!(
            "the batch counts {count} records, its last has offset delta {delta}"
        )));
    }
    if origin != AppendOrigin::Client {
        return Ok(());
    }
    if header.base_offset.0 != 0 {
        return Err(invalid(format!(
            "the base offset of a batch to append must be 0, not {}",
            header.base_offset
        )));
    }
    if header.is_control() {
        return Err(invalid("clients may not write control records"));
    }
    if header.producer_id.0 >= 0 && header.base_sequence < 0 {
        return Err(invalid(format!(
            "sequence number {} with a producer id",
            header.base_sequence
        )));
    }
    if header.timestamp_type() == TimestampType::LogAppendTime && config.timestamp_type == TimestampType::CreateTime {
        let message = "producers may not set the timestamp type to LogAppendTime".to_owned();
        return Err(AppendError::InvalidTimestamp(vec![RecordError {
            batch_index: 0,
            message,
        }]));
    }
    Ok(())
}

/// Checks the records as far as they are looked at. Gives back the largest timestamp where it was found out, and the
/// decompressed records where they are needed for another codec.
fn check_records(
    batch: &BatchView<'_>,
    codec: Codec,
    target: Option<Codec>,
    config: &LogConfig,
    now_ms: i64,
) -> Result<(Option<i64>, Option<Vec<u8>>), AppendError> {
    let header = batch.header();
    if header.is_control() {
        return Ok((None, None));
    }
    let bounded = config.timestamp_type == TimestampType::CreateTime && config.timestamp_before_max_ms != i64::MAX;
    if codec != Codec::None && target.is_none() && !config.compact && !bounded {
        if config.timestamp_type == TimestampType::CreateTime {
            let mut errors = Vec::new();
            check_timestamp(header.max_timestamp_ms, 0, config, now_ms, &mut errors);
            if !errors.is_empty() {
                return Err(AppendError::InvalidTimestamp(errors));
            }
        }
        return Ok((None, None));
    }
    let decoded = batch.decode().map_err(refused)?;
    let largest = check_outlines(header, decoded.bytes(), config, now_ms)?;
    Ok((Some(largest), target.map(|_| decoded.bytes().to_vec())))
}

fn check_outlines(header: &BatchHeader, records: &[u8], config: &LogConfig, now_ms: i64) -> Result<i64, AppendError> {
    let (mut timestamp_errors, mut other_errors) = (Vec::new(), Vec::new());
    let mut largest = -1;
    batch::outlines(records, header.record_count, |index, record| {
        let batch_index = i32::try_from(index).unwrap_or(i32::MAX);
        let timestamp_ms = header.base_timestamp_ms.saturating_add(record.timestamp_delta_ms);
        largest = largest.max(timestamp_ms);
        if record.offset_delta != batch_index && other_errors.len() < REPORTED_ERRORS {
            let message = format!("offset delta {} on record {batch_index}", record.offset_delta);
            other_errors.push(RecordError { batch_index, message });
        }
        if config.compact && !record.has_key && other_errors.len() < REPORTED_ERRORS {
            let message = "a compacted topic takes no record without a key".to_owned();
            other_errors.push(RecordError { batch_index, message });
        }
        if config.timestamp_type == TimestampType::CreateTime && timestamp_errors.len() < REPORTED_ERRORS {
            check_timestamp(timestamp_ms, batch_index, config, now_ms, &mut timestamp_errors);
        }
        Ok(())
    })
    .map_err(refused)?;
    if !timestamp_errors.is_empty() {
        timestamp_errors.append(&mut other_errors);
        return Err(AppendError::InvalidTimestamp(timestamp_errors));
    }
    if !other_errors.is_empty() {
        return Err(AppendError::InvalidRecord(other_errors));
    }
    Ok(largest)
}

fn check_timestamp(
    timestamp_ms: i64,
    batch_index: i32,
    config: &LogConfig,
    now_ms: i64,
    errors: &mut Vec<RecordError>,
) {
    let earliest = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let latest = now_ms.saturating_add(config.timestamp_after_max_ms);
    // -1 says that the producer knows no time.
    if timestamp_ms != -1 && !(earliest..=latest).contains(&timestamp_ms) {
        let message = format!("timestamp {timestamp_ms} is outside of {earliest}..={latest}");
        errors.push(RecordError { batch_index, message });
    }
}

/// The batch with its records in another codec; the checksum is not set yet.
fn recompressed(
    header: &BatchHeader,
    original: &[u8],
    records: &[u8],
    target: Codec,
    config: &LogConfig,
) -> Result<BytesMut, AppendError> {
    let records = batch::compress(config.compression, records)?;
    let mut out = BytesMut::with_capacity(HEADER_BYTES + records.len());
    out.extend_from_slice(&original[..HEADER_BYTES]);
    out.extend_from_slice(&records);
    if out.len() > config.max_message_bytes as usize {
        return Err(AppendError::TooLarge {
            size: out.len(),
            limit: config.max_message_bytes as usize,
        });
    }
    batch::set_codec(&mut out, target, header.max_timestamp_ms);
    Ok(out)
}

/// Sets the timestamps that the topic wants in the header.
fn stamp(batch: &mut [u8], header: &BatchHeader, largest: Option<i64>, config: &LogConfig, now_ms: i64) {
    if config.timestamp_type == TimestampType::LogAppendTime {
        batch::set_log_append_time(batch, now_ms);
    } else if let Some(largest) = largest.filter(|&largest| largest != header.max_timestamp_ms) {
        // Time lookups rely on it, so what the records say wins.
        batch::set_max_timestamp(batch, largest);
    }
}

#[cfg(test)]
mod tests;
