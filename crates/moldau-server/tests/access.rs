//! Access rules that change while a client is connected: what was allowed before is asked for again.

mod broker;

use std::collections::HashSet;
use std::time::Duration;

use broker::records::{Ask, fetch, fetch_request, numbered, numbered_batch, only, produce, values};
use broker::{Broker, FETCH, HEARTBEAT, topic_image};
use kafka_protocol::messages::{FetchResponse, GroupId, HeartbeatRequest, HeartbeatResponse};
use kafka_protocol::protocol::StrBytes;
use moldau_server::{AccessRule, AccessTable, ErrorCode, ImageDelta, Lease, ResourceKind};

const READ: i8 = 3;

/// From now on everybody may read these resources, and do nothing else.
fn allow_reading(broker: &Broker, generation: u64, resources: &[(ResourceKind, &str)]) {
    let rule = |(kind, name): &(ResourceKind, &str)| AccessRule {
        resource_type: *kind as u8,
        prefixed: false,
        name: (*name).to_owned(),
        principal: "User:*".to_owned(),
        host: "*".to_owned(),
        operation: READ,
        allows: true,
    };
    let rules = resources.iter().map(rule).collect();
    let table = AccessTable::new(generation, HashSet::new(), false, rules);
    broker.server.apply(ImageDelta::Access(table.into()));
}

#[test]
fn a_lease_does_not_outlive_the_right_to_read_the_group() {
    let broker = Broker::start();
    let lease = Lease {
        instance_id: None,
        epoch: 7,
        consumer: None,
    };
    broker.leases.grant("billing", "member", lease);
    allow_reading(&broker, 1, &[(ResourceKind::Group, "billing")]);
    let beat = HeartbeatRequest::default()
        .with_group_id(GroupId(StrBytes::from_static_str("billing")))
        .with_member_id(StrBytes::from_static_str("member"))
        .with_generation_id(7);
    let mut client = broker.connect();
    let answer: HeartbeatResponse = client.ask(HEARTBEAT, 4, &beat);
    assert_eq!(answer.error_code, 0);
    allow_reading(&broker, 2, &[]);
    client.send(HEARTBEAT, 4, &beat);
    assert_eq!(broker.next_request().api_key, HEARTBEAT);
}

#[test]
fn a_fetch_session_tells_nothing_of_a_topic_whose_right_was_taken_away() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    produce(&mut client, &broker, 9, "orders", numbered_batch(0..2));
    for (version, generation) in [(12, 1), (13, 3)] {
        allow_reading(&broker, generation, &[(ResourceKind::Topic, "orders")]);
        let ask = |session, partitions| Ask {
            version,
            session,
            partitions,
            ..Ask::default()
        };
        let answer = fetch(&mut client, &broker, &ask((0, 0), &[(0, 0)]));
        assert_eq!(values(only(&answer)), numbered(0..2));
        allow_reading(&broker, generation + 1, &[]);
        let answer = fetch(&mut client, &broker, &ask((answer.session_id, 1), &[]));
        let told = only(&answer);
        assert_eq!(told.error_code, ErrorCode::TOPIC_AUTHORIZATION_FAILED.0);
        assert_eq!(values(told), []);
    }
}

#[test]
fn a_topic_that_comes_up_while_a_fetch_waits_is_not_read_unasked() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let secret = broker.create_topic("secret", 1);
    produce(&mut broker.connect(), &broker, 9, "secret", numbered_batch(0..2));
    broker.server.apply(ImageDelta::TopicRemoved("secret".into()));
    allow_reading(&broker, 1, &[(ResourceKind::Topic, "orders")]);
    let ask = |topic| Ask {
        version: 13,
        topic,
        max_wait_ms: 500,
        ..Ask::default()
    };
    let mut request = fetch_request(&broker, &ask("orders"));
    request.topics.extend(fetch_request(&broker, &ask("secret")).topics);
    let mut client = broker.connect();
    client.send(FETCH, 13, &request);
    std::thread::sleep(Duration::from_millis(100));
    broker.server.apply(ImageDelta::Topic(topic_image("secret", secret, 1)));
    let (_, answer) = client.receive::<FetchResponse>(13);
    let told = answer.responses.iter().find(|topic| topic.topic_id == secret).unwrap();
    assert_eq!(told.partitions[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID.0);
    assert_eq!(values(&told.partitions[0]), []);
}
