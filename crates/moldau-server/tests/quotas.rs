//! Quotas over a real socket: the answer says how long to wait, and whoever does not wait is not listened to.

mod broker;

use std::io::Write;
use std::time::{Duration, Instant};

use broker::records::{Ask, fetch, only, produce, produce_request};
use broker::{API_VERSIONS, Broker, Client, FIND_COORDINATOR, METADATA, PRODUCE, batch};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FindCoordinatorRequest, MetadataRequest, MetadataResponse, ProduceResponse,
};
use moldau_server::{ClientQuota, ImageDelta, QuotaImage, QuotaKind, QuotaName};

/// With ten windows of a second, 100 bytes a second let 1,000 bytes through at once.
const LIMIT: f64 = 100.0;

fn limit(broker: &Broker, kind: QuotaKind, limit: f64) {
    let quota = ClientQuota {
        user: QuotaName::Any,
        client_id: QuotaName::Named("tester".to_owned()),
        kind,
        limit,
    };
    broker.server.apply(ImageDelta::Quotas(QuotaImage {
        clients: vec![quota],
        connections: Vec::new(),
    }));
}

fn broker_with_topic() -> Broker {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    broker
}

fn produced(client: &mut Client, broker: &Broker, version: i16, bytes: usize) -> i32 {
    let request = produce_request(broker, version, 1, "orders", &[(0, batch(&[&vec![b'x'; bytes]]))]);
    let answer: ProduceResponse = client.ask(PRODUCE, version, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    answer.throttle_time_ms
}

#[test]
fn a_producer_above_its_quota_is_answered_and_then_not_listened_to() {
    let broker = broker_with_topic();
    let mut client = broker.connect();
    limit(&broker, QuotaKind::Produce, LIMIT);
    assert_eq!(produced(&mut client, &broker, 9, 100), 0);
    let begun = Instant::now();
    let throttle_ms = produced(&mut client, &broker, 9, 1000);
    assert!((1..=60_000).contains(&throttle_ms), "{throttle_ms} ms");
    // A larger limit lets the next request through, but not before the time is over.
    limit(&broker, QuotaKind::Produce, 1e9);
    assert_eq!(produced(&mut client, &broker, 9, 10), 0);
    assert!(begun.elapsed() >= Duration::from_millis(throttle_ms as u64));
}

#[test]
fn the_throttle_time_stands_where_each_version_has_it() {
    let broker = broker_with_topic();
    for version in 3..=13 {
        let mut client = broker.connect();
        limit(&broker, QuotaKind::Produce, 1e12);
        assert_eq!(produced(&mut client, &broker, version, 10), 0);
        limit(&broker, QuotaKind::Produce, 1.0);
        assert!(produced(&mut client, &broker, version, 10) > 0, "version {version}");
    }
}

#[test]
fn other_connections_are_listened_to() {
    let broker = broker_with_topic();
    limit(&broker, QuotaKind::Produce, 1.0);
    let mut muted = broker.connect();
    assert!(produced(&mut muted, &broker, 9, 1000) > 60_000);
    let mut other = broker.connect();
    let answer: MetadataResponse = other.ask(METADATA, 9, &MetadataRequest::default());
    assert_eq!(answer.throttle_time_ms, 0);
}

#[test]
fn a_client_that_leaves_while_it_is_muted_is_noticed() {
    let broker = broker_with_topic();
    limit(&broker, QuotaKind::Produce, 1.0);
    let mut client = broker.connect();
    assert!(produced(&mut client, &broker, 9, 1000) > 60_000);
    drop(client);
    broker.wait_until("its connection is gone", |broker| {
        broker.counter("connections_open") == 0
    });
}

#[test]
fn a_shutdown_does_not_wait_for_the_muted() {
    let broker = broker_with_topic();
    limit(&broker, QuotaKind::Produce, 1.0);
    let mut client = broker.connect();
    assert!(produced(&mut client, &broker, 9, 1000) > 60_000);
    let begun = Instant::now();
    broker.server.shutdown(Duration::from_secs(60));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_producer_without_acknowledgement_is_not_listened_to_either() {
    let broker = broker_with_topic();
    limit(&broker, QuotaKind::Produce, LIMIT);
    let mut client = broker.connect();
    let request = produce_request(&broker, 9, 0, "orders", &[(0, batch(&[&[b'x'; 1000]]))]);
    let begun = Instant::now();
    client.send(PRODUCE, 9, &request);
    broker.wait_until("the records are there", |broker| {
        broker.counter("produced_messages") == 1
    });
    let _: ApiVersionsResponse = client.ask(API_VERSIONS, 0, &ApiVersionsRequest::default());
    assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[test]
fn a_consumer_above_its_quota_gets_nothing_now_and_everything_later() {
    let broker = broker_with_topic();
    for version in [4, 12, 18] {
        let mut client = broker.connect();
        limit(&broker, QuotaKind::Fetch, 1e9);
        produce(&mut client, &broker, 9, "orders", batch(&[&[b'x'; 600]]));
        let ask = Ask {
            version,
            ..Ask::default()
        };
        assert_eq!(fetch(&mut client, &broker, &ask).throttle_time_ms, 0);
        limit(&broker, QuotaKind::Fetch, 50.0);
        let refused = fetch(&mut client, &broker, &ask);
        assert!(refused.throttle_time_ms > 0, "version {version}");
        assert!(refused.responses.is_empty());
        assert_eq!((refused.error_code, refused.session_id), (0, 0));
        limit(&broker, QuotaKind::Fetch, 1e9);
        let later = fetch(&mut broker.connect(), &broker, &ask);
        assert_eq!(later.throttle_time_ms, 0);
        assert!(!only(&later).records.as_ref().unwrap().is_empty());
    }
}

#[test]
fn a_throttled_fetch_leaves_its_session_as_it_was() {
    let broker = broker_with_topic();
    let mut client = broker.connect();
    produce(&mut client, &broker, 9, "orders", batch(&[&[b'x'; 600]]));
    // The first 600 bytes and what is around them go out; twice that would be more than 1,000.
    limit(&broker, QuotaKind::Fetch, LIMIT);
    let full = fetch(
        &mut client,
        &broker,
        &Ask {
            session: (0, 0),
            ..Ask::default()
        },
    );
    assert_ne!(full.session_id, 0);
    let next = |epoch| Ask {
        session: (full.session_id, epoch),
        partitions: &[],
        ..Ask::default()
    };
    let refused = fetch(&mut client, &broker, &next(1));
    assert!(refused.throttle_time_ms > 0);
    assert_eq!((refused.session_id, refused.responses.len()), (full.session_id, 0));
    limit(&broker, QuotaKind::Fetch, 1e9);
    let later = fetch(&mut broker.connect(), &broker, &next(2));
    assert!(
        !only(&later).records.as_ref().unwrap().is_empty(),
        "what was not told is told now"
    );
}

#[test]
fn a_batch_larger_than_the_quota_comes_through_and_its_consumer_waits_afterwards() {
    let broker = broker_with_topic();
    let mut client = broker.connect();
    produce(&mut client, &broker, 9, "orders", batch(&[&[b'x'; 1100]]));
    limit(&broker, QuotaKind::Fetch, LIMIT);
    let answer = fetch(&mut client, &broker, &Ask::default());
    assert!(
        answer.throttle_time_ms > 0,
        "1,100 bytes are more than ten windows of 100"
    );
    assert!(!only(&answer).records.as_ref().unwrap().is_empty());
}

#[test]
fn time_is_charged_for_every_request_and_told_where_the_version_has_room() {
    let broker = broker_with_topic();
    limit(&broker, QuotaKind::Request, 1e-9);
    let mut client = broker.connect();
    let answer: MetadataResponse = client.ask(METADATA, 9, &MetadataRequest::default());
    assert_eq!(answer.throttle_time_ms, 1000, "one window, and no more");
    for version in 1..=3 {
        let mut client = broker.connect();
        let request = ApiVersionsRequest::default()
            .with_client_software_name("tester".into())
            .with_client_software_version("1".into());
        let answer: ApiVersionsResponse = client.ask(API_VERSIONS, version, &request);
        assert_eq!(answer.throttle_time_ms, 1000, "version {version}");
        assert!(!answer.api_keys.is_empty());
    }
    let answer: MetadataResponse = broker.connect().ask(METADATA, 1, &MetadataRequest::default());
    assert_eq!(
        answer.throttle_time_ms, 0,
        "this version cannot tell, and its client is muted all the same"
    );
}

#[test]
fn the_control_plane_says_how_long_its_client_waits() {
    let broker = broker_with_topic();
    let mut client = broker.connect();
    let request = FindCoordinatorRequest::default();
    client.send(FIND_COORDINATOR, 0, &request);
    let (_, second) = client.frame(FIND_COORDINATOR, 0, &request);
    client.stream.write_all(&second).unwrap();
    let first = broker.next_request();
    let begun = Instant::now();
    first.reply.send_and_mute(bytes::Bytes::from_static(&[0; 12]), 300);
    broker.next_request().reply.close();
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[test]
fn an_address_that_connects_too_often_is_closed_after_a_while() {
    let broker = broker_with_topic();
    broker.server.apply(ImageDelta::Quotas(QuotaImage {
        clients: Vec::new(),
        connections: vec![(Some("127.0.0.1".parse().unwrap()), 0.1)],
    }));
    let mut first = broker.connect();
    let _: MetadataResponse = first.ask(METADATA, 9, &MetadataRequest::default());
    let begun = Instant::now();
    let mut second = broker.connect();
    second.expect_closed();
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    assert_eq!(broker.counter("connections_refused"), 1);
    broker.server.apply(ImageDelta::Quotas(QuotaImage::default()));
    let _: MetadataResponse = broker.connect().ask(METADATA, 9, &MetadataRequest::default());
}
