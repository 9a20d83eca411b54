//! Heartbeats under a lease, over a real socket: what is answered here, and what still goes to the control plane.

mod broker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use broker::{Broker, CONSUMER_GROUP_HEARTBEAT, Client, HEARTBEAT};
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, GroupId, HeartbeatRequest, HeartbeatResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use moldau_server::wire::{self, DecodeError};
use moldau_server::{ClientQuota, ConsumerLease, FaultKind, ImageDelta, Lease, QuotaImage, QuotaKind, QuotaName};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

fn classic(generation_id: i32) -> Lease {
    Lease {
        instance_id: None,
        epoch: generation_id,
        consumer: None,
    }
}

fn static_member(generation_id: i32) -> Lease {
    Lease {
        instance_id: Some("instance".to_owned()),
        ..classic(generation_id)
    }
}

fn consumer(member_epoch: i32) -> Lease {
    Lease {
        consumer: Some(ConsumerLease {
            client_id: "tester".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            heartbeat_interval_ms: 5000,
        }),
        ..classic(member_epoch)
    }
}

fn beat(generation_id: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group("billing"))
        .with_member_id(text("member"))
        .with_generation_id(generation_id)
}

fn consumer_beat(member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("billing"))
        .with_member_id(text("member"))
        .with_member_epoch(member_epoch)
        .with_rebalance_timeout_ms(-1)
        .with_subscribed_topic_names(None)
        .with_topic_partitions(None)
}

fn answered(client: &mut Client, version: i16, request: &HeartbeatRequest) -> HeartbeatResponse {
    client.ask(HEARTBEAT, version, request)
}

/// The control plane is asked about a request, and its connection ends.
fn goes_to_the_control_plane<R>(broker: &Broker, key: i16, version: i16, request: &R)
where
    R: kafka_protocol::protocol::Encodable + kafka_protocol::protocol::HeaderVersion,
{
    let mut client = broker.connect();
    client.send(key, version, request);
    let asked = broker.next_request();
    assert_eq!(asked.api_key, key);
    drop(asked);
    client.expect_closed();
    assert!(matches!(broker.next_event(), broker::Event::Closed(_)));
}

#[test]
fn a_member_with_a_lease_is_answered_in_every_version_without_the_control_plane() {
    let broker = Broker::start();
    broker.leases.grant("billing", "member", classic(7));
    let mut client = broker.connect();
    for version in 0..=4 {
        let answer = answered(&mut client, version, &beat(7));
        assert_eq!((answer.error_code, answer.throttle_time_ms), (0, 0));
    }
    broker.leases.grant("billing", "member", consumer(9));
    for version in 0..=1 {
        let answer: ConsumerGroupHeartbeatResponse = client.ask(CONSUMER_GROUP_HEARTBEAT, version, &consumer_beat(9));
        assert_eq!((answer.error_code, answer.error_message), (0, None));
        assert_eq!(answer.member_id, Some(text("member")));
        assert_eq!((answer.member_epoch, answer.heartbeat_interval_ms), (9, 5000));
        assert_eq!(answer.assignment, None);
    }
}

#[test]
fn a_heartbeat_that_the_lease_is_not_for_goes_to_the_control_plane() {
    let broker = Broker::start();
    broker.leases.grant("billing", "member", static_member(7));
    let named = |name| beat(7).with_group_instance_id(Some(text(name)));
    let mut client = broker.connect();
    assert_eq!(answered(&mut client, 4, &named("instance")).error_code, 0);
    assert_eq!(
        answered(&mut client, 4, &beat(7)).error_code,
        0,
        "its member id says enough"
    );
    for other in [
        beat(6),
        beat(8),
        named("another"),
        beat(7).with_member_id(text("stranger")),
        beat(7).with_group_id(group("shipping")),
    ] {
        goes_to_the_control_plane(&broker, HEARTBEAT, 4, &other);
    }
    broker.leases.grant("billing", "member", consumer(7));
    goes_to_the_control_plane(&broker, HEARTBEAT, 4, &beat(7));
}

#[test]
fn a_heartbeat_of_the_consumer_protocol_that_says_something_new_goes_to_the_control_plane() {
    let broker = Broker::start();
    broker.leases.grant("billing", "member", consumer(7));
    for other in [
        consumer_beat(6),
        consumer_beat(0),
        consumer_beat(-1),
        consumer_beat(7).with_instance_id(Some(text("instance"))),
        consumer_beat(7).with_rack_id(Some(text("rack"))),
        consumer_beat(7).with_rebalance_timeout_ms(1000),
        consumer_beat(7).with_subscribed_topic_names(Some(vec![TopicName(text("orders"))])),
        consumer_beat(7).with_subscribed_topic_regex(Some(text(""))),
        consumer_beat(7).with_server_assignor(Some(text("range"))),
    ] {
        goes_to_the_control_plane(&broker, CONSUMER_GROUP_HEARTBEAT, 1, &other);
    }
    for (client_id, client_host) in [("another", "/127.0.0.1"), ("tester", "/10.0.0.1")] {
        let mut lease = consumer(7);
        lease.consumer = Some(ConsumerLease {
            client_id: client_id.to_owned(),
            client_host: client_host.to_owned(),
            heartbeat_interval_ms: 5000,
        });
        broker.leases.grant("billing", "member", lease);
        goes_to_the_control_plane(&broker, CONSUMER_GROUP_HEARTBEAT, 1, &consumer_beat(7));
    }
}

#[test]
fn what_a_member_at_rest_owns_is_no_news() {
    let broker = Broker::start();
    broker.leases.grant("billing", "member", consumer(7));
    let owned = TopicPartitions::default().with_partitions(vec![1, 2]);
    for owned in [Vec::new(), vec![owned]] {
        let beat = consumer_beat(7).with_topic_partitions(Some(owned));
        let answer: ConsumerGroupHeartbeatResponse = broker.connect().ask(CONSUMER_GROUP_HEARTBEAT, 1, &beat);
        assert_eq!(
            (answer.error_code, answer.member_epoch, answer.assignment),
            (0, 7, None)
        );
    }
}

#[test]
fn an_ended_lease_answers_nobody_and_says_when_its_member_was_seen() {
    let broker = Broker::start();
    for member in ["member", "silent", "third"] {
        broker.leases.grant("billing", member, classic(7));
    }
    let begun = Instant::now();
    assert_eq!(answered(&mut broker.connect(), 4, &beat(7)).error_code, 0);
    assert_eq!(broker.leases.end("billing", Some("third")), []);
    assert_eq!(broker.leases.end("billing", Some("nobody")), []);
    assert_eq!(broker.leases.end("shipping", None), []);
    let seen = broker.leases.end("billing", None);
    let elapsed_ms = begun.elapsed().as_millis() as i64;
    assert!(
        matches!(&seen[..], [(member, age_ms)] if member == "member" && (0..=elapsed_ms + 1).contains(age_ms)),
        "{seen:?} after {elapsed_ms} ms"
    );
    goes_to_the_control_plane(&broker, HEARTBEAT, 4, &beat(7));
    assert_eq!(broker.leases.end("billing", None), []);
}

#[test]
fn the_last_lease_of_a_group_can_be_ended_by_its_member() {
    let broker = Broker::start();
    broker.leases.grant("billing", "member", classic(7));
    assert_eq!(broker.leases.end("billing", Some("nobody")), []);
    answered(&mut broker.connect(), 4, &beat(7));
    assert_eq!(broker.leases.end("billing", Some("member")).len(), 1);
    goes_to_the_control_plane(&broker, HEARTBEAT, 4, &beat(7));
}

#[test]
fn a_lease_that_replaces_another_keeps_when_its_member_was_seen() {
    let broker = Broker::start();
    broker.leases.grant("billing", "member", classic(7));
    answered(&mut broker.connect(), 4, &beat(7));
    broker.leases.grant("billing", "member", classic(8));
    assert_eq!(broker.leases.end("billing", None).len(), 1);
}

#[test]
fn a_change_of_the_cluster_holds_up_consumer_groups_alone() {
    let broker = Broker::start();
    broker.leases.grant("billing", "member", consumer(7));
    let mut client = broker.connect();
    let _: ConsumerGroupHeartbeatResponse = client.ask(CONSUMER_GROUP_HEARTBEAT, 1, &consumer_beat(7));
    broker.leases.grant("shipping", "member", classic(7));
    broker.leases.cluster_changed();
    goes_to_the_control_plane(&broker, CONSUMER_GROUP_HEARTBEAT, 1, &consumer_beat(7));
    answered(&mut client, 4, &beat(7).with_group_id(group("shipping")));
    // It still knows that the member was there, and holds again once it is granted again.
    broker.leases.grant("billing", "member", consumer(7));
    let _: ConsumerGroupHeartbeatResponse = client.ask(CONSUMER_GROUP_HEARTBEAT, 1, &consumer_beat(7));
    assert_eq!(broker.leases.end("billing", None).len(), 1);
}

#[test]
fn faults_and_quotas_meet_a_heartbeat_under_a_lease_as_they_meet_any_other() {
    let broker = Broker::start();
    broker.leases.grant("billing", "member", classic(7));
    let code = moldau_server::ErrorCode::NOT_COORDINATOR;
    broker.server.faults().add(HEARTBEAT, FaultKind::Refuse(code), Some(1));
    goes_to_the_control_plane(&broker, HEARTBEAT, 4, &beat(7));
    broker.server.faults().add(HEARTBEAT, FaultKind::DropAfter, Some(1));
    let mut client = broker.connect();
    client.send(HEARTBEAT, 4, &beat(7));
    client.expect_closed();
    let quota = ClientQuota {
        user: QuotaName::Any,
        client_id: QuotaName::Named("tester".to_owned()),
        kind: QuotaKind::Request,
        limit: 1e-6,
    };
    broker.server.apply(ImageDelta::Quotas(QuotaImage {
        clients: vec![quota],
        connections: Vec::new(),
    }));
    let mut client = broker.connect();
    let throttled = (0..100).find_map(|_| {
        let answer = answered(&mut client, 4, &beat(7));
        (answer.throttle_time_ms > 0).then_some(answer)
    });
    let answer = throttled.expect("a client that uses up its quota has to wait");
    assert_eq!(answer.error_code, 0);
}

#[test]
fn no_heartbeat_is_answered_after_the_end_of_its_lease_and_none_before_it_is_lost() {
    let broker = Broker::start();
    let (ended, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    broker.leases.grant("billing", "member", classic(7));
    let address = broker.address();
    let beating = {
        let (ended, answers) = (ended.clone(), answers.clone());
        thread::spawn(move || {
            let mut client = Client::connect(address);
            client
                .stream
                .set_read_timeout(Some(Duration::from_millis(300)))
                .unwrap();
            loop {
                let was_ended = ended.load(Ordering::SeqCst);
                client.send(HEARTBEAT, 4, &beat(7));
                if client.receive_bytes().is_err() {
                    return;
                }
                assert!(
                    !was_ended,
                    "a heartbeat that was sent after the end was answered under the lease"
                );
                answers.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    broker.wait_until("some were answered", |_| answers.load(Ordering::SeqCst) > 100);
    let seen = broker.leases.end("billing", None);
    ended.store(true, Ordering::SeqCst);
    beating.join().unwrap();
    assert_eq!(seen.len(), 1);
}

#[test]
fn damaged_heartbeats_are_refused_and_nothing_panics() {
    let bodies = [
        (
            [&b"\x00\x07billing"[..], &7_i32.to_be_bytes(), b"\x00\x06member\xff\xff"].concat(),
            3,
        ),
        (
            [&b"\x08billing"[..], &7_i32.to_be_bytes(), b"\x07member\x00\x00"].concat(),
            4,
        ),
    ];
    for (body, version) in &bodies {
        let request = wire::heartbeat::HeartbeatRequest::decode(body, *version).unwrap();
        assert_eq!(
            (request.group_id, request.member_id, request.generation_id),
            ("billing", "member", 7)
        );
        assert_eq!(request.instance_id, None);
        survives(body, |bytes| {
            wire::heartbeat::HeartbeatRequest::decode(bytes, *version).map(|_| ())
        });
    }
    let mut body = bytes::BytesMut::new();
    let request = consumer_beat(7).with_topic_partitions(Some(vec![TopicPartitions::default()]));
    kafka_protocol::protocol::Encodable::encode(&request, &mut body, 1).unwrap();
    survives(&body, |bytes| {
        wire::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest::decode(bytes, 1).map(|_| ())
    });
}

fn survives(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<(), DecodeError>) {
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    for at in 0..bytes.len() {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] = value;
            let _ = decode(&damaged);
        }
    }
}
