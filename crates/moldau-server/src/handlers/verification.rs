//! What a transactional produce request must find out before its records are appended (KIP-890).
//!
//! A partition that is new to its transaction has to be in the coordinator's books first, or nobody would ever write a
//! marker there. Up to Produce version 11 the client has told the coordinator itself, and it is asked whether that is
//! so. From version 12 on the client leaves it to the broker, and the partition is added. Either way the question is an
//! AddPartitionsToTxn request, as one broker sends it to another, and the control plane answers it.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use crate::error_code::ErrorCode;
use crate::wire::Writer;
use crate::wire::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

/// From here on TRANSACTION_ABORTABLE is understood.
const KNOWS_ABORTABLE_SINCE: i16 = 11;
/// From here on the broker adds partitions to transactions.
const ADDS_SINCE: i16 = 12;

/// Whether a producer that sends `version` has an epoch for each transaction, and leaves adding partitions to us.
pub(crate) fn adds_partitions(version: i16) -> bool {
    version >= ADDS_SINCE
}

/// The question of one produce request.
#[derive(Debug)]
pub(crate) struct Question {
    request: AddPartitionsToTxnRequest,
    version: i16,
}

/// What the coordinator said, by topic and partition; what it did not mention is in order.
pub(crate) type Answers = HashMap<(String, i32), ErrorCode>;

impl Question {
    pub(crate) fn new(transactional_id: &str, producer_id: i64, producer_epoch: i16, version: i16) -> Question {
        Question {
            request: AddPartitionsToTxnRequest {
                transactional_id: transactional_id.to_owned(),
                producer_id,
                producer_epoch,
                verify_only: !adds_partitions(version),
                topics: Vec::new(),
            },
            version,
        }
    }

    /// Ask about one more partition.
    pub(crate) fn include(&mut self, topic: &str, partition: i32) {
        let topics = &mut self.request.topics;
        match topics.iter_mut().find(|(name, _)| name == topic) {
            Some((_, partitions)) => partitions.push(partition),
            None => topics.push((topic.to_owned(), vec![partition])),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.request.topics.is_empty()
    }

    /// Whether CONCURRENT_TRANSACTIONS is worth another try: its producer has only just committed, and sending the
    /// records again would cost more than asking again.
    pub(crate) fn may_be_repeated(&self) -> bool {
        !self.request.verify_only
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut body = BytesMut::new();
        self.request.encode(&mut Writer::new(&mut body, true));
        body.freeze()
    }

    /// What `body`, the coordinator's answer, says; `None` when there was no answer.
    pub(crate) fn read(&self, body: Option<&[u8]>) -> Answers {
        let answer = body.and_then(|body| AddPartitionsToTxnResponse::decode(body).ok());
        match answer {
            Some(answer) if answer.error_code == 0 => {
                let each = answer.partitions.into_iter();
                each.filter(|(_, _, code)| *code != 0)
                    .map(|(topic, partition, code)| ((topic, partition), ErrorCode(code)))
                    .collect()
            }
            other => {
                let code = other.map_or(ErrorCode::COORDINATOR_NOT_AVAILABLE, |answer| {
                    ErrorCode(answer.error_code)
                });
                let topics = self.request.topics.iter();
                topics
                    .flat_map(|(topic, partitions)| partitions.iter().map(|index| ((topic.clone(), *index), code)))
                    .collect()
            }
        }
    }

    /// What the producer is told for an error of the coordinator: one that its version knows, and tries again where
    /// that may help.
    pub(crate) fn told(&self, code: ErrorCode) -> ErrorCode {
        match code {
            ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::TRANSACTION_ABORTABLE if self.version < KNOWS_ABORTABLE_SINCE => ErrorCode::INVALID_TXN_STATE,
            ErrorCode::CONCURRENT_TRANSACTIONS if !adds_partitions(self.version) => ErrorCode::NOT_ENOUGH_REPLICAS,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR => ErrorCode::NOT_ENOUGH_REPLICAS,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_as_the_producers_version_knows_it() {
        let told = |version, code| Question::new("id", 1, 0, version).told(code);
        let concurrent = ErrorCode::CONCURRENT_TRANSACTIONS;
        let abortable = ErrorCode::TRANSACTION_ABORTABLE;
        assert_eq!(told(10, abortable), ErrorCode::INVALID_TXN_STATE);
        assert_eq!(told(11, abortable), abortable);
        assert_eq!(told(11, concurrent), ErrorCode::NOT_ENOUGH_REPLICAS);
        assert_eq!(told(12, concurrent), concurrent);
        assert_eq!(told(12, ErrorCode::PRODUCER_FENCED), ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(told(12, ErrorCode::NOT_COORDINATOR), ErrorCode::NOT_ENOUGH_REPLICAS);
    }

    #[test]
    fn no_answer_is_an_error_for_every_partition() {
        let mut question = Question::new("id", 1, 0, 12);
        question.include("orders", 0);
        question.include("orders", 1);
        let answers = question.read(None);
        assert_eq!(answers.len(), 2);
        assert!(
            answers
                .values()
                .all(|code| *code == ErrorCode::COORDINATOR_NOT_AVAILABLE)
        );
        assert_eq!(question.read(Some(&[0xff; 4])), answers);
    }
}
