//! Requests that are almost right: whatever a client sends, no task of the server panics and others are served.

mod broker;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use broker::records::{Ask, fetch_request, produce_request};
use broker::{API_VERSIONS, Broker, FETCH, METADATA, PRODUCE, batch};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A panic ends the task of its connection and nothing else, so a client could not tell: count them where they happen.
fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some("moldau-server") {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
}

/// One valid frame of each kind, in the newest and in an old version.
fn valid_frames(broker: &Broker) -> Vec<Vec<u8>> {
    let mut client = broker.connect();
    let mut frames = Vec::new();
    for version in [3, 9, 13] {
        for acks in [0, 1, -1] {
            let request = produce_request(
                broker,
                version,
                acks,
                "orders",
                &[(0, batch(&[b"a"])), (1, batch(&[b"b"]))],
            );
            frames.push(client.frame(PRODUCE, version, &request).1);
        }
    }
    for version in [4, 12, 18] {
        let ask = Ask {
            version,
            partitions: &[(0, 0), (1, 0)],
            session: (0, 0),
            max_wait_ms: 5,
            ..Ask::default()
        };
        frames.push(client.frame(FETCH, version, &fetch_request(broker, &ask)).1);
    }
    frames.push(
        client
            .frame(METADATA, 12, &MetadataRequest::default().with_topics(None))
            .1,
    );
    frames.push(client.frame(API_VERSIONS, 3, &ApiVersionsRequest::default()).1);
    frames
}

#[test]
fn damaged_requests_never_panic_the_server() {
    count_panics();
    let broker = Broker::start();
    broker.create_topic("orders", 2);
    let frames = valid_frames(&broker);
    let damage = (
        0..frames.len(),
        proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..5),
    );
    let mut runner = TestRunner::new(Config {
        cases: 1500,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&damage, |(which, changes)| {
        let mut frame = frames[which].clone();
        // The size stays right, so that the damage reaches the decoders.
        for (at, value) in changes {
            let at = 4 + at.index(frame.len() - 4);
            frame[at] = value;
        }
        let mut client = broker.connect();
        client
            .stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        client.stream.write_all(&frame).unwrap();
        client.stream.shutdown(Shutdown::Write).unwrap();
        // An answer, or the end of the connection, or (a long poll with a long wait) nothing: all are fine.
        let _ = client.stream.read(&mut [0; 16]);
        prop_assert_eq!(PANICS.load(Ordering::SeqCst), 0);
        Ok(())
    });
    outcome.unwrap();
    let request = produce_request(&broker, 9, 1, "orders", &[(1, batch(&[b"alive"]))]);
    let answer: kafka_protocol::messages::ProduceResponse = broker.connect().ask(PRODUCE, 9, &request);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}
