//! Produce: check what came, append it, and with acks=all wait until it is on every in-sync replica.
//!
//! Nothing here looks at a record. The batch header is read for the rules that belong to the request (one batch, its
//! format, its codec, whose transaction); everything else is the log's. A request with transactional batches may first
//! have a question for the transaction coordinator ([`ProduceOperation::question`]); any other is appended at once.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use moldau_log::{AppendContext, AppendOrigin, Offset, ProducerEpoch, ProducerId, Verification};
use uuid::Uuid;

use super::DelayedOperation;
use super::verification::{Answers, Question, adds_partitions};
use crate::access::{Operation, ResourceKind};
use crate::counters::add;
use crate::error_code::ErrorCode;
use crate::node::{ClientContext, Node};
use crate::partition::{AppendFailure, Partition};
use crate::purgatory::Waiter;
use crate::replica_manager::Topic;
use crate::wire::produce::{PartitionProduceResponse, ProduceRequest, TopicProduceResponse, encode_response};
use crate::wire::{DecodeError, NodeEndpoint, Writer};

const ACKS_ALL: i16 = -1;
/// The only client that may write to internal topics, as in Kafka.
const ADMIN_CLIENT_ID: &str = "__admin_client";

const MAGIC_AT: usize = 16;
const ATTRIBUTES_AT: usize = 21;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
/// Batch offset and batch length: what precedes the part that the length counts.
const LOG_OVERHEAD: usize = 12;
const CODEC_ZSTD: u8 = 4;

/// Records on their way to one partition.
struct Incoming {
    topic: usize,
    index: i32,
    destination: Result<Arc<Partition>, ErrorCode>,
    records: Range<usize>,
    verification: Verification,
}

/// What the header of a transactional batch says of its producer.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TransactionalProducer {
    id: i64,
    epoch: i16,
    base_sequence: i32,
}

/// A write that acks=all waits for.
struct PendingAck {
    topic: usize,
    partition: usize,
    replica: Arc<Partition>,
    required: Offset,
}

/// A Produce request on its way.
pub(crate) struct ProduceOperation {
    version: i16,
    acks: i16,
    timeout_ms: i32,
    body: BytesMut,
    incoming: Vec<Incoming>,
    question: Option<Question>,
    topics: Vec<TopicProduceResponse>,
    endpoints: Vec<NodeEndpoint>,
    pending: Vec<PendingAck>,
    waiter: Option<Arc<Waiter>>,
}

impl ProduceOperation {
    /// Decode the request and find out where its records go. [`ProduceOperation::append`] is next, after the answer to
    /// [`ProduceOperation::question`] if there is one.
    pub(crate) fn start(
        node: &Node,
        client: &ClientContext<'_>,
        body: BytesMut,
        version: i16,
    ) -> Result<ProduceOperation, DecodeError> {
        let request = ProduceRequest::decode(&body, version)?;
        let mut operation = ProduceOperation {
            version,
            acks: request.acks,
            timeout_ms: request.timeout_ms,
            body: BytesMut::new(),
            incoming: Vec::new(),
            question: None,
            topics: Vec::with_capacity(request.topics.len()),
            endpoints: Vec::new(),
            pending: Vec::new(),
            waiter: None,
        };
        let mut incoming = operation.route(node, client, &request, version);
        match check_request(client, &request, &body) {
            Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED) => incoming
                .iter_mut()
                .for_each(|part| part.destination = Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)),
            Err(code) => incoming.iter_mut().for_each(|part| {
                let known = std::mem::replace(&mut part.destination, Err(code));
                part.destination = known.and(Err(code));
            }),
            Ok(Some(producer)) if node.verify_transactions() || adds_partitions(version) => {
                let id = request.transactional_id.unwrap_or_default();
                operation.question = operation.begin_verification(id, producer, &mut incoming, &body, node.now_ms());
            }
            Ok(_) => {}
        }
        operation.incoming = incoming;
        operation.body = body;
        Ok(operation)
    }

    /// Where the transaction begins in a partition, its coordinator is to be asked.
    fn begin_verification(
        &self,
        transactional_id: &str,
        producer: TransactionalProducer,
        incoming: &mut [Incoming],
        body: &[u8],
        now_ms: i64,
    ) -> Option<Question> {
        let adds = adds_partitions(self.version);
        let mut question = Question::new(transactional_id, producer.id, producer.epoch, self.version);
        for part in incoming {
            let Ok(partition) = &part.destination else { continue };
            let Some(producer) = transactional_producer(&body[part.records.clone()]) else {
                continue;
            };
            let key = (ProducerId(producer.id), ProducerEpoch(producer.epoch));
            match partition
                .log()
                .begin_verification(key, producer.base_sequence, adds, now_ms)
            {
                Ok(None) => part.verification = Verification::AlreadyOngoing,
                Ok(Some(guard)) => {
                    part.verification = Verification::Guarded(guard);
                    question.include(&self.topics[part.topic].name, part.index);
                }
                Err(error) => part.destination = Err(ErrorCode::from(&error)),
            }
        }
        (!question.is_empty()).then_some(question)
    }

    /// What the transaction coordinator must be asked before the records are appended.
    pub(crate) fn question(&self) -> Option<&Question> {
        self.question.as_ref()
    }

    /// Take the coordinator's answers to [`ProduceOperation::question`].
    pub(crate) fn answered(&mut self, answers: &Answers) {
        let Some(question) = &self.question else { return };
        for part in &mut self.incoming {
            let asked = matches!(part.verification, Verification::Guarded(_));
            let name = &*self.topics[part.topic].name;
            if let Some(code) = answers.get(&(name.to_owned(), part.index)).filter(|_| asked) {
                part.destination = Err(question.told(*code));
            }
        }
    }

    /// Find where everything goes. Afterwards the request is no longer needed, so its frame can be cut up.
    fn route(
        &mut self,
        node: &Node,
        client: &ClientContext<'_>,
        request: &ProduceRequest<'_>,
        version: i16,
    ) -> Vec<Incoming> {
        let internal_allowed = client.client_id == Some(ADMIN_CLIENT_ID);
        let mut incoming = Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
        for topic in &request.topics {
            let by_id = version >= 13 && !topic.topic_id.is_nil();
            let known = if by_id {
                node.replicas.topic_by_id(topic.topic_id)
            } else {
                node.replicas.topic(topic.name)
            };
            self.topics.push(TopicProduceResponse {
                name: known
                    .as_ref()
                    .map_or_else(|| topic.name.into(), |known| known.image.name.clone()),
                topic_id: if by_id {
                    topic.topic_id
                } else {
                    known.as_ref().map_or(Uuid::nil(), |k| k.image.id)
                },
                partitions: Vec::with_capacity(topic.partitions.len()),
            });
            let name = known.as_ref().map_or(topic.name, |known| &known.image.name);
            // An id that is unknown has no name to ask for.
            let allowed = name.is_empty() || client.may(Operation::Write, ResourceKind::Topic, name);
            for partition in &topic.partitions {
                incoming.push(Incoming {
                    topic: self.topics.len() - 1,
                    index: partition.index,
                    destination: if allowed {
                        destination(node, known.as_deref(), partition.index, version, internal_allowed)
                    } else {
                        Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
                    },
                    records: partition.records.clone().unwrap_or(0..0),
                    verification: Verification::NotRequired,
                });
            }
        }
        incoming
    }

    /// Append the records, each batch on its own: some may be refused.
    pub(crate) fn append(&mut self, node: &Node, client: &ClientContext<'_>) {
        let now_ms = node.now_ms();
        let mut body = std::mem::take(&mut self.body);
        let mut consumed = 0;
        for part in std::mem::take(&mut self.incoming) {
            let replica = match &part.destination {
                Ok(replica) => replica,
                Err(code) => {
                    self.answer(part.topic, refused(part.index, *code, None));
                    continue;
                }
            };
            let context = AppendContext {
                verification: part.verification,
                ..AppendOrigin::Client.into()
            };
            let records = if part.records.is_empty() {
                BytesMut::new()
            } else {
                // Records come in the order of the frame, so each is cut off the front of what is left.
                let _ = body.split_to(part.records.start - consumed);
                consumed = part.records.end;
                body.split_to(part.records.len())
            };
            let outcome = single_batch(records, self.version)
                .map_err(|(code, message)| AppendFailure::Unavailable(code, message.to_owned()));
            let size = part.records.len() as u64;
            match outcome.and_then(|batch| replica.append(batch, self.acks == ACKS_ALL, context, now_ms)) {
                Ok(info) => {
                    if !info.duplicate {
                        add(&node.counters.produced_bytes, size);
                        add(&node.counters.produced_messages, u64::from(info.record_count));
                        add(&replica.traffic.bytes_in, size);
                        add(&replica.traffic.messages_in, u64::from(info.record_count));
                    }
                    if self.acks == ACKS_ALL {
                        self.await_replicas(part.topic, replica, info.last_offset.plus(1));
                    }
                    let response = PartitionProduceResponse {
                        base_offset: info.base_offset.0,
                        log_append_time_ms: info.log_append_time_ms,
                        log_start_offset: info.log_start_offset.0,
                        ..refused(part.index, ErrorCode::NONE, None)
                    };
                    self.answer(part.topic, response);
                }
                Err(failure) => self.fail(node, client, &part, replica, &failure),
            }
        }
        let failed = self
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .filter(|p| p.error_code != 0)
            .count();
        add(&node.counters.failed_produce_partitions, failed as u64);
    }

    fn answer(&mut self, topic: usize, response: PartitionProduceResponse) {
        self.topics[topic].partitions.push(response);
    }

    fn fail(
        &mut self,
        node: &Node,
        client: &ClientContext<'_>,
        part: &Incoming,
        replica: &Partition,
        failure: &AppendFailure,
    ) {
        let code = failure.code();
        tracing::debug!(partition = %replica.log().topic_partition(), %failure, "a produce request was refused");
        let mut response = refused(part.index, code, Some(failure.to_string()));
        response.record_errors = failure.record_errors();
        if !response.record_errors.is_empty() {
            response.log_start_offset = replica.log().log_start_offset().0;
        }
        if code == ErrorCode::NOT_LEADER_OR_FOLLOWER {
            let topic = &self.topics[part.topic].name;
            response.current_leader = node.leader_of(topic, part.index, client, &mut self.endpoints);
        }
        self.answer(part.topic, response);
    }

    fn await_replicas(&mut self, topic: usize, replica: &Arc<Partition>, required: Offset) {
        if replica.is_committed(required) != Ok(true) {
            let partition = self.topics[topic].partitions.len();
            self.pending.push(PendingAck {
                topic,
                partition,
                replica: replica.clone(),
                required,
            });
        }
    }

    pub(crate) fn wants_answer(&self) -> bool {
        self.acks != 0
    }

    /// The first error: with acks=0 the only way to tell is to close the connection.
    pub(crate) fn first_error(&self) -> Option<(String, ErrorCode)> {
        self.topics.iter().find_map(|topic| {
            let failed = topic.partitions.iter().find(|partition| partition.error_code != 0)?;
            Some((format!("{}-{}", topic.name, failed.index), ErrorCode(failed.error_code)))
        })
    }

    pub(crate) fn encode(&self, writer: &mut Writer<'_>, version: i16) {
        encode_response(writer, version, &self.topics, &self.endpoints);
    }

    fn settle(&mut self, mut outcome: impl FnMut(&PendingAck) -> Option<ErrorCode>) {
        let topics = &mut self.topics;
        let waiter = &self.waiter;
        self.pending.retain(|ack| {
            let Some(code) = outcome(ack) else { return true };
            if code.is_error() {
                let response = &mut topics[ack.topic].partitions[ack.partition];
                *response = refused(response.index, code, None);
            }
            if let Some(waiter) = waiter {
                ack.replica.watchers().remove(waiter);
            }
            false
        });
    }
}

impl DelayedOperation for ProduceOperation {
    fn try_complete(&mut self) -> bool {
        if let Some(waiter) = &self.waiter {
            waiter.arm();
        }
        self.settle(|ack| match ack.replica.is_committed(ack.required) {
            Ok(true) => Some(ErrorCode::NONE),
            Ok(false) => None,
            Err(code) => Some(code),
        });
        self.pending.is_empty()
    }

    fn expire(&mut self) {
        self.settle(|_| Some(ErrorCode::REQUEST_TIMED_OUT));
    }

    fn waiter(&mut self) -> Arc<Waiter> {
        let waiter = self.waiter.get_or_insert_with(|| {
            let waiter = Waiter::new();
            for ack in &self.pending {
                ack.replica.watchers().add(&waiter);
            }
            waiter
        });
        waiter.clone()
    }

    fn max_wait(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.max(0) as u64)
    }
}

impl Drop for ProduceOperation {
    fn drop(&mut self) {
        self.settle(|_| Some(ErrorCode::NONE));
    }
}

/// The rules that hold for a request as a whole: its transactional producer if it has one, or a reason to refuse every
/// partition.
fn check_request(
    client: &ClientContext<'_>,
    request: &ProduceRequest<'_>,
    body: &[u8],
) -> Result<Option<TransactionalProducer>, ErrorCode> {
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    let batches = partitions.map(|partition| partition.records.clone().map_or(&[][..], |range| &body[range]));
    let mut producers = batches.filter_map(transactional_producer);
    let first = producers.next();
    let may_use = |id| client.may(Operation::Write, ResourceKind::TransactionalId, id);
    if first.is_some() && !request.transactional_id.is_some_and(may_use) {
        return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    if !(-1..=1).contains(&request.acks) {
        return Err(ErrorCode::INVALID_REQUIRED_ACKS);
    }
    if let Some(first) = first
        && producers.any(|other| (first.id, first.epoch) != (other.id, other.epoch))
    {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    Ok(first)
}

fn transactional_producer(batch: &[u8]) -> Option<TransactionalProducer> {
    let is_transactional = batch.get(MAGIC_AT) == Some(&2) && batch.get(ATTRIBUTES_AT + 1)? & 0x10 != 0;
    is_transactional.then_some(())?;
    Some(TransactionalProducer {
        id: i64::from_be_bytes(*batch.get(PRODUCER_ID_AT..)?.first_chunk()?),
        epoch: i16::from_be_bytes(*batch.get(PRODUCER_EPOCH_AT..)?.first_chunk()?),
        base_sequence: i32::from_be_bytes(*batch.get(BASE_SEQUENCE_AT..)?.first_chunk()?),
    })
}

fn destination(
    node: &Node,
    topic: Option<&Topic>,
    index: i32,
    version: i16,
    internal_allowed: bool,
) -> Result<Arc<Partition>, ErrorCode> {
    let Some(topic) = topic else {
        return Err(if version >= 13 {
            ErrorCode::UNKNOWN_TOPIC_ID
        } else {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        });
    };
    if topic.image.internal && !internal_allowed {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    topic.partition(index, node.replicas.node_id()).cloned()
}

/// Check the rules of the request: exactly one batch, in the current format, with a codec that the version may use.
/// A torn batch at the end is cut, as Kafka cuts it.
fn single_batch(mut records: BytesMut, version: i16) -> Result<BytesMut, (ErrorCode, &'static str)> {
    let Some(length) = batch_length(&records)? else {
        return Err((
            ErrorCode::INVALID_RECORD,
            "a produce request needs one record batch per partition",
        ));
    };
    if records[MAGIC_AT] != 2 {
        return Err((
            ErrorCode::INVALID_RECORD,
            "only record batches of format 2 are accepted",
        ));
    }
    if length <= ATTRIBUTES_AT + 1 {
        return Err((
            ErrorCode::CORRUPT_MESSAGE,
            "the record batch is shorter than its header",
        ));
    }
    if version < 7 && records[ATTRIBUTES_AT + 1] & 7 == CODEC_ZSTD {
        return Err((ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce version 7"));
    }
    if batch_length(&records[length..])?.is_some() {
        return Err((
            ErrorCode::INVALID_RECORD,
            "a produce request holds one record batch per partition, not more",
        ));
    }
    records.truncate(length);
    Ok(records)
}

/// Length of the first batch in `bytes`; `None` when there is no whole one.
fn batch_length(bytes: &[u8]) -> Result<Option<usize>, (ErrorCode, &'static str)> {
    if bytes.len() <= MAGIC_AT {
        return Ok(None);
    }
    let size = i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    // The shortest thing that ever was a batch: a message of format 0.
    if size < 14 {
        return Err((ErrorCode::CORRUPT_MESSAGE, "the length of a record batch is too small"));
    }
    let length = LOG_OVERHEAD + size as usize;
    Ok((length <= bytes.len()).then_some(length))
}

fn refused(index: i32, code: ErrorCode, message: Option<String>) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: code.0,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: Vec::new(),
        error_message: message,
        current_leader: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(magic: u8, codec: u8, extra: usize) -> BytesMut {
        let mut bytes = BytesMut::zeroed(61 + extra);
        bytes[8..12].copy_from_slice(&(49i32 + extra as i32).to_be_bytes());
        bytes[MAGIC_AT] = magic;
        bytes[ATTRIBUTES_AT + 1] = codec;
        bytes
    }

    fn code(records: BytesMut, version: i16) -> Result<usize, ErrorCode> {
        single_batch(records, version)
            .map(|batch| batch.len())
            .map_err(|(code, _)| code)
    }

    #[test]
    fn exactly_one_batch_of_the_current_format_passes() {
        assert_eq!(code(batch(2, 0, 5), 9), Ok(66));
        assert_eq!(code(BytesMut::new(), 9), Err(ErrorCode::INVALID_RECORD));
        assert_eq!(code(batch(1, 0, 0), 9), Err(ErrorCode::INVALID_RECORD));
        let mut two = batch(2, 0, 0);
        two.extend_from_slice(&batch(2, 0, 0));
        assert_eq!(code(two, 9), Err(ErrorCode::INVALID_RECORD));
    }

    #[test]
    fn a_torn_second_batch_is_cut() {
        let mut torn = batch(2, 0, 0);
        torn.extend_from_slice(&batch(2, 0, 0)[..40]);
        assert_eq!(code(torn, 9), Ok(61));
    }

    #[test]
    fn zstd_needs_version_7() {
        assert_eq!(
            code(batch(2, CODEC_ZSTD, 0), 6),
            Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE)
        );
        assert_eq!(code(batch(2, CODEC_ZSTD, 0), 7), Ok(61));
    }

    #[test]
    fn hostile_lengths_are_refused() {
        for size in [i32::MIN, -1, 0, 13] {
            let mut bytes = batch(2, 0, 0);
            bytes[8..12].copy_from_slice(&size.to_be_bytes());
            assert_eq!(code(bytes, 9), Err(ErrorCode::CORRUPT_MESSAGE));
        }
        let mut bytes = batch(2, 0, 0);
        bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(code(bytes, 9), Err(ErrorCode::INVALID_RECORD));
    }
}
