use super::*;
use crate::batch::{BatchBuilder, EndTransaction, batches};
use crate::error::{AppendError, ReadError};
use crate::manager::{LogManager, LogManagerConfig, PartitionSpec};
use crate::temporary::TemporaryFolder;
use crate::types::{AppendInfo, AppendOrigin, ProducerEpoch, ProducerId, TimestampQuery};
use bytes::BytesMut;

const NOW: i64 = 1_700_000_000_000;
const END: Offset = Offset(i64::MAX);

struct Fixture {
    temporary: TemporaryFolder,
    manager: LogManager,
    log: Arc<PartitionLog>,
}

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 200,
        file_delete_delay_ms: 100,
        ..LogConfig::default()
    }
}

fn spec(config: LogConfig) -> PartitionSpec {
    let topic_partition = TopicPartition::new("orders", 3);
    PartitionSpec {
        topic_partition,
        topic_id: TopicId::from_u128(5),
        config,
    }
}

impl Fixture {
    fn new(config: LogConfig) -> Fixture {
        Fixture::open(TemporaryFolder::new(), config)
    }

    fn open(temporary: TemporaryFolder, config: LogConfig) -> Fixture {
        let directories = vec![temporary.path().to_owned()];
        let manager = LogManager::open(LogManagerConfig {
            directories,
            ..LogManagerConfig::default()
        })
        .unwrap();
        let log = manager.create(spec(config), NOW).unwrap();
        Fixture {
            temporary,
            manager,
            log,
        }
    }

    /// As after `kill -9`: what was written is there, nothing was closed.
    fn killed(self) -> Fixture {
        let config = LogConfig::clone(&self.log.config());
        drop(self.log);
        drop(self.manager);
        Fixture::open(self.temporary, config)
    }

    fn restarted(self) -> Fixture {
        self.manager.shutdown(NOW);
        self.killed()
    }

    fn append(&self, bytes: BytesMut) -> AppendInfo {
        self.log
            .append(bytes, LeaderEpoch(1), AppendOrigin::Client, NOW)
            .unwrap()
    }

    /// Appends `count` batches of two records; batch `n` has timestamps `NOW + 10 n`.
    fn fill(&self, count: i64) {
        let from = self.log.log_end_offset().0 / 2;
        for number in from..from + count {
            self.append(numbered(number));
        }
        self.log.advance_high_watermark(END);
    }

    /// Every record from the log start on, as (offset, value), read in small pieces.
    fn values(&self) -> Vec<(i64, i64)> {
        let mut values = Vec::new();
        let mut next = self.log.log_start_offset();
        while next < self.log.log_end_offset() {
            let slice = self.log.read(next, 150, END, true).unwrap();
            let bytes = slice.to_bytes().unwrap();
            for batch in batches(&bytes).map_while(Result::ok) {
                assert!(batch.crc_matches());
                for record in &batch.decode().unwrap() {
                    let record = record.unwrap();
                    values.push((
                        record.offset.0,
                        i64::from_be_bytes(record.value.unwrap().try_into().unwrap()),
                    ));
                }
                next = batch.last_offset().plus(1);
            }
        }
        values
    }

    fn file(&self, name: &str) -> PathBuf {
        self.log.directory().join(name)
    }
}

fn numbered(number: i64) -> BytesMut {
    let mut builder = BatchBuilder::new();
    for half in 0..2 {
        builder.append(
            NOW + number * 10,
            Some(b"key"),
            Some(&(number * 2 + half).to_be_bytes()),
            &[],
        );
    }
    builder.finish()
}

fn expected(range: std::ops::Range<i64>) -> Vec<(i64, i64)> {
    range.map(|number| (number, number)).collect()
}

#[test]
fn what_is_appended_is_read_over_many_segments() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(200);
    assert!(fixture.log.segments().len() > 5);
    assert_eq!(fixture.values(), expected(0..400));
    for offset in 0..400 {
        let slice = fixture.log.read(Offset(offset), 1, END, true).unwrap();
        assert_eq!(slice.first_offset, Offset(offset / 2 * 2), "offset {offset}");
        assert_eq!(slice.length, numbered(0).len());
    }
}

#[test]
fn a_read_ends_at_the_upper_bound_and_at_max_bytes() {
    let fixture = Fixture::new(LogConfig::default());
    fixture.fill(100);
    let size = numbered(0).len();
    for upper in [2, 10, 120, 198, 200] {
        let slice = fixture.log.read(Offset(0), 1 << 20, Offset(upper), true).unwrap();
        assert_eq!(slice.length, upper as usize / 2 * size, "upper bound {upper}");
    }
    assert_eq!(fixture.log.read(Offset(0), 1 << 20, Offset(0), true).unwrap().length, 0);
    assert_eq!(
        fixture.log.read(Offset(0), size + 10, END, false).unwrap().length,
        size + 10
    );
    assert_eq!(fixture.log.read(Offset(0), 10, END, false).unwrap().length, 10);
    assert_eq!(fixture.log.read(Offset(0), 0, END, false).unwrap().length, 0);
    assert_eq!(fixture.log.read(Offset(0), 0, END, true).unwrap().length, size);
    assert_eq!(fixture.log.read(Offset(200), 100, END, true).unwrap().length, 0);
    let beyond = fixture.log.read(Offset(201), 100, END, true);
    assert!(matches!(
        beyond,
        Err(ReadError::OutOfRange {
            log_end_offset: Offset(200),
            ..
        })
    ));
}

#[test]
fn a_restart_finds_everything_again_without_a_scan() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(100);
    let fixture = fixture.restarted();
    assert_eq!(fixture.log.log_end_offset(), Offset(200));
    assert_eq!(fixture.log.high_watermark(), Offset(200));
    assert_eq!(fixture.log.latest_leader_epoch(), Some(LeaderEpoch(1)));
    fixture.fill(50);
    let fixture = fixture.killed();
    assert_eq!(fixture.values(), expected(0..300));
    let fixture = fixture.restarted();
    assert_eq!(fixture.values(), expected(0..300));
}

#[test]
fn a_torn_tail_is_cut_and_appending_goes_on() {
    for cut in [1, 30, 60, 61, 70] {
        let fixture = Fixture::new(LogConfig::default());
        fixture.fill(20);
        let path = fixture.file("00000000000000000000.log");
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length - cut)
            .unwrap();
        let fixture = fixture.killed();
        assert_eq!(fixture.log.log_end_offset(), Offset(38));
        fixture.fill(5);
        assert_eq!(fixture.values(), expected(0..48));
    }
}

#[test]
fn a_flipped_bit_past_the_recovery_point_cuts_there_and_drops_later_segments() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(60);
    let second = fixture.log.segments()[1].base_offset;
    let path = fixture.file(&format!("{:020}.log", second.0));
    let mut bytes = std::fs::read(&path).unwrap();
    let size = numbered(0).len();
    bytes[size * 2 + 70] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let fixture = fixture.killed();
    let end = second.0 + 4;
    assert_eq!(fixture.values(), expected(0..end));
    assert_eq!(fixture.log.segments().len(), 2);
    fixture.fill(3);
    assert_eq!(fixture.restarted().values(), expected(0..end + 6));
}

#[test]
fn what_was_flushed_is_not_scanned_after_a_crash() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(60);
    fixture.log.flush().unwrap();
    fixture.manager.checkpoint().unwrap();
    // A scan would notice this and cut.
    let path = fixture.file("00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[70] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let fixture = fixture.killed();
    assert_eq!(fixture.log.log_end_offset(), Offset(120));
}

#[test]
fn indexes_that_are_missing_torn_or_wrong_are_made_anew() {
    type Damage = fn(&Path);
    let damages: [Damage; 5] = [
        |path| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path, []).unwrap(),
        |path| std::fs::write(path, [1; 13]).unwrap(),
        |path| std::fs::write(path, [0x70; 240]).unwrap(),
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes.reverse();
            std::fs::write(path, bytes).unwrap();
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        for suffix in ["index", "timeindex"] {
            for clean in [true, false] {
                let fixture = Fixture::new(small_segments());
                fixture.fill(100);
                if clean {
                    fixture.manager.shutdown(NOW);
                }
                for segment in fixture.log.segment_list().iter() {
                    let path = fixture.file(&format!("{:020}.{suffix}", segment.base_offset.0));
                    if path.exists() {
                        damage(&path);
                    }
                }
                let fixture = fixture.killed();
                assert_eq!(
                    fixture.values(),
                    expected(0..200),
                    "damage {number} of {suffix}, clean {clean}"
                );
                for number in [0, 1, 33, 99] {
                    let query = TimestampQuery::At(NOW + number * 10);
                    let found = fixture.log.find_timestamp(query, NOW).unwrap().unwrap();
                    assert_eq!(found.offset, Offset(number * 2));
                }
            }
        }
    }
}

#[test]
fn offsets_are_found_by_time() {
    let fixture = Fixture::new(small_segments());
    let find = |fixture: &Fixture, query| fixture.log.find_timestamp(query, NOW).unwrap();
    assert_eq!(find(&fixture, TimestampQuery::Max), None);
    fixture.fill(100);
    // Out of order: newer than all before.
    let mut builder = BatchBuilder::new();
    builder.append(NOW + 10, None, Some(&200i64.to_be_bytes()), &[]);
    builder.append(NOW + 5000, None, Some(&201i64.to_be_bytes()), &[]);
    builder.append(NOW + 20, None, Some(&202i64.to_be_bytes()), &[]);
    fixture.append(builder.finish());
    fixture.append(numbered(50));
    for fixture in [fixture.killed()] {
        for number in 0..100 {
            for early in [0, 1, 9] {
                let found = find(&fixture, TimestampQuery::At(NOW + number * 10 - early)).unwrap();
                assert_eq!(
                    (found.offset, found.timestamp_ms),
                    (Offset(number * 2), NOW + number * 10)
                );
            }
        }
        assert_eq!(
            find(&fixture, TimestampQuery::At(NOW + 991)).unwrap().offset,
            Offset(201)
        );
        assert_eq!(find(&fixture, TimestampQuery::At(NOW + 5001)), None);
        let newest = find(&fixture, TimestampQuery::Max).unwrap();
        assert_eq!((newest.offset, newest.timestamp_ms), (Offset(201), NOW + 5000));
        assert_eq!(newest.leader_epoch, Some(LeaderEpoch(1)));
        assert_eq!(find(&fixture, TimestampQuery::Earliest).unwrap().offset, Offset(0));
        assert_eq!(
            find(&fixture, TimestampQuery::Latest(Offset(7))).unwrap().offset,
            Offset(7)
        );
    }
}

#[test]
fn retention_by_size_keeps_the_newest_segments() {
    let fixture = Fixture::new(LogConfig {
        retention_bytes: 5000,
        retention_ms: -1,
        ..small_segments()
    });
    fixture.fill(200);
    let report = fixture.manager.housekeeping(NOW);
    assert!(report.segments_deleted > 3 && report.files_removed == 0, "{report:?}");
    let size = fixture.log.size_bytes();
    assert!((5000..7000).contains(&size), "{size}");
    let start = fixture.log.log_start_offset().0;
    assert_eq!(fixture.values(), expected(start..400));
    assert!(matches!(
        fixture.log.read(Offset(start - 1), 1, END, true),
        Err(ReadError::OutOfRange { .. })
    ));
    assert!(fixture.file("00000000000000000000.log.deleted").exists());
    assert!(fixture.manager.housekeeping(NOW + 100).files_removed > 3 * report.segments_deleted);
    assert!(!fixture.file("00000000000000000000.log.deleted").exists());
    let fixture = fixture.killed();
    assert_eq!(fixture.values(), expected(start..400));
}

#[test]
fn retention_by_time_takes_even_the_active_segment() {
    let config = LogConfig {
        retention_ms: 1000,
        ..small_segments()
    };
    let fixture = Fixture::new(config.clone());
    fixture.fill(100);
    let slice = fixture.log.read(Offset(0), 1 << 20, END, true).unwrap();
    assert_eq!(fixture.manager.housekeeping(NOW + 1000).segments_deleted, 0);
    assert!(fixture.manager.housekeeping(NOW + 1500).segments_deleted > 1);
    fixture.manager.housekeeping(NOW + 3000);
    assert_eq!(fixture.log.log_start_offset(), Offset(200));
    assert_eq!(fixture.log.size_bytes(), 0);
    assert_eq!(fixture.log.segments().len(), 1);
    // Who began to read before may end.
    fixture.manager.housekeeping(NOW + 9000);
    assert!(slice.to_bytes().is_ok());
    fixture.fill(2);
    assert_eq!(fixture.killed().values(), expected(200..204));
    let compacted = Fixture::new(LogConfig {
        delete: false,
        compact: true,
        ..config
    });
    compacted.fill(100);
    assert_eq!(compacted.manager.housekeeping(i64::MAX).segments_deleted, 0);
}

#[test]
fn nothing_above_the_high_watermark_is_deleted() {
    let fixture = Fixture::new(LogConfig {
        retention_ms: 1,
        ..small_segments()
    });
    for number in 0..100 {
        fixture.append(numbered(number));
    }
    fixture.log.advance_high_watermark(Offset(51));
    fixture.manager.housekeeping(i64::MAX);
    assert!(fixture.log.log_start_offset() <= Offset(51));
    assert!(fixture.log.log_start_offset() > Offset(0));
}

#[test]
fn records_are_deleted_on_request_and_stay_deleted() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(100);
    assert!(matches!(
        fixture.log.delete_records_before(Offset(201)),
        Err(LogError::OutOfRange { .. })
    ));
    assert_eq!(fixture.log.delete_records_before(Offset(51)).unwrap(), Offset(51));
    assert_eq!(fixture.log.delete_records_before(Offset(20)).unwrap(), Offset(51));
    assert!(matches!(
        fixture.log.read(Offset(50), 1, END, true),
        Err(ReadError::OutOfRange { .. })
    ));
    assert!(fixture.log.read(Offset(51), 1, END, true).is_ok());
    assert!(fixture.manager.housekeeping(NOW).segments_deleted > 0);
    fixture.manager.checkpoint().unwrap();
    let fixture = fixture.killed();
    assert_eq!(fixture.log.log_start_offset(), Offset(51));
    assert_eq!(fixture.log.delete_records_before(Offset(-1)).unwrap(), Offset(200));
}

#[test]
fn truncation_forgets_what_is_behind_it() {
    for to in [0, 1, 57, 150, 198] {
        let fixture = Fixture::new(small_segments());
        fixture.fill(100);
        fixture.log.truncate_to(Offset(to)).unwrap();
        // Whole batches go.
        let end = to / 2 * 2;
        assert!(fixture.log.log_end_offset() == Offset(to));
        fixture.log.truncate_to(Offset(end)).unwrap();
        fixture.fill(10);
        assert_eq!(fixture.values(), expected(0..end + 20), "to {to}");
        assert_eq!(fixture.killed().values(), expected(0..end + 20), "to {to}");
    }
}

#[test]
fn segments_roll_by_the_records_clock() {
    let fixture = Fixture::new(LogConfig {
        segment_ms: 100,
        ..LogConfig::default()
    });
    fixture.fill(100);
    // Eleven batches, ten apart, span a hundred milliseconds.
    assert_eq!(fixture.log.segments().len(), 10);
    assert_eq!(fixture.values(), expected(0..200));
}

#[test]
fn segments_roll_when_an_index_is_full() {
    let config = LogConfig {
        segment_index_bytes: 120,
        index_interval_bytes: 0,
        ..LogConfig::default()
    };
    let fixture = Fixture::new(config);
    fixture.fill(100);
    assert!(fixture.log.segments().len() >= 9);
    assert_eq!(fixture.values(), expected(0..200));
    for entry in std::fs::read_dir(fixture.log.directory()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().ends_with("index") {
            assert!(entry.metadata().unwrap().len() <= 120);
        }
    }
}

#[test]
fn preallocated_segments_are_trimmed_when_closed_and_recovered_when_not() {
    let fixture = Fixture::new(LogConfig {
        preallocate: true,
        ..small_segments()
    });
    fixture.fill(50);
    let length = |fixture: &Fixture, base: i64| {
        std::fs::metadata(fixture.file(&format!("{base:020}.log")))
            .unwrap()
            .len()
    };
    let segments = fixture.log.segments();
    assert_eq!(length(&fixture, 0), segments[0].size_bytes);
    assert_eq!(length(&fixture, segments.last().unwrap().base_offset.0), 2000);
    let fixture = fixture.killed();
    assert_eq!(fixture.values(), expected(0..100));
    let fixture = fixture.restarted();
    assert_eq!(fixture.values(), expected(0..100));
}

#[test]
fn a_retry_of_an_idempotent_producer_is_answered_with_the_first_offset_even_after_a_crash() {
    let batch = |sequence: i32| {
        let mut builder = BatchBuilder::new().producer(ProducerId(7), ProducerEpoch(0), sequence);
        builder.append(NOW, None, Some(b"x"), &[]);
        builder.append(NOW, None, Some(b"y"), &[]);
        builder.finish()
    };
    let mut fixture = Fixture::new(small_segments());
    for sequence in 0..30 {
        assert!(!fixture.append(batch(sequence * 2)).duplicate);
    }
    for round in 0..3 {
        let again = fixture.append(batch(58));
        assert!(again.duplicate);
        assert_eq!((again.base_offset, again.last_offset), (Offset(58), Offset(59)));
        assert_eq!(fixture.log.log_end_offset(), Offset(60));
        let gap = fixture.log.append(batch(62), LeaderEpoch(1), AppendOrigin::Client, NOW);
        assert!(matches!(
            gap,
            Err(AppendError::OutOfOrderSequence {
                expected: 60,
                found: 62,
                ..
            })
        ));
        fixture = if round == 0 {
            fixture.killed()
        } else {
            fixture.restarted()
        };
    }
    assert_eq!(fixture.log.active_producers()[0].last_sequence, 59);
}

#[test]
fn transactions_move_the_last_stable_offset_and_aborts_are_remembered() {
    let data = |id: i64, sequence: i32| {
        let mut builder = BatchBuilder::new()
            .producer(ProducerId(id), ProducerEpoch(0), sequence)
            .transactional();
        builder.append(NOW, None, Some(&[0; 8]), &[]);
        builder.finish()
    };
    let end = |id: i64, end| BatchBuilder::end_transaction(end, ProducerId(id), ProducerEpoch(0), 0, NOW);
    let mut fixture = Fixture::new(small_segments());
    fixture.append(data(1, 0));
    fixture.append(data(2, 0));
    let mark = |fixture: &Fixture, bytes| {
        fixture
            .log
            .append(bytes, LeaderEpoch(1), AppendOrigin::Coordinator, NOW)
            .unwrap();
        fixture.log.advance_high_watermark(END);
    };
    mark(&fixture, end(2, EndTransaction::Abort));
    assert_eq!(fixture.log.last_stable_offset(), Offset(0));
    for _ in 0..2 {
        fixture = fixture.killed();
        fixture.log.advance_high_watermark(END);
        assert_eq!(fixture.log.last_stable_offset(), Offset(0));
        let aborted = fixture.log.aborted_transactions(Offset(0), Offset(3)).unwrap();
        assert_eq!(
            aborted,
            [AbortedTransaction {
                producer_id: ProducerId(2),
                first_offset: Offset(1)
            }]
        );
    }
    mark(&fixture, end(1, EndTransaction::Commit));
    assert_eq!(fixture.log.last_stable_offset(), Offset(4));
    let fixture = fixture.restarted();
    assert_eq!(fixture.log.last_stable_offset(), Offset(4));
    assert_eq!(fixture.log.aborted_transactions(Offset(0), Offset(4)).unwrap().len(), 1);
    assert_eq!(fixture.log.aborted_transactions(Offset(3), Offset(4)).unwrap(), []);
}

#[test]
fn leader_epochs_are_kept_and_answer_where_they_end() {
    let fixture = Fixture::new(LogConfig::default());
    fixture.log.begin_leader_epoch(LeaderEpoch(0)).unwrap();
    fixture.fill(5);
    fixture.log.begin_leader_epoch(LeaderEpoch(4)).unwrap();
    let fixture = fixture.restarted();
    assert_eq!(
        fixture.log.latest_leader_epoch(),
        Some(LeaderEpoch(1)),
        "an epoch without records is not kept"
    );
    fixture.log.begin_leader_epoch(LeaderEpoch(4)).unwrap();
    assert_eq!(
        fixture.log.end_offset_for_epoch(LeaderEpoch(2)),
        Some((LeaderEpoch(1), Offset(10)))
    );
    assert_eq!(
        fixture.log.end_offset_for_epoch(LeaderEpoch(4)),
        Some((LeaderEpoch(4), Offset(10)))
    );
    assert_eq!(fixture.log.end_offset_for_epoch(LeaderEpoch(5)), None);
}

#[test]
fn leader_epochs_are_found_anew_when_their_file_is_torn() {
    let fixture = Fixture::new(small_segments());
    for epoch in [3, 8] {
        let end = fixture.log.log_end_offset().0;
        for number in end / 2..end / 2 + 20 {
            fixture
                .log
                .append(numbered(number), LeaderEpoch(epoch), AppendOrigin::Client, NOW)
                .unwrap();
        }
    }
    fixture.log.flush().unwrap();
    fixture.manager.checkpoint().unwrap();
    let mut fixture = fixture;
    for torn in [&b""[..], b"0\n2\n3 0\n", b"0\n2"] {
        std::fs::write(fixture.file("leader-epoch-checkpoint"), torn).unwrap();
        fixture = fixture.killed();
        assert_eq!(fixture.log.latest_leader_epoch(), Some(LeaderEpoch(8)));
        assert_eq!(
            fixture.log.end_offset_for_epoch(LeaderEpoch(3)),
            Some((LeaderEpoch(3), Offset(40)))
        );
    }
}

#[test]
fn leftovers_of_a_crash_are_tidied() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(40);
    let second = fixture.log.segments()[1].base_offset.0;
    let write = |name: &str| std::fs::write(fixture.file(name), b"old").unwrap();
    write("00000000000000000000.log.deleted");
    write("00000000000000000000.log.cleaned");
    write("leader-epoch-checkpoint.tmp");
    write("00000000000000009999.index");
    // As compaction leaves it: one new segment for the first two.
    let bytes = std::fs::read(fixture.file("00000000000000000000.log")).unwrap();
    let mut both = bytes.clone();
    both.extend(std::fs::read(fixture.file(&format!("{second:020}.log"))).unwrap());
    std::fs::write(fixture.file("00000000000000000000.log.swap"), both).unwrap();
    let fixture = fixture.killed();
    assert_eq!(fixture.values(), expected(0..80));
    assert!(
        !fixture
            .log
            .segments()
            .iter()
            .any(|segment| segment.base_offset.0 == second)
    );
    let names: Vec<_> = std::fs::read_dir(fixture.log.directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    for name in names {
        let name = name.to_string_lossy().into_owned();
        assert!(
            !["deleted", "cleaned", "swap", "tmp"]
                .iter()
                .any(|end| name.ends_with(end)),
            "{name}"
        );
        assert!(!name.starts_with("00000000000000009999"), "{name}");
    }
}

#[test]
fn readers_see_whole_batches_while_a_writer_appends_and_rolls() {
    let fixture = Fixture::new(LogConfig {
        segment_bytes: 20_000,
        ..small_segments()
    });
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut next = Offset(0);
                while !done.load(Ordering::Acquire) || next < fixture.log.log_end_offset() {
                    let slice = fixture.log.read(next, 700, END, true).unwrap();
                    let bytes = slice.to_bytes().unwrap();
                    for batch in batches(&bytes).map_while(Result::ok) {
                        assert_eq!(batch.base_offset(), next);
                        assert!(batch.crc_matches());
                        next = batch.last_offset().plus(1);
                    }
                }
                assert_eq!(next, Offset(10_000));
            });
        }
        for number in 0..5000 {
            fixture.append(numbered(number));
        }
        done.store(true, Ordering::Release);
    });
}
