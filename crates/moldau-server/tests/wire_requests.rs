//! Requests: what `kafka-protocol` encodes, generated from Kafka's own schemas, we decode to the same values, in every
//! version. And whatever else arrives, a decoder returns an error at worst.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerId, FetchRequest, ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest,
    ProduceRequest, TopicName, TransactionalId, fetch_request, list_offsets_request, metadata_request,
    offset_for_leader_epoch_request, produce_request,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use moldau_server::wire;
use proptest::prelude::*;
use uuid::Uuid;

fn encode(request: &impl Encodable, version: i16) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    request
        .encode(&mut bytes, version)
        .expect("the oracle encodes its own request");
    bytes.to_vec()
}

fn topic_name(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

/// A decoder must not panic on any beginning of a valid request, nor on one with any byte turned around.
fn survives_damage(bytes: &[u8], decode: impl Fn(&[u8])) {
    for length in 0..bytes.len() {
        decode(&bytes[..length]);
    }
    for at in 0..bytes.len() {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] = value;
            decode(&damaged);
        }
    }
}

#[test]
fn produce_requests_are_decoded_as_kafka_encodes_them() {
    let id = Uuid::from_u128(0x1234);
    let (first, second) = (Bytes::from_static(b"first batch"), Bytes::from_static(b"second"));
    for version in 3..=13 {
        let partition = |index, records: &Option<Bytes>| {
            produce_request::PartitionProduceData::default()
                .with_index(index)
                .with_records(records.clone())
        };
        let mut topic = produce_request::TopicProduceData::default();
        if version >= 13 {
            topic.topic_id = id;
        } else {
            topic.name = topic_name("orders");
        }
        topic.partition_data = vec![
            partition(3, &Some(first.clone())),
            partition(4, &None),
            partition(5, &Some(second.clone())),
        ];
        let request = ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str("pay"))))
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]);
        let bytes = encode(&request, version);
        let decoded = wire::produce::ProduceRequest::decode(&bytes, version).unwrap();
        assert_eq!(
            (decoded.transactional_id, decoded.acks, decoded.timeout_ms),
            (Some("pay"), -1, 30_000)
        );
        let topic = &decoded.topics[0];
        assert_eq!(
            (topic.name, topic.topic_id),
            if version >= 13 {
                ("", id)
            } else {
                ("orders", Uuid::nil())
            }
        );
        let records: Vec<_> = topic
            .partitions
            .iter()
            .map(|p| (p.index, p.records.clone().map(|range| &bytes[range])))
            .collect();
        assert_eq!(
            records,
            [(3, Some(&first[..])), (4, None), (5, Some(&second[..]))],
            "version {version}"
        );
        survives_damage(&bytes, |bytes| {
            drop(wire::produce::ProduceRequest::decode(bytes, version))
        });
    }
}

fn fetch_of_every_field(version: i16, id: Uuid) -> FetchRequest {
    let mut partition = fetch_request::FetchPartition::default()
        .with_partition(7)
        .with_fetch_offset(42)
        .with_partition_max_bytes(1 << 20);
    let mut topic = fetch_request::FetchTopic::default();
    let mut forgotten = fetch_request::ForgottenTopic::default().with_partitions(vec![1, 2, 3]);
    let mut request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_isolation_level(1);
    if version >= 5 {
        partition.log_start_offset = 5;
    }
    if version >= 7 {
        request.session_id = 77;
        request.session_epoch = 9;
    }
    if version >= 9 {
        partition.current_leader_epoch = 11;
    }
    if version >= 11 {
        request.rack_id = StrBytes::from_static_str("rack-1");
    }
    if version >= 12 {
        partition.last_fetched_epoch = 10;
        request.cluster_id = Some(StrBytes::from_static_str("cluster"));
    }
    if version >= 13 {
        topic.topic_id = id;
        forgotten.topic_id = id;
    } else {
        topic.topic = topic_name("orders");
        forgotten.topic = topic_name("orders");
    }
    if version >= 15 {
        request.replica_state = fetch_request::ReplicaState::default()
            .with_replica_id(BrokerId(4))
            .with_replica_epoch(6);
    } else {
        request.replica_id = BrokerId(4);
    }
    if version >= 17 {
        partition.replica_directory_id = Uuid::from_u128(99);
    }
    if version >= 18 {
        partition.high_watermark = 40;
    }
    topic.partitions = vec![partition];
    request.topics = vec![topic];
    if version >= 7 {
        request.forgotten_topics_data = vec![forgotten];
    }
    request
}

#[test]
fn fetch_requests_are_decoded_as_kafka_encodes_them() {
    let id = Uuid::from_u128(0x5678);
    for version in 4..=18 {
        let bytes = encode(&fetch_of_every_field(version, id), version);
        let decoded = wire::fetch::FetchRequest::decode(&bytes, version).unwrap();
        let since = |first: i16, value: i64| if version >= first { value } else { -1 };
        let (name, id) = if version >= 13 {
            ("", id)
        } else {
            ("orders", Uuid::nil())
        };
        let expected = wire::fetch::FetchRequest {
            replica_id: 4,
            replica_epoch: since(15, 6),
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 50 << 20,
            isolation_level: 1,
            session_id: if version >= 7 { 77 } else { 0 },
            session_epoch: since(7, 9) as i32,
            topics: vec![wire::fetch::FetchTopic {
                topic: name,
                topic_id: id,
                partitions: vec![wire::fetch::FetchPartition {
                    partition: 7,
                    current_leader_epoch: since(9, 11) as i32,
                    fetch_offset: 42,
                    last_fetched_epoch: since(12, 10) as i32,
                    log_start_offset: since(5, 5),
                    max_bytes: 1 << 20,
                }],
            }],
            forgotten_topics: if version >= 7 {
                vec![wire::fetch::ForgottenTopic {
                    topic: name,
                    topic_id: id,
                    partitions: vec![1, 2, 3],
                }]
            } else {
                Vec::new()
            },
            rack_id: if version >= 11 { "rack-1" } else { "" },
        };
        assert_eq!(decoded, expected, "version {version}");
        survives_damage(&bytes, |bytes| drop(wire::fetch::FetchRequest::decode(bytes, version)));
    }
}

#[test]
fn list_offsets_requests_are_decoded_as_kafka_encodes_them() {
    for version in 1..=10 {
        let mut partition = list_offsets_request::ListOffsetsPartition::default()
            .with_partition_index(2)
            .with_timestamp(-3);
        if version >= 4 {
            partition.current_leader_epoch = 8;
        }
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(topic_name("orders"))
            .with_partitions(vec![partition]);
        let mut request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        if version >= 2 {
            request.isolation_level = 1;
        }
        if version >= 10 {
            request.timeout_ms = 1000;
        }
        let bytes = encode(&request, version);
        let decoded = wire::list_offsets::ListOffsetsRequest::decode(&bytes, version).unwrap();
        let asked = wire::list_offsets::ListOffsetsPartition {
            partition: 2,
            current_leader_epoch: if version >= 4 { 8 } else { -1 },
            timestamp: -3,
        };
        assert_eq!(
            (decoded.replica_id, decoded.isolation_level),
            (-1, i8::from(version >= 2))
        );
        assert_eq!(
            (decoded.topics[0].name, &decoded.topics[0].partitions[..]),
            ("orders", &[asked][..])
        );
        survives_damage(&bytes, |bytes| {
            drop(wire::list_offsets::ListOffsetsRequest::decode(bytes, version))
        });
        if version == 10 {
            // Version 11, which the oracle does not know yet, has the same fields.
            assert_eq!(
                wire::list_offsets::ListOffsetsRequest::decode(&bytes, 11).unwrap(),
                decoded
            );
        }
    }
}

#[test]
fn metadata_requests_are_decoded_as_kafka_encodes_them() {
    let id = Uuid::from_u128(1);
    for version in 0..=13 {
        let mut topic = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name("orders")));
        if version >= 10 {
            topic.topic_id = id;
        }
        let mut request = MetadataRequest::default().with_topics(Some(vec![topic]));
        if version >= 4 {
            request.allow_auto_topic_creation = false;
        }
        if (8..=10).contains(&version) {
            request.include_cluster_authorized_operations = true;
        }
        if version >= 8 {
            request.include_topic_authorized_operations = true;
        }
        let bytes = encode(&request, version);
        let decoded = wire::metadata::MetadataRequest::decode(&bytes, version).unwrap();
        let expected = wire::metadata::MetadataRequest {
            topics: Some(vec![wire::metadata::MetadataRequestTopic {
                topic_id: if version >= 10 { id } else { Uuid::nil() },
                name: Some("orders"),
            }]),
            allow_auto_topic_creation: version < 4,
            include_cluster_authorized_operations: (8..=10).contains(&version),
            include_topic_authorized_operations: version >= 8,
        };
        assert_eq!(decoded, expected, "version {version}");
        survives_damage(&bytes, |bytes| {
            drop(wire::metadata::MetadataRequest::decode(bytes, version))
        });
    }
}

#[test]
fn no_topics_and_all_topics_differ_from_version_1_on() {
    let asked = |topics: Option<Vec<_>>, version| {
        let bytes = encode(&MetadataRequest::default().with_topics(topics), version);
        wire::metadata::MetadataRequest::decode(&bytes, version)
            .unwrap()
            .topics
            .map(|topics| topics.len())
    };
    assert_eq!(asked(Some(Vec::new()), 0), None);
    for version in 1..=13 {
        assert_eq!(
            (asked(None, version), asked(Some(Vec::new()), version)),
            (None, Some(0))
        );
    }
}

#[test]
fn offset_for_leader_epoch_requests_are_decoded_as_kafka_encodes_them() {
    for version in 2..=4 {
        let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
            .with_partition(1)
            .with_current_leader_epoch(2)
            .with_leader_epoch(3);
        let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
            .with_topic(topic_name("orders"))
            .with_partitions(vec![partition]);
        let bytes = encode(
            &OffsetForLeaderEpochRequest::default().with_topics(vec![topic]),
            version,
        );
        let decoded = wire::offset_for_leader_epoch::OffsetForLeaderEpochRequest::decode(&bytes, version).unwrap();
        let partition = decoded.topics[0].partitions[0];
        assert_eq!(
            (
                decoded.topics[0].topic,
                partition.partition,
                partition.current_leader_epoch,
                partition.leader_epoch
            ),
            ("orders", 1, 2, 3)
        );
        survives_damage(&bytes, |bytes| {
            drop(wire::offset_for_leader_epoch::OffsetForLeaderEpochRequest::decode(
                bytes, version,
            ));
        });
    }
}

#[test]
fn api_versions_requests_are_decoded_as_kafka_encodes_them() {
    for version in 0..=4 {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request.client_software_name = StrBytes::from_static_str("librdkafka");
            request.client_software_version = StrBytes::from_static_str("2.15.0");
        }
        let bytes = encode(&request, version);
        let decoded = wire::api_versions::ApiVersionsRequest::decode(&bytes, version).unwrap();
        let expected = if version >= 3 {
            ("librdkafka", "2.15.0")
        } else {
            ("", "")
        };
        assert_eq!(
            (decoded.client_software_name, decoded.client_software_version),
            expected
        );
        survives_damage(&bytes, |bytes| {
            drop(wire::api_versions::ApiVersionsRequest::decode(bytes, version))
        });
    }
}

#[test]
fn a_hostile_array_length_is_refused_before_anything_is_allocated() {
    // Metadata version 1: an array of 2^31 - 1 topics in a request of four bytes.
    assert!(wire::metadata::MetadataRequest::decode(&i32::MAX.to_be_bytes(), 1).is_err());
    // And one that would still fit in memory, many times over.
    let error = wire::metadata::MetadataRequest::decode(&900_000i32.to_be_bytes(), 1).unwrap_err();
    assert_eq!(error.0, "an array claims more elements than the request has bytes for");
    // Produce version 9: no transactional id, acks, timeout, then 2^32 - 2 topics.
    let hostile = [0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(wire::produce::ProduceRequest::decode(&hostile, 9).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), version in 0i16..20) {
        let _ = wire::produce::ProduceRequest::decode(&bytes, version);
        let _ = wire::fetch::FetchRequest::decode(&bytes, version);
        let _ = wire::list_offsets::ListOffsetsRequest::decode(&bytes, version);
        let _ = wire::metadata::MetadataRequest::decode(&bytes, version);
        let _ = wire::offset_for_leader_epoch::OffsetForLeaderEpochRequest::decode(&bytes, version);
        let _ = wire::api_versions::ApiVersionsRequest::decode(&bytes, version);
        let _ = wire::header::RequestPrefix::decode(&bytes);
        let _ = wire::header::decode_client_id(&bytes, version % 2 == 0);
    }
}
