//! A partition on its way to another directory, and a crash at every single step of it: what was answered is found
//! again, in one of the two, byte for byte, and the way is taken up again.

#[allow(dead_code, reason = "the disk can fail in more ways than it does here")]
mod simulated;

use moldau_log::batch::{BatchBuilder, EndTransaction, batches};
use moldau_log::{
    AppendOrigin, LeaderEpoch, LogConfig, LogManager, LogManagerConfig, Offset, Pace, PartitionLog, PartitionSpec,
    ProducerEpoch, ProducerId, TopicId, TopicPartition, Unhurried,
};
use simulated::{Disk, Fault};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;
const HERE: &str = "/one";
const THERE: &str = "/two";
const DELETED_BEFORE: i64 = 3;

fn at() -> TopicPartition {
    TopicPartition::new("orders", 0)
}

fn open(disk: &Disk) -> Option<(LogManager, Arc<PartitionLog>)> {
    let config = LogManagerConfig {
        directories: vec![PathBuf::from(HERE), PathBuf::from(THERE)],
        storage: Arc::new(disk.clone()),
        recovery_threads: 1,
        ..LogManagerConfig::default()
    };
    let manager = LogManager::open(config).ok()?;
    let config = LogConfig {
        segment_bytes: 900,
        index_interval_bytes: 150,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    };
    let spec = PartitionSpec {
        topic_partition: at(),
        topic_id: TopicId::from_u128(1),
        config,
    };
    let report = manager.load(vec![spec], NOW, &|_, _| {});
    assert!(report.failures.is_empty() || disk.is_faulty_now(), "{report:?}");
    let log = manager.get(&at())?;
    log.advance_high_watermark(Offset(i64::MAX));
    Some((manager, log))
}

/// Every ninth record is of a transaction that the tenth aborts.
fn sent(offset: i64) -> (bytes::BytesMut, AppendOrigin) {
    let (producer, epoch) = (ProducerId(3), ProducerEpoch(0));
    if offset % 10 == 9 {
        let marker = BatchBuilder::end_transaction(EndTransaction::Abort, producer, epoch, 0, NOW);
        return (marker, AppendOrigin::Coordinator);
    }
    let mut builder = BatchBuilder::new();
    if offset % 10 == 8 {
        builder = builder.producer(producer, epoch, (offset / 10) as i32).transactional();
    }
    builder.append(NOW, None, Some(format!("value {offset}").as_bytes()), &[]);
    (builder.finish(), AppendOrigin::Client)
}

fn append(log: &PartitionLog, answered: &mut i64, until: i64) -> bool {
    while *answered < until {
        let (bytes, origin) = sent(*answered);
        if log.append(bytes, LeaderEpoch(2), origin, NOW).is_err() {
            return false;
        }
        *answered += 1;
        log.advance_high_watermark(Offset(i64::MAX));
    }
    true
}

/// Appends while a copy is made.
struct Busy<'a> {
    log: &'a PartitionLog,
    answered: &'a mut i64,
    until: i64,
}

impl Pace for Busy<'_> {
    fn spent(&mut self, _bytes: u64) -> bool {
        let next = (*self.answered + 1).min(self.until);
        append(self.log, self.answered, next);
        true
    }
}

/// A life with a move in it; returns how many appends were answered.
fn live(disk: &Disk) -> i64 {
    let mut answered = 0;
    let Some((manager, log)) = open(disk) else {
        return answered;
    };
    if !append(&log, &mut answered, 45) {
        return answered;
    }
    if log.delete_records_before(Offset(DELETED_BEFORE)).is_err() || manager.checkpoint().is_err() {
        return answered;
    }
    let destination = if log.log_directory() == Path::new(HERE) {
        THERE
    } else {
        HERE
    };
    if manager.request_move(&at(), Path::new(destination), NOW).is_err() {
        return answered;
    }
    let mut busy = Busy {
        log: &log,
        answered: &mut answered,
        until: 70,
    };
    manager.move_next(&mut busy, NOW);
    append(&log, &mut answered, 90);
    manager.housekeeping(NOW + 1_000);
    if manager.checkpoint().is_ok() {
        manager.shutdown(NOW);
    }
    answered
}

fn verify(log: &PartitionLog, promised: i64, what: &str) {
    let end = log.log_end_offset();
    assert!(
        end.0 >= promised,
        "{what}: the log ends at {end}, {promised} was promised"
    );
    let aborted = log.aborted_transactions(Offset(0), end).unwrap();
    let mut next = log.log_start_offset();
    assert!(next.0 <= DELETED_BEFORE, "{what}: the log begins at {next}");
    while next < end {
        let slice = log.read(next, 500, Offset(i64::MAX), true);
        let bytes = slice
            .unwrap_or_else(|error| panic!("{what}: {error}"))
            .to_bytes()
            .unwrap();
        let before = next;
        for batch in batches(&bytes).map_while(Result::ok) {
            assert!(batch.crc_matches(), "{what}: at {next}");
            next = batch.last_offset().plus(1);
            if batch.is_control() {
                let first = batch.base_offset().0 - 1;
                assert!(
                    aborted.iter().any(|each| each.first_offset.0 == first),
                    "{what}: that {first} was aborted is forgotten"
                );
                continue;
            }
            for record in &batch.decode().unwrap() {
                let record = record.unwrap();
                assert_eq!(
                    record.value,
                    Some(format!("value {}", record.offset).as_bytes()),
                    "{what}"
                );
            }
        }
        assert!(next > before, "{what}: nothing at {next} of {end}");
    }
}

/// Opens what is left, lets the move go on, appends, and opens it once more.
fn survive(disk: &Disk, promised: i64, what: &str) {
    let (manager, log) = open(disk).unwrap_or_else(|| panic!("{what}: it does not open"));
    verify(&log, promised, what);
    let start = log.log_start_offset();
    while manager.move_next(&mut Unhurried, NOW).is_some() {}
    assert!(!log.is_offline() && manager.futures().is_empty(), "{what}");
    verify(&log, promised, &format!("{what}, moved"));
    let mut answered = log.log_end_offset().0;
    let until = answered + 12;
    assert!(append(&log, &mut answered, until), "{what}");
    let moved_to = log.log_directory();
    manager.housekeeping(NOW + 1_000);
    manager.checkpoint().unwrap();
    let (manager, log) = open(&disk.after_kill()).unwrap();
    assert_eq!(
        (log.log_directory(), log.log_start_offset()),
        (moved_to, start),
        "{what}"
    );
    verify(&log, answered, &format!("{what}, killed after it"));
    manager.shutdown(NOW);
    let (_manager, log) = open(&disk.after_kill()).unwrap();
    verify(&log, answered, &format!("{what}, after a clean restart"));
}

#[test]
fn a_partition_moves_while_it_is_written_and_nothing_of_it_stays_behind() {
    let disk = Disk::default();
    let (manager, log) = open(&disk).unwrap();
    let mut answered = 0;
    append(&log, &mut answered, 45);
    assert_eq!(log.log_directory(), Path::new(HERE));
    manager.request_move(&at(), Path::new(THERE), NOW).unwrap();
    let future = manager.futures().remove(0);
    assert_eq!((future.directory.as_path(), future.size_bytes), (Path::new(THERE), 0));
    let mut busy = Busy {
        log: &log,
        answered: &mut answered,
        until: 70,
    };
    assert_eq!(manager.move_next(&mut busy, NOW), Some(at()));
    assert_eq!(manager.move_next(&mut Unhurried, NOW), None);
    assert_eq!(log.log_directory(), Path::new(THERE));
    assert!(answered > 45, "{answered}");
    verify(&log, answered, "moved");
    append(&log, &mut answered, 90);
    verify(&log, answered, "written after it moved");
    manager.housekeeping(NOW + 1_000);
    manager.shutdown(NOW);
    let storage: &dyn moldau_log::Storage = &disk;
    let left = storage.list(Path::new(HERE)).unwrap();
    assert!(left.iter().all(|entry| !entry.is_directory), "{left:?}");
    survive(&disk.after_kill(), 90, "moved and shut down");
}

#[test]
fn a_crash_at_any_step_of_a_move_loses_nothing() {
    let healthy = Disk::default();
    assert_eq!(live(&healthy), 90);
    survive(&healthy.after_kill(), 90, "healthy");
    let steps = healthy.steps();
    assert!(steps > 200, "{steps}");
    for step in 1..=steps {
        let disk = Disk::with_fault(step, Fault::Crash);
        let answered = live(&disk);
        survive(&disk.after_kill(), answered, &format!("killed at step {step}"));
    }
}

#[test]
fn a_full_disk_ends_the_move_and_the_partition_stays_where_it_is() {
    let mut ended = 0;
    for step in 1..60 {
        let disk = Disk::default();
        let (manager, log) = open(&disk).unwrap();
        let mut answered = 0;
        append(&log, &mut answered, 45);
        manager.request_move(&at(), Path::new(THERE), NOW).unwrap();
        disk.arm(disk.steps() + step, Fault::Full);
        manager.move_next(&mut Unhurried, NOW);
        ended += usize::from(log.log_directory() == Path::new(HERE));
        disk.heal();
        assert!(!log.is_offline() && manager.futures().is_empty(), "full at step {step}");
        verify(&log, 45, &format!("full at step {step}"));
        survive(&disk.after_kill(), 45, &format!("full at step {step}"));
    }
    assert!(ended > 10, "{ended}");
}

#[test]
fn the_last_wish_counts_and_one_for_the_own_directory_ends_the_way() {
    let disk = Disk::default();
    let (manager, log) = open(&disk).unwrap();
    append(&log, &mut 0, 20);
    manager.request_move(&at(), Path::new(THERE), NOW).unwrap();
    manager.request_move(&at(), Path::new(THERE), NOW).unwrap();
    assert_eq!(manager.futures().len(), 1);
    manager.request_move(&at(), Path::new(HERE), NOW).unwrap();
    assert!(manager.futures().is_empty());
    assert_eq!(manager.move_next(&mut Unhurried, NOW), None);
    assert_eq!(log.log_directory(), Path::new(HERE));
    assert!(manager.request_move(&at(), Path::new("/three"), NOW).is_err());
    manager.request_move(&at(), Path::new(THERE), NOW).unwrap();
    assert!(manager.delete_all(&[at()], NOW).is_empty());
    assert_eq!(manager.move_next(&mut Unhurried, NOW), None);
    manager.housekeeping(NOW + 1_000);
    let storage: &dyn moldau_log::Storage = &disk;
    for directory in [HERE, THERE] {
        let left = storage.list(Path::new(directory)).unwrap();
        assert!(left.iter().all(|entry| !entry.is_directory), "{left:?}");
    }
}

#[test]
fn a_partition_that_is_not_here_yet_is_made_where_it_was_wished() {
    let disk = Disk::default();
    let (manager, log) = open(&disk).unwrap();
    let other = TopicPartition::new("payments", 0);
    let busiest = log.log_directory();
    assert!(manager.request_move(&other, &busiest, NOW).is_err());
    let spec = PartitionSpec {
        topic_partition: other,
        topic_id: TopicId::from_u128(2),
        config: LogConfig::default(),
    };
    assert_eq!(manager.create(spec, NOW).unwrap().log_directory(), busiest);
}
