//! A partition on a real file system: appends, reads, rolls, lookups, producers.

mod deletion;
mod recovery;
mod retention;

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
fn a_reader_far_behind_gets_the_aborted_transactions_of_what_it_reads_and_few_others() {
    let fixture = Fixture::new(small_segments());
    for number in 0..100 {
        let mut builder = BatchBuilder::new()
            .producer(ProducerId(7), ProducerEpoch(0), number)
            .transactional();
        builder.append(NOW, None, Some(&[0; 60]), &[]);
        fixture.append(builder.finish());
        let marker = BatchBuilder::end_transaction(EndTransaction::Abort, ProducerId(7), ProducerEpoch(0), 0, NOW);
        let origin = AppendOrigin::Coordinator;
        fixture.log.append(marker, LeaderEpoch(1), origin, NOW).unwrap();
    }
    fixture.log.advance_high_watermark(END);
    let fixture = fixture.restarted();
    for from in 0..200 {
        let slice = fixture.log.read(Offset(from), 400, END, true).unwrap();
        let bytes = slice.to_bytes().unwrap();
        let last = batches(&bytes).map_while(Result::ok).last().unwrap().last_offset().0;
        let found = fixture.log.aborted_transactions_in(&slice, Offset(from)).unwrap();
        let firsts: Vec<_> = found.iter().map(|each| each.first_offset.0).collect();
        let needed: Vec<_> = (0..=last).step_by(2).filter(|first| first + 1 >= from).collect();
        assert!(firsts.starts_with(&needed), "from {from}: {firsts:?}");
        assert!(firsts.len() <= needed.len() + 4, "from {from}: {firsts:?}");
    }
    let nothing = fixture.log.read(Offset(200), 400, END, true).unwrap();
    assert_eq!(fixture.log.aborted_transactions_in(&nothing, Offset(200)).unwrap(), []);
}

#[test]
fn a_question_about_a_transaction_that_never_came_is_forgotten() {
    let fixture = Fixture::new(small_segments());
    let ask = |now_ms| {
        fixture
            .log
            .begin_verification((ProducerId(7), ProducerEpoch(0)), 0, false, now_ms)
    };
    let guard = ask(NOW).unwrap();
    assert_eq!(ask(NOW).unwrap(), guard);
    fixture.manager.housekeeping(NOW + 86_400_001);
    assert_ne!(
        ask(NOW + 86_400_001).unwrap(),
        guard,
        "what is kept for ever grows for ever"
    );
}

#[test]
fn leader_epochs_are_kept_and_answer_where_they_end() {
    let fixture = Fixture::new(LogConfig::default());
    fixture.log.begin_leader_epoch(LeaderEpoch(0));
    fixture.fill(5);
    fixture.log.begin_leader_epoch(LeaderEpoch(4));
    let fixture = fixture.restarted();
    assert_eq!(
        fixture.log.latest_leader_epoch(),
        Some(LeaderEpoch(1)),
        "an epoch without records is not kept"
    );
    fixture.log.begin_leader_epoch(LeaderEpoch(4));
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
fn the_file_of_leader_epochs_is_written_with_the_first_record_of_an_epoch() {
    let fixture = Fixture::new(LogConfig::default());
    let file = || std::fs::read_to_string(fixture.file(checkpoint::LEADER_EPOCHS)).ok();
    fixture.log.begin_leader_epoch(LeaderEpoch(1));
    assert_eq!(file(), None, "an epoch without records says nothing");
    fixture.append(numbered(0));
    assert_eq!(file().as_deref(), Some("0\n1\n1 0\n"));
    fixture.log.begin_leader_epoch(LeaderEpoch(4));
    assert_eq!(file().as_deref(), Some("0\n1\n1 0\n"));
    fixture
        .log
        .append(numbered(1), LeaderEpoch(4), AppendOrigin::Client, NOW)
        .unwrap();
    assert_eq!(file().as_deref(), Some("0\n2\n1 0\n4 2\n"));
}

#[test]
fn an_epoch_that_wrote_nothing_before_a_restart_does_not_own_later_records() {
    let fixture = Fixture::new(LogConfig::default());
    fixture.append(numbered(0));
    // Kafka notes an epoch when it begins to lead, whether or not a record follows.
    std::fs::write(fixture.file(checkpoint::LEADER_EPOCHS), "0\n2\n1 0\n9 2\n").unwrap();
    let fixture = fixture.restarted();
    assert_eq!(fixture.log.latest_leader_epoch(), Some(LeaderEpoch(1)));
    fixture.fill(3);
    let fixture = fixture.restarted();
    assert_eq!(fixture.log.latest_leader_epoch(), Some(LeaderEpoch(1)));
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
