use super::*;
use crate::batch::BatchBuilder;
use bytes::BytesMut;
use proptest::prelude::*;

const ID: ProducerId = ProducerId(9);

fn batch(epoch: i16, base_sequence: i32, count: usize, transactional: bool) -> BytesMut {
    let mut builder = BatchBuilder::new().producer(ID, ProducerEpoch(epoch), base_sequence);
    if transactional {
        builder = builder.transactional();
    }
    for _ in 0..count {
        builder.append(5, None, Some(b"x"), &[]);
    }
    builder.finish()
}

/// A log of nothing but offsets.
#[derive(Default)]
struct Fixture {
    states: ProducerStates,
    end: i64,
}

impl Fixture {
    fn append(&mut self, bytes: &[u8], origin: AppendOrigin) -> Result<Option<AbortedEntry>, AppendError> {
        self.append_as(bytes, &origin.into())
    }

    fn append_as(&mut self, bytes: &[u8], context: &AppendContext) -> Result<Option<AbortedEntry>, AppendError> {
        let batch = BatchView::parse(bytes).unwrap();
        let update = self.states.prepare(&batch, Offset(self.end), context, &[])?;
        self.end += i64::from(batch.record_count());
        Ok(update.and_then(|update| self.states.apply(update)))
    }

    fn send(&mut self, epoch: i16, base_sequence: i32, count: usize) -> Result<(), AppendError> {
        self.append(&batch(epoch, base_sequence, count, false), AppendOrigin::Client)
            .map(|_| ())
    }

    fn refuse(&mut self, epoch: i16, base_sequence: i32) {
        let bytes = batch(epoch, base_sequence, 1, false);
        self.states.refused(&[*BatchView::parse(&bytes).unwrap().header()], 0);
    }

    fn duplicate(&self, epoch: i16, base_sequence: i32, count: usize) -> Option<Offset> {
        let bytes = batch(epoch, base_sequence, count, false);
        let duplicate = self.states.find_duplicate(&BatchView::parse(&bytes).unwrap());
        duplicate.map(|duplicate| duplicate.first_offset())
    }
}

#[test]
fn sequences_follow_each_other_and_a_gap_is_refused() {
    let mut log = Fixture::default();
    log.send(0, 0, 3).unwrap();
    log.send(0, 3, 1).unwrap();
    let error = log.send(0, 5, 1).unwrap_err();
    assert!(
        matches!(
            error,
            AppendError::OutOfOrderSequence {
                expected: 4,
                found: 5,
                ..
            }
        ),
        "{error}"
    );
    log.send(0, 4, 1).unwrap();
}

#[test]
fn the_last_five_batches_are_remembered_with_their_first_offsets() {
    let mut log = Fixture::default();
    for number in 0..6 {
        log.send(0, number * 2, 2).unwrap();
    }
    assert_eq!(log.duplicate(0, 0, 2), None);
    assert_eq!(log.duplicate(0, 2, 2), Some(Offset(2)));
    assert_eq!(log.duplicate(0, 10, 2), Some(Offset(10)));
    assert_eq!(log.duplicate(0, 10, 1), None);
    assert_eq!(log.duplicate(1, 10, 2), None);
}

#[test]
fn sequences_wrap_to_zero_after_the_largest() {
    let mut log = Fixture::default();
    log.send(0, i32::MAX - 1, 3).unwrap();
    assert_eq!(log.duplicate(0, i32::MAX - 1, 3), Some(Offset(0)));
    log.send(0, 1, 1).unwrap();
    let mut log = Fixture::default();
    log.send(0, i32::MAX, 1).unwrap();
    log.send(0, 0, 1).unwrap();
}

#[test]
fn an_older_epoch_is_fenced_and_a_newer_one_starts_at_zero() {
    let mut log = Fixture::default();
    log.send(3, 0, 1).unwrap();
    assert!(matches!(
        log.send(2, 1, 1),
        Err(AppendError::InvalidProducerEpoch { .. })
    ));
    assert!(matches!(
        log.send(4, 1, 1),
        Err(AppendError::OutOfOrderSequence { expected: 0, .. })
    ));
    log.send(4, 0, 1).unwrap();
}

#[test]
fn a_producer_that_is_not_known_may_start_anywhere() {
    let mut log = Fixture::default();
    log.send(0, 77, 1).unwrap();
    log.states.expire(1_000, 100);
    assert!(log.states.is_empty());
    log.send(0, 99, 1).unwrap();
}

#[test]
fn an_open_transaction_holds_the_last_stable_offset_until_its_marker_is_below_the_high_watermark() {
    let mut log = Fixture {
        end: 10,
        ..Fixture::default()
    };
    log.append(&batch(0, 0, 2, true), AppendOrigin::Client).unwrap();
    assert_eq!(log.states.first_unstable_offset(), Some(Offset(10)));
    let refused = log.append(&batch(0, 2, 1, false), AppendOrigin::Client);
    assert!(matches!(refused, Err(AppendError::InvalidTransactionState { .. })));
    log.states.expire(i64::MAX, 0);
    let marker = BatchBuilder::end_transaction(EndTransaction::Abort, ID, ProducerEpoch(0), 4, 6);
    let aborted = log.append(&marker, AppendOrigin::Coordinator).unwrap().unwrap();
    let expected = AbortedEntry {
        producer_id: ID,
        first_offset: Offset(10),
        last_offset: Offset(12),
        last_stable_offset: Offset(13),
    };
    assert_eq!(aborted, expected);
    assert_eq!(log.states.first_unstable_offset(), Some(Offset(10)));
    log.states.high_watermark_advanced(Offset(12));
    assert_eq!(log.states.first_unstable_offset(), Some(Offset(10)));
    log.states.high_watermark_advanced(Offset(13));
    assert_eq!(log.states.first_unstable_offset(), None);
    let zombie = BatchBuilder::end_transaction(EndTransaction::Commit, ID, ProducerEpoch(0), 3, 6);
    assert!(matches!(
        log.append(&zombie, AppendOrigin::Coordinator),
        Err(AppendError::CoordinatorFenced { .. })
    ));
}

#[test]
fn a_commit_leaves_nothing_in_the_transaction_index() {
    let mut log = Fixture::default();
    log.append(&batch(0, 0, 1, true), AppendOrigin::Client).unwrap();
    let marker = BatchBuilder::end_transaction(EndTransaction::Commit, ID, ProducerEpoch(0), 0, 6);
    assert_eq!(log.append(&marker, AppendOrigin::Coordinator).unwrap(), None);
}

proptest! {
    #[test]
    fn a_snapshot_reads_back(sends in proptest::collection::vec((0i64..20, 1usize..4, any::<bool>()), 0..30)) {
        let mut log = Fixture::default();
        for (id, count, transactional) in sends {
            let mut builder = BatchBuilder::new().producer(ProducerId(id), ProducerEpoch(0), 0);
            if transactional {
                builder = builder.transactional();
            }
            for _ in 0..count {
                builder.append(id, None, None, &[]);
            }
            log.append(&builder.finish(), AppendOrigin::Coordinator).ok();
        }
        let bytes = encode_snapshot(&log.states);
        let again = decode_snapshot(&bytes).unwrap();
        prop_assert_eq!(again.entries(), log.states.entries());
        prop_assert_eq!(again.first_unstable_offset(), log.states.first_unstable_offset());
        prop_assert_eq!(encode_snapshot(&again), bytes);
    }

    #[test]
    fn any_bytes_are_a_snapshot_or_an_error(mut bytes: Vec<u8>, right_checksum: bool) {
        if right_checksum && bytes.len() >= 10 {
            bytes[..2].copy_from_slice(&[0, 1]);
            let crc = crc32c::crc32c(&bytes[6..]);
            bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        }
        let _ = decode_snapshot(&bytes);
    }
}

#[test]
fn a_batch_does_not_overtake_the_first_of_its_producer_that_a_full_disk_refused() {
    let mut log = Fixture::default();
    log.refuse(0, 0);
    log.refuse(0, 3);
    let error = log.send(0, 3, 1).unwrap_err();
    assert!(
        matches!(
            error,
            AppendError::OutOfOrderSequence {
                expected: 0,
                found: 3,
                ..
            }
        ),
        "{error:?}"
    );
    log.send(0, 0, 3).unwrap();
    log.send(0, 3, 1).unwrap();
    log.send(0, 4, 1).unwrap();
}

#[test]
fn a_producer_that_begins_somewhere_and_was_refused_there_begins_there() {
    let mut log = Fixture::default();
    log.refuse(0, 7);
    log.send(0, 8, 1).unwrap_err();
    log.send(0, 7, 1).unwrap();
    log.send(0, 8, 1).unwrap();
}

#[test]
fn a_producer_that_gave_up_what_was_refused_begins_its_next_epoch() {
    let mut log = Fixture::default();
    log.refuse(0, 4);
    log.send(1, 0, 2).unwrap();
    log.send(1, 2, 2).unwrap();
}

#[test]
fn what_a_full_disk_refused_of_a_known_producer_is_a_gap_like_any_other() {
    let mut log = Fixture::default();
    log.send(0, 0, 2).unwrap();
    log.refuse(0, 2);
    log.send(0, 3, 1).unwrap_err();
    log.send(0, 2, 1).unwrap();
    log.send(0, 3, 1).unwrap();
}
