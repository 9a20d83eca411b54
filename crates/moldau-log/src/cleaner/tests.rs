//! Compaction of a real log on a real file system.

mod model;

use super::*;
use crate::batch::{BatchBuilder, BatchHeader, EndTransaction, batches};
use crate::manager::{LogManager, LogManagerConfig, PartitionSpec};
use crate::partition_log::PartitionLog;
use crate::temporary::TemporaryFolder;
use crate::types::{AppendOrigin, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId, TopicPartition};
use crate::{CleanedLog, LogConfig, ReadError};
use bytes::BytesMut;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: i64 = 1_700_000_000_000;
const END: Offset = Offset(i64::MAX);
const LIMITS: CleanerLimits = CleanerLimits {
    map_bytes: 1 << 20,
    map_load_factor: 0.9,
    buffer_bytes: 4096,
};

struct Fixture {
    temporary: TemporaryFolder,
    manager: Arc<LogManager>,
    log: Arc<PartitionLog>,
}

fn compacted() -> LogConfig {
    LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 100,
        file_delete_delay_ms: 100,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 1000,
        delete: false,
        compact: true,
        ..LogConfig::default()
    }
}

impl Fixture {
    fn new(config: LogConfig) -> Fixture {
        Fixture::open(TemporaryFolder::new(), config)
    }

    fn open(temporary: TemporaryFolder, config: LogConfig) -> Fixture {
        let manager = LogManager::open(LogManagerConfig {
            directories: vec![temporary.path().to_owned()],
            ..LogManagerConfig::default()
        });
        let manager = Arc::new(manager.unwrap());
        let spec = PartitionSpec {
            topic_partition: TopicPartition::new("prices", 0),
            topic_id: TopicId::from_u128(5),
            config,
        };
        let log = manager.create(spec, NOW).unwrap();
        log.advance_high_watermark(END);
        Fixture {
            temporary,
            manager,
            log,
        }
    }

    /// As after `kill -9`.
    fn killed(self) -> Fixture {
        let config = LogConfig::clone(&self.log.config());
        drop(self.log);
        drop(self.manager);
        Fixture::open(self.temporary, config)
    }

    fn append(&self, bytes: BytesMut, origin: AppendOrigin) -> Offset {
        let info = self.log.append(bytes, LeaderEpoch(1), origin, NOW).unwrap();
        self.log.advance_high_watermark(END);
        info.base_offset
    }

    fn put(&self, key: &str, value: Option<&str>) -> Offset {
        let mut builder = BatchBuilder::new();
        builder.append(NOW, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
        self.append(builder.finish(), AppendOrigin::Client)
    }

    /// Fills the active segment with records of one key, so that a new one begins.
    fn roll(&self) {
        let before = self.log.segments().len();
        while self.log.segments().len() == before {
            self.put("filler", Some("x"));
        }
    }

    fn clean(&self, now_ms: i64) -> Option<CleanedLog> {
        self.manager.clean_filthiest(LIMITS, &mut Unhurried, now_ms)
    }

    fn headers(&self) -> Vec<BatchHeader> {
        let mut headers = Vec::new();
        self.each_batch(|batch| headers.push(*batch.header()));
        headers
    }

    fn each_batch(&self, mut look: impl FnMut(&crate::batch::BatchView<'_>)) {
        let mut next = self.log.log_start_offset();
        while next < self.log.log_end_offset() {
            let bytes = self.log.read(next, 300, END, true).unwrap().to_bytes().unwrap();
            let before = next;
            for batch in batches(&bytes).map_while(Result::ok) {
                assert!(batch.crc_matches());
                assert!(batch.base_offset() >= next || batch.last_offset() >= next, "order");
                next = batch.last_offset().plus(1);
                look(&batch);
            }
            if next == before {
                break;
            }
        }
    }

    /// Records of `key` with their offsets.
    fn values(&self, key: &str) -> Vec<(i64, Option<String>)> {
        let mut values = Vec::new();
        self.each_batch(|batch| {
            for record in &batch.decode().unwrap() {
                let record = record.unwrap();
                if !batch.is_control() && record.key == Some(key.as_bytes()) {
                    let value = record.value.map(|value| String::from_utf8_lossy(value).into_owned());
                    values.push((record.offset.0, value));
                }
            }
        });
        values
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.log.directory()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn of_each_key_the_last_record_stays_where_it_was() {
    let fixture = Fixture::new(compacted());
    fixture.put("a", Some("1"));
    fixture.put("b", Some("1"));
    fixture.put("a", Some("2"));
    fixture.roll();
    let end = fixture.log.log_end_offset();
    let cleaned = fixture.clean(NOW).unwrap();
    assert_eq!(fixture.values("a"), [(2, Some("2".to_owned()))]);
    assert_eq!(fixture.values("b"), [(1, Some("1".to_owned()))]);
    assert_eq!((cleaned.from, cleaned.to), (Offset(0), Offset(end.0 - 1)));
    assert!(cleaned.records_kept <= 3 && cleaned.bytes_written < 300, "{cleaned:?}");
    assert_eq!(fixture.clean(NOW), None, "nothing is dirty");
    let counters = fixture.manager.cleaner_counters();
    assert_eq!(
        (counters.passes, counters.removed_records),
        (1, cleaned.records_read - cleaned.records_kept)
    );
    let checkpoint = std::fs::read_to_string(fixture.temporary.path().join("cleaner-offset-checkpoint")).unwrap();
    assert_eq!(checkpoint, format!("0\n1\nprices 0 {}\n", cleaned.to));
    let fixture = fixture.killed();
    assert_eq!(fixture.log.log_end_offset(), end);
    assert_eq!(fixture.values("a"), [(2, Some("2".to_owned()))]);
    assert_eq!(fixture.clean(NOW), None, "that it is clean was written down");
}

#[test]
fn a_delete_marker_goes_after_delete_retention_and_never_before_what_it_deletes() {
    let fixture = Fixture::new(compacted());
    fixture.put("a", Some("1"));
    fixture.put("a", None);
    fixture.roll();
    fixture.clean(NOW).unwrap();
    assert_eq!(fixture.values("a"), [(1, None)]);
    let tombstones = fixture.headers();
    let tombstone = tombstones
        .iter()
        .find(|header| header.base_offset == Offset(1))
        .unwrap();
    assert_eq!(tombstone.delete_horizon_ms(), Some(NOW + 1000));
    assert_eq!(tombstone.max_timestamp_ms, NOW);
    fixture.roll();
    fixture.clean(NOW + 999).unwrap();
    assert_eq!(fixture.values("a"), [(1, None)]);
    fixture.roll();
    fixture.clean(NOW + 1000).unwrap();
    assert_eq!(fixture.values("a"), []);
}

#[test]
fn an_aborted_transaction_leaves_nothing_but_its_marker_for_a_while() {
    let fixture = Fixture::new(compacted());
    let producer = ProducerId(7);
    let transaction = |sequence: i32, end| {
        let mut builder = BatchBuilder::new()
            .producer(producer, ProducerEpoch(0), sequence)
            .transactional();
        builder.append(NOW, Some(b"a"), Some(b"in doubt"), &[]);
        let offset = fixture.append(builder.finish(), AppendOrigin::Client);
        let marker = BatchBuilder::end_transaction(end, producer, ProducerEpoch(0), 0, NOW);
        fixture.append(marker, AppendOrigin::Coordinator);
        offset
    };
    fixture.put("a", Some("committed"));
    let aborted = transaction(0, EndTransaction::Abort);
    let committed = transaction(1, EndTransaction::Commit);
    transaction(2, EndTransaction::Abort);
    fixture.roll();
    let is_control = |header: &&BatchHeader| header.is_control();
    fixture.clean(NOW).unwrap();
    assert_eq!(fixture.values("a"), [(committed.0, Some("in doubt".to_owned()))]);
    assert_eq!(fixture.headers().iter().filter(is_control).count(), 3);
    // The producer's last sequence number is kept by an empty batch, which was aborted, too.
    let empty: Vec<_> = fixture
        .headers()
        .into_iter()
        .filter(|header| header.record_count == 0)
        .collect();
    assert_eq!(empty.len(), 1);
    assert_eq!((empty[0].producer_id, empty[0].last_sequence()), (producer, 2));
    let known = fixture.log.aborted_transactions(Offset(0), END).unwrap();
    assert!(
        known
            .iter()
            .any(|transaction| transaction.first_offset == empty[0].base_offset)
    );
    fixture.roll();
    fixture.clean(NOW + 10).unwrap();
    let markers = fixture.headers();
    let horizons: Vec<_> = markers
        .iter()
        .filter(is_control)
        .map(BatchHeader::delete_horizon_ms)
        .collect();
    // The first transaction has no batch any more; the others have.
    assert_eq!(horizons, [Some(NOW + 1010), None, None]);
    fixture.roll();
    fixture.clean(NOW + 1010).unwrap();
    assert_eq!(fixture.headers().iter().filter(is_control).count(), 2);
    assert!(!fixture.headers().iter().any(|header| header.base_offset == aborted));
    let fixture = fixture.killed();
    assert_eq!(fixture.log.last_stable_offset(), fixture.log.log_end_offset());
    let known = fixture.log.active_producers();
    assert_eq!((known[0].producer_id, known[0].last_sequence), (producer, 2));
}

#[test]
fn nothing_is_touched_past_the_last_stable_offset() {
    let fixture = Fixture::new(compacted());
    let mut builder = BatchBuilder::new()
        .producer(ProducerId(1), ProducerEpoch(0), 0)
        .transactional();
    fixture.put("a", Some("1"));
    fixture.roll();
    builder.append(NOW, Some(b"open"), Some(b"?"), &[]);
    fixture.append(builder.finish(), AppendOrigin::Client);
    fixture.put("a", Some("2"));
    for _ in 0..3 {
        fixture.roll();
    }
    let cleaned = fixture.clean(NOW).unwrap();
    assert!(cleaned.to <= fixture.log.last_stable_offset());
    assert_eq!(fixture.values("a").len(), 2);
    assert_eq!(fixture.clean(NOW), None);
}

#[test]
fn a_map_that_is_too_small_makes_several_passes() {
    let fixture = Fixture::new(compacted());
    for round in 0..4 {
        for key in 0..50 {
            fixture.put(&format!("key {key}"), Some(&round.to_string()));
        }
    }
    fixture.roll();
    let limits = CleanerLimits {
        map_bytes: 24 * 20,
        ..LIMITS
    };
    let mut passes = 0;
    let mut to = Offset(0);
    while let Some(cleaned) = fixture.manager.clean_filthiest(limits, &mut Unhurried, NOW) {
        assert!(cleaned.to > to && cleaned.keys <= 18, "{cleaned:?}");
        to = cleaned.to;
        passes += 1;
    }
    assert!(passes > 4, "{passes}");
    for key in 0..50 {
        let last = (150 + key, Some("3".to_owned()));
        assert_eq!(fixture.values(&format!("key {key}")).last(), Some(&last));
    }
    let left: usize = (0..50).map(|key| fixture.values(&format!("key {key}")).len()).sum();
    assert!(left < 70, "{left}");
}

#[test]
fn a_batch_with_more_keys_than_the_map_holds_sets_its_log_aside() {
    let fixture = Fixture::new(compacted());
    let mut builder = BatchBuilder::new();
    for key in 0..30u8 {
        builder.append(NOW, Some(&[key]), Some(b"value"), &[]);
    }
    fixture.append(builder.finish(), AppendOrigin::Client);
    fixture.roll();
    let limits = CleanerLimits {
        map_bytes: 24 * 20,
        ..LIMITS
    };
    let before = fixture.headers();
    for _ in 0..2 {
        assert_eq!(fixture.manager.clean_filthiest(limits, &mut Unhurried, NOW), None);
        assert_eq!(fixture.manager.cleaner_counters().uncleanable_partitions, 1);
    }
    assert_eq!(fixture.headers(), before);
}

#[test]
fn a_log_with_a_corrupt_batch_is_set_aside_and_stays_as_it_is() {
    let fixture = Fixture::new(compacted());
    for _ in 0..3 {
        fixture.put("a", Some("1"));
        fixture.roll();
    }
    let path = fixture.log.directory().join("00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(fixture.clean(NOW), None);
    assert_eq!(fixture.manager.cleaner_counters().uncleanable_partitions, 1);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(!fixture.log.is_offline());
    assert!(
        fixture.names().iter().all(|name| !name.ends_with(".cleaned")),
        "{:?}",
        fixture.names()
    );
}

#[test]
fn young_records_wait_for_min_compaction_lag_and_old_ones_do_not_wait_for_the_ratio() {
    let fixture = Fixture::new(LogConfig {
        min_compaction_lag_ms: 500,
        min_cleanable_dirty_ratio: 1.0,
        max_compaction_lag_ms: 800,
        ..compacted()
    });
    for _ in 0..3 {
        fixture.put("a", Some("1"));
        fixture.roll();
    }
    assert_eq!(fixture.clean(NOW + 499), None);
    // Old enough, but not dirty enough.
    assert_eq!(fixture.clean(NOW + 800), None);
    assert!(fixture.clean(NOW + 801).is_some());
    assert_eq!(fixture.values("a").len(), 1);
}

#[test]
fn small_segments_become_one() {
    let fixture = Fixture::new(compacted());
    for number in 0..20 {
        fixture.put(&format!("key {number}"), Some("1"));
        fixture.roll();
    }
    let before = fixture.log.segments().len();
    fixture.clean(NOW).unwrap();
    // Groups go by the sizes before, so the second pass sees what the first has made small.
    fixture.roll();
    fixture.clean(NOW).unwrap();
    let segments = fixture.log.segments();
    assert!(segments.len() < before / 4, "{before} became {segments:?}");
    assert_eq!(
        fixture.values("key 7"),
        [(fixture.values("key 7")[0].0, Some("1".to_owned()))]
    );
}

#[test]
fn who_reads_an_old_segment_may_end_and_the_next_read_is_from_the_new_one() {
    let fixture = Fixture::new(compacted());
    for number in 0..4 {
        fixture.put("a", Some(&number.to_string()));
        fixture.roll();
    }
    let slice = fixture.log.read(Offset(0), 1 << 20, END, true).unwrap();
    let before = slice.to_bytes().unwrap();
    let old = fixture.log.segment_list();
    fixture.clean(NOW).unwrap();
    assert_eq!(slice.to_bytes().unwrap(), before);
    // Even one that opens the files only now.
    fixture.manager.housekeeping(NOW);
    fixture.manager.housekeeping(NOW);
    let located = old[0].locate(Offset(1), old[0].size_bytes()).unwrap().unwrap();
    assert_eq!(located.header.base_offset, Offset(1));
    assert!(
        fixture
            .log
            .read(Offset(0), 1 << 20, END, true)
            .unwrap()
            .to_bytes()
            .unwrap()
            != before
    );
    fixture.manager.housekeeping(NOW + 100);
    assert!(
        fixture.names().iter().all(|name| !name.contains(".deleted")),
        "{:?}",
        fixture.names()
    );
}

#[test]
fn retention_of_a_compacted_and_deleted_topic_goes_on_beside_compaction() {
    let fixture = Fixture::new(LogConfig {
        delete: true,
        retention_ms: 1000,
        ..compacted()
    });
    fixture.put("a", Some("1"));
    fixture.roll();
    fixture.put("b", Some("1"));
    fixture.roll();
    fixture.clean(NOW).unwrap();
    assert!(fixture.manager.housekeeping(NOW + 1001).segments_deleted > 0);
    assert_eq!(fixture.values("a"), []);
    assert!(matches!(
        fixture.log.read(Offset(0), 1, END, true),
        Err(ReadError::OutOfRange { .. })
    ));
    fixture.put("c", Some("1"));
    fixture.roll();
    fixture.clean(NOW + 1001).unwrap();
    assert_eq!(fixture.values("c").len(), 1);
}

#[test]
fn a_hole_that_compaction_made_is_no_lost_end_even_when_the_topic_is_not_compacted_any_more() {
    let fixture = Fixture::new(LogConfig {
        segment_bytes: 300,
        ..compacted()
    });
    for number in 0..40 {
        fixture.put("a", Some(&number.to_string()));
        fixture.put(&format!("key {number}"), Some("1"));
    }
    fixture.clean(NOW).unwrap();
    let (end, count) = (fixture.log.log_end_offset(), fixture.headers().len());
    fixture.log.apply_config(LogConfig {
        compact: false,
        delete: true,
        ..compacted()
    });
    // As if nothing had been flushed: everything is scanned.
    std::fs::remove_file(fixture.temporary.path().join("recovery-point-offset-checkpoint")).ok();
    let fixture = fixture.killed();
    assert_eq!((fixture.log.log_end_offset(), fixture.headers().len()), (end, count));
}

#[test]
fn threads_compact_by_themselves_keep_to_their_speed_and_stop_at_once() {
    let fixture = Fixture::new(compacted());
    for _ in 0..3 {
        fixture.put("a", Some("1"));
        fixture.roll();
    }
    let settings = CleanerSettings {
        threads: 2,
        dedupe_buffer_bytes: 1 << 20,
        load_factor: 0.9,
        io_buffer_bytes: 1 << 16,
        // At this speed a pass takes hours.
        io_max_bytes_per_second: 0.1,
        backoff_ms: 3_600_000,
    };
    let cleaner = CleanerThreads::start(Arc::clone(&fixture.manager), settings, || NOW).unwrap();
    assert_eq!(fixture.manager.cleaner_counters().passes, 0);
    let fast = CleanerSettings {
        io_max_bytes_per_second: f64::MAX,
        ..settings
    };
    cleaner.stop();
    assert_eq!(fixture.values("a").len(), 3);
    let cleaner = CleanerThreads::start(
        Arc::clone(&fixture.manager),
        CleanerSettings { threads: 0, ..fast },
        || NOW,
    );
    let cleaner = cleaner.unwrap();
    cleaner.apply(fast).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let wait_for_passes = |count| {
        while fixture.manager.cleaner_counters().passes < count {
            assert!(Instant::now() < deadline, "{:?}", fixture.manager.cleaner_counters());
            std::thread::yield_now();
        }
    };
    wait_for_passes(1);
    assert_eq!(fixture.values("a").len(), 1);
    // They sleep for an hour now, unless they are told that something has changed.
    fixture.put("a", Some("2"));
    fixture.roll();
    cleaner.wake();
    wait_for_passes(2);
    drop(cleaner);
}
