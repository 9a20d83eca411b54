//! Partitions are made without a flush and deleted with one, however many they are: what is left when the power goes,
//! the disk breaks, or something runs out. No record of a deleted topic comes back under the next of its name.

#[allow(dead_code, reason = "the disk can fail in more ways than it does here")]
mod simulated;

use moldau_log::batch::{BatchBuilder, batches};
use moldau_log::{
    AppendOrigin, LeaderEpoch, LogConfig, LogManager, LogManagerConfig, Offset, PartitionLog, PartitionSpec, Storage,
    TopicId, TopicPartition,
};
use simulated::{Choices, Disk, Fault};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;
const OLDER: u128 = 1;
const NEXT: u128 = 2;

/// The partitions of a topic.
fn specs_of(name: &str, count: i32, topic_id: u128) -> Vec<PartitionSpec> {
    let each = (0..count).map(|partition| PartitionSpec {
        topic_partition: TopicPartition::new(name, partition),
        topic_id: TopicId::from_u128(topic_id),
        config: LogConfig {
            file_delete_delay_ms: 10,
            ..LogConfig::default()
        },
    });
    each.collect()
}

fn names_of(specs: &[PartitionSpec]) -> Vec<TopicPartition> {
    specs.iter().map(|spec| spec.topic_partition.clone()).collect()
}

fn open(disk: &Disk, directories: &[&str]) -> LogManager {
    let config = LogManagerConfig {
        directories: directories.iter().map(PathBuf::from).collect(),
        storage: Arc::new(disk.clone()),
        recovery_threads: 1,
        ..LogManagerConfig::default()
    };
    LogManager::open(config).unwrap()
}

fn log(manager: &LogManager, at: &TopicPartition) -> Arc<PartitionLog> {
    manager.get(at).unwrap()
}

/// Appends a record that says whose it is; false when the disk is dead.
fn append(log: &PartitionLog) -> bool {
    let mut builder = BatchBuilder::new();
    builder.append(NOW, None, Some(log.topic_id().as_bytes()), &[]);
    let appended = log.append(builder.finish(), LeaderEpoch(1), AppendOrigin::Client, NOW);
    log.advance_high_watermark(Offset(i64::MAX));
    appended.is_ok()
}

/// How many records there are; all must be of this very topic.
fn count_own(log: &PartitionLog, what: &str) -> i64 {
    let end = log.log_end_offset();
    log.advance_high_watermark(end);
    let mut next = Offset(0);
    while next < end {
        let bytes = log.read(next, 10_000, end, true).unwrap().to_bytes().unwrap();
        let before = next;
        for batch in batches(&bytes).map_while(Result::ok) {
            for record in &batch.decode().unwrap() {
                let value = record.unwrap().value;
                assert_eq!(value, Some(&log.topic_id().as_bytes()[..]), "{what}: of another topic");
            }
            next = batch.last_offset().plus(1);
        }
        assert!(next > before, "{what}: nothing at {next} of {end}");
    }
    end.0
}

fn folders(disk: &Disk) -> Vec<String> {
    let entries = disk.list(Path::new("/data")).unwrap().into_iter();
    entries
        .filter(|entry| entry.is_directory)
        .map(|entry| entry.name)
        .collect()
}

#[test]
fn making_partitions_waits_for_no_disk() {
    let steps = |durable: bool| {
        let disk = Disk::default();
        let config = LogManagerConfig {
            directories: vec!["/data".into()],
            storage: Arc::new(disk.clone()),
            durable,
            ..LogManagerConfig::default()
        };
        let manager = LogManager::open(config).unwrap();
        let before = disk.steps();
        assert!(manager.create_all(&specs_of("new", 50, NEXT), NOW).is_empty());
        manager.create(specs_of("alone", 1, 3).remove(0), NOW).unwrap();
        disk.steps() - before
    };
    assert_eq!(steps(true), steps(false), "the same without a flush");
}

#[test]
fn of_new_partitions_the_flushed_are_found_after_a_loss_of_power_and_the_others_are_made_anew() {
    for seed in 0..300 {
        let disk = Disk::default();
        let manager = open(&disk, &["/data"]);
        let specs = specs_of("new", 5, NEXT);
        let names = names_of(&specs);
        assert!(manager.create_all(&specs, NOW).is_empty());
        assert!(names[..3].iter().all(|at| append(&log(&manager, at))));
        log(&manager, &names[0]).flush().unwrap();
        if seed % 2 == 0 {
            manager.checkpoint().unwrap();
        }
        let left = disk.after_power_loss(&mut Choices::new(seed));
        let whose = left.read_file(Path::new("/data/new-0/partition.metadata"), 100);
        assert!(
            String::from_utf8(whose.unwrap()).unwrap().contains("topic_id: "),
            "seed {seed}"
        );
        let manager = open(&left, &["/data"]);
        let report = manager.load(specs, NOW, &|_, _| ());
        assert_eq!(
            (report.loaded, report.failures.len()),
            (5, 0),
            "seed {seed}: {report:?}"
        );
        for (number, at) in names.iter().enumerate() {
            let log = log(&manager, at);
            let count = count_own(&log, &format!("seed {seed}"));
            let promised = i64::from(number == 0);
            let written = i64::from(number < 3);
            assert!(
                (promised..=written).contains(&count),
                "seed {seed}: {count} records in {at}"
            );
            assert!(append(&log));
        }
    }
}

#[test]
fn the_first_flush_of_a_partition_makes_its_folder_durable() {
    for seed in 0..50 {
        let disk = Disk::default();
        let manager = open(&disk, &["/data"]);
        let specs = specs_of("new", 1, NEXT);
        let log = manager.create(specs[0].clone(), NOW).unwrap();
        assert!(append(&log));
        let mut choices = Choices::new(seed);
        let unflushed = disk.after_power_loss(&mut choices);
        log.flush().unwrap();
        let left = disk.after_power_loss(&mut choices);
        assert_eq!(folders(&left), ["new-0"]);
        for (disk, promised) in [(unflushed, 0), (left, 1)] {
            let manager = open(&disk, &["/data"]);
            let report = manager.load(specs.clone(), NOW, &|_, _| ());
            assert_eq!(report.loaded, 1, "seed {seed}: {report:?}");
            let found = manager.get(&specs[0].topic_partition).unwrap();
            assert!(count_own(&found, &format!("seed {seed}")) >= promised, "seed {seed}");
        }
    }
}

#[test]
fn the_partitions_of_a_topic_are_taken_away_with_one_flush() {
    let disk = Disk::default();
    let manager = open(&disk, &["/data"]);
    let specs = specs_of("gone", 50, OLDER);
    assert!(manager.create_all(&specs, NOW).is_empty());
    let all = names_of(&specs);
    let before = disk.steps();
    let unknown = TopicPartition::new("gone", 50);
    let failures = manager.delete_all(&[&all[..], std::slice::from_ref(&unknown)].concat(), NOW);
    assert_eq!(disk.steps() - before, all.len() + 1, "a rename for each, and the flush");
    let failed: Vec<_> = failures.into_iter().map(|failure| failure.topic_partition).collect();
    assert_eq!(failed, [unknown]);
    assert!(manager.partitions().is_empty());
    for seed in 0..20 {
        let left = folders(&disk.after_power_loss(&mut Choices::new(seed)));
        assert_eq!(left.len(), 50, "seed {seed}");
        assert!(left.iter().all(|folder| folder.ends_with("-delete")), "{left:?}");
    }
    assert_eq!(manager.housekeeping(NOW + 10).files_removed, 50);
    assert_eq!(folders(&disk), [""; 0]);
}

#[test]
fn a_disk_that_breaks_while_a_topic_is_deleted_removes_what_is_surely_gone_and_tells_what_failed() {
    // At the rename of the twentieth partition, or at the flush after the fiftieth.
    for (step, failed) in [(20, 19..20), (51, 0..50)] {
        let disk = Disk::default();
        let manager = open(&disk, &["/data"]);
        let specs = specs_of("gone", 50, OLDER);
        assert!(manager.create_all(&specs, NOW).is_empty());
        disk.arm(disk.steps() + step, Fault::Broken);
        let failures = manager.delete_all(&names_of(&specs), NOW);
        let found: Vec<_> = failures
            .iter()
            .map(|failure| failure.topic_partition.partition)
            .collect();
        assert_eq!(found, failed.collect::<Vec<_>>());
        assert!(manager.partitions().is_empty(), "nobody finds them any more");
        let removed = manager.housekeeping(NOW + 10).files_removed;
        assert_eq!(removed, if step == 20 { 19 } else { 0 }, "only what is surely gone");
    }
}

#[test]
fn a_topic_that_was_deleted_while_nothing_could_be_opened_is_removed_when_that_is_over() {
    let disk = Disk::default();
    let manager = open(&disk, &["/data"]);
    let specs = specs_of("gone", 50, OLDER);
    assert!(manager.create_all(&specs, NOW).is_empty());
    disk.grant_descriptors(false);
    assert_eq!(manager.delete_all(&names_of(&specs), NOW).len(), 50);
    assert_eq!(manager.housekeeping(NOW + 10).files_removed, 0, "it is not sure yet");
    disk.grant_descriptors(true);
    assert!(manager.directories()[0].online);
    assert_eq!(folders(&disk).len(), 50);
    assert_eq!(manager.housekeeping(NOW + 10).files_removed, 50);
    assert_eq!(folders(&disk), [""; 0]);
}

#[test]
fn what_was_deleted_while_nothing_could_be_opened_is_surely_gone_before_there_is_a_next_one() {
    for seed in 0..300 {
        let disk = Disk::default();
        let manager = open(&disk, &["/one", "/two"]);
        let older = specs_of("orders", 1, OLDER);
        assert!(manager.create_all(&older, NOW).is_empty());
        let at = &older[0].topic_partition;
        assert_eq!(log(&manager, at).log_directory(), Path::new("/one"));
        assert!(append(&log(&manager, at)));
        disk.grant_descriptors(false);
        assert_eq!(manager.delete_all(&names_of(&older), NOW).len(), 1);
        disk.grant_descriptors(true);
        // Nothing else that is done for the next one flushes the directory of the older one.
        manager.request_move(at, Path::new("/two"), NOW).unwrap_err();
        let next = specs_of("orders", 1, NEXT);
        assert!(manager.create_all(&next, NOW).is_empty());
        assert_eq!(log(&manager, at).log_directory(), Path::new("/two"));
        let left = disk.after_power_loss(&mut Choices::new(seed));
        check_next(&left, &next, 0, &format!("seed {seed}"));
    }
}

/// How a topic comes to its end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// It is deleted.
    Deleted,
    /// The node was killed before it deleted it, and finds a next one in the metadata.
    KilledAndNextIsKnown,
    /// The node was killed before it deleted it, and there is a next one later.
    KilledAndNextComesLater,
}

/// The next topic is there, with at least `promised` records in each partition and none of another topic.
fn check_next(disk: &Disk, next: &[PartitionSpec], promised: i64, what: &str) {
    let manager = open(disk, &["/one", "/two"]);
    let report = manager.load(next.to_vec(), NOW, &|_, _| ());
    assert_eq!(
        (report.loaded, report.failures.len()),
        (next.len(), 0),
        "{what}: {report:?}"
    );
    for log in manager.partitions() {
        let count = count_own(&log, what);
        assert!(count >= promised, "{what}: {count} of {promised} records");
        assert!(append(&log), "{what}");
    }
}

/// The life of the older topic; gives back the disk, and the node that knows of no folder of it any more.
fn live_and_end(end: End, choices: &mut Choices, next: &[PartitionSpec]) -> (Disk, LogManager) {
    let disk = Disk::default();
    let manager = open(&disk, &["/one", "/two"]);
    let older = specs_of("orders", 3, OLDER);
    assert!(manager.create_all(&older, NOW).is_empty());
    for log in manager.partitions() {
        for _ in 0..choices.below(4) {
            assert!(append(&log));
        }
        if choices.below(3) == 0 {
            log.flush().unwrap();
        }
    }
    if choices.below(2) == 0 {
        manager.checkpoint().unwrap();
    }
    let known = match end {
        End::Deleted => {
            assert!(manager.delete_all(&names_of(&older), NOW).is_empty());
            return (disk, manager);
        }
        End::KilledAndNextIsKnown => next.to_vec(),
        End::KilledAndNextComesLater => Vec::new(),
    };
    let disk = disk.after_kill();
    let manager = open(&disk, &["/one", "/two"]);
    let report = manager.load(known, NOW, &|_, _| ());
    assert_eq!((report.failures.len(), report.stray.len()), (0, 3), "{report:?}");
    (disk, manager)
}

/// The next topic begins, until the disk dies. Returns how many records of each partition are flushed.
fn begin(manager: &LogManager, next: &[PartitionSpec]) -> i64 {
    if !manager.create_all(next, NOW).is_empty() {
        return 0;
    }
    let logs: Vec<_> = names_of(next).iter().map(|at| log(manager, at)).collect();
    let mut flushed = 0;
    for _ in 0..2 {
        if !logs.iter().all(|log| append(log)) || logs.iter().any(|log| log.flush().is_err()) {
            return flushed;
        }
        flushed += 1;
        if manager.checkpoint().is_err() {
            return flushed;
        }
        manager.housekeeping(NOW + 10);
    }
    flushed
}

#[test]
fn no_record_of_a_deleted_topic_comes_back_under_the_next_of_its_name() {
    let next = specs_of("orders", 3, NEXT);
    for end in [End::Deleted, End::KilledAndNextIsKnown, End::KilledAndNextComesLater] {
        let mut survived_its_flush = 0;
        for seed in 0..300 {
            let mut choices = Choices::new(seed);
            let (disk, manager) = live_and_end(end, &mut choices, &next);
            disk.arm(disk.steps() + 1 + choices.below(200), Fault::Crash);
            let flushed = begin(&manager, &next);
            survived_its_flush += usize::from(flushed > 0);
            let left = disk.after_power_loss(&mut choices);
            check_next(&left, &next, flushed, &format!("{end:?}, seed {seed}"));
        }
        assert!((50..300).contains(&survived_its_flush), "{end:?}: {survived_its_flush}");
    }
}
