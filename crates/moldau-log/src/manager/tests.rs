use super::*;
use crate::batch::BatchBuilder;
use crate::temporary::TemporaryFolder;
use crate::types::Offset;
use crate::types::{AppendOrigin, LeaderEpoch};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

const NOW: i64 = 1_700_000_000_000;

fn open(directories: &[&Path]) -> Result<LogManager, LogError> {
    let directories = directories.iter().map(|path| path.to_path_buf()).collect();
    LogManager::open(LogManagerConfig {
        directories,
        ..LogManagerConfig::default()
    })
}

fn spec(topic: &str, partition: i32, id: u128) -> PartitionSpec {
    let config = LogConfig {
        file_delete_delay_ms: 100,
        ..LogConfig::default()
    };
    PartitionSpec {
        topic_partition: TopicPartition::new(topic, partition),
        topic_id: TopicId::from_u128(id),
        config,
    }
}

fn append(log: &PartitionLog, count: usize) {
    for _ in 0..count {
        let mut builder = BatchBuilder::new();
        builder.append(NOW, None, Some(b"value"), &[]);
        log.append(builder.finish(), LeaderEpoch(0), AppendOrigin::Client, NOW)
            .unwrap();
    }
    log.advance_high_watermark(Offset(i64::MAX));
}

fn delete(manager: &LogManager, topic_partition: &TopicPartition) -> Vec<LoadFailure> {
    manager.delete_all(std::slice::from_ref(topic_partition), NOW)
}

fn names(path: &Path) -> Vec<String> {
    let names = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_directory_belongs_to_one_manager_at_a_time() {
    let temporary = TemporaryFolder::new();
    let first = open(&[temporary.path()]).unwrap();
    assert!(matches!(open(&[temporary.path()]), Err(LogError::DirectoryLocked(_))));
    first.shutdown(NOW);
    let second = open(&[temporary.path()]).unwrap();
    drop(second);
    assert!(open(&[temporary.path()]).is_ok());
}

#[test]
fn partitions_are_spread_loaded_again_and_keep_their_files_where_they_were() {
    let (one, two) = (TemporaryFolder::new(), TemporaryFolder::new());
    let specs: Vec<_> = (0..10).map(|partition| spec("orders", partition, 1)).collect();
    let manager = open(&[one.path(), two.path()]).unwrap();
    let report = manager.load(specs.clone(), NOW, &|_, _| ());
    assert_eq!((report.loaded, report.recovered, report.failures.len()), (10, 0, 0));
    for log in manager.partitions() {
        append(&log, log.topic_partition().partition as usize + 1);
    }
    let count = |path: &Path| names(path).iter().filter(|name| name.starts_with("orders-")).count();
    assert_eq!((count(one.path()), count(two.path())), (5, 5));
    manager.shutdown(NOW);
    for clean in [true, false] {
        let manager = open(&[one.path(), two.path()]).unwrap();
        let calls = AtomicUsize::new(0);
        let report = manager.load(specs.clone(), NOW, &|done, total| {
            assert!(done <= total && total == 10);
            calls.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(
            (report.loaded, report.recovered),
            (10, if clean { 0 } else { 10 }),
            "clean {clean}"
        );
        assert_eq!(calls.into_inner(), 10);
        for log in manager.partitions() {
            let expected = Offset(i64::from(log.topic_partition().partition) + 1);
            assert_eq!((log.log_end_offset(), log.high_watermark()), (expected, expected));
        }
    }
}

#[test]
fn many_partitions_are_made_at_once_and_those_that_cannot_be_are_named() {
    let temporary = TemporaryFolder::new();
    let manager = open(&[temporary.path()]).unwrap();
    manager.create(spec("orders", 7, 9), NOW).unwrap();
    manager.shutdown(NOW);
    let manager = open(&[temporary.path()]).unwrap();
    append(&manager.create(spec("orders", 3, 1), NOW).unwrap(), 2);
    let specs: Vec<_> = (0..50).map(|partition| spec("orders", partition, 1)).collect();
    let failures = manager.create_all(&specs, NOW);
    let failed: Vec<_> = failures.iter().map(|each| each.topic_partition.partition).collect();
    assert_eq!(failed, [7], "its folder belongs to another topic");
    assert_eq!(manager.partitions().len(), 49);
    let kept = manager.get(&TopicPartition::new("orders", 3)).unwrap();
    assert_eq!(kept.log_end_offset(), Offset(2), "one that was there stays as it is");
}

#[test]
fn a_topic_id_that_is_torn_is_written_anew_unless_there_are_records_and_was_no_crash() {
    let temporary = TemporaryFolder::new();
    let manager = open(&[temporary.path()]).unwrap();
    append(&manager.create(spec("full", 0, 1), NOW).unwrap(), 1);
    manager.create(spec("empty", 0, 2), NOW).unwrap();
    manager.shutdown(NOW);
    for folder in ["full-0", "empty-0"] {
        std::fs::write(temporary.path().join(folder).join("partition.metadata"), b"vers").unwrap();
    }
    let manager = open(&[temporary.path()]).unwrap();
    let both = || vec![spec("full", 0, 1), spec("empty", 0, 2)];
    let report = manager.load(both(), NOW, &|_, _| ());
    assert_eq!((report.loaded, report.failures.len()), (1, 1), "{report:?}");
    assert!(report.failures[0].message.contains("not a partition.metadata"));
    drop(manager);
    // Now there was a crash: records may be on the disk sooner than whose they are.
    let manager = open(&[temporary.path()]).unwrap();
    let report = manager.load(both(), NOW, &|_, _| ());
    assert_eq!((report.loaded, report.failures.len()), (2, 0), "{report:?}");
    for folder in ["full-0", "empty-0"] {
        let written = std::fs::read_to_string(temporary.path().join(folder).join("partition.metadata")).unwrap();
        assert!(written.contains("topic_id"));
    }
    let full = manager.get(&TopicPartition::new("full", 0)).unwrap();
    assert_eq!(full.log_end_offset(), Offset(1));
}

#[test]
fn what_the_metadata_does_not_know_is_set_aside_and_an_older_topic_too() {
    let temporary = TemporaryFolder::new();
    let manager = open(&[temporary.path()]).unwrap();
    for (name, id) in [
        ("kept", 1),
        ("forgotten", 2),
        ("recreated", 3),
        ("__cluster_metadata", 4),
    ] {
        append(&manager.create(spec(name, 0, id), NOW).unwrap(), 3);
    }
    manager.shutdown(NOW);
    let manager = open(&[temporary.path()]).unwrap();
    let metadata = manager.create(spec("__cluster_metadata", 0, 4), NOW).unwrap();
    assert_eq!(metadata.log_end_offset(), Offset(3));
    manager.checkpoint().unwrap();
    let report = manager.load(vec![spec("kept", 0, 1), spec("recreated", 0, 33)], NOW, &|_, _| ());
    assert_eq!(
        (report.loaded, report.recovered, report.failures.len()),
        (2, 0, 0),
        "{report:?}"
    );
    assert_eq!(report.stray.len(), 2);
    assert!(
        report
            .stray
            .iter()
            .all(|path| path.exists() && path.to_str().unwrap().ends_with("-stray"))
    );
    assert_eq!(
        manager.get(&TopicPartition::new("kept", 0)).unwrap().log_end_offset(),
        Offset(3)
    );
    assert_eq!(
        manager
            .get(&TopicPartition::new("recreated", 0))
            .unwrap()
            .log_end_offset(),
        Offset(0)
    );
    assert!(manager.get(&TopicPartition::new("forgotten", 0)).is_none());
}

#[test]
fn a_deleted_partition_is_offline_at_once_and_its_files_go_later() {
    let temporary = TemporaryFolder::new();
    let manager = open(&[temporary.path()]).unwrap();
    let log = manager.create(spec("orders", 0, 1), NOW).unwrap();
    append(&log, 3);
    let slice = log.read(Offset(0), 1000, Offset(3), true).unwrap();
    assert!(delete(&manager, log.topic_partition()).is_empty());
    let again = delete(&manager, log.topic_partition());
    let unknown = LogError::UnknownPartition(log.topic_partition().clone());
    assert_eq!((again.len(), &again[0].message), (1, &unknown.to_string()));
    assert!(log.is_offline());
    assert!(log.read(Offset(0), 1000, Offset(3), true).is_err());
    assert!(slice.to_bytes().is_ok());
    let again = manager.create(spec("orders", 0, 9), NOW).unwrap();
    assert_eq!(again.log_end_offset(), Offset(0));
    manager.housekeeping(NOW + 99);
    assert!(names(temporary.path()).iter().any(|name| name.ends_with("-delete")));
    assert_eq!(manager.housekeeping(NOW + 100).files_removed, 1);
    assert!(!names(temporary.path()).iter().any(|name| name.ends_with("-delete")));
    // One that a crash left behind goes as well.
    std::fs::create_dir(temporary.path().join("orders-7.abc-delete")).unwrap();
    manager.load(Vec::new(), NOW, &|_, _| ());
    manager.housekeeping(NOW);
    assert!(!temporary.path().join("orders-7.abc-delete").exists());
}

#[test]
fn a_topic_that_is_made_anew_is_not_taken_for_the_older_one_after_a_crash() {
    let at = TopicPartition::new("orders", 0);
    for crash_between in [false, true] {
        let temporary = TemporaryFolder::new();
        let mut manager = open(&[temporary.path()]).unwrap();
        let older = manager.create(spec("orders", 0, 1), NOW).unwrap();
        append(&older, 50);
        older.flush().unwrap();
        older.delete_records_before(Offset(20)).unwrap();
        manager.checkpoint().unwrap();
        assert!(delete(&manager, &at).is_empty());
        if crash_between {
            drop(manager);
            manager = open(&[temporary.path()]).unwrap();
            manager.load(vec![spec("orders", 0, 2)], NOW, &|_, _| ());
        }
        let newer = manager.create(spec("orders", 0, 2), NOW).unwrap();
        assert_eq!(newer.log_start_offset(), Offset(0), "crash between: {crash_between}");
        append(&newer, 3);
        drop((manager, older, newer));
        let manager = open(&[temporary.path()]).unwrap();
        manager.load(vec![spec("orders", 0, 2)], NOW, &|_, _| ());
        let found = manager.get(&at).unwrap();
        let (start, end) = (found.log_start_offset(), found.log_end_offset());
        assert_eq!((start, end), (Offset(0), Offset(3)), "crash between: {crash_between}");
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_offline_and_its_partitions_are_not_made_anew_elsewhere() {
    let (one, two) = (TemporaryFolder::new(), TemporaryFolder::new());
    let specs: Vec<_> = (0..4).map(|partition| spec("orders", partition, 1)).collect();
    let manager = open(&[one.path(), two.path()]).unwrap();
    manager.load(specs.clone(), NOW, &|_, _| ());
    manager.shutdown(NOW);
    std::fs::remove_dir_all(two.path()).unwrap();
    std::fs::write(two.path(), b"a file where the folder was").unwrap();
    let manager = open(&[one.path(), two.path()]).unwrap();
    let report = manager.load(specs, NOW, &|_, _| ());
    assert_eq!((report.loaded, report.failures.len()), (2, 2), "{report:?}");
    let online: Vec<_> = manager.directories().iter().map(|directory| directory.online).collect();
    assert_eq!(online, [true, false]);
    assert!(matches!(open(&[two.path()]), Err(LogError::NoOnlineDirectory)));
    std::fs::remove_file(two.path()).unwrap();
}

#[test]
fn a_partition_in_two_directories_is_opened_where_it_is_longer_and_the_other_is_set_aside() {
    let (one, two) = (TemporaryFolder::new(), TemporaryFolder::new());
    for (path, count) in [(one.path(), 3), (two.path(), 5)] {
        let manager = open(&[path]).unwrap();
        append(&manager.create(spec("orders", 0, 1), NOW).unwrap(), count);
        manager.shutdown(NOW);
    }
    let manager = open(&[one.path(), two.path()]).unwrap();
    let report = manager.load(vec![spec("orders", 0, 1)], NOW, &|_, _| ());
    assert_eq!((report.loaded, report.failures.len(), report.stray.len()), (1, 0, 1));
    let log = manager.get(&TopicPartition::new("orders", 0)).unwrap();
    assert_eq!(
        (log.log_directory().as_path(), log.log_end_offset()),
        (two.path(), Offset(5))
    );
    assert!(report.stray[0].starts_with(one.path()));
}

/// A folder for each directory: the id that it names, if it does, and how many records are in it.
fn leave_folders(folders: &[(&TemporaryFolder, Option<u128>, usize)], clean: bool) {
    for (directory, topic_id, count) in folders {
        let manager = open(&[directory.path()]).unwrap();
        append(
            &manager.create(spec("orders", 0, topic_id.unwrap_or(9)), NOW).unwrap(),
            *count,
        );
        if clean {
            manager.shutdown(NOW);
        }
        if topic_id.is_none() {
            std::fs::write(directory.path().join("orders-0/partition.metadata"), b"vers").unwrap();
        }
    }
}

#[test]
fn of_folders_in_several_directories_the_topics_own_is_opened_however_long_the_others_are() {
    // Of each folder the topic that it names and its records; in which one the topic, 2, is found, and what of it.
    type Case = ([(Option<u128>, usize); 2], Option<usize>, i64);
    let cases: [Case; 6] = [
        ([(Some(1), 5), (Some(2), 3)], Some(1), 3),
        ([(Some(2), 0), (Some(1), 5)], Some(0), 0),
        ([(Some(1), 5), (Some(3), 3)], None, 0),
        // What was ever flushed says whose it is.
        ([(None, 5), (Some(2), 3)], Some(1), 3),
        // A loss of power tore it.
        ([(Some(1), 5), (None, 3)], Some(1), 3),
        ([(None, 0), (None, 3)], Some(1), 3),
    ];
    for (folders, kept, end) in cases {
        let directories = [TemporaryFolder::new(), TemporaryFolder::new()];
        let [one, two] = &directories;
        leave_folders(
            &[(one, folders[0].0, folders[0].1), (two, folders[1].0, folders[1].1)],
            false,
        );
        let manager = open(&[one.path(), two.path()]).unwrap();
        let report = manager.load(vec![spec("orders", 0, 2)], NOW, &|_, _| ());
        assert_eq!(
            (report.loaded, report.failures.len()),
            (1, 0),
            "{folders:?}: {report:?}"
        );
        let log = manager.get(&TopicPartition::new("orders", 0)).unwrap();
        assert_eq!(log.log_end_offset(), Offset(end), "{folders:?}");
        assert_eq!(report.stray.len(), if kept.is_some() { 1 } else { 2 }, "{folders:?}");
        if let Some(kept) = kept {
            assert_eq!(log.log_directory(), directories[kept].path(), "{folders:?}");
            assert!(report.stray[0].starts_with(directories[1 - kept].path()), "{folders:?}");
        }
    }
}

#[test]
fn of_two_folders_with_records_of_which_none_says_whose_they_are_none_is_taken() {
    let (one, two) = (TemporaryFolder::new(), TemporaryFolder::new());
    leave_folders(&[(&one, None, 5), (&two, None, 3)], false);
    let manager = open(&[one.path(), two.path()]).unwrap();
    let report = manager.load(vec![spec("orders", 0, 2)], NOW, &|_, _| ());
    assert_eq!((report.failures.len(), report.stray.len()), (1, 0), "{report:?}");
    let message = &report.failures[0].message;
    assert!(message.contains("leave only the right one"), "{message}");
    assert!([&one, &two].iter().all(|each| each.path().join("orders-0").exists()));
}

#[test]
fn beside_a_folder_of_an_older_topic_a_partition_is_not_made_anew_while_a_directory_is_offline() {
    let (one, two) = (TemporaryFolder::new(), TemporaryFolder::new());
    leave_folders(&[(&one, Some(1), 5)], true);
    std::fs::remove_dir_all(two.path()).unwrap();
    std::fs::write(two.path(), b"a file where the folder was").unwrap();
    let manager = open(&[one.path(), two.path()]).unwrap();
    let report = manager.load(vec![spec("orders", 0, 2)], NOW, &|_, _| ());
    std::fs::remove_file(two.path()).unwrap();
    assert_eq!((report.failures.len(), report.stray.len()), (1, 1), "{report:?}");
    assert!(report.failures[0].message.contains("it may be on one that is not"));
}

#[test]
fn checkpoints_are_kafkas_and_garbage_in_them_is_survived() {
    let temporary = TemporaryFolder::new();
    let manager = open(&[temporary.path()]).unwrap();
    let log = manager.create(spec("orders", 0, 1), NOW).unwrap();
    append(&log, 5);
    log.flush().unwrap();
    log.delete_records_before(Offset(2)).unwrap();
    manager.checkpoint().unwrap();
    let read = |name: &str| std::fs::read_to_string(temporary.path().join(name)).unwrap();
    assert_eq!(read("recovery-point-offset-checkpoint"), "0\n1\norders 0 5\n");
    assert_eq!(read("log-start-offset-checkpoint"), "0\n1\norders 0 2\n");
    assert_eq!(read("replication-offset-checkpoint"), "0\n1\norders 0 5\n");
    manager.shutdown(NOW);
    assert!(read(".kafka_cleanshutdown").contains("\"version\":0"));
    for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        std::fs::write(temporary.path().join(name), b"\xff\x00 nonsense").unwrap();
    }
    let manager = open(&[temporary.path()]).unwrap();
    let log = manager.create(spec("orders", 0, 1), NOW).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(2), Offset(5)));
    assert!(!temporary.path().join(".kafka_cleanshutdown").exists());
}
