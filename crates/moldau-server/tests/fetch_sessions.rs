//! Incremental fetch sessions over a real socket.

mod broker;

use std::time::Duration;

use broker::records::{Ask, fetch, fetch_request, numbered, numbered_batch, only, produce, produce_request, values};
use broker::{Broker, Client, FETCH, PRODUCE, batch};
use kafka_protocol::messages::fetch_request::ForgottenTopic;
use kafka_protocol::messages::{FetchResponse, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

#[test]
fn a_session_tells_what_changed_and_nothing_else() {
    let broker = Broker::start();
    broker.create_topic("orders", 3);
    let mut client = broker.connect();
    for version in [12, 13] {
        let full = Ask {
            version,
            partitions: &[(0, 0), (1, 0), (2, 0)],
            session: (0, 0),
            ..Ask::default()
        };
        let answer = fetch(&mut client, &broker, &full);
        let id = answer.session_id;
        assert!(id != 0 && answer.responses[0].partitions.len() == 3);
        let step = |client: &mut Client, epoch, partitions: &[(i32, i64)]| {
            let ask = Ask {
                version,
                partitions,
                session: (id, epoch),
                ..Ask::default()
            };
            let answer = fetch(client, &broker, &ask);
            assert_eq!((answer.error_code, answer.session_id), (0, id));
            let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
            partitions
                .map(|p| (p.partition_index, values(p).len()))
                .collect::<Vec<_>>()
        };
        let before = if version == 12 { 0 } else { 1 };
        // Whatever an earlier round left is told once more, because this session starts at 0.
        let _ = step(&mut client, 1, &[(1, before)]);
        assert_eq!(step(&mut client, 2, &[]), []);
        let request = produce_request(&broker, 9, 1, "orders", &[(1, batch(&[b"x"]))]);
        client.ask::<_, ProduceResponse>(PRODUCE, 9, &request);
        assert_eq!(step(&mut client, 3, &[]), [(1, 1)]);
        assert_eq!(step(&mut client, 4, &[(1, before + 1)]), []);
    }
}

#[test]
fn a_session_waits_for_its_partitions_and_forgets_them() {
    let broker = Broker::start();
    broker.create_topic("orders", 2);
    let mut client = broker.connect();
    let id = fetch(
        &mut client,
        &broker,
        &Ask {
            partitions: &[(0, 0), (1, 0)],
            session: (0, 0),
            ..Ask::default()
        },
    )
    .session_id;
    let mut request = fetch_request(
        &broker,
        &Ask {
            partitions: &[],
            session: (id, 1),
            max_wait_ms: 20_000,
            ..Ask::default()
        },
    );
    client.send(FETCH, 12, &request);
    std::thread::sleep(Duration::from_millis(50));
    produce(&mut broker.connect(), &broker, 9, "orders", numbered_batch(0..1));
    assert_eq!(values(only(&client.receive::<FetchResponse>(12).1)), numbered(0..1));
    let forgotten = ForgottenTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str("orders")))
        .with_partitions(vec![0]);
    request.forgotten_topics_data = vec![forgotten];
    request.session_epoch = 2;
    request.max_wait_ms = 30;
    assert!(client.ask::<_, FetchResponse>(FETCH, 12, &request).responses.is_empty());
}

#[test]
fn session_errors_are_those_of_kafka() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let id = fetch(
        &mut client,
        &broker,
        &Ask {
            session: (0, 0),
            ..Ask::default()
        },
    )
    .session_id;
    let mut code = |version, session| {
        let answer = fetch(
            &mut client,
            &broker,
            &Ask {
                version,
                partitions: &[],
                session,
                ..Ask::default()
            },
        );
        assert!(answer.responses.is_empty());
        (answer.error_code, answer.session_id)
    };
    assert_eq!(code(12, (id ^ 1, 1)), (70, 0));
    assert_eq!(code(12, (id, 7)), (71, 0));
    assert_eq!(code(13, (id, 1)), (106, 0));
    assert_eq!(code(12, (id, 1)), (0, id));
}

#[test]
fn a_client_that_leaves_during_a_long_poll_gives_its_session_back() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let id = fetch(
        &mut client,
        &broker,
        &Ask {
            session: (0, 0),
            ..Ask::default()
        },
    )
    .session_id;
    client.send(
        FETCH,
        12,
        &fetch_request(
            &broker,
            &Ask {
                partitions: &[],
                session: (id, 1),
                max_wait_ms: 20_000,
                ..Ask::default()
            },
        ),
    );
    std::thread::sleep(Duration::from_millis(50));
    drop(client);
    broker.wait_until("it is gone", |broker| broker.counter("connections_open") == 0);
    let answer = fetch(
        &mut broker.connect(),
        &broker,
        &Ask {
            partitions: &[],
            session: (id, 2),
            ..Ask::default()
        },
    );
    assert_eq!(answer.error_code, 0);
}

#[test]
fn a_new_topic_of_the_same_name_is_another_topic() {
    let broker = Broker::start();
    let old = broker.create_topic("orders", 1);
    let mut client = broker.connect();
    produce(&mut client, &broker, 9, "orders", batch(&[b"old"]));
    let ask = Ask {
        version: 13,
        session: (0, 0),
        ..Ask::default()
    };
    let session = fetch(&mut client, &broker, &ask).session_id;
    let old_request = fetch_request(
        &broker,
        &Ask {
            version: 13,
            ..Ask::default()
        },
    );
    broker.delete_topic("orders", 1);
    assert_ne!(broker.create_topic("orders", 1), old);
    let answer: FetchResponse = client.ask(FETCH, 13, &old_request);
    assert_eq!(only(&answer).error_code, 100);
    let answer = fetch(
        &mut client,
        &broker,
        &Ask {
            version: 13,
            partitions: &[],
            session: (session, 1),
            ..Ask::default()
        },
    );
    assert_eq!(only(&answer).error_code, 100);
    let answer = fetch(
        &mut client,
        &broker,
        &Ask {
            version: 13,
            ..Ask::default()
        },
    );
    assert_eq!((only(&answer).error_code, values(only(&answer)).len()), (0, 0));
}
