//! Apache Kafka's own DumpLogSegments reads every kind of file that we write, and finds nothing to complain about.
//!
//! Needs Java and Kafka's jars; `MOLDAU_KAFKA_LIBS` names the folder with the jars (4.3). A test that did nothing must
//! not pass, so it is ignored unless asked for:
//! `cargo test -p moldau-log --test kafka_reads_our_files -- --ignored`.

use moldau_log::batch::{BatchBuilder, Codec, EndTransaction};
use moldau_log::{
    AppendOrigin, LeaderEpoch, LogConfig, LogManager, LogManagerConfig, Offset, PartitionLog, PartitionSpec,
    ProducerEpoch, ProducerId, TopicId, TopicPartition,
};
use std::path::{Path, PathBuf};
use std::process::Command;

const NOW: i64 = 1_700_000_000_000;

fn write_something_of_everything(log: &PartitionLog) {
    let append = |bytes, origin| log.append(bytes, LeaderEpoch(3), origin, NOW).unwrap();
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    for number in 0..300i64 {
        let mut plain = BatchBuilder::new().codec(codecs[number as usize % 5]);
        let mut idempotent =
            BatchBuilder::new().producer(ProducerId(number % 3), ProducerEpoch(0), (number / 3 * 4) as i32);
        let mut transactional = BatchBuilder::new()
            .producer(ProducerId(50), ProducerEpoch(1), number as i32 * 4)
            .transactional();
        for record in 0..4 {
            let value =
                format!("record {record} of batch {number}, with something to compress: aaaaaaaaaaaaaaaaaaaaaaaa");
            for builder in [&mut plain, &mut idempotent, &mut transactional] {
                builder.append(NOW + number * 7 + record, Some(b"key"), Some(value.as_bytes()), &[]);
            }
        }
        append(plain.finish(), AppendOrigin::Client);
        append(idempotent.finish(), AppendOrigin::Client);
        append(transactional.finish(), AppendOrigin::Client);
        let end = if number % 2 == 0 {
            EndTransaction::Abort
        } else {
            EndTransaction::Commit
        };
        let marker = BatchBuilder::end_transaction(end, ProducerId(50), ProducerEpoch(1), 2, NOW + number * 7);
        append(marker, AppendOrigin::Coordinator);
        log.advance_high_watermark(Offset(i64::MAX));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let known = ["log", "index", "timeindex", "txnindex", "snapshot"];
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| known.iter().any(|known| *known == extension))
    });
    files.sort();
    files
}

fn dump(jars: &str, files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|path| path.to_str().unwrap()).collect();
    let output = Command::new("java")
        .args([
            "-cp",
            &format!("{jars}/*"),
            "org.apache.kafka.tools.DumpLogSegments",
            "--deep-iteration",
        ])
        .args(["--files", &names.join(",")])
        .output()
        .expect("java");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

#[test]
#[ignore = "needs Java and MOLDAU_KAFKA_LIBS"]
fn dump_log_segments_has_no_complaint() {
    let jars = std::env::var("MOLDAU_KAFKA_LIBS").expect("MOLDAU_KAFKA_LIBS names a folder with Kafka's jars");
    let root = std::env::temp_dir().join(format!("moldau-dump-{}", std::process::id()));
    let config = LogConfig {
        segment_bytes: 60_000,
        index_interval_bytes: 1000,
        ..LogConfig::default()
    };
    let open = || {
        LogManager::open(LogManagerConfig {
            directories: vec![root.clone()],
            ..LogManagerConfig::default()
        })
        .unwrap()
    };
    let spec = PartitionSpec {
        topic_partition: TopicPartition::new("dumped", 0),
        topic_id: TopicId::from_u128(7),
        config,
    };
    let manager = open();
    let log = manager.create(spec.clone(), NOW).unwrap();
    write_something_of_everything(&log);
    manager.shutdown(NOW);
    drop((manager, log));
    let closed = files(&root.join("dumped-0"));
    check(&dump(&jars, &closed), &closed);

    // And after a crash, when all indexes were made anew.
    std::fs::remove_file(root.join(".kafka_cleanshutdown")).unwrap();
    std::fs::remove_file(root.join("recovery-point-offset-checkpoint")).unwrap();
    let manager = open();
    let log = manager.create(spec, NOW).unwrap();
    let recovered = files(&log.directory());
    check(&dump(&jars, &recovered), &recovered);
    std::fs::remove_dir_all(&root).unwrap();
}

fn check(said: &str, files: &[PathBuf]) {
    for complaint in [
        "Mismatches",
        "not valid",
        "corrupt",
        "Exception",
        "ould not",
        "isvalid: false",
        "out of order",
    ] {
        assert!(!said.contains(complaint), "{complaint}: {said}");
    }
    for kind in ["log", "index", "timeindex", "txnindex", "snapshot"] {
        assert!(
            files
                .iter()
                .any(|path| path.extension().is_some_and(|extension| extension == kind)),
            "no .{kind}"
        );
    }
    assert_eq!(said.matches("Dumping").count(), files.len(), "{said}");
    assert_eq!(
        said.matches("record 3 of batch 299").count(),
        0,
        "payloads are not printed unless asked for"
    );
    assert!(said.contains("baseOffset: 0 lastOffset: 3 count: 4"), "{said}");
    assert!(said.contains("producerId: 50"), "{said}");
    assert!(said.contains("endTxnMarker: ABORT"), "{said}");
}
