//! What a restart finds: after a clean shutdown, after a crash, and with damaged files.

use super::*;
use std::path::Path;

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
    write("00000000000000000050.log.cleaned");
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
fn a_compacted_segment_that_has_not_got_its_name_whole_is_dropped() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(40);
    let segments = fixture.log.segments();
    let half = numbered(0);
    std::fs::write(fixture.file("00000000000000000000.log.swap"), &half).unwrap();
    std::fs::write(fixture.file("00000000000000000000.index.cleaned"), b"").unwrap();
    let fixture = fixture.killed();
    assert_eq!(fixture.log.segments(), segments);
    assert_eq!(fixture.values(), expected(0..80));
    // The log has its name already: what is left are the indexes, and nothing else is touched.
    std::fs::rename(
        fixture.file("00000000000000000000.index"),
        fixture.file("00000000000000000000.index.swap"),
    )
    .unwrap();
    let fixture = fixture.killed();
    assert_eq!(fixture.log.segments(), segments);
    assert_eq!(fixture.values(), expected(0..80));
    assert!(fixture.file("00000000000000000000.index").exists());
}
