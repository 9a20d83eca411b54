//! A crash at every single step of compaction: of each key the last record is there, as it was sent, and the next pass
//! goes on as if nothing had happened.
//!
//! One scenario is run once to count its steps, then once per step and kind of death: the process is killed, or the
//! power is lost and an arbitrary part of what was not flushed with it.

mod simulated;

use moldau_log::batch::{BatchBuilder, EndTransaction, batches};
use moldau_log::{
    AppendOrigin, CleanerLimits, LeaderEpoch, LogConfig, LogManager, LogManagerConfig, Offset, PartitionLog,
    PartitionSpec, ProducerEpoch, ProducerId, TopicId, TopicPartition, Unhurried,
};
use simulated::{Choices, Disk, Fault};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;
const KEYS: i64 = 5;
/// Every so many appends a transaction is aborted, which takes two offsets.
const ABORT_EVERY: i64 = 9;
const LIMITS: CleanerLimits = CleanerLimits {
    map_bytes: 24 * 50,
    map_load_factor: 0.9,
    buffer_bytes: 300,
};

fn open(disk: &Disk) -> Option<(LogManager, Arc<PartitionLog>)> {
    let config = LogManagerConfig {
        directories: vec![PathBuf::from("/data")],
        storage: Arc::new(disk.clone()),
        recovery_threads: 1,
        ..LogManagerConfig::default()
    };
    let manager = LogManager::open(config).ok()?;
    let config = LogConfig {
        segment_bytes: 900,
        index_interval_bytes: 150,
        file_delete_delay_ms: 10,
        min_cleanable_dirty_ratio: 0.0,
        delete: false,
        compact: true,
        ..LogConfig::default()
    };
    let spec = PartitionSpec {
        topic_partition: TopicPartition::new("prices", 0),
        topic_id: TopicId::from_u128(1),
        config,
    };
    let log = manager.create(spec, NOW).ok()?;
    log.advance_high_watermark(Offset(i64::MAX));
    Some((manager, log))
}

/// Whether the record at `offset` is one of those that are aborted; the one after it is the marker.
fn is_aborted(offset: i64) -> bool {
    offset % (ABORT_EVERY + 2) == ABORT_EVERY
}

fn is_marker(offset: i64) -> bool {
    offset % (ABORT_EVERY + 2) == ABORT_EVERY + 1
}

/// What is sent for `offset`.
fn sent(offset: i64) -> (bytes::BytesMut, AppendOrigin) {
    let (producer, epoch) = (ProducerId(3), ProducerEpoch(0));
    if is_marker(offset) {
        let marker = BatchBuilder::end_transaction(EndTransaction::Abort, producer, epoch, 0, NOW);
        return (marker, AppendOrigin::Coordinator);
    }
    let mut builder = BatchBuilder::new();
    if is_aborted(offset) {
        let sequence = (offset / (ABORT_EVERY + 2)) as i32;
        builder = builder.producer(producer, epoch, sequence).transactional();
    }
    builder.append(NOW, Some(&key(offset)), Some(format!("value {offset}").as_bytes()), &[]);
    (builder.finish(), AppendOrigin::Client)
}

fn key(offset: i64) -> [u8; 8] {
    (offset * 7 % KEYS).to_be_bytes()
}

#[derive(Clone, Copy, Debug, Default)]
struct Promises {
    answered: i64,
    flushed: i64,
}

/// The busy life; returns early when the disk dies.
fn live(disk: &Disk) -> Promises {
    let mut promises = Promises::default();
    for _round in 0..2 {
        let Some((manager, log)) = open(disk) else {
            return promises;
        };
        for step in 0..66 {
            let (bytes, origin) = sent(promises.answered);
            if log.append(bytes, LeaderEpoch(2), origin, NOW).is_err() {
                return promises;
            }
            promises.answered += 1;
            log.advance_high_watermark(Offset(i64::MAX));
            if step % 22 == 21 {
                manager.clean_filthiest(LIMITS, &mut Unhurried, NOW + step);
                promises.flushed = promises.flushed.max(log.cleaned_to().map_or(0, |offset| offset.0));
            }
            if step % 30 == 29 {
                manager.housekeeping(NOW + 20 * step);
                if manager.checkpoint().is_err() {
                    return promises;
                }
            }
        }
        manager.shutdown(NOW);
        if disk.is_faulty_now() {
            return promises;
        }
        promises.flushed = promises.answered;
    }
    promises
}

fn verify(log: &PartitionLog, promised: i64, what: &str) {
    let end = log.log_end_offset();
    assert!(
        end.0 >= promised,
        "{what}: the log ends at {end}, {promised} was promised"
    );
    let aborted = log.aborted_transactions(Offset(0), end).unwrap();
    let mut last: HashMap<[u8; 8], i64> = HashMap::new();
    let mut next = Offset(0);
    while next < end {
        let bytes = log.read(next, 500, Offset(i64::MAX), true);
        let bytes = bytes
            .unwrap_or_else(|error| panic!("{what}: {error}"))
            .to_bytes()
            .unwrap();
        let before = next;
        for batch in batches(&bytes).map_while(Result::ok) {
            assert!(
                batch.crc_matches() && batch.base_offset() >= next,
                "{what}: order at {next}"
            );
            next = batch.last_offset().plus(1);
            for record in &batch.decode().unwrap() {
                let record = record.unwrap();
                let offset = record.offset.0;
                assert_eq!(batch.is_control(), is_marker(offset), "{what}: {offset}");
                if is_marker(offset) {
                    continue;
                }
                assert_eq!(record.value, Some(format!("value {offset}").as_bytes()), "{what}");
                if is_aborted(offset) {
                    // Until the log ends before its marker it is only undecided.
                    let known = aborted
                        .iter()
                        .any(|transaction| transaction.first_offset == record.offset);
                    assert!(
                        known || offset + 1 >= end.0,
                        "{what}: {offset} was aborted, which is forgotten"
                    );
                    continue;
                }
                last.insert(key(offset), offset);
            }
        }
        assert!(
            next > before,
            "{what}: nothing at {next} of {end}, {:?}",
            log.segments()
        );
    }
    let wanted = (0..end.0).filter(|&offset| !is_aborted(offset) && !is_marker(offset));
    let wanted: HashMap<_, _> = wanted.map(|offset| (key(offset), offset)).collect();
    assert_eq!(
        last, wanted,
        "{what}: the last of each key, of a log that ends at {end}"
    );
}

/// Opens what is left, verifies it, and lets compaction go on.
fn survive(disk: &Disk, promised: i64, what: &str) {
    let (manager, log) = open(disk).unwrap_or_else(|| panic!("{what}: it does not open"));
    verify(&log, promised, what);
    while manager.clean_filthiest(LIMITS, &mut Unhurried, NOW).is_some() {}
    assert_eq!(manager.cleaner_counters().uncleanable_partitions, 0, "{what}");
    assert!(!log.is_offline(), "{what}");
    verify(&log, promised, &format!("{what}, after another pass"));
    manager.shutdown(NOW);
    let (_manager, log) = open(&disk.after_kill()).unwrap();
    verify(&log, promised, &format!("{what}, after a clean restart"));
}

#[test]
fn a_crash_at_any_step_of_compaction_loses_no_last_record_and_brings_no_aborted_one_back() {
    let healthy = Disk::default();
    let promises = live(&healthy);
    assert_eq!((promises.answered, promises.flushed), (132, 132));
    survive(&healthy.after_kill(), 132, "healthy");
    let steps = healthy.steps();
    assert!(steps > 400, "{steps}");
    for step in 1..=steps {
        let disk = Disk::with_fault(step, Fault::Crash);
        let promises = live(&disk);
        survive(&disk.after_kill(), promises.answered, &format!("killed at step {step}"));
        for seed in 0..4 {
            let mut choices = Choices::new((step * 10 + seed) as u64);
            let left = disk.after_power_loss(&mut choices);
            survive(
                &left,
                promises.flushed,
                &format!("power lost at step {step}, seed {seed}"),
            );
        }
    }
}

#[test]
fn a_full_disk_only_puts_compaction_off() {
    let healthy = Disk::default();
    live(&healthy);
    let mut put_off = 0;
    for step in (100..healthy.steps()).step_by(3) {
        let disk = Disk::default();
        let (manager, log) = open(&disk).unwrap();
        for offset in 0..88 {
            let (bytes, origin) = sent(offset);
            log.append(bytes, LeaderEpoch(2), origin, NOW).unwrap();
            log.advance_high_watermark(Offset(i64::MAX));
        }
        log.flush().unwrap();
        let before = disk.steps();
        disk.arm(before + step - 99, Fault::Full);
        let cleaned = manager.clean_filthiest(LIMITS, &mut Unhurried, NOW);
        put_off += usize::from(cleaned.is_none());
        assert!(!log.is_offline(), "step {step}");
        verify(&log, 88, &format!("full at step {step}"));
        disk.heal();
        survive(&disk.after_kill(), 88, &format!("full at step {step}"));
    }
    assert!(put_off > 5, "{put_off}");
}

#[test]
fn a_broken_disk_takes_the_directory_offline_and_the_log_stays_whole() {
    let mut offline = 0;
    for step in 1..80 {
        let disk = Disk::default();
        let (manager, log) = open(&disk).unwrap();
        for offset in 0..88 {
            let (bytes, origin) = sent(offset);
            log.append(bytes, LeaderEpoch(2), origin, NOW).unwrap();
            log.advance_high_watermark(Offset(i64::MAX));
        }
        disk.arm(disk.steps() + step, Fault::Broken);
        manager.clean_filthiest(LIMITS, &mut Unhurried, NOW);
        offline += usize::from(log.is_offline());
        survive(&disk.after_kill(), 88, &format!("broken at step {step}"));
    }
    assert!(offline > 20, "{offline}");
}
