use super::*;
use crate::batch::{BatchBuilder, RecordHeader};
use crate::config::CompressionSetting;
use crate::types::{ProducerEpoch, ProducerId};

const NOW: i64 = 1_000_000_000_000;

fn records(codec: Codec, count: i64) -> BytesMut {
    let mut builder = BatchBuilder::new().codec(codec);
    for number in 0..count {
        builder.append(NOW + number, Some(b"key"), Some(b"value value value value"), &[]);
    }
    builder.finish()
}

fn check(bytes: BytesMut, config: &LogConfig) -> Result<Validated, AppendError> {
    validate(bytes, config, AppendOrigin::Client, NOW)
}

/// Changes bytes and makes the checksum right again, as a buggy or hostile client would.
fn with(mut bytes: BytesMut, at: usize, new: &[u8]) -> BytesMut {
    bytes[at..at + new.len()].copy_from_slice(new);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn a_good_batch_passes_untouched() {
    let bytes = records(Codec::None, 3);
    let validated = check(bytes.clone(), &LogConfig::default()).unwrap();
    assert_eq!(validated.bytes, bytes);
    assert_eq!(
        (
            validated.headers.len(),
            validated.record_count,
            validated.log_append_time_ms
        ),
        (1, 3, -1)
    );
}

#[test]
fn a_flipped_bit_anywhere_in_the_covered_bytes_is_refused() {
    let bytes = records(Codec::Zstd, 5);
    for at in (8..12).chain(16..bytes.len()) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        let result = check(bytes, &LogConfig::default());
        assert!(
            matches!(
                result,
                Err(AppendError::Corrupt(_) | AppendError::TooLarge { .. } | AppendError::UnsupportedFormat(_))
            ),
            "byte {at}: {result:?}"
        );
    }
}

#[test]
fn a_batch_cut_short_anywhere_is_refused() {
    let bytes = records(Codec::None, 2);
    for length in 0..bytes.len() {
        let result = check(BytesMut::from(&bytes[..length]), &LogConfig::default());
        assert!(
            matches!(result, Err(AppendError::Corrupt(_))),
            "{length} bytes: {result:?}"
        );
    }
    let mut twice = bytes.clone();
    twice.extend_from_slice(&bytes[..30]);
    assert!(matches!(
        check(twice, &LogConfig::default()),
        Err(AppendError::Corrupt(_))
    ));
}

#[test]
fn counts_and_offsets_that_disagree_are_refused() {
    let config = LogConfig::default();
    let invalid = |bytes| matches!(check(bytes, &config), Err(AppendError::InvalidRecord(_)));
    assert!(invalid(with(records(Codec::None, 3), 23, &5i32.to_be_bytes())));
    assert!(invalid(with(records(Codec::None, 3), 23, &(-1i32).to_be_bytes())));
    assert!(invalid(with(records(Codec::None, 3), 57, &i32::MAX.to_be_bytes())));
    assert!(invalid(with(records(Codec::None, 3), 57, &(-3i32).to_be_bytes())));
    let fewer = with(
        with(records(Codec::None, 3), 23, &7i32.to_be_bytes()),
        57,
        &8i32.to_be_bytes(),
    );
    assert!(matches!(check(fewer, &config), Err(AppendError::Corrupt(_))));
    let more = with(
        with(records(Codec::None, 3), 23, &1i32.to_be_bytes()),
        57,
        &2i32.to_be_bytes(),
    );
    assert!(matches!(check(more, &config), Err(AppendError::Corrupt(_))));
    // The offset delta of the first record: after its length, attributes and timestamp delta.
    assert!(invalid(with(records(Codec::None, 3), 64, &[8])));
}

#[test]
fn what_only_brokers_may_set_is_refused_from_clients() {
    let config = LogConfig::default();
    let invalid = |bytes| matches!(check(bytes, &config), Err(AppendError::InvalidRecord(_)));
    assert!(invalid(with(records(Codec::None, 1), 0, &5i64.to_be_bytes())));
    let marker = BatchBuilder::end_transaction(
        crate::batch::EndTransaction::Abort,
        ProducerId(1),
        ProducerEpoch(0),
        0,
        NOW,
    );
    assert!(invalid(marker.clone()));
    assert!(validate(marker, &config, AppendOrigin::Coordinator, NOW).is_ok());
    assert!(invalid(with(records(Codec::None, 1), 43, &7i64.to_be_bytes())));
    let stamped = with(records(Codec::None, 1), 21, &8i16.to_be_bytes());
    assert!(matches!(check(stamped, &config), Err(AppendError::InvalidTimestamp(_))));
}

#[test]
fn old_formats_unknown_codecs_and_large_batches_have_their_own_errors() {
    let config = LogConfig::default();
    let old = with(records(Codec::None, 1), 16, &[1]);
    assert!(matches!(check(old, &config), Err(AppendError::UnsupportedFormat(_))));
    let odd = with(records(Codec::None, 1), 21, &5i16.to_be_bytes());
    assert!(matches!(
        check(odd, &config),
        Err(AppendError::UnsupportedCompression(_))
    ));
    let small = LogConfig {
        max_message_bytes: 100,
        ..LogConfig::default()
    };
    assert!(matches!(
        check(records(Codec::None, 5), &small),
        Err(AppendError::TooLarge { limit: 100, .. })
    ));
}

#[test]
fn timestamps_out_of_bounds_are_refused_record_by_record() {
    let config = LogConfig {
        timestamp_after_max_ms: 1,
        ..LogConfig::default()
    };
    let Err(AppendError::InvalidTimestamp(errors)) = check(records(Codec::None, 4), &config) else {
        panic!()
    };
    assert_eq!(errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [2, 3]);
    assert!(matches!(
        check(records(Codec::Gzip, 4), &config),
        Err(AppendError::InvalidTimestamp(_))
    ));
    let mut builder = BatchBuilder::new();
    builder.append(NOW - 50, None, None, &[]);
    let old = builder.finish();
    let config = LogConfig {
        timestamp_before_max_ms: 49,
        ..LogConfig::default()
    };
    assert!(matches!(check(old, &config), Err(AppendError::InvalidTimestamp(_))));
}

#[test]
fn a_compacted_topic_wants_keys_even_inside_compressed_batches() {
    let config = LogConfig {
        compact: true,
        ..LogConfig::default()
    };
    for codec in [Codec::None, Codec::Snappy] {
        let mut builder = BatchBuilder::new().codec(codec);
        builder.append(NOW, Some(b"key"), None, &[]);
        builder.append(NOW, None, Some(b"value"), &[]);
        let Err(AppendError::InvalidRecord(errors)) = check(builder.finish(), &config) else {
            panic!()
        };
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].batch_index, 1);
    }
}

#[test]
fn log_append_time_replaces_the_producers_clock() {
    let config = LogConfig {
        timestamp_type: TimestampType::LogAppendTime,
        ..LogConfig::default()
    };
    let validated = validate(records(Codec::Lz4, 3), &config, AppendOrigin::Client, NOW + 77).unwrap();
    let batch = BatchView::parse(&validated.bytes).unwrap();
    assert!(batch.crc_matches());
    assert_eq!(batch.header().timestamp_type(), TimestampType::LogAppendTime);
    for record in &batch.decode().unwrap() {
        assert_eq!(record.unwrap().timestamp_ms, NOW + 77);
    }
    assert_eq!(validated.log_append_time_ms, NOW + 77);
}

#[test]
fn a_wrong_largest_timestamp_is_made_right() {
    let lying = with(records(Codec::None, 3), 35, &NOW.to_be_bytes());
    let validated = check(lying, &LogConfig::default()).unwrap();
    let batch = BatchView::parse(&validated.bytes).unwrap();
    assert_eq!(batch.max_timestamp_ms(), NOW + 2);
    assert!(batch.crc_matches());
}

#[test]
fn another_codec_is_used_only_when_asked_for_and_keeps_every_record() {
    let settings = [
        CompressionSetting::Uncompressed,
        CompressionSetting::Gzip { level: 1 },
        CompressionSetting::Snappy,
        CompressionSetting::Lz4 { level: 9 },
        CompressionSetting::Zstd { level: 3 },
    ];
    for source in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        for compression in settings {
            let mut builder = BatchBuilder::new()
                .codec(source)
                .producer(ProducerId(4), ProducerEpoch(1), 10);
            for number in 0..50i64 {
                let header = RecordHeader {
                    key: b"h",
                    value: Some(b"v"),
                };
                builder.append(NOW + number, Some(&number.to_be_bytes()), Some(b"same"), &[header]);
            }
            let one = builder.finish();
            let mut bytes = one.clone();
            bytes.extend_from_slice(&one);
            let validated = check(
                bytes,
                &LogConfig {
                    compression,
                    ..LogConfig::default()
                },
            )
            .unwrap();
            assert_eq!(validated.headers.len(), 2);
            for batch in batch::batches(&validated.bytes) {
                let batch = batch.unwrap();
                assert!(batch.crc_matches());
                assert_eq!(Some(batch.codec().unwrap()), compression.codec());
                assert_eq!(batch.header().producer_id, ProducerId(4));
                let decoded = batch.decode().unwrap();
                let records: Vec<_> = decoded.iter().map(Result::unwrap).collect();
                assert_eq!(records.len(), 50);
                assert_eq!(records[49].key, Some(&49i64.to_be_bytes()[..]));
                assert_eq!(records[49].timestamp_ms, NOW + 49);
            }
        }
    }
}
