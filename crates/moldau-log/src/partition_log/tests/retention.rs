//! What takes records away again: retention, requests, truncation.

use super::*;

#[test]
fn retention_by_size_keeps_the_newest_segments() {
    let fixture = Fixture::new(LogConfig {
        retention_bytes: 5000,
        retention_ms: -1,
        ..small_segments()
    });
    fixture.fill(200);
    let report = fixture.manager.housekeeping(NOW);
    assert!(report.segments_deleted > 3 && report.files_removed == 0, "{report:?}");
    let size = fixture.log.size_bytes();
    assert!((5000..7000).contains(&size), "{size}");
    let start = fixture.log.log_start_offset().0;
    assert_eq!(fixture.values(), expected(start..400));
    assert!(matches!(
        fixture.log.read(Offset(start - 1), 1, END, true),
        Err(ReadError::OutOfRange { .. })
    ));
    assert!(fixture.file("00000000000000000000.log.deleted").exists());
    assert!(fixture.manager.housekeeping(NOW + 100).files_removed > 3 * report.segments_deleted);
    assert!(!fixture.file("00000000000000000000.log.deleted").exists());
    let fixture = fixture.killed();
    assert_eq!(fixture.values(), expected(start..400));
}

#[test]
fn retention_by_time_takes_even_the_active_segment() {
    let config = LogConfig {
        retention_ms: 1000,
        ..small_segments()
    };
    let fixture = Fixture::new(config.clone());
    fixture.fill(100);
    let slice = fixture.log.read(Offset(0), 1 << 20, END, true).unwrap();
    assert_eq!(fixture.manager.housekeeping(NOW + 1000).segments_deleted, 0);
    assert!(fixture.manager.housekeeping(NOW + 1500).segments_deleted > 1);
    fixture.manager.housekeeping(NOW + 3000);
    assert_eq!(fixture.log.log_start_offset(), Offset(200));
    assert_eq!(fixture.log.size_bytes(), 0);
    assert_eq!(fixture.log.segments().len(), 1);
    // Who began to read before may end.
    fixture.manager.housekeeping(NOW + 9000);
    assert!(slice.to_bytes().is_ok());
    fixture.fill(2);
    assert_eq!(fixture.killed().values(), expected(200..204));
    let compacted = Fixture::new(LogConfig {
        delete: false,
        compact: true,
        ..config
    });
    compacted.fill(100);
    assert_eq!(compacted.manager.housekeeping(i64::MAX).segments_deleted, 0);
}

#[test]
fn nothing_above_the_high_watermark_is_deleted() {
    let fixture = Fixture::new(LogConfig {
        retention_ms: 1,
        ..small_segments()
    });
    for number in 0..100 {
        fixture.append(numbered(number));
    }
    fixture.log.advance_high_watermark(Offset(51));
    fixture.manager.housekeeping(i64::MAX);
    assert!(fixture.log.log_start_offset() <= Offset(51));
    assert!(fixture.log.log_start_offset() > Offset(0));
}

#[test]
fn records_are_deleted_on_request_and_stay_deleted() {
    let fixture = Fixture::new(small_segments());
    fixture.fill(100);
    assert!(matches!(
        fixture.log.delete_records_before(Offset(201)),
        Err(LogError::OutOfRange { .. })
    ));
    assert_eq!(fixture.log.delete_records_before(Offset(51)).unwrap(), Offset(51));
    assert_eq!(fixture.log.delete_records_before(Offset(20)).unwrap(), Offset(51));
    assert!(matches!(
        fixture.log.read(Offset(50), 1, END, true),
        Err(ReadError::OutOfRange { .. })
    ));
    assert!(fixture.log.read(Offset(51), 1, END, true).is_ok());
    assert!(fixture.manager.housekeeping(NOW).segments_deleted > 0);
    fixture.manager.checkpoint().unwrap();
    let fixture = fixture.killed();
    assert_eq!(fixture.log.log_start_offset(), Offset(51));
    assert_eq!(fixture.log.delete_records_before(Offset(-1)).unwrap(), Offset(200));
}

#[test]
fn truncation_forgets_what_is_behind_it() {
    for to in [0, 1, 57, 150, 198] {
        let fixture = Fixture::new(small_segments());
        fixture.fill(100);
        fixture.log.truncate_to(Offset(to)).unwrap();
        // Whole batches go.
        let end = to / 2 * 2;
        assert!(fixture.log.log_end_offset() == Offset(to));
        fixture.log.truncate_to(Offset(end)).unwrap();
        fixture.fill(10);
        assert_eq!(fixture.values(), expected(0..end + 20), "to {to}");
        assert_eq!(fixture.killed().values(), expected(0..end + 20), "to {to}");
    }
}

#[test]
fn what_was_written_is_flushed_when_flush_ms_has_passed_and_not_before() {
    let fixture = Fixture::new(LogConfig {
        flush_ms: 1000,
        ..LogConfig::default()
    });
    assert_eq!(fixture.manager.flush_due(NOW + 5000), 0);
    fixture.append(numbered(0));
    assert_eq!(fixture.manager.flush_due(NOW + 999), 0);
    assert_eq!(fixture.log.recovery_point(), Offset(0));
    assert_eq!(fixture.manager.flush_due(NOW + 1000), 1);
    assert_eq!(fixture.log.recovery_point(), fixture.log.log_end_offset());
    assert_eq!(fixture.manager.flush_due(NOW + 9000), 0);
}

#[test]
fn a_flush_of_closed_segments_lets_the_newest_records_go_on_to_age() {
    let fixture = Fixture::new(LogConfig {
        flush_ms: 1000,
        ..small_segments()
    });
    fixture.fill(40);
    assert!(fixture.log.flush_closed_segments().unwrap());
    assert!(!fixture.log.flush_closed_segments().unwrap());
    assert!(fixture.log.recovery_point() < fixture.log.log_end_offset());
    assert_eq!(fixture.manager.flush_due(NOW + 999), 0);
    assert_eq!(fixture.manager.flush_due(NOW + 1000), 1);
    assert_eq!(fixture.log.recovery_point(), fixture.log.log_end_offset());
    assert_eq!(fixture.manager.flush_due(NOW + 9000), 0);
}
