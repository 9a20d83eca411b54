//! Responses: what we encode, `kafka-protocol` decodes to the same values, in every version, to the last byte.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsResponse, FetchResponse, ListOffsetsResponse, MetadataResponse, OffsetForLeaderEpochResponse,
    ProduceResponse,
};
use kafka_protocol::protocol::Decodable;
use moldau_server::wire::{self, LeaderIdAndEpoch, NodeEndpoint, Writer};
use moldau_server::{ApiRange, FinalizedFeature, SupportedFeature};
use uuid::Uuid;

fn decode<T: Decodable>(bytes: BytesMut, version: i16) -> T {
    let mut bytes: Bytes = bytes.freeze();
    let decoded = T::decode(&mut bytes, version).expect("the oracle reads our answer");
    assert!(!bytes.has_remaining(), "bytes are left over in version {version}");
    decoded
}

fn endpoints() -> Vec<NodeEndpoint> {
    vec![NodeEndpoint {
        node_id: 9,
        host: "there".into(),
        port: 9093,
        rack: Some("r".into()),
    }]
}

const LEADER: LeaderIdAndEpoch = LeaderIdAndEpoch {
    leader_id: 9,
    leader_epoch: 4,
};

#[test]
fn produce_answers_are_read_as_written() {
    let id = Uuid::from_u128(77);
    for version in 3..=13 {
        let refused = wire::produce::PartitionProduceResponse {
            index: 1,
            error_code: 6,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: vec![(3, "too old".to_owned())],
            error_message: Some("no".to_owned()),
            current_leader: Some(LEADER),
        };
        let accepted = wire::produce::PartitionProduceResponse {
            index: 2,
            error_code: 0,
            base_offset: 1 << 40,
            log_append_time_ms: 5,
            log_start_offset: 6,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
        };
        let topic = wire::produce::TopicProduceResponse {
            name: "orders".into(),
            topic_id: id,
            partitions: vec![refused, accepted],
        };
        let mut bytes = BytesMut::new();
        let mut writer = Writer::new(&mut bytes, wire::produce::is_flexible(version));
        wire::produce::encode_response(&mut writer, version, &[topic], &endpoints());
        let decoded: ProduceResponse = decode(bytes, version);
        let topic = &decoded.responses[0];
        assert_eq!(
            (topic.name.as_str(), topic.topic_id),
            if version >= 13 {
                ("", id)
            } else {
                ("orders", Uuid::nil())
            }
        );
        let (refused, accepted) = (&topic.partition_responses[0], &topic.partition_responses[1]);
        assert_eq!((refused.index, refused.error_code, refused.base_offset), (1, 6, -1));
        assert_eq!(
            (accepted.index, accepted.base_offset, accepted.log_append_time_ms),
            (2, 1 << 40, 5)
        );
        assert_eq!(accepted.log_start_offset, if version >= 5 { 6 } else { -1 });
        if version >= 8 {
            assert_eq!(refused.record_errors[0].batch_index, 3);
            assert_eq!(
                refused.record_errors[0].batch_index_error_message.as_deref(),
                Some("too old")
            );
            assert_eq!(
                (refused.error_message.as_deref(), accepted.error_message.as_deref()),
                (Some("no"), None)
            );
        }
        if version >= 10 {
            assert_eq!(
                (refused.current_leader.leader_id.0, refused.current_leader.leader_epoch),
                (9, 4)
            );
            assert_eq!(accepted.current_leader.leader_id.0, -1);
            let endpoint = &decoded.node_endpoints[0];
            assert_eq!((endpoint.node_id.0, &*endpoint.host, endpoint.port), (9, "there", 9093));
        }
    }
}

fn encode_fetch(version: i16, data: &wire::fetch::PartitionData, records: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    let flexible = wire::fetch::is_flexible(version);
    let mut writer = Writer::new(&mut bytes, flexible);
    wire::fetch::encode_head(&mut writer, version, 0, 321, 1);
    wire::fetch::encode_topic(&mut writer, version, "orders", Uuid::from_u128(77), 1);
    data.encode_front(&mut writer, version, records.len());
    bytes.extend_from_slice(records);
    let mut writer = Writer::new(&mut bytes, flexible);
    data.encode_tail(&mut writer, version);
    writer.no_tags();
    wire::fetch::encode_end(&mut writer, version, &endpoints());
    bytes
}

#[test]
fn fetch_answers_are_read_as_written() {
    for version in 4..=18 {
        let data = wire::fetch::PartitionData {
            partition: 3,
            error_code: 74,
            high_watermark: 100,
            last_stable_offset: 90,
            log_start_offset: 10,
            diverging_epoch: Some((2, 55)),
            current_leader: Some(LEADER),
            aborted_transactions: Some(vec![(1000, 20), (1001, 30)]),
        };
        let decoded: FetchResponse = decode(encode_fetch(version, &data, b"some records"), version);
        assert_eq!(decoded.session_id, if version >= 7 { 321 } else { 0 });
        let topic = &decoded.responses[0];
        assert_eq!(topic.topic.as_str(), if version >= 13 { "" } else { "orders" });
        assert_eq!(
            topic.topic_id,
            if version >= 13 {
                Uuid::from_u128(77)
            } else {
                Uuid::nil()
            }
        );
        let partition = &topic.partitions[0];
        assert_eq!((partition.partition_index, partition.error_code), (3, 74));
        assert_eq!((partition.high_watermark, partition.last_stable_offset), (100, 90));
        assert_eq!(partition.log_start_offset, if version >= 5 { 10 } else { -1 });
        let aborted: Vec<_> = partition.aborted_transactions.iter().flatten().collect();
        assert_eq!((aborted[1].producer_id.0, aborted[1].first_offset), (1001, 30));
        assert_eq!(partition.records.as_deref(), Some(&b"some records"[..]));
        assert_eq!(
            partition.preferred_read_replica.0,
            if version >= 11 {
                -1
            } else {
                partition.preferred_read_replica.0
            }
        );
        if version >= 12 {
            assert_eq!(
                (partition.diverging_epoch.epoch, partition.diverging_epoch.end_offset),
                (2, 55)
            );
        }
        if version >= 16 {
            assert_eq!(
                (
                    partition.current_leader.leader_id.0,
                    partition.current_leader.leader_epoch
                ),
                (9, 4)
            );
            assert_eq!(decoded.node_endpoints[0].port, 9093);
        }
    }
}

#[test]
fn a_plain_fetch_answer_has_null_aborted_transactions_and_empty_records() {
    for version in 4..=18 {
        let data = wire::fetch::PartitionData {
            partition: 0,
            error_code: 0,
            high_watermark: 0,
            last_stable_offset: 0,
            log_start_offset: 0,
            diverging_epoch: None,
            current_leader: None,
            aborted_transactions: None,
        };
        let decoded: FetchResponse = decode(encode_fetch(version, &data, b""), version);
        let partition = &decoded.responses[0].partitions[0];
        assert_eq!(partition.aborted_transactions, None);
        assert_eq!(partition.records.as_deref(), Some(&b""[..]));
    }
}

#[test]
fn list_offsets_answers_are_read_as_written() {
    for version in 1..=10 {
        let answer = wire::list_offsets::ListOffsetsPartitionResponse {
            partition: 4,
            error_code: 0,
            timestamp: 1234,
            offset: 5678,
            leader_epoch: 9,
        };
        let mut bytes = BytesMut::new();
        let mut writer = Writer::new(&mut bytes, wire::list_offsets::is_flexible(version));
        let topics = [("orders", &[answer][..])];
        wire::list_offsets::encode_response(&mut writer, version, topics.into_iter());
        let decoded: ListOffsetsResponse = decode(bytes, version);
        let topic = &decoded.topics[0];
        let partition = &topic.partitions[0];
        assert_eq!(
            (topic.name.as_str(), partition.partition_index, partition.timestamp),
            ("orders", 4, 1234)
        );
        assert_eq!(
            (partition.offset, partition.leader_epoch),
            (5678, if version >= 4 { 9 } else { -1 })
        );
    }
}

#[test]
fn offset_for_leader_epoch_answers_are_read_as_written() {
    for version in 2..=4 {
        let answer = wire::offset_for_leader_epoch::EpochEndOffset {
            error_code: 0,
            partition: 1,
            leader_epoch: 2,
            end_offset: 3,
        };
        let mut bytes = BytesMut::new();
        let mut writer = Writer::new(&mut bytes, wire::offset_for_leader_epoch::is_flexible(version));
        wire::offset_for_leader_epoch::encode_response(&mut writer, [("orders", &[answer][..])].into_iter());
        let decoded: OffsetForLeaderEpochResponse = decode(bytes, version);
        let partition = &decoded.topics[0].partitions[0];
        assert_eq!(
            (partition.partition, partition.leader_epoch, partition.end_offset),
            (1, 2, 3)
        );
    }
}

fn encode_metadata(version: i16) -> BytesMut {
    use wire::metadata::{MetadataHead, MetadataPartition, MetadataTopic, encode_end};
    let mut bytes = BytesMut::new();
    let mut writer = Writer::new(&mut bytes, wire::metadata::is_flexible(version));
    let head = MetadataHead {
        brokers: vec![(1, "here", 9092, Some("r1"))],
        cluster_id: "cluster",
        controller_id: 1,
        topic_count: 2,
    };
    head.encode(&mut writer, version);
    let topic = MetadataTopic {
        error_code: 0,
        name: Some("orders"),
        topic_id: Uuid::from_u128(5),
        is_internal: true,
        authorized_operations: 3576,
    };
    topic.encode_front(&mut writer, version, 1);
    let partition = MetadataPartition {
        error_code: 5,
        partition: 0,
        leader_id: 1,
        leader_epoch: 7,
        replicas: &[1, 2],
        in_sync_replicas: &[1],
        offline_replicas: &[2],
    };
    partition.encode(&mut writer, version);
    topic.encode_tail(&mut writer, version);
    let unknown = MetadataTopic {
        error_code: 100,
        name: None,
        topic_id: Uuid::from_u128(6),
        is_internal: false,
        authorized_operations: wire::metadata::OPERATIONS_NOT_ASKED,
    };
    unknown.encode_front(&mut writer, version, 0);
    unknown.encode_tail(&mut writer, version);
    encode_end(&mut writer, version, 8096, 42);
    bytes
}

#[test]
fn metadata_answers_are_read_as_written() {
    for version in 0..=13 {
        let decoded: MetadataResponse = decode(encode_metadata(version), version);
        let broker = &decoded.brokers[0];
        assert_eq!((broker.node_id.0, &*broker.host, broker.port), (1, "here", 9092));
        assert_eq!(broker.rack.as_deref(), (version >= 1).then_some("r1"));
        assert_eq!(decoded.cluster_id.as_deref(), (version >= 2).then_some("cluster"));
        assert_eq!(decoded.controller_id.0, if version >= 1 { 1 } else { -1 });
        let (topic, unknown) = (&decoded.topics[0], &decoded.topics[1]);
        assert_eq!(topic.name.as_ref().map(|name| name.as_str()), Some("orders"));
        assert_eq!(topic.is_internal, version >= 1);
        assert_eq!(
            topic.topic_id,
            if version >= 10 { Uuid::from_u128(5) } else { Uuid::nil() }
        );
        assert_eq!(unknown.error_code, 100);
        assert_eq!(unknown.name.is_none(), version >= 12);
        let partition = &topic.partitions[0];
        assert_eq!((partition.error_code, partition.leader_id.0), (5, 1));
        assert_eq!(partition.leader_epoch, if version >= 7 { 7 } else { -1 });
        let ids = |nodes: &[kafka_protocol::messages::BrokerId]| nodes.iter().map(|node| node.0).collect::<Vec<_>>();
        assert_eq!(
            (ids(&partition.replica_nodes), ids(&partition.isr_nodes)),
            (vec![1, 2], vec![1])
        );
        assert_eq!(
            ids(&partition.offline_replicas),
            if version >= 5 { vec![2] } else { vec![] }
        );
        assert_eq!(
            topic.topic_authorized_operations,
            if version >= 8 { 3576 } else { i32::MIN }
        );
        assert_eq!(
            decoded.cluster_authorized_operations,
            if (8..=10).contains(&version) { 8096 } else { i32::MIN }
        );
        assert_eq!(decoded.error_code, if version >= 13 { 42 } else { 0 });
    }
}

#[test]
fn api_versions_answers_are_read_as_written() {
    let apis = [ApiRange {
        key: 0,
        min: 0,
        max: 13,
        flexible_since: 9,
        hot: true,
    }];
    let supported = [
        SupportedFeature {
            name: "group.version".to_owned(),
            min: 0,
            max: 1,
        },
        SupportedFeature {
            name: "metadata.version".to_owned(),
            min: 7,
            max: 29,
        },
    ];
    let finalized = [FinalizedFeature {
        name: "metadata.version".to_owned(),
        level: 29,
    }];
    for version in 0..=4 {
        let answer = wire::api_versions::ApiVersionsResponse {
            error_code: 0,
            apis: &apis,
            supported_features: &supported,
            finalized_features_epoch: 12,
            finalized_features: &finalized,
        };
        let mut bytes = BytesMut::new();
        answer.encode(
            &mut Writer::new(&mut bytes, wire::api_versions::is_flexible(version)),
            version,
        );
        let decoded: ApiVersionsResponse = decode(bytes, version);
        let api = &decoded.api_keys[0];
        assert_eq!((api.api_key, api.min_version, api.max_version), (0, 0, 13));
        let names: Vec<_> = decoded
            .supported_features
            .iter()
            .map(|feature| feature.name.to_string())
            .collect();
        match version {
            0..=2 => assert!(names.is_empty()),
            // A client before version 4 cannot read a feature whose lowest level is 0.
            3 => assert_eq!(names, ["metadata.version"]),
            _ => assert_eq!(names, ["group.version", "metadata.version"]),
        }
        if version >= 3 {
            assert_eq!(decoded.finalized_features_epoch, 12);
            assert_eq!(decoded.finalized_features[0].max_version_level, 29);
        }
    }
}
