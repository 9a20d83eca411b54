//! What fills a disk can be taken away again: nothing that makes room needs any, and a directory on which nothing has
//! broken stays online.

#[allow(dead_code, reason = "the disk can fail in more ways than it does here")]
mod simulated;

use moldau_log::batch::{BatchBuilder, EndTransaction};
use moldau_log::{
    AppendContext, AppendError, AppendOrigin, CleanerLimits, LeaderEpoch, LogConfig, LogManager, LogManagerConfig,
    Offset, PartitionLog, PartitionSpec, ProducerEpoch, ProducerId, Storage, TopicId, TopicPartition, Unhurried,
};
use simulated::{Disk, Fault};
use std::path::PathBuf;
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;
const END: Offset = Offset(i64::MAX);

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 150,
        retention_ms: -1,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    }
}

fn open(disk: &Disk) -> LogManager {
    let config = LogManagerConfig {
        directories: vec![PathBuf::from("/data")],
        storage: Arc::new(disk.clone()),
        recovery_threads: 1,
        ..LogManagerConfig::default()
    };
    LogManager::open(config).unwrap()
}

fn create(manager: &LogManager, name: &str, config: LogConfig) -> Arc<PartitionLog> {
    let spec = PartitionSpec {
        topic_partition: TopicPartition::new(name, 0),
        topic_id: TopicId::from_u128(name.len() as u128),
        config,
    };
    let log = manager.create(spec, NOW).unwrap();
    log.advance_high_watermark(END);
    log
}

fn append_to(log: &PartitionLog, key: i64) -> Result<(), AppendError> {
    let mut builder = BatchBuilder::new();
    builder.append(NOW, Some(&key.to_be_bytes()), Some(b"a value of some length"), &[]);
    log.append(builder.finish(), LeaderEpoch(1), AppendOrigin::Client, NOW)?;
    log.advance_high_watermark(END);
    Ok(())
}

fn fill(log: &PartitionLog, count: i64) {
    for number in 0..count {
        append_to(log, number).unwrap();
    }
}

/// Files of records, those that wait for their removal among them.
fn log_files(disk: &Disk, log: &PartitionLog) -> usize {
    let entries = disk.list(&log.directory()).unwrap();
    entries.iter().filter(|entry| entry.name.contains(".log")).count()
}

fn run_full(disk: &Disk) {
    disk.arm(disk.steps() + 1, Fault::Full);
}

#[test]
fn a_node_that_can_open_no_more_files_refuses_records_until_it_can() {
    let disk = Disk::default();
    let manager = open(&disk);
    let log = create(&manager, "orders", small_segments());
    fill(&log, 5);
    // Nobody has used the files since: they are closed.
    manager.housekeeping(NOW);
    manager.housekeeping(NOW);
    disk.grant_descriptors(false);
    assert!(matches!(append_to(&log, 5), Err(AppendError::Storage(_))));
    assert!(!log.is_offline());
    disk.grant_descriptors(true);
    append_to(&log, 5).unwrap();
    assert_eq!(log.log_end_offset(), Offset(6));
}

#[test]
fn records_are_deleted_on_request_though_the_disk_is_full() {
    let disk = Disk::default();
    let manager = open(&disk);
    let log = create(&manager, "orders", small_segments());
    fill(&log, 50);
    run_full(&disk);
    assert!(matches!(append_to(&log, 50), Err(AppendError::Storage(_))));
    assert_eq!(log.delete_records_before(Offset(30)).unwrap(), Offset(30));
    manager.housekeeping(NOW);
    manager.housekeeping(NOW + 10);
    assert!(!log.is_offline());
    assert_eq!(log_files(&disk, &log), log.segments().len());
    assert!(log.segments()[0].base_offset > Offset(0));
    disk.heal();
    append_to(&log, 50).unwrap();
    log.flush().unwrap();
    manager.checkpoint().unwrap();
    let log = create(&open(&disk.after_kill()), "orders", small_segments());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(30), Offset(51)));
    assert_eq!(log.latest_leader_epoch(), Some(LeaderEpoch(1)));
}

#[test]
fn old_segments_go_though_there_is_no_room_for_a_new_one() {
    let disk = Disk::default();
    let manager = open(&disk);
    let config = LogConfig {
        retention_ms: 1000,
        ..small_segments()
    };
    let log = create(&manager, "orders", config);
    fill(&log, 50);
    run_full(&disk);
    let late = NOW + 5000;
    manager.housekeeping(late);
    manager.housekeeping(late + 10);
    assert!(!log.is_offline());
    assert_eq!((log_files(&disk, &log), log.segments().len()), (1, 1));
    disk.heal();
    manager.housekeeping(late + 20);
    assert_eq!(log.log_start_offset(), Offset(50));
}

#[test]
fn what_cannot_be_flushed_for_want_of_room_is_flushed_later() {
    for full_after in 1..12 {
        let disk = Disk::default();
        let manager = open(&disk);
        let config = LogConfig {
            flush_ms: 1000,
            ..small_segments()
        };
        let log = create(&manager, "orders", config);
        fill(&log, 50);
        disk.arm(disk.steps() + full_after, Fault::Full);
        manager.flush_due(NOW + 1000);
        manager.housekeeping(NOW + 1000);
        assert!(!log.is_offline(), "full after {full_after} steps");
        disk.heal();
        manager.flush_due(NOW + 1001);
        assert_eq!(log.recovery_point(), Offset(50), "full after {full_after} steps");
    }
}

#[test]
fn an_abort_for_whose_entry_there_is_no_room_is_known_all_the_same() {
    let aborted = |log: &PartitionLog| log.aborted_transactions(Offset(0), log.log_end_offset()).unwrap().len();
    for (room_again, clean) in [(false, false), (true, false), (true, true)] {
        let disk = Disk::default();
        let manager = open(&disk);
        let log = create(&manager, "orders", small_segments());
        let mut builder = BatchBuilder::new()
            .producer(ProducerId(7), ProducerEpoch(0), 0)
            .transactional();
        builder.append(NOW, Some(b"key"), Some(b"value"), &[]);
        let origin: AppendContext = AppendOrigin::Client.into();
        log.append(builder.finish(), LeaderEpoch(1), origin, NOW).unwrap();
        let marker = BatchBuilder::end_transaction(EndTransaction::Abort, ProducerId(7), ProducerEpoch(0), 0, NOW);
        // The marker is written, the file of the transaction index is made, its first entry finds no room.
        disk.arm(disk.steps() + 3, Fault::Full);
        log.append(marker, LeaderEpoch(1), AppendOrigin::Coordinator, NOW)
            .unwrap();
        assert!(disk.is_faulty_now() && !log.is_offline());
        log.advance_high_watermark(END);
        assert_eq!((aborted(&log), log.last_stable_offset()), (1, Offset(2)));
        manager.housekeeping(NOW);
        assert!(!log.is_offline());
        if room_again {
            disk.heal();
            log.flush().unwrap();
        }
        if clean {
            manager.shutdown(NOW);
        }
        let log = create(&open(&disk.after_kill()), "orders", small_segments());
        assert_eq!(aborted(&log), 1, "room again: {room_again}, clean: {clean}");
    }
}

#[test]
fn a_node_that_died_on_a_full_disk_starts_and_reads_again() {
    let disk = Disk::default();
    let manager = open(&disk);
    fill(&create(&manager, "orders", small_segments()), 50);
    let disk = disk.after_kill();
    run_full(&disk);
    let manager = open(&disk);
    let log = create(&manager, "orders", small_segments());
    assert_eq!(log.log_end_offset(), Offset(50));
    let slice = log.read(Offset(33), 1, END, true).unwrap();
    assert_eq!(slice.first_offset, Offset(33));
    assert!(append_to(&log, 50).is_err() && !log.is_offline());
    // It may die again, and stop in order once there is room.
    let manager = open(&disk.after_kill());
    let log = create(&manager, "orders", small_segments());
    append_to(&log, 50).unwrap();
    manager.shutdown(NOW);
    let log = create(&open(&disk.after_kill()), "orders", small_segments());
    assert_eq!(log.read(Offset(50 - 1), 1, END, true).unwrap().first_offset, Offset(49));
}

#[test]
fn a_log_that_finds_no_room_to_be_compacted_does_not_keep_others_waiting() {
    let limits = CleanerLimits {
        map_bytes: 24 * 50,
        map_load_factor: 0.9,
        buffer_bytes: 300,
    };
    let disk = Disk::default();
    let manager = open(&disk);
    let config = LogConfig {
        compact: true,
        delete: false,
        min_cleanable_dirty_ratio: 0.0,
        ..small_segments()
    };
    let [cleaner, filthier] = ["cleaner", "filthier"].map(|name| create(&manager, name, config.clone()));
    let dirty = |log: &PartitionLog| {
        (0..50).for_each(|number| append_to(log, number % 5).unwrap());
        log.flush().unwrap();
    };
    dirty(&cleaner);
    manager.clean_filthiest(limits, &mut Unhurried, NOW).unwrap();
    dirty(&cleaner);
    dirty(&filthier);
    run_full(&disk);
    assert!(manager.clean_filthiest(limits, &mut Unhurried, NOW).is_none());
    disk.heal();
    for log in [cleaner, filthier] {
        let cleaned = manager.clean_filthiest(limits, &mut Unhurried, NOW).unwrap();
        assert_eq!(&cleaned.topic_partition, log.topic_partition());
    }
}
