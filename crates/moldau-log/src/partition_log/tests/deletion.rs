//! What is still being done with a partition that is deleted, while a topic of the same name is made anew.

use super::*;
use std::fs;
use std::path::Path;

/// The names in a folder, and what is in the files.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut contents: Vec<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            (name, bytes)
        })
        .collect();
    contents.sort();
    contents
}

fn delete(fixture: &Fixture) {
    let at = std::slice::from_ref(fixture.log.topic_partition());
    assert!(fixture.manager.delete_all(at, NOW).is_empty());
}

fn made_anew(fixture: &Fixture) -> Arc<PartitionLog> {
    let mut anew = spec(LogConfig::clone(&fixture.log.config()));
    anew.topic_id = TopicId::from_u128(6);
    fixture.manager.create(anew, NOW).unwrap()
}

#[test]
fn what_comes_late_for_a_deleted_partition_does_not_touch_a_new_one_of_its_name() {
    let fixture = Fixture::new(LogConfig {
        retention_ms: 1000,
        ..small_segments()
    });
    fixture.fill(100);
    let folder = fixture.log.directory();
    delete(&fixture);
    let anew = made_anew(&fixture);
    anew.append(numbered(0), LeaderEpoch(3), AppendOrigin::Client, NOW)
        .unwrap();
    anew.flush().unwrap();
    let before = contents(&folder);
    // Each as if its thread had begun before.
    fixture.log.flush_everything().unwrap();
    fixture.log.advance_log_start(Offset(50)).unwrap();
    fixture.log.begin_leader_epoch(LeaderEpoch(9));
    fixture.log.one_round(NOW + 100_000, 1000).unwrap();
    assert_eq!(contents(&folder), before);
    assert_eq!(anew.directory(), folder);
    assert!(!anew.is_offline());
}

#[test]
fn a_partition_gets_its_last_name_when_nobody_renames_or_replaces_files_in_its_folder() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(10);
    let log = &fixture.log;
    let known = log.directory();
    log.close_deleted(|folder| {
        assert_eq!(folder, known);
        assert!(log.reshaping.try_lock().is_none());
        assert!(log.epochs.try_lock().is_none());
        assert!(log.is_offline());
        Ok(None)
    })
    .unwrap();
    assert!(log.reshaping.try_lock().is_some());
}

#[test]
fn a_deletion_does_not_wait_for_a_flush_that_waits_for_the_disk() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(10);
    let log = &fixture.log;
    let (deleted, is_deleted) = std::sync::mpsc::channel();
    std::thread::scope(|threads| {
        let the_disk_takes_its_time = log.flushing.lock();
        threads.spawn(|| {
            delete(&fixture);
            deleted.send(())
        });
        let outcome = is_deleted.recv_timeout(std::time::Duration::from_secs(20));
        drop(the_disk_takes_its_time);
        outcome.expect("the deletion waits");
    });
    assert!(log.is_offline());
}

#[test]
fn housekeeping_of_a_partition_whose_files_are_gone_takes_no_directory_offline() {
    let fixture = Fixture::new(LogConfig {
        retention_ms: 1000,
        ..small_segments()
    });
    fixture.fill(100);
    delete(&fixture);
    fixture.manager.housekeeping(NOW + 100);
    assert!(!fixture.log.directory().exists());
    // Each as if it had been decided before.
    let error = fixture.log.one_round(NOW + 100_000, 1000).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(fixture.log.flush_everything().is_err());
    assert!(!made_anew(&fixture).is_offline());
}

#[test]
fn what_was_cut_off_before_its_flush_does_not_count_as_flushed_when_it_is_written_anew() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(100);
    let target = fixture.log.segments().last().unwrap().base_offset;
    fixture.log.truncate_to(Offset(20)).unwrap();
    fixture.log.flush_to(target).unwrap();
    assert_eq!(fixture.log.recovery_point(), Offset(20));
    fixture.fill(50);
    assert_eq!(fixture.log.recovery_point(), Offset(20));
}
