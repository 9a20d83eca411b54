//! Fetch over a real socket: what was produced, long polls, limits, fencing, transactions.

mod broker;

use std::time::{Duration, Instant};

use broker::records::{Ask, fetch, fetch_request, numbered, numbered_batch, only, produce, produce_request, values};
use broker::{Broker, FETCH, PRODUCE, batch, topic_image, unverified};
use kafka_protocol::messages::{FetchResponse, ProduceResponse, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use moldau_log::batch::BatchBuilder;
use moldau_log::{AppendOrigin, Offset, ProducerEpoch, ProducerId, TopicPartition};
use moldau_server::ImageDelta;

#[test]
fn what_was_produced_is_fetched_in_every_version() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let mut next = 0;
    for version in 3..=13 {
        let answer = produce(&mut client, &broker, version, "orders", numbered_batch(next..next + 3));
        assert_eq!(
            (answer.error_code, answer.base_offset, answer.log_append_time_ms),
            (0, next, -1)
        );
        next += 3;
    }
    for version in 4..=18 {
        let answer = fetch(
            &mut client,
            &broker,
            &Ask {
                version,
                ..Ask::default()
            },
        );
        let partition = only(&answer);
        assert_eq!(
            (partition.error_code, partition.high_watermark),
            (0, next),
            "version {version}"
        );
        assert_eq!(values(partition), numbered(0..next));
    }
}

#[test]
fn large_answers_come_from_the_file_in_order() {
    let broker = Broker::start();
    broker.create_topic("orders", 3);
    let mut client = broker.connect();
    let large = vec![b'x'; 300_000];
    let records: Vec<_> = (0..3)
        .map(|partition| (partition, batch(&[&large[partition as usize..]])))
        .collect();
    for _ in 0..3 {
        let request = produce_request(&broker, 9, 1, "orders", &records);
        client.ask::<_, ProduceResponse>(PRODUCE, 9, &request);
    }
    for version in [4, 11, 12, 18] {
        let answer = fetch(
            &mut client,
            &broker,
            &Ask {
                version,
                partitions: &[(0, 0), (1, 0), (2, 1)],
                ..Ask::default()
            },
        );
        for (index, partition) in answer.responses[0].partitions.iter().enumerate() {
            let lengths: Vec<_> = values(partition)
                .iter()
                .map(|(offset, value)| (*offset, value.len()))
                .collect();
            let length = large.len() - index;
            let expected: Vec<_> = (if index == 2 { 1 } else { 0 }..3)
                .map(|offset| (offset, length))
                .collect();
            assert_eq!(lengths, expected, "version {version}, partition {index}");
        }
    }
}

#[test]
fn read_committed_stops_at_an_open_transaction_and_learns_of_aborts() {
    let broker = Broker::start_with(unverified());
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let mut builder = BatchBuilder::new()
        .producer(ProducerId(1), ProducerEpoch(0), 0)
        .transactional();
    builder.append(1_000, None, Some(b"open"), &[]);
    let mut request = produce_request(&broker, 9, -1, "orders", &[(0, builder.finish().freeze())]);
    request.transactional_id = Some(TransactionalId(StrBytes::from_static_str("pay")));
    client.ask::<_, ProduceResponse>(PRODUCE, 9, &request);
    let mut committed = fetch_request(&broker, &Ask::default());
    committed.isolation_level = 1;
    let answer: FetchResponse = client.ask(FETCH, 12, &committed);
    assert_eq!((only(&answer).high_watermark, only(&answer).last_stable_offset), (1, 0));
    assert_eq!(
        (
            values(only(&answer)).len(),
            only(&answer).aborted_transactions.as_ref().map(Vec::len)
        ),
        (0, Some(0))
    );
    let abort = moldau_log::batch::EndTransaction::Abort;
    let marker = BatchBuilder::end_transaction(abort, ProducerId(1), ProducerEpoch(0), 0, 2_000);
    let orders = TopicPartition::new("orders", 0);
    broker
        .server
        .append_internal(&orders, marker, AppendOrigin::Coordinator, 2_000)
        .unwrap();
    let answer: FetchResponse = client.ask(FETCH, 12, &committed);
    let aborted = only(&answer).aborted_transactions.as_ref().unwrap();
    assert_eq!(
        (aborted.len(), aborted[0].producer_id.0, aborted[0].first_offset),
        (1, 1, 0)
    );
    assert_eq!(only(&answer).last_stable_offset, 2);
}

#[test]
fn a_long_poll_is_woken_by_an_append() {
    let broker = Broker::start();
    broker.create_topic("orders", 2);
    let mut consumer = broker.connect();
    let request = fetch_request(
        &broker,
        &Ask {
            partitions: &[(0, 0), (1, 0)],
            max_wait_ms: 20_000,
            ..Ask::default()
        },
    );
    let asked = consumer.send(FETCH, 12, &request);
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    assert_eq!(
        produce(&mut broker.connect(), &broker, 9, "orders", numbered_batch(0..1)).error_code,
        0
    );
    let (answered, answer) = consumer.receive::<FetchResponse>(12);
    assert!(began.elapsed() < Duration::from_secs(5), "woken, not expired");
    assert_eq!(
        (asked, values(&answer.responses[0].partitions[0])),
        (answered, numbered(0..1))
    );
}

#[test]
fn a_long_poll_waits_for_min_bytes_and_no_longer_than_max_wait() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut consumer = broker.connect();
    let size = numbered_batch(0..1).len() as i32;
    let request = fetch_request(
        &broker,
        &Ask {
            min_bytes: 3 * size,
            max_wait_ms: 20_000,
            ..Ask::default()
        },
    );
    consumer.send(FETCH, 12, &request);
    let mut producer = broker.connect();
    for offset in 0..3 {
        std::thread::sleep(Duration::from_millis(20));
        produce(&mut producer, &broker, 9, "orders", numbered_batch(offset..offset + 1));
    }
    let answer = consumer.receive::<FetchResponse>(12).1;
    assert_eq!(values(only(&answer)), numbered(0..3));
    let began = Instant::now();
    let answer = fetch(
        &mut consumer,
        &broker,
        &Ask {
            partitions: &[(0, 3)],
            max_wait_ms: 60,
            ..Ask::default()
        },
    );
    assert_eq!(values(only(&answer)).len(), 0);
    assert!(began.elapsed() >= Duration::from_millis(60));
    let began = Instant::now();
    fetch(
        &mut consumer,
        &broker,
        &Ask {
            min_bytes: 1 << 20,
            max_wait_ms: 60,
            ..Ask::default()
        },
    );
    assert!(began.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_long_poll_ends_when_its_topic_is_deleted() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut consumer = broker.connect();
    consumer.send(
        FETCH,
        12,
        &fetch_request(
            &broker,
            &Ask {
                max_wait_ms: 20_000,
                ..Ask::default()
            },
        ),
    );
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    broker.delete_topic("orders", 1);
    let answer = consumer.receive::<FetchResponse>(12).1;
    assert_eq!(only(&answer).error_code, 3);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_first_batch_comes_even_if_it_is_too_large() {
    let broker = Broker::start();
    broker.create_topic("orders", 2);
    let mut client = broker.connect();
    for partition in 0..2 {
        let request = produce_request(&broker, 9, 1, "orders", &[(partition, batch(&[&[b'x'; 5000]]))]);
        client.ask::<_, ProduceResponse>(PRODUCE, 9, &request);
    }
    let answer = fetch(
        &mut client,
        &broker,
        &Ask {
            partitions: &[(0, 0), (1, 0)],
            max_bytes: 100,
            ..Ask::default()
        },
    );
    let partitions = &answer.responses[0].partitions;
    assert_eq!(
        (
            values(&partitions[0]).len(),
            partitions[1].records.as_ref().unwrap().len()
        ),
        (1, 0)
    );
}

#[test]
fn offsets_outside_of_the_log_are_out_of_range() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    for offset in 0..4 {
        produce(&mut client, &broker, 9, "orders", numbered_batch(offset..offset + 1));
    }
    let orders = TopicPartition::new("orders", 0);
    assert_eq!(broker.server.delete_records(&orders, 2), Ok(Offset(2)));
    let mut code = |offset| {
        only(&fetch(
            &mut client,
            &broker,
            &Ask {
                partitions: &[(0, offset)],
                ..Ask::default()
            },
        ))
        .error_code
    };
    assert_eq!([code(-1), code(1), code(2), code(4), code(5)], [1, 1, 0, 0, 1]);
    assert!(broker.server.delete_records(&orders, 5).is_err());
    assert_eq!(broker.server.delete_records(&orders, -1), Ok(Offset(4)));
}

#[test]
fn old_and_future_leader_epochs_are_fenced() {
    let broker = Broker::start();
    let id = broker.create_topic("orders", 1);
    let mut image = topic_image("orders", id, 1);
    image.partitions[0].leader_epoch = 5;
    broker.server.apply(ImageDelta::Topic(image));
    let mut client = broker.connect();
    produce(&mut client, &broker, 9, "orders", batch(&[b"x"]));
    let mut code = |epoch, last_fetched: i32, offset| {
        let mut request = fetch_request(
            &broker,
            &Ask {
                partitions: &[(0, offset)],
                ..Ask::default()
            },
        );
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request.topics[0].partitions[0].last_fetched_epoch = last_fetched;
        let answer: FetchResponse = client.ask(FETCH, 12, &request);
        let partition = only(&answer);
        (partition.error_code, partition.diverging_epoch.end_offset)
    };
    assert_eq!(code(4, -1, 0), (74, -1));
    assert_eq!(code(6, -1, 0), (75, -1));
    assert_eq!(code(5, 5, 0), (0, -1));
    assert_eq!(code(5, 5, 9), (0, 1), "the reader has more of epoch 5 than we do");
}

#[test]
fn a_replica_that_nobody_knows_is_told_so() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut request = fetch_request(&broker, &Ask::default());
    request.replica_id = kafka_protocol::messages::BrokerId(9);
    let mut client = broker.connect();
    let answer: FetchResponse = client.ask(FETCH, 12, &request);
    assert_eq!(only(&answer).error_code, 6);
}

#[test]
fn no_wake_up_is_lost_between_producers_and_long_polls() {
    let broker = Broker::start();
    broker.create_topic("orders", 2);
    let each = 1500;
    std::thread::scope(|scope| {
        for producer in 0..4 {
            let broker = &broker;
            scope.spawn(move || {
                let mut client = broker.connect();
                let acks = if producer % 2 == 0 { -1 } else { 1 };
                let request = produce_request(broker, 9, acks, "orders", &[(producer % 2, batch(&[b"x"]))]);
                for _ in 0..each {
                    let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
                    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
                }
            });
        }
        for _ in 0..2 {
            let broker = &broker;
            scope.spawn(move || {
                let mut client = broker.connect();
                let mut offsets = [0i64; 2];
                // A lost wake-up would cost the whole wait, and that is more than the client's patience.
                while offsets != [2 * each, 2 * each] {
                    let asked = [(0, offsets[0]), (1, offsets[1])];
                    let ask = Ask {
                        partitions: &asked,
                        max_wait_ms: 60_000,
                        ..Ask::default()
                    };
                    for partition in &fetch(&mut client, broker, &ask).responses[0].partitions {
                        for (offset, _) in values(partition) {
                            let expected = &mut offsets[partition.partition_index as usize];
                            assert_eq!(offset, *expected, "every record once, in order");
                            *expected += 1;
                        }
                    }
                }
            });
        }
    });
}
