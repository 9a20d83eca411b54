//! Transactional produce requests: what the coordinator is asked before records are appended, and what its answer and
//! a marker that comes in between do.

mod broker;

use std::time::Duration;

use broker::records::produce_request;
use broker::{Broker, Client, FETCH, PRODUCE, batch, unverified};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, FetchResponse, ProduceResponse, TransactionalId,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use moldau_log::batch::{BatchBuilder, EndTransaction};
use moldau_log::{AppendContext, AppendOrigin, ProducerEpoch, ProducerId, TopicPartition};

const ID: ProducerId = ProducerId(7);
const CONCURRENT_TRANSACTIONS: i16 = 51;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const PRODUCER_FENCED: i16 = 90;
const TRANSACTION_ABORTABLE: i16 = 120;

fn transactional(epoch: i16, sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new()
        .producer(ID, ProducerEpoch(epoch), sequence)
        .transactional();
    builder.append(1_000, None, Some(b"value"), &[]);
    builder.finish().freeze()
}

/// Send one batch for `orders-0`; the answer is `receive`d later.
fn send(client: &mut Client, broker: &Broker, version: i16, records: Bytes) {
    let mut request = produce_request(broker, version, -1, "orders", &[(0, records)]);
    request.transactional_id = Some(TransactionalId(StrBytes::from_static_str("pay")));
    client.send(PRODUCE, version, &request);
}

fn error_of(client: &mut Client, version: i16) -> i16 {
    let (_, answer) = client.receive::<ProduceResponse>(version);
    answer.responses[0].partition_responses[0].error_code
}

/// The coordinator's answer: the same code for everything that was asked.
fn answer(question: &AddPartitionsToTxnRequest, code: i16) -> Bytes {
    let results = question.transactions.iter().map(|transaction| {
        let topics = transaction.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*partition)
                    .with_partition_error_code(code)
            });
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(partitions.collect())
        });
        AddPartitionsToTxnResult::default()
            .with_transactional_id(transaction.transactional_id.clone())
            .with_topic_results(topics.collect())
    });
    let response = AddPartitionsToTxnResponse::default().with_results_by_transaction(results.collect());
    let mut body = BytesMut::new();
    response.encode(&mut body, 5).unwrap();
    body.freeze()
}

fn end(broker: &Broker, epoch: i16, end: EndTransaction, transaction_version: i16) -> Result<(), i16> {
    let marker = BatchBuilder::end_transaction(end, ID, ProducerEpoch(epoch), 0, 2_000);
    let context = AppendContext {
        transaction_version,
        ..AppendOrigin::Coordinator.into()
    };
    let written = broker
        .server
        .append_internal(&TopicPartition::new("orders", 0), marker, context, 2_000);
    written.map(|_| ()).map_err(|failure| failure.code().0)
}

#[test]
fn the_coordinator_is_asked_once_for_each_transaction_and_partition() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    for (version, epoch, sequence) in [(9, 0, 0), (12, 1, 0)] {
        send(&mut client, &broker, version, transactional(epoch, sequence));
        let (question, reply) = broker.next_question();
        let asked = &question.transactions[0];
        assert_eq!(&*asked.transactional_id.0, "pay");
        assert_eq!((asked.producer_id.0, asked.producer_epoch), (ID.0, epoch));
        assert_eq!(
            asked.verify_only,
            version < 12,
            "from version 12 on the partition is added"
        );
        assert_eq!(
            (&*asked.topics[0].name.0, &asked.topics[0].partitions[..]),
            ("orders", &[0][..])
        );
        reply.send(answer(&question, 0));
        assert_eq!(error_of(&mut client, version), 0);
        send(&mut client, &broker, version, transactional(epoch, sequence + 1));
        assert_eq!(error_of(&mut client, version), 0, "the transaction has begun here");
        end(&broker, epoch, EndTransaction::Commit, 0).unwrap();
    }
}

#[test]
fn other_records_and_unverified_ones_ask_nobody() {
    let broker = Broker::start_with(unverified());
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    send(&mut client, &broker, 11, transactional(0, 0));
    assert_eq!(error_of(&mut client, 11), 0);
    send(&mut client, &broker, 12, batch(&[b"plain"]));
    assert_eq!(error_of(&mut client, 12), 0);
}

#[test]
fn a_no_of_the_coordinator_is_told_as_the_version_knows_it() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let cases = [
        (10, TRANSACTION_ABORTABLE, INVALID_TXN_STATE),
        (11, TRANSACTION_ABORTABLE, TRANSACTION_ABORTABLE),
        (12, PRODUCER_FENCED, INVALID_PRODUCER_EPOCH),
        (12, 14, 19),
        (10, CONCURRENT_TRANSACTIONS, 19),
    ];
    for (version, code, told) in cases {
        send(&mut client, &broker, version, transactional(0, 0));
        let (question, reply) = broker.next_question();
        reply.send(answer(&question, code));
        assert_eq!(error_of(&mut client, version), told, "version {version}, code {code}");
    }
    let log = broker.logs.get(&TopicPartition::new("orders", 0)).unwrap();
    assert_eq!(log.log_end_offset().0, 0);
}

#[test]
fn a_transaction_that_is_still_being_ended_is_waited_for() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    send(&mut client, &broker, 12, transactional(0, 0));
    for code in [CONCURRENT_TRANSACTIONS, CONCURRENT_TRANSACTIONS, 0] {
        let (question, reply) = broker.next_question();
        reply.send(answer(&question, code));
    }
    assert_eq!(error_of(&mut client, 12), 0);
}

#[test]
fn a_coordinator_that_does_not_answer_is_tried_again_by_the_producer() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    send(&mut client, &broker, 12, transactional(0, 0));
    drop(broker.next_question());
    assert_eq!(error_of(&mut client, 12), 19);
}

#[test]
fn a_marker_between_the_answer_and_the_append_shuts_the_batch_out() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    send(&mut client, &broker, 10, transactional(0, 0));
    let (question, reply) = broker.next_question();
    end(&broker, 0, EndTransaction::Abort, 0).unwrap();
    reply.send(answer(&question, 0));
    assert_eq!(error_of(&mut client, 10), INVALID_TXN_STATE);
    let log = broker.logs.get(&TopicPartition::new("orders", 0)).unwrap();
    assert_eq!(log.last_stable_offset(), log.log_end_offset(), "no transaction hangs");
}

#[test]
fn in_the_second_protocol_a_marker_is_newer_than_what_it_ends_or_written_again() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    send(&mut client, &broker, 12, transactional(3, 0));
    let (question, reply) = broker.next_question();
    reply.send(answer(&question, 0));
    assert_eq!(error_of(&mut client, 12), 0);
    assert_eq!(end(&broker, 3, EndTransaction::Commit, 2), Err(INVALID_PRODUCER_EPOCH));
    assert_eq!(end(&broker, 4, EndTransaction::Commit, 2), Ok(()));
    assert_eq!(
        end(&broker, 4, EndTransaction::Commit, 2),
        Ok(()),
        "nobody knew that it was there"
    );
    // The next transaction has epoch 4, and is not ended by a marker that comes once more.
    send(&mut client, &broker, 12, transactional(4, 0));
    let (question, reply) = broker.next_question();
    assert_eq!(end(&broker, 4, EndTransaction::Commit, 2), Ok(()));
    reply.send(answer(&question, 0));
    assert_eq!(error_of(&mut client, 12), 0);
    assert_eq!(end(&broker, 4, EndTransaction::Commit, 2), Err(INVALID_PRODUCER_EPOCH));
}

#[test]
fn a_marker_wakes_a_reader_of_what_is_committed() {
    let broker = Broker::start_with(unverified());
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    send(&mut client, &broker, 10, transactional(0, 0));
    assert_eq!(error_of(&mut client, 10), 0);
    let mut request = broker::records::fetch_request(
        &broker,
        &broker::records::Ask {
            version: 12,
            min_bytes: 90,
            max_wait_ms: 20_000,
            ..broker::records::Ask::default()
        },
    );
    request.isolation_level = 1;
    let mut consumer = broker.connect();
    consumer.send(FETCH, 12, &request);
    std::thread::sleep(Duration::from_millis(50));
    let began = std::time::Instant::now();
    end(&broker, 0, EndTransaction::Commit, 0).unwrap();
    let (_, answer) = consumer.receive::<FetchResponse>(12);
    assert!(began.elapsed() < Duration::from_secs(10), "woken, not expired");
    assert_eq!(answer.responses[0].partitions[0].last_stable_offset, 2);
}
