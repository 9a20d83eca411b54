//! Faults that a test asks for, seen from the other end of the socket.

mod broker;

use std::time::{Duration, Instant};

use broker::records::{Ask, fetch, only, produce, produce_request, values};
use broker::{API_VERSIONS, Broker, Event, FIND_COORDINATOR, PRODUCE, batch};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, FindCoordinatorRequest, ProduceRequest};
use moldau_server::{ErrorCode, FaultKind};

fn request(broker: &Broker) -> ProduceRequest {
    produce_request(broker, 9, -1, "orders", &[(0, batch(&[b"value"]))])
}

#[test]
fn a_request_dropped_before_is_not_carried_out_and_one_dropped_after_is() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    for (kind, stored) in [(FaultKind::DropBefore, 0), (FaultKind::DropAfter, 1)] {
        let fault = broker.server.faults().add(PRODUCE, kind, Some(1));
        let mut client = broker.connect();
        client.send(PRODUCE, 9, &request(&broker));
        client.expect_closed();
        assert_eq!(broker.server.faults().met(fault), Some(1));
        let answer = fetch(&mut broker.connect(), &broker, &Ask::default());
        assert_eq!(values(only(&answer)).len(), stored, "{kind:?}");
    }
    let answer = produce(&mut broker.connect(), &broker, 9, "orders", batch(&[b"value"]));
    assert_eq!((answer.error_code, answer.base_offset), (0, 1));
}

#[test]
fn a_refused_request_goes_to_the_control_plane_with_the_error_to_answer_also_when_it_is_hot() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let code = ErrorCode::NOT_ENOUGH_REPLICAS;
    broker.server.faults().add(PRODUCE, FaultKind::Refuse(code), Some(1));
    let mut client = broker.connect();
    client.send(PRODUCE, 9, &request(&broker));
    let request = broker.next_request();
    assert_eq!((request.api_key, request.refusal), (PRODUCE, Some(code)));
    request.reply.close();
    client.expect_closed();
    assert!(matches!(broker.next_event(), Event::Closed(_)));
    let mut client = broker.connect();
    client.send(FIND_COORDINATOR, 3, &FindCoordinatorRequest::default());
    assert_eq!(broker.next_request().refusal, None);
}

#[test]
fn answers_before_a_fault_are_sent_and_those_after_it_come_late() {
    let broker = Broker::start();
    let delay = Duration::from_millis(300);
    broker
        .server
        .faults()
        .add(API_VERSIONS, FaultKind::Delay(delay), Some(1));
    let mut client = broker.connect();
    let begin = Instant::now();
    for _ in 0..2 {
        client.send(API_VERSIONS, 4, &ApiVersionsRequest::default());
    }
    client.receive::<ApiVersionsResponse>(4);
    assert!(begin.elapsed() >= delay);
    client.receive::<ApiVersionsResponse>(4);
}

#[test]
fn a_server_that_is_paused_stops_when_it_is_told_to() {
    let broker = Broker::start();
    broker.server.faults().set_paused(true);
    let mut client = broker.connect();
    client.send(API_VERSIONS, 4, &ApiVersionsRequest::default());
    broker.wait_until("the connection is open", |broker| {
        broker.counter("connections_open") == 1
    });
    broker.server.shutdown(Duration::from_millis(50));
    client.expect_closed();
}
