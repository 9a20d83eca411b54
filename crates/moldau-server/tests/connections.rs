//! How a connection behaves: order, limits, garbage, silence, the end.

mod broker;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use broker::{API_VERSIONS, Broker, Client, Event, FIND_COORDINATOR, HEARTBEAT, METADATA, PATIENCE, config};
use bytes::Bytes;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest,
    HeartbeatResponse, ListOffsetsRequest, MetadataRequest, MetadataResponse,
};
use kafka_protocol::protocol::{Encodable, StrBytes};

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("tester"))
        .with_client_software_version(StrBytes::from_static_str("1.0"))
}

fn alive(client: &mut Client) {
    let answer: ApiVersionsResponse = client.ask(API_VERSIONS, 4, &api_versions());
    assert_eq!(answer.error_code, 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let broker = Broker::start();
    let mut client = broker.connect();
    let mut bytes = Vec::new();
    let mut asked = Vec::new();
    for round in 0..500 {
        let (id, frame) = match round % 2 {
            0 => client.frame(API_VERSIONS, 4, &api_versions()),
            _ => client.frame(METADATA, 12, &MetadataRequest::default().with_topics(Some(Vec::new()))),
        };
        asked.push(id);
        bytes.extend_from_slice(&frame);
    }
    client.stream.write_all(&bytes).unwrap();
    for (round, id) in asked.into_iter().enumerate() {
        let answered = match round % 2 {
            0 => client.receive::<ApiVersionsResponse>(4).0,
            _ => client.receive::<MetadataResponse>(12).0,
        };
        assert_eq!(answered, id);
    }
}

#[test]
fn a_request_behind_one_that_waits_is_answered_after_it() {
    let broker = Broker::start();
    let mut client = broker.connect();
    let first = client.send(FIND_COORDINATOR, 3, &FindCoordinatorRequest::default());
    let second = client.send(API_VERSIONS, 4, &api_versions());
    let request = broker.next_request();
    assert_eq!((request.api_key, request.api_version), (FIND_COORDINATOR, 3));
    let mut body = bytes::BytesMut::new();
    FindCoordinatorResponse::default()
        .with_port(4242)
        .encode(&mut body, 3)
        .unwrap();
    request.reply.send(body.freeze());
    let (id, answer) = client.receive::<FindCoordinatorResponse>(3);
    assert_eq!((id, answer.port), (first, 4242));
    assert_eq!(client.receive::<ApiVersionsResponse>(4).0, second);
}

#[test]
fn the_control_plane_learns_who_asks_and_when_they_leave() {
    let broker = Broker::start();
    let mut client = broker.connect();
    alive(&mut client);
    client.send(HEARTBEAT, 4, &HeartbeatRequest::default().with_generation_id(7));
    let request = broker.next_request();
    assert_eq!(
        (request.client_id.as_deref(), &*request.listener),
        (Some("tester"), "PLAINTEXT")
    );
    let software = request.software.as_ref().unwrap();
    assert_eq!((&*software.name, &*software.version), ("tester", "1.0"));
    assert_eq!(
        (&*request.advertised.0, request.advertised.1),
        ("127.0.0.1", broker.address().port())
    );
    let mut body = request.body.clone();
    let decoded: HeartbeatRequest = kafka_protocol::protocol::Decodable::decode(&mut body, 4).unwrap();
    assert_eq!(decoded.generation_id, 7);
    let mut answer = bytes::BytesMut::new();
    HeartbeatResponse::default()
        .with_error_code(27)
        .encode(&mut answer, 4)
        .unwrap();
    let id = request.connection_id;
    request.reply.send(answer.freeze());
    assert_eq!(client.receive::<HeartbeatResponse>(4).1.error_code, 27);
    drop(client);
    match broker.next_event() {
        Event::Closed(closed) => assert_eq!(closed, id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_leaves_while_its_request_waits_is_noticed() {
    let broker = Broker::start();
    let mut client = broker.connect();
    client.send(HEARTBEAT, 4, &HeartbeatRequest::default());
    let request = broker.next_request();
    drop(client);
    assert!(matches!(broker.next_event(), Event::Closed(_)));
    request.reply.send(Bytes::new());
}

#[test]
fn a_reply_that_is_dropped_or_closed_ends_the_connection() {
    let broker = Broker::start();
    for close in [false, true] {
        let mut client = broker.connect();
        client.send(HEARTBEAT, 4, &HeartbeatRequest::default());
        let request = broker.next_request();
        if close {
            request.reply.close();
        } else {
            drop(request);
        }
        client.expect_closed();
        assert!(matches!(broker.next_event(), Event::Closed(_)));
    }
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = Broker::start();
    let mut client = broker.connect();
    for version in [5i16, 99, i16::MAX] {
        let (id, mut frame) = client.frame(API_VERSIONS, 4, &api_versions());
        frame[6..8].copy_from_slice(&version.to_be_bytes());
        client.stream.write_all(&frame).unwrap();
        let (answered, answer) = client.receive::<ApiVersionsResponse>(0);
        assert_eq!((answered, answer.error_code), (id, 35));
        let ranges: Vec<_> = answer
            .api_keys
            .iter()
            .map(|api| (api.api_key, api.min_version, api.max_version))
            .collect();
        assert_eq!(ranges, [(API_VERSIONS, 0, 4)]);
    }
    alive(&mut client);
}

#[test]
fn api_versions_tells_the_table_and_the_features() {
    let broker = Broker::start();
    let mut client = broker.connect();
    let answer: ApiVersionsResponse = client.ask(API_VERSIONS, 4, &api_versions());
    let produce = answer.api_keys.iter().find(|api| api.api_key == 0).unwrap();
    assert_eq!(
        (produce.min_version, produce.max_version),
        (0, 13),
        "old librdkafka insists on 0 (KAFKA-18659)"
    );
    assert_eq!(answer.supported_features.len(), 1);
    assert_eq!(
        (answer.finalized_features_epoch, answer.finalized_features.len()),
        (3, 1)
    );
    let nameless = ApiVersionsRequest::default();
    assert_eq!(
        client
            .ask::<_, ApiVersionsResponse>(API_VERSIONS, 3, &nameless)
            .error_code,
        42
    );
}

#[test]
fn what_kafka_would_not_answer_costs_the_connection() {
    let broker = Broker::start();
    let header = |key: i16, version: i16| {
        let mut frame = 10i32.to_be_bytes().to_vec();
        frame.extend_from_slice(&key.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
        frame
    };
    let frames = [
        ("an unknown key", header(999, 0)),
        ("a negative key", header(-1, 0)),
        ("a version from the future", header(METADATA, 14)),
        ("Produce version 2", header(0, 2)),
        ("a request cut short inside of its frame", header(METADATA, 12)),
        ("a negative size", vec![0xff, 0xff, 0xff, 0xff]),
        ("a size of 2 GB", vec![0x7f, 0xff, 0xff, 0xff]),
        ("an empty frame", vec![0, 0, 0, 0]),
        ("a web browser", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
    ];
    for (count, (what, frame)) in frames.iter().enumerate() {
        let mut client = broker.connect();
        client.stream.write_all(frame).unwrap();
        client.expect_closed();
        broker.wait_until(what, |broker| broker.counter("malformed_requests") == count as u64 + 1);
    }
    alive(&mut broker.connect());
}

#[test]
fn requests_before_garbage_are_answered() {
    let broker = Broker::start();
    let mut client = broker.connect();
    let (id, mut bytes) = client.frame(API_VERSIONS, 4, &api_versions());
    bytes.extend_from_slice(&[0x7f; 64]);
    client.stream.write_all(&bytes).unwrap();
    assert_eq!(client.receive::<ApiVersionsResponse>(4).0, id);
    client.expect_closed();
}

#[test]
fn half_an_answer_is_never_sent() {
    let broker = Broker::start();
    let mut client = broker.connect();
    let (id, mut bytes) = client.frame(API_VERSIONS, 4, &api_versions());
    let (_, mut broken) = client.frame(broker::LIST_OFFSETS, 6, &ListOffsetsRequest::default());
    broken.pop();
    broken.pop();
    let size = (broken.len() - 4) as i32;
    broken[..4].copy_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(&broken);
    client.stream.write_all(&bytes).unwrap();
    assert_eq!(client.receive::<ApiVersionsResponse>(4).0, id);
    client.expect_closed();
}

#[test]
fn a_frame_that_never_ends_takes_no_memory_and_ends_with_its_sender() {
    let broker = Broker::start();
    let before = resident_bytes();
    let mut clients: Vec<_> = (0..50).map(|_| broker.connect()).collect();
    for client in &mut clients {
        client.stream.write_all(&(100i32 << 20).to_be_bytes()).unwrap();
        client.stream.write_all(&[0; 1000]).unwrap();
    }
    broker.wait_until("all are open", |broker| broker.counter("connections_open") == 50);
    alive(&mut broker.connect());
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 50 << 20, "5 GB were claimed, {grown} bytes were taken");
    drop(clients);
    broker.wait_until("all are gone", |broker| broker.counter("connections_open") == 0);
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn idle_connections_are_closed_and_busy_ones_are_not() {
    let broker = Broker::start_with(moldau_server::ServerConfig {
        connections_max_idle_ms: 1_500,
        ..config()
    });
    let mut idle = broker.connect();
    let mut stuck = broker.connect();
    stuck.stream.write_all(&[0, 0, 1]).unwrap();
    let mut busy = broker.connect();
    let mut waiting = broker.connect();
    waiting.send(HEARTBEAT, 4, &HeartbeatRequest::default());
    let request = broker.next_request();
    let began = Instant::now();
    while broker.counter("connections_reaped") < 2 {
        alive(&mut busy);
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    idle.expect_closed();
    stuck.expect_closed();
    let mut answer = bytes::BytesMut::new();
    HeartbeatResponse::default().encode(&mut answer, 4).unwrap();
    request.reply.send(answer.freeze());
    waiting.receive::<HeartbeatResponse>(4);
    alive(&mut busy);
}

#[test]
fn a_reader_that_does_not_read_is_bounded_and_holds_nobody() {
    let broker = Broker::start_with(moldau_server::ServerConfig {
        connections_max_idle_ms: 500,
        ..config()
    });
    for topic in 0..200 {
        broker.create_topic(&format!("topic-{topic}"), 4);
    }
    let mut slow = broker.connect();
    slow.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let all = MetadataRequest::default().with_topics(None);
    let (_, frame) = slow.frame(METADATA, 12, &all);
    let before = resident_bytes();
    // Each answer is about 25 KB; sent until neither side takes more.
    while slow.stream.write_all(&frame).is_ok() {}
    alive(&mut broker.connect());
    assert!(resident_bytes().saturating_sub(before) < 64 << 20);
    broker.wait_until("the slow reader is closed", |broker| {
        broker.counter("connections_reaped") >= 1
    });
}

#[test]
fn thousands_of_idle_connections_cost_little_and_hinder_nobody() {
    let broker = Broker::start();
    let count = 3000;
    let before = resident_bytes();
    let mut idle: Vec<_> = (0..count).map(|_| broker.connect()).collect();
    broker.wait_until("all are open", |broker| {
        broker.counter("connections_open") == count as u64
    });
    let each = resident_bytes().saturating_sub(before) / count as u64;
    println!("{each} bytes per idle connection, the client's side included");
    assert!(each < 32 * 1024, "{each} bytes per idle connection");
    let began = Instant::now();
    let mut client = broker.connect();
    (0..100).for_each(|_| alive(&mut client));
    assert!(began.elapsed() < PATIENCE / 4);
    alive(&mut idle[count / 2]);
}

#[test]
fn an_address_may_have_so_many_connections_and_no_more() {
    let broker = Broker::start_with(moldau_server::ServerConfig {
        max_connections_per_ip: 2,
        ..config()
    });
    let (mut first, mut second) = (broker.connect(), broker.connect());
    alive(&mut first);
    alive(&mut second);
    broker.connect().expect_closed();
    drop(first);
    broker.wait_until("one is gone", |broker| broker.counter("connections_open") == 1);
    alive(&mut broker.connect());
}

#[test]
fn past_max_connections_newcomers_wait_until_somebody_leaves() {
    let broker = Broker::start_with(moldau_server::ServerConfig {
        max_connections: 1,
        ..config()
    });
    let mut first = broker.connect();
    alive(&mut first);
    let mut second = broker.connect();
    second.send(API_VERSIONS, 4, &api_versions());
    second
        .stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(second.stream.read(&mut [0]).is_err(), "not accepted yet");
    drop(first);
    second.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    second.receive::<ApiVersionsResponse>(4);
}

#[test]
fn a_shutdown_lets_a_running_request_end_and_accepts_nobody() {
    let broker = Broker::start();
    let mut idle = broker.connect();
    alive(&mut idle);
    let mut busy = broker.connect();
    busy.send(HEARTBEAT, 4, &HeartbeatRequest::default());
    let request = broker.next_request();
    std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| broker.server.shutdown(PATIENCE));
        idle.expect_closed();
        let mut answer = bytes::BytesMut::new();
        HeartbeatResponse::default().encode(&mut answer, 4).unwrap();
        request.reply.send(answer.freeze());
        busy.receive::<HeartbeatResponse>(4);
        busy.expect_closed();
        shutdown.join().unwrap();
    });
    assert!(std::net::TcpStream::connect(broker.address()).is_err());
}

#[test]
fn a_shutdown_does_not_wait_longer_than_its_grace() {
    let broker = Broker::start();
    let mut busy = broker.connect();
    busy.send(HEARTBEAT, 4, &HeartbeatRequest::default());
    let _request = broker.next_request();
    let began = Instant::now();
    broker.server.shutdown(Duration::from_millis(50));
    assert!(began.elapsed() < PATIENCE / 4);
    busy.expect_closed();
}

#[test]
fn an_address_in_use_is_said_with_its_listener() {
    let broker = Broker::start();
    let mut config = config();
    config.listeners[0].port = broker.address().port();
    let logs = broker.logs.clone();
    let Err(error) = moldau_server::Server::start(
        config,
        logs,
        std::sync::Arc::new(Nobody),
        std::sync::Arc::default(),
        Vec::new(),
    ) else {
        panic!("two servers on one port");
    };
    let message = error.to_string();
    assert!(
        message.contains("PLAINTEXT") && message.contains(&broker.address().port().to_string()),
        "{message}"
    );
}

struct Nobody;

impl moldau_server::ControlPlane for Nobody {
    fn submit(&self, _request: moldau_server::ControlRequest) {}
    fn connection_closed(&self, _connection: moldau_server::ConnectionId) {}
    fn committed(&self, _token: u64) {}
}
