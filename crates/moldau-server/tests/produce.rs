//! Produce over a real socket: what is accepted, what is refused and how, and when it is acknowledged.

mod broker;

use std::io::Write;
use std::time::{Duration, Instant};

use broker::records::{Ask, fetch, fetch_request, only, produce, produce_request, values};
use broker::{Broker, Event, FETCH, NODE_ID, PRODUCE, batch, topic_image, unverified};
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{FetchResponse, ProduceRequest, ProduceResponse, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use moldau_log::batch::BatchBuilder;
use moldau_log::{AppendOrigin, LogConfig, Offset, ProducerEpoch, ProducerId, TimestampType, TopicPartition};
use moldau_server::{ImageDelta, PartitionImage};
use uuid::Uuid;

fn idempotent(sequence: i32, epoch: i16) -> Bytes {
    let mut builder = BatchBuilder::new().producer(ProducerId(4000), ProducerEpoch(epoch), sequence);
    builder.append(1_000, None, Some(b"value"), &[]);
    builder.finish().freeze()
}

#[test]
fn refused_records_get_kafkas_error_codes() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    broker.create_topic_with(
        "small",
        1,
        LogConfig {
            max_message_bytes: 100,
            ..LogConfig::default()
        },
    );
    broker.create_topic_with(
        "fresh",
        1,
        LogConfig {
            timestamp_after_max_ms: 0,
            timestamp_before_max_ms: 1000,
            ..LogConfig::default()
        },
    );
    broker.create_topic("__consumer_offsets", 1);
    let mut client = broker.connect();
    let mut corrupt = batch(&[b"value"]).to_vec();
    *corrupt.last_mut().unwrap() ^= 1;
    let cases = [
        ("orders", Bytes::from(corrupt), 2, "a flipped bit"),
        ("orders", Bytes::new(), 87, "no batch"),
        (
            "orders",
            [batch(&[b"one"]), batch(&[b"two"])].concat().into(),
            87,
            "two batches",
        ),
        ("small", batch(&[&[b'x'; 200]]), 10, "too large"),
        ("fresh", batch(&[b"from 1970"]), 32, "too old"),
        ("__consumer_offsets", batch(&[b"value"]), 17, "an internal topic"),
    ];
    for (topic, records, code, what) in cases {
        let answer = produce(&mut client, &broker, 9, topic, records);
        assert_eq!((answer.error_code, answer.base_offset), (code, -1), "{what}");
        assert_eq!(answer.record_errors.is_empty(), code != 32, "{what}: {answer:?}");
    }
    let good = produce(&mut client, &broker, 9, "orders", batch(&[b"value"]));
    assert_eq!(
        (good.error_code, good.base_offset),
        (0, 0),
        "refused records left nothing behind"
    );
}

#[test]
fn one_bad_partition_does_not_harm_the_others() {
    let broker = Broker::start();
    broker.create_topic("orders", 2);
    let mut client = broker.connect();
    let records = [
        (0, batch(&[b"a"])),
        (7, batch(&[b"lost"])),
        (-1, batch(&[b"lost"])),
        (1, batch(&[b"b"])),
    ];
    let request = produce_request(&broker, 9, -1, "orders", &records);
    let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
    let codes: Vec<_> = answer.responses[0]
        .partition_responses
        .iter()
        .map(|p| (p.index, p.error_code))
        .collect();
    assert_eq!(codes, [(0, 0), (7, 3), (-1, 3), (1, 0)]);
    let answer = fetch(
        &mut client,
        &broker,
        &Ask {
            partitions: &[(1, 0)],
            ..Ask::default()
        },
    );
    assert_eq!(values(only(&answer)), [(0, "b".to_owned())]);
}

#[test]
fn unknown_topics_are_told_by_name_and_by_id() {
    let broker = Broker::start();
    let mut client = broker.connect();
    let mut by_name = TopicProduceData::default().with_name(TopicName(StrBytes::from_static_str("nowhere")));
    by_name.partition_data = vec![PartitionProduceData::default().with_records(Some(batch(&[b"x"])))];
    let mut by_id = TopicProduceData::default().with_topic_id(Uuid::from_u128(7));
    by_id.partition_data = by_name.partition_data.clone();
    for (version, data, code) in [(12, by_name, 3), (13, by_id, 100)] {
        let request = ProduceRequest::default().with_acks(1).with_topic_data(vec![data]);
        let answer: ProduceResponse = client.ask(PRODUCE, version, &request);
        assert_eq!(answer.responses[0].partition_responses[0].error_code, code);
    }
}

#[test]
fn acks_are_minus_one_zero_or_one() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let request = produce_request(&broker, 9, 2, "orders", &[(0, batch(&[b"x"]))]);
    let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 21);
}

#[test]
fn acks_0_is_not_answered_and_an_error_closes_the_connection() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    client.send(
        PRODUCE,
        9,
        &produce_request(&broker, 9, 0, "orders", &[(0, batch(&[b"quiet"]))]),
    );
    let answer = fetch(&mut client, &broker, &Ask::default());
    assert_eq!(values(only(&answer)), [(0, "quiet".to_owned())]);
    client.send(
        PRODUCE,
        9,
        &produce_request(&broker, 9, 0, "orders", &[(5, batch(&[b"lost"]))]),
    );
    client.expect_closed();
}

#[test]
fn too_few_in_sync_replicas_refuse_acks_all_alone() {
    let broker = Broker::start();
    let id = broker.create_topic("orders", 1);
    let mut image = topic_image("orders", id, 1);
    image.min_insync_replicas = 2;
    broker.server.apply(ImageDelta::Topic(image.clone()));
    let mut client = broker.connect();
    assert_eq!(
        produce(&mut client, &broker, 9, "orders", batch(&[b"a"])).error_code,
        0,
        "one replica is all there are"
    );
    image.partitions[0].replicas = vec![NODE_ID, 2, 3];
    broker.server.apply(ImageDelta::Topic(image.clone()));
    assert_eq!(
        produce(&mut client, &broker, 9, "orders", batch(&[b"b"])).error_code,
        19
    );
    let request = produce_request(&broker, 9, 1, "orders", &[(0, batch(&[b"c"]))]);
    let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    let answer = fetch(
        &mut client,
        &broker,
        &Ask {
            partitions: &[(0, 1)],
            ..Ask::default()
        },
    );
    assert_eq!(
        (only(&answer).high_watermark, values(only(&answer)).len()),
        (1, 0),
        "not committed, so not seen"
    );
}

#[test]
fn acks_all_waits_for_the_followers_and_times_out() {
    let broker = Broker::start();
    let id = broker.create_topic("orders", 1);
    let mut image = topic_image("orders", id, 1);
    image.partitions[0].replicas = vec![NODE_ID, 2];
    image.partitions[0].in_sync_replicas = vec![NODE_ID, 2];
    broker.server.apply(ImageDelta::Topic(image.clone()));
    let mut client = broker.connect();
    let mut request = produce_request(&broker, 9, -1, "orders", &[(0, batch(&[b"a"]))]);
    request.timeout_ms = 50;
    let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 7);
    request.timeout_ms = 20_000;
    let began = Instant::now();
    client.send(PRODUCE, 9, &request);
    std::thread::sleep(Duration::from_millis(20));
    image.partitions[0].in_sync_replicas = vec![NODE_ID];
    broker.server.apply(ImageDelta::Topic(image));
    let answer = client.receive::<ProduceResponse>(9).1;
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (0, 1));
    assert!(began.elapsed() < Duration::from_secs(10), "woken, not expired");
}

#[test]
fn a_partition_that_another_node_leads_says_who() {
    let broker = Broker::start();
    let id = broker.create_topic("orders", 1);
    let mut image = topic_image("orders", id, 1);
    image.partitions[0] = PartitionImage {
        leader: 2,
        leader_epoch: 5,
        replicas: vec![NODE_ID, 2],
        ..image.partitions[0].clone()
    };
    let endpoint = moldau_server::BrokerEndpoint {
        listener: "PLAINTEXT".into(),
        host: "elsewhere".into(),
        port: 9,
    };
    broker.server.apply(ImageDelta::Broker(moldau_server::BrokerImage {
        id: 2,
        rack: None,
        endpoints: vec![endpoint],
    }));
    broker.server.apply(ImageDelta::Topic(image));
    let mut client = broker.connect();
    let request = produce_request(&broker, 10, -1, "orders", &[(0, batch(&[b"x"]))]);
    let answer: ProduceResponse = client.ask(PRODUCE, 10, &request);
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(
        (
            partition.error_code,
            partition.current_leader.leader_id.0,
            partition.current_leader.leader_epoch
        ),
        (6, 2, 5)
    );
    assert_eq!(
        (&*answer.node_endpoints[0].host, answer.node_endpoints[0].port),
        ("elsewhere", 9)
    );
    let answer = fetch(
        &mut client,
        &broker,
        &Ask {
            version: 16,
            ..Ask::default()
        },
    );
    assert_eq!(
        (only(&answer).error_code, only(&answer).current_leader.leader_id.0),
        (6, 2)
    );
    assert_eq!(answer.node_endpoints.len(), 1);
}

#[test]
fn idempotent_producers_are_checked_and_duplicates_acknowledged() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let mut send = |sequence, epoch| {
        let answer = produce(&mut client, &broker, 9, "orders", idempotent(sequence, epoch));
        (answer.error_code, answer.base_offset)
    };
    assert_eq!(send(0, 1), (0, 0));
    assert_eq!(send(1, 1), (0, 1));
    assert_eq!(send(0, 1), (0, 0), "a duplicate gets its first offset");
    assert_eq!(send(5, 1), (45, -1));
    assert_eq!(send(2, 0), (47, -1));
    assert_eq!(send(2, 1), (0, 2));
}

#[test]
fn transactional_records_need_a_transactional_id() {
    let broker = Broker::start_with(unverified());
    broker.create_topic("orders", 1);
    let mut builder = BatchBuilder::new()
        .producer(ProducerId(1), ProducerEpoch(0), 0)
        .transactional();
    builder.append(1_000, None, Some(b"value"), &[]);
    let mut request = produce_request(&broker, 9, -1, "orders", &[(0, builder.finish().freeze())]);
    let mut client = broker.connect();
    let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 53);
    request.transactional_id = Some(TransactionalId(StrBytes::from_static_str("pay")));
    let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

#[test]
fn log_append_time_is_told() {
    let broker = Broker::start();
    let config = LogConfig {
        timestamp_type: TimestampType::LogAppendTime,
        ..LogConfig::default()
    };
    broker.create_topic_with("orders", 1, config);
    let answer = produce(&mut broker.connect(), &broker, 9, "orders", batch(&[b"x"]));
    assert!(answer.log_append_time_ms > 1_000_000_000_000);
}

#[test]
fn a_topic_that_flushes_every_record_holds_nobody_else() {
    let broker = Broker::start();
    broker.create_topic_with(
        "ledger",
        4,
        LogConfig {
            flush_messages: 1,
            ..LogConfig::default()
        },
    );
    std::thread::scope(|scope| {
        for partition in 0..4 {
            let broker = &broker;
            scope.spawn(move || {
                let mut client = broker.connect();
                for offset in 0..50 {
                    let request = produce_request(broker, 9, -1, "ledger", &[(partition, batch(&[b"entry"]))]);
                    let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
                    let partition = &answer.responses[0].partition_responses[0];
                    assert_eq!((partition.error_code, partition.base_offset), (0, offset));
                }
            });
        }
    });
}

#[test]
fn the_control_plane_hears_when_its_records_are_committed() {
    let broker = Broker::start();
    broker.create_topic("__consumer_offsets", 1);
    let name = TopicPartition::new("__consumer_offsets", 0);
    broker.server.on_committed(&name, Offset(1), 77).unwrap();
    let batch = || bytes::BytesMut::from(&batch(&[b"x"])[..]);
    let info = broker
        .server
        .append_internal(&name, batch(), AppendOrigin::Coordinator, 5)
        .unwrap();
    broker.server.on_committed(&name, info.last_offset, 76).unwrap();
    assert!(matches!(broker.next_event(), Event::Committed(76)));
    broker
        .server
        .append_internal(&name, batch(), AppendOrigin::Coordinator, 5)
        .unwrap();
    assert!(matches!(broker.next_event(), Event::Committed(77)));
    assert!(
        broker
            .server
            .on_committed(&TopicPartition::new("nowhere", 0), Offset(0), 1)
            .is_err()
    );
}

#[test]
fn megabytes_behind_a_long_poll_are_answered_in_order_after_it() {
    let broker = Broker::start();
    broker.create_topic("orders", 2);
    let mut client = broker.connect();
    let poll = fetch_request(
        &broker,
        &Ask {
            partitions: &[(1, 0)],
            max_wait_ms: 300,
            ..Ask::default()
        },
    );
    let polled = client.send(FETCH, 12, &poll);
    let large = produce_request(&broker, 9, -1, "orders", &[(0, batch(&[&[b'x'; 100_000]]))]);
    let frames: Vec<_> = (0..60).map(|_| client.frame(PRODUCE, 9, &large)).collect();
    let mut sender = client.stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| frames.iter().for_each(|(_, frame)| sender.write_all(frame).unwrap()));
        assert_eq!(client.receive::<FetchResponse>(12).0, polled);
        for (offset, (asked, _)) in frames.iter().enumerate() {
            let (answered, answer) = client.receive::<ProduceResponse>(9);
            assert_eq!(answered, *asked);
            assert_eq!(answer.responses[0].partition_responses[0].base_offset, offset as i64);
        }
    });
}
