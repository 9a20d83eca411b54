//! Transactions whose first records here wait for a word of their coordinator (KIP-890).
//!
//! Before the first transactional batch of a producer is appended, the coordinator is asked whether this partition
//! belongs to the transaction. Between its "yes" and the append the transaction may end; a batch that came after the
//! marker would belong to nothing, and hold back the last stable offset for ever. So a question gets a *guard*, a
//! number that is never given twice; a marker takes the guard back, and an append with a guard that is gone is
//! refused.
//!
//! A batch of a producer that is not known here yet, and that a full disk has refused, is kept as a question as well
//! that nobody asks: what counts is its sequence, which later batches have to wait for.

use crate::error::AppendError;
use crate::types::{ProducerId, VerificationGuard};
use std::collections::HashMap;

/// One producer that is being asked about.
#[derive(Clone, Copy, Debug)]
struct Question {
    guard: VerificationGuard,
    epoch: i16,
    lowest_sequence: i32,
    bumps_epoch: bool,
    since_ms: i64,
}

/// Every question of a partition that is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verifications {
    questions: HashMap<i64, Question>,
    guards_given: u64,
}

/// The first batch that asks, as far as its header tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub producer_id: i64,
    pub epoch: i16,
    pub base_sequence: i32,
    /// The producer speaks the second transaction protocol: each of its transactions has an epoch of its own.
    pub bumps_epoch: bool,
}

impl Verifications {
    /// Begins a question, or joins the one that is open.
    pub fn begin(&mut self, asking: &Asking, now_ms: i64) -> VerificationGuard {
        let next = self.guards_given + 1;
        let question = self.questions.entry(asking.producer_id).or_insert(Question {
            guard: VerificationGuard(next),
            epoch: asking.epoch,
            lowest_sequence: asking.base_sequence,
            bumps_epoch: asking.bumps_epoch,
            since_ms: now_ms,
        });
        self.guards_given = self.guards_given.max(question.guard.0);
        if asking.epoch > question.epoch {
            question.epoch = asking.epoch;
            question.lowest_sequence = asking.base_sequence;
        } else if asking.epoch == question.epoch {
            question.lowest_sequence = question.lowest_sequence.min(asking.base_sequence);
        }
        question.guard
    }

    /// Whether `guard` still is the one of this producer.
    pub fn holds(&self, producer_id: i64, guard: VerificationGuard) -> bool {
        self.questions
            .get(&producer_id)
            .is_some_and(|question| question.guard == guard)
    }

    /// A batch whose earlier batches are still on their way must not overtake them: they could never be appended.
    pub fn check_sequence(&self, producer_id: i64, first: i32, is_first_here: bool) -> Result<(), AppendError> {
        let Some(question) = self.questions.get(&producer_id) else {
            return Ok(());
        };
        let expected = if question.bumps_epoch && is_first_here {
            0
        } else {
            question.lowest_sequence
        };
        if first > expected {
            return Err(AppendError::OutOfOrderSequence {
                producer_id: ProducerId(producer_id),
                expected,
                found: first,
            });
        }
        Ok(())
    }

    /// A batch is in the log: the question is answered, or its transaction is over. One case is neither:
    /// the marker of the transaction before, written again, while the next one is being asked about.
    pub fn settle(&mut self, producer_id: i64, epoch: i16, is_marker: bool) {
        if let Some(question) = self.questions.get(&producer_id)
            && !(is_marker && question.bumps_epoch && question.epoch == epoch)
        {
            self.questions.remove(&producer_id);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// Forgets questions that nobody came back to.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.questions
            .retain(|_, question| now_ms.saturating_sub(question.since_ms) < expiration_ms);
    }
}
