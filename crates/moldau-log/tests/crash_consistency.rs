//! A crash at every single step of a busy life: nothing that was promised is lost, nothing that was not written appears.
//!
//! One scenario does all that a partition does (appends of several producers, rolls, flushes, checkpoints, retention,
//! records deleted on request, a clean restart). It is run once to count its steps, then once per step and kind of
//! death. What is promised: after a kill of the process, every append that was answered; after a loss of power, every
//! append that was flushed. In both cases the log is a prefix of what was sent, byte for byte.

mod simulated;

use moldau_log::batch::{BatchBuilder, batches};
use moldau_log::{
    AppendError, AppendOrigin, LeaderEpoch, LogConfig, LogManager, LogManagerConfig, Offset, PartitionLog,
    PartitionSpec, ProducerEpoch, ProducerId, TopicId, TopicPartition,
};
use simulated::{Choices, Disk, Fault};
use std::path::PathBuf;
use std::sync::Arc;

const NOW: i64 = 1_700_000_000_000;
const RECORDS: i64 = 2;

fn spec(name: &str) -> PartitionSpec {
    let config = LogConfig {
        segment_bytes: 1500,
        index_interval_bytes: 150,
        retention_bytes: 6000,
        retention_ms: -1,
        file_delete_delay_ms: 10,
        ..LogConfig::default()
    };
    PartitionSpec {
        topic_partition: TopicPartition::new(name, 0),
        topic_id: TopicId::from_u128(1),
        config,
    }
}

fn open(disk: &Disk, directories: &[&str]) -> Option<LogManager> {
    let config = LogManagerConfig {
        directories: directories.iter().map(PathBuf::from).collect(),
        storage: Arc::new(disk.clone()),
        recovery_threads: 1,
        ..LogManagerConfig::default()
    };
    LogManager::open(config).ok()
}

/// Batch `number` of the scenario: of one of three producers, or of none.
fn sent(number: i64) -> bytes::BytesMut {
    let mut builder = BatchBuilder::new();
    if number % 4 != 0 {
        let (id, turn) = (number % 4, number / 4);
        builder = builder.producer(ProducerId(id), ProducerEpoch(0), (turn * RECORDS) as i32);
    }
    for record in 0..RECORDS {
        builder.append(
            NOW + number,
            Some(b"key"),
            Some(format!("batch {number} record {record}").as_bytes()),
            &[],
        );
    }
    builder.finish()
}

/// As it must stand in the log.
fn stored(number: i64) -> Vec<u8> {
    let mut bytes = sent(number).to_vec();
    bytes[..8].copy_from_slice(&(number * RECORDS).to_be_bytes());
    bytes[12..16].copy_from_slice(&2i32.to_be_bytes());
    bytes
}

/// What the scenario was promised before it died.
#[derive(Clone, Copy, Debug, Default)]
struct Promises {
    /// Batches whose append was answered.
    answered: i64,
    /// Batches that a flush, or a clean shutdown, covered.
    flushed: i64,
    /// Largest log start that was asked for or could come about.
    start: i64,
}

fn append(log: &PartitionLog, number: i64) -> Result<i64, AppendError> {
    let info = log.append(sent(number), LeaderEpoch(2), AppendOrigin::Client, NOW)?;
    log.advance_high_watermark(Offset(i64::MAX));
    assert_eq!(info.base_offset, Offset(number * RECORDS));
    Ok(info.last_offset.0)
}

/// The busy life; returns early when the disk dies.
fn live(disk: &Disk) -> Promises {
    let mut promises = Promises::default();
    for _round in 0..2 {
        let Some(manager) = open(disk, &["/data"]) else {
            return promises;
        };
        let Ok(log) = manager.create(spec("busy"), NOW) else {
            return promises;
        };
        for step in 0..45 {
            if append(&log, promises.answered).is_err() {
                return promises;
            }
            promises.answered += 1;
            if step % 11 == 5 {
                if log.flush().is_err() {
                    return promises;
                }
                promises.flushed = promises.answered;
            }
            if step % 13 == 7 && manager.checkpoint().is_err() {
                return promises;
            }
            if step == 30 {
                promises.start = promises.start.max(promises.answered * RECORDS - 40);
                let _ = log.delete_records_before(Offset(promises.answered * RECORDS - 40));
            }
            if step % 15 == 9 {
                manager.housekeeping(NOW + step);
                promises.start = promises.start.max(log.log_start_offset().0);
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

/// Reads the whole log and compares every batch with what was sent. Returns how many batches are there.
fn verify(log: &PartitionLog, promised: i64, what: &str) -> i64 {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    assert!(
        end.0 >= promised * RECORDS,
        "{what}: the log ends at {end}, {promised} batches were promised"
    );
    let mut next = start;
    while next < end {
        let slice = log.read(next, 1000, Offset(i64::MAX), true).unwrap();
        let bytes = slice.to_bytes().unwrap();
        assert!(
            slice.length > 0,
            "{what}: nothing at {next} of {start}..{end}, segments {:?}",
            log.segments()
        );
        for batch in batches(&bytes).map_while(Result::ok) {
            let number = batch.base_offset().0 / RECORDS;
            assert_eq!(batch.bytes(), stored(number), "{what}: batch {number}");
            assert!(
                batch.base_offset() <= next && next <= batch.last_offset(),
                "{what}: gap at {next}"
            );
            next = batch.last_offset().plus(1);
        }
    }
    assert_eq!(next, end, "{what}");
    end.0 / RECORDS
}

/// Opens what is left, verifies it, and goes on living: more appends, a clean restart, all still there.
fn survive(disk: &Disk, promises: Promises, promised: i64, what: &str) {
    let manager = open(disk, &["/data"]).unwrap_or_else(|| panic!("{what}: the directory does not open"));
    let log = manager
        .create(spec("busy"), NOW)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        log.log_start_offset().0 <= promises.start.max(0),
        "{what}: {promises:?}"
    );
    let count = verify(&log, promised, what);
    assert!(count <= promises.answered + 1, "{what}: {count} batches, {promises:?}");
    for number in count..count + 4 {
        // Producers whose last batches were lost with the power begin anew.
        let mut bytes = sent(number);
        bytes[43..51].copy_from_slice(&(-1i64).to_be_bytes());
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        log.append(bytes, LeaderEpoch(2), AppendOrigin::Client, NOW)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    log.advance_high_watermark(Offset(i64::MAX));
    manager.shutdown(NOW);
    let manager = open(&disk.after_kill(), &["/data"]).unwrap();
    let log = manager.create(spec("busy"), NOW).unwrap();
    assert_eq!(
        log.log_end_offset().0,
        (count + 4) * RECORDS,
        "{what}: after a clean restart"
    );
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_was_promised() {
    let healthy = Disk::default();
    let promises = live(&healthy);
    assert_eq!((promises.answered, promises.flushed), (90, 90));
    let steps = healthy.steps();
    assert!(steps > 200, "{steps}");
    for step in 1..=steps {
        let disk = Disk::with_fault(step, Fault::Crash);
        let promises = live(&disk);
        survive(
            &disk.after_kill(),
            promises,
            promises.answered,
            &format!("killed at step {step}"),
        );
        for seed in 0..4 {
            let mut choices = Choices::new((step * 10 + seed) as u64);
            let left = disk.after_power_loss(&mut choices);
            survive(
                &left,
                promises,
                promises.flushed,
                &format!("power lost at step {step}, seed {seed}"),
            );
        }
    }
}

#[test]
fn a_second_crash_during_recovery_loses_nothing_either() {
    let disk = Disk::with_fault(150, Fault::Crash);
    let promises = live(&disk);
    let left = disk.after_power_loss(&mut Choices::new(7));
    let count = {
        let manager = open(&left.after_kill(), &["/data"]).unwrap();
        manager.create(spec("busy"), NOW).unwrap().log_end_offset().0
    };
    for step in 1..60 {
        let again = left.after_kill();
        let before = again.steps();
        again.arm(before + step, Fault::Crash);
        if let Some(manager) = open(&again, &["/data"]) {
            let _ = manager.create(spec("busy"), NOW);
        }
        let manager = open(&again.after_kill(), &["/data"]).unwrap();
        let log = manager.create(spec("busy"), NOW).unwrap();
        assert_eq!(log.log_end_offset().0, count, "step {step}");
        verify(&log, promises.flushed, &format!("recovery crashed at step {step}"));
    }
}

#[test]
fn a_full_disk_refuses_appends_and_takes_them_again_when_there_is_room() {
    let healthy = Disk::default();
    live(&healthy);
    let mut refused = 0;
    for step in 20..healthy.steps() {
        let disk = Disk::with_fault(step, Fault::Full);
        let manager = open(&disk, &["/data"]).unwrap();
        let Ok(log) = manager.create(spec("busy"), NOW) else {
            continue;
        };
        let mut number = 0;
        while number < 60 {
            match append(&log, number) {
                Ok(_) => number += 1,
                Err(AppendError::Storage(error)) => {
                    refused += 1;
                    assert_eq!(error.raw_os_error(), Some(28));
                    assert_eq!(log.log_end_offset().0, number * RECORDS);
                    verify(&log, number, "while full");
                    disk.heal();
                }
                Err(error) => panic!("step {step}: {error}"),
            }
        }
        assert!(!log.is_offline());
        verify(&log, 60, &format!("full at step {step}"));
        let manager = open(&disk.after_kill(), &["/data"]).unwrap();
        verify(
            &manager.create(spec("busy"), NOW).unwrap(),
            60,
            &format!("restarted, full at step {step}"),
        );
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn a_broken_disk_takes_its_own_partitions_offline_and_no_others() {
    let mut offline = 0;
    for step in 30..150 {
        let disk = Disk::default();
        let manager = open(&disk, &["/one", "/two"]).unwrap();
        let names = ["a", "b"];
        let logs: Vec<_> = names
            .iter()
            .map(|name| manager.create(spec(name), NOW).unwrap())
            .collect();
        assert_ne!(logs[0].log_directory(), logs[1].log_directory());
        disk.arm(disk.steps() + step, Fault::Broken);
        let mut answered = [0, 0];
        for _ in 0..40 {
            for (log, answered) in logs.iter().zip(&mut answered) {
                if append(log, *answered).is_ok() {
                    *answered += 1;
                }
                let _ = log.flush();
            }
        }
        let down: Vec<_> = logs.iter().filter(|log| log.is_offline()).collect();
        assert!(down.len() <= 1, "step {step}");
        let online = manager
            .directories()
            .iter()
            .filter(|directory| directory.online)
            .count();
        assert_eq!(online, 2 - down.len());
        for (log, answered) in logs.iter().zip(answered) {
            if log.is_offline() {
                offline += 1;
                let refused = log.append(sent(answered), LeaderEpoch(2), AppendOrigin::Client, NOW);
                assert!(matches!(refused, Err(AppendError::Offline(_))));
            } else {
                assert_eq!(answered, 40, "step {step}");
                verify(log, answered, &format!("broken at step {step}"));
            }
        }
        let manager = open(&disk.after_kill(), &["/one", "/two"]).unwrap();
        for (name, answered) in names.iter().zip(answered) {
            verify(
                &manager.create(spec(name), NOW).unwrap(),
                answered,
                &format!("restarted, broken at step {step}"),
            );
        }
    }
    assert!(offline > 50, "{offline}");
}

#[test]
fn a_clean_shutdown_of_many_partitions_survives_a_loss_of_power() {
    let names: Vec<_> = (0..120).map(|number| format!("many-{number}")).collect();
    let disk = Disk::default();
    let manager = open(&disk, &["/data"]).unwrap();
    for name in &names {
        let log = manager.create(spec(name), NOW).unwrap();
        for number in 0..3 {
            append(&log, number).unwrap();
        }
    }
    manager.shutdown(NOW);
    let left = disk.after_power_loss(&mut Choices::new(3));
    let manager = open(&left, &["/data"]).unwrap();
    let report = manager.load(names.iter().map(|name| spec(name)).collect(), NOW, &|_, _| ());
    assert_eq!(
        (report.loaded, report.recovered),
        (120, 0),
        "{:?}",
        report.failures.first()
    );
    for log in manager.partitions() {
        verify(&log, 3, "many");
    }
}
